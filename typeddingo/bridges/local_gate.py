"""What limits the calls of one task in this process. Comes from its pool, lets them run a call or puts it off."""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping

from typeddingo.execute import Life, Local
from typeddingo.header import Header
from typeddingo.limits import Bounds, Limiter, Want
from typeddingo.message import TaskMessage
from typeddingo.registry import Entry
from typeddingo.wire import Wire

__all__ = ["LocalGate"]


class LocalGate:
    """Thread-safe. ``put_off``: let a call come back after so many seconds."""

    def __init__(
        self,
        entry: Entry,
        bounds: Bounds,
        limiter: Limiter,
        life: Life,
        put_off: Callable[[Local, float], object],
    ) -> None:
        self._entry = entry
        self._bounds = bounds
        self._limiter = limiter
        self._life = life
        self._put_off = put_off

    def around(self, run: Callable[[Local], None]) -> Callable[[Local], None]:
        """``run``, where there is room for it."""

        def run_limited(call: Local) -> None:
            if (want := self._enter(call)) is not None:
                try:
                    run(call)
                finally:
                    self._limiter.release([want])

        return run_limited

    def around_async(
        self, run: Callable[[Local], Coroutine[object, None, None]]
    ) -> Callable[[Local], Coroutine[object, None, None]]:
        """The same for an ``async def``."""

        async def run_limited(call: Local) -> None:
            if (want := self._enter(call)) is not None:
                try:
                    await run(call)
                finally:
                    self._limiter.release([want])

        return run_limited

    def _enter(self, call: Local) -> Want | None:
        """What is to be released; None: it does not run now."""
        outcome, course = call[0], call[4]
        if (course is not None or self._life.cancelled) and self._life.is_over(call):
            return None
        try:
            key = self._entry.limit_key(*self._arguments(call))
        except Exception as error:  # its key function's: nobody could say when it may run
            outcome._close(error)
            return None
        want = Want(outcome.name, key, outcome.id, self._bounds)
        (wait,) = self._limiter.acquire([want])
        if wait > 0:
            self._put_off(call, wait)
            return None
        return want

    def _arguments(self, call: Local) -> tuple[tuple[object, ...], Mapping[str, object]]:
        if self._entry.key is None or not isinstance(call[1], Wire):
            return call[1], call[2]
        frame: bytes = call[2]
        task: TaskMessage = call[1].decode_task(Header.from_bytes(frame), frame)
        return task.args, task.kwargs
