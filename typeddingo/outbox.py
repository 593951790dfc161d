"""Finished work on its way out: reports first, receipts after. Comes from a group of workers, goes to both adapters.

The order is the promise: a task is settled when its report is stored, so a worker that dies in between runs it again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from typeddingo._io.threads import Deadline, Threads
from typeddingo.backend import Reporter
from typeddingo.broker import Delivery, Listener, Parcel, Producer, Receipt, settle_all
from typeddingo.errors import SendError
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta
from typeddingo.patience import may_pass, patiently
from typeddingo.relay import Relay
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.steps import Finished, StepEnd
from typeddingo.window import Key, Window

__all__ = ["Finished", "Flusher", "Outbox"]

PAUSE = 0.001
"""Seconds between two looks at what a busy worker cannot see to."""
LAST_SECONDS = 1.0
"""For the last looks."""


class Outbox:
    """One report channel, shared by the workers of a group (Go: a reports channel). Thread-safe."""

    def __init__(
        self, runtime: Runtime, reporter: Reporter | None, producer: Callable[[], Producer | None] = lambda: None
    ) -> None:
        """``producer``: for the next steps of pipelines."""
        self._runtime = runtime
        self._reporter = reporter
        self._relay = Relay(runtime, producer)
        self._step_ends: deque[StepEnd] = deque()
        self._has_hook = reporter is not None and type(reporter).before_report is not Reporter.before_report
        self._items: deque[Finished] = deque()
        self._freed: deque[tuple[Listener, Meta, str, float]] = deque()
        self._lock = threading.Lock()  # held while sending: reports of one task must not overtake each other

    def __bool__(self) -> bool:
        """Something is waiting to leave."""
        return bool(self._items or self._step_ends)

    def add(self, item: Finished) -> None:
        """Keep it for the next ``flush``."""
        self._items.append(item)

    def pass_on(self, end: StepEnd) -> None:
        """As ``add``, for a step whose next one must be stored before it is settled."""
        self._step_ends.append(end)

    def free(self, listener: Listener, meta: Meta, key: str, seconds: float) -> None:
        """See ``Listener.free``; done before the report of the failure leaves: who hears of it may send again."""
        self._freed.append((listener, meta, key, seconds))

    def before_report(self, meta: Meta) -> None:
        """The first report of a task is about to be added."""
        if self._has_hook and self._reporter is not None:
            self._reporter.before_report(meta)

    def flush(self) -> bool:
        """Send what is here: every report in one batch, then every receipt. False if the reporter is unreachable."""
        if not (self._items or self._step_ends):
            return True
        with self._lock:
            return self._send_all()

    def flush_if_free(self) -> bool:
        """As ``flush``, for who must not wait while another thread sends. False: somebody must come again."""
        if not (self._items or self._step_ends):
            return True
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._send_all()
        finally:
            self._lock.release()

    def _send_all(self) -> bool:
        items = [self._items.popleft() for _ in range(len(self._items))]
        while self._freed:
            listener, meta, key, seconds = self._freed.popleft()
            listener.free(meta, key, seconds)
        if self._step_ends:
            return self._send_steps(items)
        return not items or self._send(items)

    def _send_steps(self, items: list[Finished]) -> bool:
        """What a step has told leaves before the next one begins, and that is stored before the step is settled."""
        ends = [self._step_ends.popleft() for _ in range(len(self._step_ends))]
        told = not items or self._send(items)
        sent = self._send(self._relay.send(ends)) and told
        self._relay.forget(stored=sent)
        return sent and self._relay.reachable

    def _send(self, items: list[Finished]) -> bool:
        parcels = [item.parcel for item in items if item.parcel is not None]
        try:
            if parcels and self._reporter is not None:
                self._report(parcels)
        except Exception as error:
            if not isinstance(error, SendError) or may_pass(error):  # it is the reporter's fault: the tasks run again
                for item in items:
                    self._tell(item, f"its report could not be stored, the task is given back: {type(error).__name__}")
                self._settle([item._replace(receipt=Receipt.GIVE_BACK) for item in items])
                return False
            if len(items) > 1:  # one of them is refused: find out which
                sent = [self._send([item]) for item in items]  # every one of them, whatever became of the others
                return all(sent)
            self._tell(items[0], f"its report was refused and is lost: {type(error).__name__}")
        self._settle(items)
        return True

    def _report(self, parcels: Sequence[Parcel]) -> None:
        """Until it is stored, refused for good, or has failed for long. What may have been stored is sent again: a
        report may come twice, its result fires once."""
        assert self._reporter is not None
        reporter = self._reporter
        patiently(self._runtime, lambda: reporter.report(parcels))

    def _tell(self, item: Finished, message: str) -> None:
        if item.parcel is not None:
            meta = item.parcel.meta
            self._runtime.publish(
                Role.WORKER, EventLevel.ERROR, EventCode.REPORT_DROPPED, message, task=meta.name, id=meta.id
            )

    def _settle(self, items: Sequence[Finished]) -> None:
        receipts: list[tuple[Delivery, Receipt]] = []
        for item in items:
            if item.delivery is not None:
                receipts.append((item.delivery, item.receipt))
            if item.key is not None:
                for again in _ended(self._runtime.window, item.key, item):
                    if item.delivery is not None:
                        again.delay, again.reason = item.delivery.delay, item.delivery.reason
                    receipts.append((again, item.receipt))
        settle_all(receipts)


def _ended(window: Window, key: Key, item: Finished) -> Sequence[Delivery]:
    """The run is over: what else was delivered of the same task shares its receipt. One that runs again is not done,
    nor is one that failed for good: whoever replays it from the dead letters wants it to run."""
    if item.receipt is Receipt.OK:
        return window.finish(key, item.parcel)
    return window.forget(key)


class Flusher:
    """One thread an app that looks after what a busy worker cannot: reports that wait while it runs the next task."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._chores: tuple[Callable[[], bool], ...] = ()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._soon = False
        self._armed = False
        self._stopped = False

    def look_after(self, chore: Callable[[], bool]) -> None:
        """``chore`` is called whenever the flusher wakes; True: call it again after a pause."""
        with self._lock:
            self._chores = (*self._chores, chore)

    def arm(self, *, soon: bool = False) -> None:
        """There is something to look after: after a pause that gathers company, or at once."""
        if soon:
            self._soon = True
        if self._armed:
            return
        with self._lock:
            self._armed = True
            if self._thread is None and not self._stopped:
                self._thread = self._threads.start("flusher", self._loop)
        self._wake.set()

    def stop(self) -> None:
        """End the thread after a last round. Idempotent; does not wait."""
        with self._lock:
            self._stopped = True
        self._wake.set()

    def join(self, deadline: Deadline) -> list[str]:
        """After ``stop``: wait for the last round."""
        return self._threads.join(deadline)

    def _loop(self) -> None:
        while not self._stopped:
            self._wake.wait()
            self._round()
        deadline = Deadline(LAST_SECONDS)
        while self._round() and not deadline.passed:
            pass  # something has ended while what ended before it was on its way

    def _round(self) -> bool:
        """True: there is more."""
        self._wake.clear()
        if not self._soon:
            time.sleep(PAUSE)
        self._armed = self._soon = False
        again = [chore() for chore in self._chores]  # every one of them
        if any(again):
            self.arm()
        return any(again)
