"""An environment for each peer, made when it is first asked for. Comes from ``stage``; lives below ``.venv/peers``.

Peers need each other's dependencies in versions that do not agree, and none of them should be among ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.systems import System

__all__ = ["ROOT", "python_of"]

ROOT = Path(__file__).parents[1]


def python_of(system: System) -> Path:
    """Its interpreter; installs the system's newest versions with uv when there is none yet. Raises
    ``CalledProcessError`` when that fails."""
    if not system.needs:
        return Path(sys.executable)
    home = ROOT / ".venv" / "peers" / system.driver
    made_for = home / "made-for"
    wanted = f"{sys.version}\n{' '.join(system.needs)}\n"
    if not made_for.exists() or made_for.read_text(encoding="utf-8") != wanted:
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}") or "uv"
        venv = [uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", sys.executable, str(home)]
        subprocess.run(venv, check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *system.needs]
        subprocess.run(install, check=True)
        made_for.write_text(wanted, encoding="utf-8")
    return home / "bin" / "python"
