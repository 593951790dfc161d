"""What can go wrong, as one tree. Raised everywhere, caught by users; imports nothing of this package.

TypedDingoError
├─ ConfigError          roles, duplicate task, unknown option, server policy that would lose data
├─ LifespanError        the app's lifespan raised, and no worker was started (cause attached)
├─ SignatureError       the function's annotations cannot be a contract (raised at decoration)
├─ ArgumentError        a value does not fit its annotation (path and expected type, never the value)
├─ SendError            NOT accepted: Unroutable · PayloadTooLarge · QueueFull · BrokerBlocked
├─ SendUnknown          may have been accepted (timeout or reset before the confirmation)
├─ ConnectionLost       the adapter cannot reach its server (cause attached)
├─ WireError            bytes we refuse: HeaderError · DecodeError · LimitError · Untrusted
└─ ResultError          ReportsIgnored · ResultTimeout(TimeoutError) · ResultClosed · ResultExpired · NoHandler
TaskFailed              the task itself failed; not a TypedDingoError
Retry                   raised by a task that wants to run again later
TimeLimitExceeded       raised inside a task that runs for too long; a BaseException, as asyncio.CancelledError is one
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ArgumentError",
    "BrokerBlocked",
    "ConfigError",
    "ConnectionLost",
    "DecodeError",
    "ErrorCode",
    "HeaderError",
    "LifespanError",
    "LimitError",
    "Misfit",
    "NoHandler",
    "PayloadTooLarge",
    "QueueFull",
    "ReportsIgnored",
    "ResultClosed",
    "ResultError",
    "ResultExpired",
    "ResultTimeout",
    "Retry",
    "SendError",
    "SendUnknown",
    "SignatureError",
    "TaskFailed",
    "TimeLimitExceeded",
    "TypedDingoError",
    "Unroutable",
    "Untrusted",
    "WireError",
]


class ErrorCode(enum.IntEnum):
    """Why a task failed, as it travels in a Fail report (Go: ``ErrCode``; 0, 1 and 2 have Go's meaning)."""

    INVOKE = 0
    """The worker could not call the function: the arguments did not reach it as its signature wants them."""
    PANIC = 1
    """The function raised."""
    SHUTDOWN = 2
    """The app was closed before the task ended."""
    RETURN = 16
    """The function returned a value that does not fit its return annotation."""
    WORKER_NOT_FOUND = 17
    """No worker knows a task of this name."""
    TIME_LIMIT = 18
    """The function ran for longer than its ``timeout``."""
    HARD_TIME_LIMIT = 19
    """The function ran for longer than its ``hard_timeout``; its process was killed."""
    CHILD_DIED = 20
    """The process that ran the function (``isolation="process"``) died."""
    EXPIRED = 21
    """It was not started before it expired (``expires``)."""
    CANCELLED = 22
    """It was cancelled (``Result.cancel``) before it started or, where that can be, while it ran."""


class TypedDingoError(Exception):
    """Base of every error this package raises itself."""


class ConfigError(TypedDingoError):
    """The program is wired wrongly: a role taken twice, a duplicate task, an unknown option or id."""


class LifespanError(TypedDingoError):
    """The app's ``lifespan`` raised when its first worker was to start: none was started. The cause is attached."""


class SignatureError(TypedDingoError):
    """The annotations of a function cannot be a contract. Raised when the function is decorated."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One place where a value does not fit its annotation. Never holds the value itself."""

    path: tuple[str | int, ...]
    """Where, from the parameter inwards: ``("order", "items", 3, "price")``."""
    expected: str
    """What was expected there, in words: ``"a valid decimal"``."""
    kind: str = ""
    """The validator's own name for the misfit: ``"int_type"``."""

    @property
    def where(self) -> str:
        """The path as Python would spell it: ``order.items[3].price``."""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            elif step.startswith("["):
                text += step  # the key of a dict
            else:
                text += f".{step}" if text else step
        return text


class ArgumentError(TypedDingoError):
    """An argument does not fit its annotation; nothing was sent.

    ``task`` is the task's name, ``misfits`` every place that does not fit; the message names them all, says
    what was expected and never repeats a value.
    """

    def __init__(self, message: str, *, task: str = "", misfits: Sequence[Misfit] = ()) -> None:
        super().__init__(message)
        self.task = task
        self.misfits: tuple[Misfit, ...] = tuple(misfits)

    @property
    def parameter(self) -> str:
        """The first parameter that does not fit; empty when the call itself does not fit the signature."""
        return str(self.misfits[0].path[0]) if self.misfits and self.misfits[0].path else ""

    @property
    def path(self) -> tuple[str | int, ...]:
        """The path of the first misfit, its parameter first."""
        return self.misfits[0].path if self.misfits else ()

    @property
    def expected(self) -> str:
        """What the first misfit expected."""
        return self.misfits[0].expected if self.misfits else ""


class SendError(TypedDingoError):
    """The task was not accepted by the broker: it will not run. Sending it again is safe."""


class Unroutable(SendError):
    """The broker has no queue for this task."""


class PayloadTooLarge(SendError):
    """The encoded task is larger than the limit. Nothing was sent."""


class QueueFull(SendError):
    """The queue is at its bound."""


class BrokerBlocked(SendError):
    """The broker refuses to take messages at the moment (memory or disk alarm)."""


class SendUnknown(TypedDingoError):
    """The broker did not answer in time: the task may or may not have been accepted."""

    id: str = ""
    """The id of the call. A call that is sent again under it (``id_maker``) is stored once, where the broker can
    tell; one with an id of its own may make the task run twice."""


class ConnectionLost(TypedDingoError):
    """The adapter cannot reach its server. The cause is attached as ``__cause__``."""


class WireError(TypedDingoError):
    """Bytes that are not what they should be; they were refused, nothing of them was used."""


class HeaderError(WireError):
    """The header of a frame is malformed."""


class DecodeError(WireError):
    """The payload of a frame is malformed or does not fit the task's annotations.

    ``misfits`` names the places where well-formed data did not fit the annotations; empty for malformed data.
    """

    def __init__(self, message: str, *, misfits: Sequence[Misfit] = ()) -> None:
        super().__init__(message)
        self.misfits: tuple[Misfit, ...] = tuple(misfits)


class LimitError(WireError):
    """A frame exceeds a limit (size, depth, count); it was refused before any work was done on it."""


class Untrusted(WireError):
    """A frame does not prove where it comes from: not signed, by a key that is not known here, changed, or too old."""


class ResultError(TypedDingoError):
    """There is no outcome to return."""


class ReportsIgnored(ResultError):
    """The task was called with ``ignore_report``: no report will ever come."""


class ResultTimeout(ResultError, TimeoutError):
    """The outcome did not arrive in time. The task may still finish; wait again."""


class ResultClosed(ResultError):
    """The reports ended before an outcome arrived."""


class ResultExpired(ResultError):
    """The outcome was stored, and its time to live is over."""


class NoHandler(ResultError):
    """``then()`` was called on a result without a handler (Go: ``NoHandler``)."""


class TaskFailed(Exception):
    """The task itself failed, in its worker. What is known of it is text; nothing is rebuilt from the wire."""

    def __init__(
        self,
        message: str = "",
        *,
        code: int = ErrorCode.PANIC,
        exception_type: str = "",
        traceback: str = "",
        task: str = "",
        id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.exception_type = exception_type
        self.traceback = traceback
        self.task = task
        self.id = id

    def __str__(self) -> str:
        kind = f"{self.exception_type}: " if self.exception_type else ""
        where = f" (task {self.task!r}, id {self.id!r})" if self.task else ""
        return f"{kind}{self.message}{where}"


class TimeLimitExceeded(BaseException):
    """Raised inside a task whose ``timeout`` is over, in its thread or its coroutine, so that it ends and may clean up.
    One that catches it and returns has succeeded. ``except Exception`` does not catch it."""


class Retry(Exception):
    """Raise it inside a task that has ``retries``: this run has failed, and the next is to begin ``after`` so many
    seconds, or when the task's own back-off says. It counts as one retry; when there is none left, the task fails with
    this exception (and with the one it was raised ``from``, in its traceback). Raises ``ConfigError`` for what is no
    number of seconds."""

    def __init__(self, message: str = "the task asked to run again", *, after: float | None = None) -> None:
        if after is not None and (isinstance(after, bool) or not 0 <= after < math.inf):
            raise ConfigError("Retry(after=…): expected a number of seconds, 0 or more")
        super().__init__(message)
        self.after: float | None = after
