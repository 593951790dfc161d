"""A call that may find its equal before it: its result then ends as the first one's does.

Comes from the courier, which sends it; goes to the call in this process that is the first, or to the store where the
first one's report is kept.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from typeddingo.backend import ReportStream, Store
from typeddingo.broker import Confirmation
from typeddingo.errors import ResultClosed
from typeddingo.message import Meta
from typeddingo.outcome import CallOutcome
from typeddingo.role import Role

__all__ = ["Earlier", "SharedStore", "UniqueConfirmation"]

KEPT = 1000
"""Results of unique calls that are kept for their equals, whoever else has forgotten them."""


class Earlier:
    """The unique calls of this process, the latest thousand of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._outcomes: OrderedDict[tuple[str, str], CallOutcome] = OrderedDict()

    def add(self, outcome: CallOutcome) -> None:
        with self._lock:
            self._outcomes[outcome.name, outcome.id] = outcome
            if len(self._outcomes) > KEPT:
                self._outcomes.popitem(last=False)

    def remove(self, outcome: CallOutcome) -> None:
        """It stands for nobody: it was not sent, or another one stands for it."""
        with self._lock:
            if self._outcomes.get((outcome.name, outcome.id)) is outcome:
                del self._outcomes[outcome.name, outcome.id]

    def find(self, name: str, id: str) -> CallOutcome | None:
        return self._outcomes.get((name, id))


class UniqueConfirmation(Confirmation):
    """The broker's answer to a call that is not stored where its equal is: whoever waits for it has the right result
    afterwards. Thread-safe."""

    def __init__(
        self,
        answer: Confirmation,
        outcome: CallOutcome,
        earlier: Earlier,
        follow: Callable[[str], None],
        background: Callable[[Callable[[], None]], None],
    ) -> None:
        """``follow``: let the result be that of the task with this id; may block. ``background``: run it elsewhere."""
        self._answer = answer
        self._outcome = outcome
        self._earlier = earlier
        self._follow = follow
        self._background = background
        self._lock = threading.Lock()
        self._followed = False

    def wait(self, timeout: float | None = None) -> None:
        """See ``Confirmation.wait``."""
        try:
            self._answer.wait(timeout)
        except Exception as error:
            self._failed(error)
            raise
        self._follow_once()

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        """See ``Confirmation.add_done_callback``."""

        def follow() -> None:
            try:
                self._follow_once()
            finally:
                callback(None)

        def answered(error: BaseException | None) -> None:
            if isinstance(error, Exception):
                self._failed(error)
            if error is None and self._answer.instead:
                self._background(follow)
            else:
                callback(error)

        self._answer.add_done_callback(answered)

    def prove(self) -> None:
        """See ``Confirmation.prove``."""
        self._answer.prove()

    def _follow_once(self) -> None:
        with self._lock:
            if not self._followed and (id := self._answer.instead):
                self._follow(id)
            self._followed = True

    def _failed(self, error: Exception) -> None:
        """Its equals that wait for it must not wait for ever; it may be stored all the same, and they may ask."""
        self._earlier.remove(self._outcome)
        self._outcome._close(error)


class SharedStore(Store):
    """A store as those see it who ask for the result of somebody else's call."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def expect(self, roles: Role) -> None:
        """Asked of the store itself."""
        self._store.expect(roles)

    def poll(self, meta: Meta) -> ReportStream:
        """See ``Store.poll``."""
        return self._store.poll(meta)

    def done(self, meta: Meta) -> None:
        """As ``Store.leave``."""
        self._store.leave(meta)

    def reattach(self, meta: Meta) -> ReportStream:
        """See ``Store.reattach``."""
        if type(self._store).reattach is not Store.reattach:
            return self._store.reattach(meta)
        stream = ReportStream(meta)
        stream.end(
            ResultClosed(
                f"an equal call of another process stands for this one, with id {meta.id!r}, and "
                f"{type(self._store).__name__} keeps no reports for other processes: a Redis backend does"
            )
        )
        return stream

    @property
    def reply_to(self) -> str:
        return self._store.reply_to

    def close(self) -> None:
        """It is the store's own business."""
