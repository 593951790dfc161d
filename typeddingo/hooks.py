"""The middleware of one app, as far as each hook is overridden. Comes from the app, asked by bridges and workers when
they compile a task: one without middleware is compiled as if there were none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import copy_context
from typing import Any, TypeAlias, TypeVar

from typeddingo.context import Slot
from typeddingo.errors import ConfigError
from typeddingo.headers import misfit
from typeddingo.message import Report
from typeddingo.middleware import Middleware, Outgoing
from typeddingo.option import Option

__all__ = ["NO_HOOKS", "Hooks"]

_log = logging.getLogger("typeddingo")

Tell: TypeAlias = "Callable[[str, str, str], None]"
"""What happened, the name and the id of the task."""
A = TypeVar("A")
B = TypeVar("B")


def _nobody(what: str, name: str, id: str) -> None: ...


class Hooks:
    """Immutable, shared by all threads. ``tell`` publishes what a hook raised."""

    def __init__(self, middleware: Sequence[Middleware] = (), tell: Tell = _nobody) -> None:
        self._senders = tuple(m for m in middleware if _has(m, "before_send") or _has(m, "after_send"))
        self._rings = tuple(m for m in middleware if _has(m, "around_run"))
        self._watchers = tuple(m for m in reversed(middleware) if _has(m, "after_run"))
        self._tell = tell
        self.sends: bool = bool(self._senders)
        """Calls are announced."""
        self.runs: bool = bool(self._rings)
        """Something stands around the function."""
        self.watches: bool = bool(self._watchers)
        """Reports are shown before they leave."""

    # a call

    def announce(self, name: str, id: str, option: Option) -> Outgoing:
        """Before it is sent: the headers are set. Raises what a hook raises, and ``ConfigError`` for headers that
        cannot travel; who had been told of the call is told of that."""
        call = Outgoing(name, id, option)
        told = 0
        try:
            for told, middleware in enumerate(self._senders):  # noqa: B007  # how many have returned
                middleware.before_send(call)
            told = len(self._senders)
            if what := misfit(call.headers.items()):
                raise ConfigError(f"task {name!r}: {what}: let before_send set fewer or shorter ones")
        except BaseException as error:
            self._sent(self._senders[:told], call, error)
            raise
        return call

    def sent(self, call: Outgoing, error: BaseException | None) -> None:
        """After it was sent, or was not. Total."""
        self._sent(self._senders, call, error)

    @contextlib.contextmanager
    def telling(self, call: Outgoing) -> Generator[None]:
        """Inside it the broker is asked to confirm the call."""
        try:
            yield
        except BaseException as error:
            self.sent(call, error)
            raise
        self.sent(call, None)

    # a run

    def around(self, fn: Callable[..., Any], slot: Slot[Any]) -> Callable[..., Any]:
        """A function with all that stands around it. Each run has contextvars of its own: what a hook forgets to set
        back, a tenant's name, is not seen by the next task of the thread."""
        for middleware in reversed(self._rings):
            fn = _ringed(middleware, fn, slot)
        return lambda *args, **kwargs: copy_context().run(fn, *args, **kwargs)

    def around_async(
        self, fn: Callable[..., Coroutine[Any, Any, Any]], slot: Slot[Any]
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        """The same for an ``async def``, of which each run is a coroutine with contextvars of its own."""
        for middleware in reversed(self._rings):
            fn = _ringed_async(middleware, fn, slot)
        return fn

    def watched(self, run: Callable[[A, B], Report[object]], slot: Slot[Any]) -> Callable[[A, B], Report[object]]:
        """``run``, whose report is shown."""

        def watched(task: A, wire: B) -> Report[object]:
            self._show(slot, report := run(task, wire))
            return report

        return watched

    def watched_async(
        self, run: Callable[[A, B], Coroutine[object, None, Report[object]]], slot: Slot[Any]
    ) -> Callable[[A, B], Coroutine[object, None, Report[object]]]:
        """The same for an ``async def``."""

        async def watched(task: A, wire: B) -> Report[object]:
            self._show(slot, report := await run(task, wire))
            return report

        return watched

    def _sent(self, senders: Sequence[Middleware], call: Outgoing, error: BaseException | None) -> None:
        for middleware in reversed(senders):
            try:
                middleware.after_send(call, error)
            except Exception as raised:
                self._failed(middleware, "after_send", raised, call.name, call.id)

    def _show(self, slot: Slot[Any], report: Report[object]) -> None:
        for middleware in self._watchers:
            try:
                middleware.after_run(slot.context(), report)
            except Exception as raised:
                self._failed(middleware, "after_run", raised, report.name, report.id)

    def _failed(self, middleware: Middleware, hook: str, error: Exception, name: str, id: str) -> None:
        what = f"{hook} of {type(middleware).__name__} raised {type(error).__name__}"
        _log.error("%s, for task %r (id %s)", what, name, id, exc_info=error)
        self._tell(what, name, id)


NO_HOOKS = Hooks()
"""Of an app without middleware."""


def _has(middleware: Middleware, hook: str) -> bool:
    return getattr(type(middleware), hook) is not getattr(Middleware, hook) or hook in vars(middleware)


def _ringed(middleware: Middleware, fn: Callable[..., Any], slot: Slot[Any]) -> Callable[..., Any]:
    def run(*args: object, **kwargs: object) -> Any:
        failure = None
        try:
            with middleware.around_run(slot.context()):
                try:
                    return fn(*args, **kwargs)
                except BaseException as error:
                    failure = error
                    raise
            raise _kept(failure)
        finally:
            failure = None  # else the exception would hold this frame, and the frame the exception

    return run


def _ringed_async(
    middleware: Middleware, fn: Callable[..., Coroutine[Any, Any, Any]], slot: Slot[Any]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def run(*args: object, **kwargs: object) -> Any:
        failure = None
        try:
            with middleware.around_run(slot.context()):
                try:
                    return await fn(*args, **kwargs)
                except BaseException as error:
                    failure = error
                    raise
            raise _kept(failure)
        finally:
            failure = None

    return run


def _kept(failure: BaseException | None) -> BaseException:
    """What the task raised, and a context manager swallowed."""
    assert failure is not None
    return failure
