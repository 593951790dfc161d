"""What Go dingo really emitted and really said, read from ``tests/golden``."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from _pytest.mark import ParameterSet

__all__ = ["Record", "each", "label_of", "raw", "records"]

Record: TypeAlias = dict[str, Any]

_FILE = Path(__file__).parent.parent / "golden" / "go_vectors.json.gz"


@cache
def _everything() -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = json.loads(gzip.decompress(_FILE.read_bytes()))
    return found


def records(section: str) -> list[Record]:
    """All records of a section."""
    return _everything()[section]


def each(section: str) -> list[ParameterSet]:
    """A test case for every record of a section."""
    return [pytest.param(record, id=label_of(record)) for record in records(section)]


def label_of(record: Record) -> str:
    """A short text that is different for every record of a section: ``"3 int as 5.0"``."""
    return f"{record['marshaller']} {record['label']}" if "marshaller" in record else str(record["label"])


def raw(text: str) -> bytes:
    """The bytes behind a base64 field."""
    return base64.b64decode(text)
