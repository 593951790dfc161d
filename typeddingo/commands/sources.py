"""The files an app was made from, and whether one has changed. Comes from ``--reload``."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator

__all__ = ["Watch", "files_behind", "own_files"]


def own_files() -> Iterator[str]:
    """The sources below the working directory that this process has imported, without installed packages."""
    here = os.path.join(os.getcwd(), "")
    for module in list(sys.modules.values()):
        file: object = getattr(module, "__file__", None)
        if isinstance(file, str) and _is_own(os.path.abspath(file), here):
            yield os.path.abspath(file)


def files_behind(error: BaseException | None) -> Iterator[str]:
    """The user's files that took part in an import that failed: Python forgets their modules."""
    here = os.path.join(os.getcwd(), "")
    while error is not None:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            files.append(error.filename)
        yield from (file for file in map(os.path.abspath, files) if _is_own(file, here) and os.path.exists(file))
        error = error.__cause__ or error.__context__


def _is_own(file: str, here: str) -> bool:
    installed = (os.path.join(sys.prefix, ""), os.path.join(os.path.dirname(os.path.dirname(__file__)), ""))
    return file.startswith(here) and not file.startswith(installed) and "site-packages" not in file.split(os.sep)


class Watch:
    """Compares the files' times with those at the last look: works on every file system and needs no library."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def add(self, files: Iterable[str]) -> None:
        """Look after these too, from how they are now."""
        for file in files:
            if file not in self._times:
                self._times[file] = _time_of(file)

    def changed(self) -> list[str]:
        """Those that have changed since the last time."""
        found: list[str] = []
        for file, before in self._times.items():
            if (now := _time_of(file)) != before:
                self._times[file] = now
                found.append(file)
        return found

    def __len__(self) -> int:
        return len(self._times)


def _time_of(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0  # gone, for the moment perhaps: editors write a new file and rename it
