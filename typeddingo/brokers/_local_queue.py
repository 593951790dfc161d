"""One queue in memory and those who take from it. Comes from a local broker's ``send``, goes to a worker's ``take``."""

from __future__ import annotations

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener, Parcel, Receipt
from typeddingo.message import Meta
from typeddingo.urgent import Urgent

__all__ = ["LocalListener", "LocalQueue", "Memory", "Waiting"]


class Waiting(NamedTuple):
    """A task that waits, and what has become of it so far."""

    parcel: Parcel
    retries: int = 0
    expires: float = math.inf
    """By the broker's clock."""


class LocalQueue:
    """First in, first out; what is given back goes to where it was. Every method is called with the lock held."""

    def __init__(self, lock: threading.RLock) -> None:
        self.lock = lock
        self.arrived = threading.Condition(lock)
        """What takers with room sleep on."""
        self._fresh: deque[Waiting] = deque()
        self._urgent: Urgent[Waiting] = Urgent()
        # A ticket is drawn when a task is first taken, so all in here come before all in _fresh.
        self._returned: list[tuple[int, Waiting]] = []
        self._tickets = 0
        self._sleepers = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._returned) + len(self._urgent.heap)

    def put(self, tasks: Sequence[Waiting]) -> None:
        for task in tasks:
            if priority := task.parcel.terms.priority:
                self._urgent.put(task, priority)
            else:
                self._fresh.append(task)
        self.wake(len(tasks))

    def put_back(self, ticket: int, task: Waiting) -> None:
        heapq.heappush(self._returned, (ticket, task))
        self.wake(1)

    def pop(self) -> tuple[int, Waiting]:
        if self._returned:
            return heapq.heappop(self._returned)
        self._tickets += 1
        if not self._urgent.heap:
            return self._tickets, self._fresh.popleft()
        return self._tickets, self._urgent.swap(self._fresh.popleft()) if self._fresh else self._urgent.pop()

    def wake(self, count: int) -> None:
        """Wake up to ``count`` sleepers. Costs next to nothing while nobody sleeps, which is when it is busy."""
        if self._sleepers:
            self.arrived.notify(count)

    def sleep(self, timeout: float | None) -> None:
        self._sleepers += 1
        try:
            self.arrived.wait(timeout)
        except BaseException:
            self.arrived.notify()  # interrupted, perhaps just when it was woken for a task: pass it on
            raise
        finally:
            self._sleepers -= 1


class Memory(Protocol):
    """What a listener needs of its broker."""

    @property
    def clock(self) -> Callable[[], float]: ...

    def bury(self, refused: Sequence[tuple[Parcel, Receipt, str]], /) -> None:
        """Put tasks aside, with what was said of them. Called without the lock."""

    def put_off(self, queue: LocalQueue, task: Waiting, seconds: float, /) -> None:
        """Let it come back later. Called with the lock held."""

    def free(self, meta: Meta, key: str, /) -> None:
        """See ``Listener.free``."""


class LocalListener(Listener):
    """Takes from one queue, for any number of threads."""

    def __init__(
        self,
        queue: LocalQueue,
        prefetch: int,
        memory: Memory,
        forget: Callable[[LocalListener], None],
    ) -> None:
        self._queue = queue
        self._lock = queue.lock
        self._prefetch = prefetch
        self._memory = memory
        self._forget = forget
        self._held: dict[Delivery, tuple[int, Waiting]] = {}
        # Takers without room sleep here: on the queue's condition they would swallow the wake-ups of those with room.
        self._room = threading.Condition(self._lock)
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``. Blocks without polling."""
        queue = self._queue
        taken: list[Delivery] = []
        with self._lock:
            if not self._closed and not (queue and self._free):
                self._wait(Deadline(timeout))
            if not self._closed:
                for _ in range(min(count, self._free, len(queue))):
                    ticket = queue.pop()
                    task = ticket[1]
                    expired = task.expires < math.inf and task.expires <= self._memory.clock()
                    delivery = Delivery(task.parcel.body, self, retries=task.retries, expired=expired)
                    self._held[delivery] = ticket
                    taken.append(delivery)
        return taken

    def _wait(self, deadline: Deadline) -> None:
        queue = self._queue
        while not self._closed and not (queue and self._free) and not deadline.passed:
            if self._free:
                queue.sleep(deadline.left)
            else:
                if queue:  # it may be this one that was woken for it: pass it on
                    queue.wake(1)
                self._room.wait(deadline.left)

    @property
    def _free(self) -> int:
        return self._prefetch - len(self._held)

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. A delivery that is settled already is left as it is."""
        refused: list[tuple[Parcel, Receipt, str]] = []
        with self._lock:
            for delivery, receipt in receipts:
                ticket = self._held.pop(delivery, None)
                if ticket is None or receipt is Receipt.OK:
                    continue
                task = ticket[1]
                if receipt is Receipt.GIVE_BACK:
                    self._queue.put_back(*ticket)
                elif receipt is Receipt.RETRY:
                    self._memory.put_off(self._queue, task._replace(retries=task.retries + 1), delivery.delay)
                elif receipt is Receipt.LATER:
                    self._memory.put_off(self._queue, task, delivery.delay)
                else:
                    refused.append((task.parcel, receipt, delivery.reason))
            self._room.notify(len(receipts))
            self._leave()
        if refused:
            self._memory.bury(refused)

    def free(self, meta: Meta, key: str, seconds: float) -> None:
        """See ``Listener.free``."""
        self._memory.free(meta, key)

    def close(self) -> None:
        """See ``Listener.close``. What was taken stays with its taker, who still settles it."""
        with self._lock:
            self._close()

    def release(self) -> None:
        """Close, and put back what was taken and not settled."""
        with self._lock:
            for ticket in self._held.values():
                self._queue.put_back(*ticket)
            self._held.clear()
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.arrived.notify_all()
            self._room.notify_all()
        self._leave()

    def _leave(self) -> None:
        """The broker keeps a closed listener in mind for as long as something is in its takers' hands."""
        if self._closed and not self._held:
            self._forget(self)
