"""What is kept where on a Redis server. Asked by every command of the brokers and backends there.

Names and ids are quoted, so that none of them can end where it likes; everything of one queue shares a hash tag.
"""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["BESIDE", "RESULT_KEY", "DingoKeys", "NativeKeys"]


RESULT_KEY = """
local function quoted(text)
  if not string.find(text, '[^%w_.~-]') then return text end
  return (string.gsub(text, '[^%w_.~-]', function(c) return string.format('%%%02X', string.byte(c)) end))
end
local before_id = {}
local function result_key(prefix, name, id)
  if not before_id[name] then before_id[name] = prefix .. ':{' .. quoted(name) .. '}:result:' end
  return before_id[name] .. quoted(id)
end
"""
"""``NativeKeys.result`` in a script."""

BESIDE = """
local function beside(key, what) return string.match(key, '^(.*:)') .. what end
"""
"""In a script: another key of the same name. What follows the last colon of a key is ours."""


class NativeKeys:
    """Of the native layout. All of them begin with the namespace."""

    def __init__(self, namespace: str) -> None:
        self.prefix = _quoted(namespace)

    def tasks(self, name: str) -> str:
        """A stream: the tasks of one name, waiting and running."""
        return self._key(name, "tasks")

    def dead(self, name: str) -> str:
        """A stream: those that were put aside."""
        return self._key(name, "dead")

    def hurried(self, name: str) -> str:
        """A stream: those that overtook others, while they run."""
        return self._key(name, "hurried")

    def cancelled(self, name: str) -> str:
        """A sorted set: the ids of tasks that must not start, by when that was said."""
        return self._key(name, "cancelled")

    def later(self, name: str) -> str:
        """A sorted set: what is not due yet, by when it is."""
        return self._key(name, "later")

    def urgent(self, name: str) -> str:
        """A sorted set: what may overtake others, by when its turn comes."""
        return self._key(name, "urgent")

    # Only scripts ask for these: ``waits``, a hash of the fields of what is in ``later`` and ``urgent``; ``twins``, how
    # many of them had the id of another one; and ``gone:`` with an id, what was cancelled a moment ago.

    def sent(self, name: str) -> str:
        """What the sets of recently sent tasks begin with; a number follows."""
        return self._key(name, "sent:")

    def schedule(self, name: str, schedule: str) -> str:
        """A string: up to when a schedule of this task is settled."""
        return self._key(name, f"schedule:{_quoted(schedule)}")

    def unique(self, name: str, key: str) -> str:
        """A string: the id of the task that stands for its equals."""
        return self._key(name, f"unique:{_quoted(key)}")

    def limit(self, name: str, key: str, what: str) -> str:
        """What the limiter knows of the tasks of one name that are counted together."""
        return self._key(name, f"limit:{_quoted(key)}:{what}")

    def unique_of(self, name: str, id: str) -> str:
        """A string: the name of the key above that is this task's."""
        return self._key(name, f"unique-of:{_quoted(id)}")

    def result(self, name: str, id: str) -> str:
        """A string: the last report of one task."""
        return self._key(name, f"result:{_quoted(id)}")

    def join(self, name: str, id: str) -> str:
        """A hash: what the runs for each value of a list have given so far."""
        return self._key(name, f"join:{_quoted(id)}")

    def replies(self, address: str) -> str:
        """A stream: the reports for one caller."""
        return self._key(address, "replies")

    def _key(self, tag: str, what: str) -> str:
        return f"{self.prefix}:{{{_quoted(tag)}}}:{what}"


class DingoKeys:
    """Of Go dingo's layout: its own names, in which ``a.b`` with id ``c`` is ``a`` with id ``b.c``."""

    @staticmethod
    def tasks(name: str) -> str:
        return f"dingo.tasks.{name}"

    @staticmethod
    def result(name: str, id: str) -> str:
        return f"dingo.result.{name}.{id}"


_plain = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


def _quoted(text: str) -> str:
    """The usual ids and names are as they are, and that is seen in a quarter of the time of quoting them."""
    return text if _plain(text) else quote(text, safe="", errors="surrogatepass")
