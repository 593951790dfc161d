"""A child process imports the user's program anew, and only that: what the program would start, it must not start.

Set by the child's main function, asked by the app.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence

from typeddingo.errors import ConfigError
from typeddingo.journey import Step
from typeddingo.option import Option
from typeddingo.registry import Entry, Launcher

__all__ = ["State", "importing", "need_imported", "put_off", "state"]


class State:
    """Of this process."""

    importing: bool = False
    """It is a child, and the program's module is running."""
    waiting: tuple[tuple[Entry, Callable[[Entry], None]], ...] = ()
    """What has been put off."""


state: State = State()


@contextlib.contextmanager
def importing() -> Generator[None]:
    """While the program is imported: it begins nothing."""
    state.importing = True
    try:
        yield
    finally:
        state.importing = False


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
    entry.launcher = _Launcher(entry)
    state.waiting += ((entry, join),)


class _Launcher:
    """Sends pipelines, once every task of the app has been joined: any may be a step."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def launch(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        return self._joined().launch(steps, args, kwargs, option)

    async def launch_async(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        return await self._joined().launch_async(steps, args, kwargs, option)

    def launch_many(self, steps: tuple[Step, ...], rows: Sequence[tuple[object, ...]], option: Option) -> list[object]:
        return self._joined().launch_many(steps, rows, option)

    def _joined(self) -> Launcher:
        need_imported(f"task {self._entry.name!r} is called")
        for entry, join in state.waiting:
            if entry.owner is self._entry.owner:
                join(entry)
        return self._entry.launcher
