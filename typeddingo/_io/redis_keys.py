"""What is kept where on a Redis server. Asked by every command of the brokers and backends there.

Names and ids are quoted, so that none of them can end where it likes; everything of one queue shares a hash tag.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

__all__ = ["DingoKeys", "NativeKeys"]


class NativeKeys:
    """Of the native layout. All of them begin with the namespace."""

    def __init__(self, namespace: str) -> None:
        self._prefix = _quoted(namespace)

    def tasks(self, name: str) -> str:
        """A stream: the tasks of one name, waiting and running."""
        return self._key(name, "tasks")

    def dead(self, name: str) -> str:
        """A stream: those that were put aside."""
        return self._key(name, "dead")

    def sent(self, name: str) -> str:
        """What the sets of recently sent tasks begin with; a number follows."""
        return self._key(name, "sent:")

    def result(self, name: str, id: str) -> str:
        """A string: the last report of one task."""
        return self._key(name, f"result:{_quoted(id)}")

    def replies(self, address: str) -> str:
        """A stream: the reports for one caller."""
        return self._key(address, "replies")

    def _key(self, tag: str, what: str) -> str:
        return f"{self._prefix}:{{{_quoted(tag)}}}:{what}"


class DingoKeys:
    """Of Go dingo's layout: its own names, in which ``a.b`` with id ``c`` is ``a`` with id ``b.c``."""

    @staticmethod
    def tasks(name: str) -> str:
        return f"dingo.tasks.{name}"

    @staticmethod
    def result(name: str, id: str) -> str:
        return f"dingo.result.{name}.{id}"


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")
