"""``python -m typeddingo`` is the command ``typeddingo``."""

from __future__ import annotations

import sys

from typeddingo.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
