"""A child process imports the user's program anew, and only that: what the program would start, it must not start.

Set by the child's main function, asked by the app.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence

from typeddingo.errors import ConfigError
from typeddingo.option import Option
from typeddingo.registry import Entry

__all__ = ["State", "need_imported", "put_off", "state"]


class State:
    """Of this process."""

    importing: bool = False
    """It is a child, and the program's module is running."""


state: State = State()


def need_imported(what: str) -> None:
    """Refuse what begins work while the program is imported. Raises ``ConfigError``."""
    if state.importing:
        raise ConfigError(
            f'{what} in a child process: isolation="process" imports this module again, so what starts the program '
            'belongs under if __name__ == "__main__":'
        )


def put_off(entry: Entry, join: Callable[[Entry], None]) -> None:
    """As ``join``, when the first call comes: a child that calls nothing need not connect to anything."""

    def joined() -> Entry:
        need_imported(f"task {entry.name!r} is called")
        join(entry)
        return entry

    def send(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> object:
        return joined().send(args, kwargs, option)

    def send_async(
        args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None
    ) -> Coroutine[object, None, object]:
        return joined().send_async(args, kwargs, option)

    def send_many(rows: Sequence[tuple[object, ...]], option: Option | None = None) -> list[object]:
        return joined().send_many(rows, option)

    entry.send, entry.send_async, entry.send_many = send, send_async, send_many
