"""What users put around every task: logging, tracing, tenant ids, metrics. Comes from ``App(middleware=…)``, called by
the caller's half of the app when a task is sent, and by a worker when it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from typeddingo.context import Context
from typeddingo.message import Report
from typeddingo.option import Option

__all__ = ["Middleware", "Outgoing"]


class Outgoing:
    """A call that is about to be sent, or that has been (Go: none). For the thread that sends it."""

    __slots__ = ("_id", "_name", "_option", "headers")

    def __init__(self, name: str, id: str, option: Option = Option()) -> None:  # noqa: B008  # frozen
        self._name = name
        self._id = id
        self._option = option
        self.headers: dict[str, str] = {}
        """Travel with the task: at most 64, and 8 KiB in all. A worker sees them as ``Context.headers``."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self._name

    @property
    def id(self) -> str:
        """The id of this call."""
        return self._id

    @property
    def option(self) -> Option:
        """How it is sent and reported."""
        return self._option

    def __repr__(self) -> str:
        return f"<Outgoing {self._name!r} id={self._id!r}>"


class Middleware:
    """Inherit from it and override what you need (Go: none); a hook that is not overridden costs nothing.

    One object serves all threads of an app. Of several, the one that was added first is outermost: its ``before_send``
    and its ``around_run`` begin first, its ``after_run`` and ``after_send`` come last.
    """

    def before_send(self, call: Outgoing, /) -> None:
        """The arguments are checked, nothing is sent yet: the place to set ``call.headers``. In the thread, or the
        coroutine, that calls. What it raises reaches the caller as it is, and nothing is sent."""

    def after_send(self, call: Outgoing, error: BaseException | None, /) -> None:
        """The broker has confirmed the call, or ``error`` is what its caller gets instead. After a ``before_send`` that
        returned, always. Where it ran; in a batch, at the end of that. What it raises is logged and published."""

    def around_run(self, context: Context, /) -> AbstractContextManager[object]:
        """A context manager around one run of the function: in its thread or, of an ``async def``, in its coroutine,
        where it must not block. ``contextvars`` that it sets are seen by the task, and by no other.

        What it raises is the failure of the task. What the task raises passes through it; it may raise something else
        instead, but cannot make a success of a failure."""
        return nullcontext()

    def after_run(self, context: Context, report: Report[object], /) -> None:
        """A run has ended with this report, which has not left yet: also where the arguments did not fit the function
        or its return value not the annotation. Where it ran. What it raises is logged and published."""
