"""Takes tasks from the queue of one name, for any number of threads. Comes from ``add_listener``, goes to workers.

Whoever takes reads from the server himself, one at a time: nothing is handed from thread to thread, and a listener
without work waits on one connection. The keeper tells it what there is beside new tasks.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from typeddingo._io.gate import Gate
from typeddingo._io.redis_link import RedisLink, Refused
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Deadline
from typeddingo.broker import Delivery, Listener, Receipt
from typeddingo.brokers._redis_queue import BACK, DONE, Found, RedisQueue, Taken
from typeddingo.brokers._redis_suspects import Suspects
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.events import EventCode, EventLevel

__all__ = ["REASONS", "RedisListener"]

BLOCK = 2.0
"""Seconds of one blocking read."""
GATE = 0.05
"""Seconds that a reader waits for its gate before it looks around."""
RECONNECT = 2.0
"""Seconds that a reader tries to connect before it looks around."""
SETTLE = 5.0
"""Seconds that a worker waits for its receipts to arrive; the keeper goes on trying."""
UNBLOCK = 0.02
"""Seconds after which a reader is woken again, when it was about to read."""
CLOSE = 1.0
"""Seconds that anything may take while we close: a read that has not ended by then loses its connection."""

REASONS = {
    Receipt.NOK: "its worker refused it for good",
    Receipt.WORKER_NOT_FOUND: "no worker here runs a task of this name",
}


class RedisListener(Listener):
    """See ``Listener``. What it holds is its lease's: the keeper renews it."""

    def __init__(
        self,
        server: RedisServer,
        queue: RedisQueue,
        gate: Gate,
        suspects: Suspects,
        prefetch: int,
        on_dead: Callable[[str, bytes, Receipt], object],
        on_leave: Callable[[RedisListener], object],
        on_back: Callable[[str], object],
    ) -> None:
        self.queue = queue
        self._server = server
        self._gate = gate
        self._prefetch = prefetch
        self._on_dead = on_dead
        self._on_leave = on_leave
        self._on_back = on_back
        self._suspects = suspects
        self._turn = threading.Lock()  # who reads
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._held: dict[bytes, Delivery] = {}
        self._ending: dict[bytes, str] = {}
        self._unsettled = False
        self._free = False
        self._suspicious = False
        self._client = 0
        self._link: RedisLink | None = None
        self._blocked: int | None = None
        self._closed = False
        self._left = False

    @property
    def closed(self) -> bool:
        return self._closed

    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """See ``Listener.take``. The server's absence is waited out, or until the timeout."""
        deadline = Deadline(timeout)
        while not self._closed:
            left = deadline.left
            if not self._turn.acquire(timeout=-1 if left is None else left):
                break
            try:
                deliveries = self._read(count, deadline)
            finally:
                self._turn.release()
            if deliveries or deadline.passed:
                return deliveries
        return ()

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. What cannot reach the server now is tried again until the broker is closed."""
        ends: list[tuple[bytes, str]] = []
        dead: list[tuple[Delivery, Receipt]] = []
        with self._lock:
            for delivery, receipt in receipts:
                id = delivery.tag
                if not isinstance(id, bytes) or self._held.get(id) is not delivery:
                    continue  # settled already, or no longer ours
                del self._held[id]
                end = DONE if receipt is Receipt.OK else BACK if receipt is Receipt.GIVE_BACK else REASONS[receipt]
                self._ending[id] = end
                ends.append((id, end))
                if receipt in REASONS:
                    dead.append((delivery, receipt))
        if ends:
            self._gate.leave(len(ends))
            self._settle(ends, CLOSE if self._closed else SETTLE)
            with self._lock:
                self._room.notify_all()
        for delivery, receipt in dead:
            self._on_dead(self.queue.name, delivery.body, receipt)

    def close(self) -> None:
        """See ``Listener.close``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._room.notify_all()
        self._end_read()
        self._leave()

    def release(self) -> None:
        """Close, and give back what was taken and not settled."""
        self.close()
        with self._lock:
            left = list(self._held.values())
        self.settle([(delivery, Receipt.GIVE_BACK) for delivery in left])
        self._leave()

    # For the keeper.

    def note(self, found: Found) -> None:
        """There is more than new tasks; whoever waits for those is woken."""
        self._free = self._free or found.free
        self._suspicious = self._suspicious or found.suspects
        if self._free or self._suspicious:
            self.unblock()

    def holding(self) -> list[bytes]:
        """What is to be renewed."""
        with self._lock:
            return [*self._held, *self._ending]

    def forget(self, held: Sequence[bytes], mine: Sequence[bytes]) -> int:
        """Of ``held``, only ``mine`` are still ours: somebody believed us dead. Returns how many are not."""
        lost = set(held).difference(mine)
        with self._lock:
            gone = [id for id in lost if self._held.pop(id, None) is not None]
            for id in lost:
                self._ending.pop(id, None)
            self._room.notify_all()
        self._gate.leave(len(gone))
        return len(gone)

    def settle_again(self) -> None:
        """What could not be settled, once more."""
        if self._unsettled:
            with self._lock:
                ends = list(self._ending.items())
            if ends:
                self._settle(ends, SETTLE)
            self._leave()

    def unblock(self) -> None:
        """End a blocking read; it has nothing to lose."""
        if (client := self._blocked) is not None:
            with contextlib.suppress(ConnectionLost, ConfigError):
                self._server.run(lambda link: link.call(("CLIENT", "UNBLOCK", client)), CLOSE)

    # One thread at a time, whose turn it is.

    def _read(self, count: int, deadline: Deadline) -> Sequence[Delivery]:
        count = self._await_room(count, deadline)
        if not count or (link := self._connected(deadline)) is None:
            return ()
        link.deadline = Deadline(BLOCK)
        try:
            taken = self._claim(link, count)
            if not taken and self._gate.enter(count, _least(GATE, deadline.left)):
                taken = self._enter(link, count, _least(BLOCK, deadline.left))
        except ConnectionLost as error:
            self._drop(error)
            return ()
        except Refused as refused:
            self._recreate(link, refused)
            return ()
        return self._keep(taken)

    def _await_room(self, count: int, deadline: Deadline) -> int:
        with self._room:
            while not self._closed:
                if (room := self._prefetch - len(self._held)) > 0:
                    return min(count, room)
                if deadline.passed:
                    break
                self._room.wait(deadline.left)
        return 0

    def _enter(self, link: RedisLink, count: int, block: float) -> list[Taken]:
        """New tasks; the gate is passed already, for ``count`` of them."""
        taken: list[Taken] = []
        try:
            if not self._closed:
                self._blocked = self._client
                taken = self.queue.read(link, count, block)
        finally:
            self._blocked = None
            self._gate.leave(count - len(taken))
        return taken

    def _claim(self, link: RedisLink, count: int) -> list[Taken]:
        """What others gave back, or one task that its worker left behind."""
        taken: list[Taken] = []
        if self._free and self._gate.enter(count, GATE):
            try:
                self._free = bool(taken := self.queue.claim_free(link, count))
            finally:
                self._gate.leave(count - len(taken))
        if not taken and self._suspicious:
            taken = self._suspects.claim(lambda: self._claim_suspect(link))
        return taken

    def _claim_suspect(self, link: RedisLink) -> list[Taken]:
        self._suspicious = bool(taken := self.queue.claim_suspect(link))
        return taken

    def _keep(self, taken: Sequence[Taken]) -> Sequence[Delivery]:
        deliveries = [Delivery(each.body, self, each.id, each.reply_to, each.attempt) for each in taken]
        with self._lock:
            for each, delivery in zip(taken, deliveries, strict=True):
                self._held[each.id] = delivery
        if deliveries and self._closed:
            self.settle([(delivery, Receipt.GIVE_BACK) for delivery in deliveries])
            return ()
        return deliveries

    def _connected(self, deadline: Deadline) -> RedisLink | None:
        if self._link is not None and not self._link.broken:
            return self._link
        try:
            link = self._server.connect(Deadline(_least(RECONNECT, deadline.left)))
        except ConnectionLost:
            return None
        except ConfigError as error:
            self._server.complain(error)
            return None
        try:
            self.queue.create(link)
            client = link.call(("CLIENT", "ID"))
            link.call(self.queue.renew(self.holding(), only_held=True))  # what the last read brought to nobody
        except (ConnectionLost, Refused) as error:
            link.close()
            self._server.lost(error if isinstance(error, ConnectionLost) else ConnectionLost(str(error)))
            return None
        self._client = client if isinstance(client, int) else 0
        self._link = link
        return link

    def _drop(self, error: ConnectionLost) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if not self._closed:
            self._server.lost(error)

    def _recreate(self, link: RedisLink, refused: Refused) -> None:
        """The stream or its group is gone, or the server cannot serve: nothing a listener may end of."""
        error = refused.error()
        if isinstance(error, ConnectionLost):
            self._drop(error)
            return
        name = self.queue.name
        what = f"the queue of task {name!r} was gone from Redis ({refused.code}) and is made again"
        self._server.tell(EventLevel.WARNING, EventCode.CONNECTION, what, task=name)
        try:
            self.queue.create(link)
        except (ConnectionLost, Refused):
            self._drop(ConnectionLost(f"the queue of task {name!r} cannot be made again"))

    # Ending.

    def _settle(self, ends: Sequence[tuple[bytes, str]], seconds: float) -> None:
        try:
            replies = self._server.run(lambda link: link.pipeline(self.queue.settle(ends)), seconds)
        except (ConnectionLost, ConfigError):
            self._unsettled = True
            return
        with self._lock:
            if not any(isinstance(reply, Refused) for reply in replies):
                for id, _ in ends:
                    self._ending.pop(id, None)
            self._unsettled = bool(self._ending)
        if any(end == BACK for _, end in ends):
            self._on_back(self.queue.name)
        if self._closed:
            self._leave()

    def _end_read(self) -> None:
        """Wait until nobody reads any more; who does not come back in time loses his connection."""
        deadline = Deadline(CLOSE)
        while not self._turn.acquire(timeout=UNBLOCK):
            if deadline.passed and self._link is not None:
                self._link.close()
            else:
                self.unblock()
        self._turn.release()
        if self._link is not None:
            self._link.close()
            self._link = None

    def _leave(self) -> None:
        """The broker keeps a closed listener in mind for as long as something is in its takers' hands."""
        with self._lock:
            if not self._closed or self._left or self._held or self._ending:
                return
            self._left = True
        with contextlib.suppress(ConnectionLost, ConfigError):
            farewell = [self.queue.renew((), only_held=True), self.queue.leave()]
            self._server.run(lambda link: link.pipeline(farewell), CLOSE)
        self._on_leave(self)


def _least(seconds: float, left: float | None) -> float:
    return seconds if left is None else min(seconds, left)
