"""Go dingo's layout: a list a name, from which a task is gone when it is taken. Comes from ``RedisBroker``.

At most once, as the original: what a process had taken is lost when it dies, and a send whose answer is lost is not
repeated. A Go caller or a Go worker on the other side does not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from typeddingo._io.redis_keys import DingoKeys
from typeddingo._io.redis_link import Call, RedisLink, Script
from typeddingo._io.redis_reply import Refused, whole
from typeddingo._io.redis_server import RedisServer, Unreached
from typeddingo.broker import Delivery, Feature, Parcel, Receipt
from typeddingo.brokers._redis_answers import answers, error_of
from typeddingo.brokers._redis_layout import Layout
from typeddingo.brokers._redis_scripts import FULL
from typeddingo.brokers._redis_sender import Answer, Sending
from typeddingo.brokers._redis_turns import CLOSE, TurnListener
from typeddingo.errors import ConfigError, ConnectionLost, SendUnknown
from typeddingo.events import EventCode, EventLevel
from typeddingo.inspection import DeadTask, QueueState
from typeddingo.message import Meta

__all__ = ["Lists"]

PUSH = Script(f"""
-- KEYS: a list a queue. ARGV: the bound (0: none), then for each queue how many tasks, and the tasks
local bound, at, counts = tonumber(ARGV[1]), 2, {{}}
for q = 1, #KEYS do
  counts[q] = tonumber(ARGV[at])
  if bound > 0 and redis.call('LLEN', KEYS[q]) + counts[q] > bound then return {FULL} end
  at = at + 1 + counts[q]
end
at = 2
for q = 1, #KEYS do
  for i = at + 1, at + counts[q] do redis.call('LPUSH', KEYS[q], ARGV[i]) end
  at = at + 1 + counts[q]
end
return 0
""")


class Lists(Layout["ListListener"]):
    """See ``Layout``."""

    carries_reply_to = False
    features = Feature.NONE

    def _new_listener(self, name: str, prefetch: int) -> ListListener:
        return ListListener(self._server, name, prefetch, self._left)

    def queue(self, name: str) -> QueueState:
        reply = self._server.run(lambda link: link.call(("LLEN", DingoKeys.tasks(name))))
        return QueueState(name, reply if isinstance(reply, int) else 0, 0, 0, 0)

    def dead(self, name: str, limit: int) -> Sequence[DeadTask]:
        """None: this layout keeps nothing of a task that was taken."""
        return ()

    def replay(self, name: str, keys: Sequence[str] | None) -> int:
        return 0

    def purge(self, name: str, keys: Sequence[str] | None) -> int:
        return 0

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        raise ConfigError("RedisBroker with layout=dingo cannot cancel tasks: use the native layout")

    def _write(self, batch: Sequence[Sending], seconds: float) -> Sequence[Answer]:
        groups = [[at] for at in range(len(batch))] if self._bound else [range(len(batch))]
        calls = [self._call([parcel for at in group for parcel in batch[at].parcels]) for group in groups]
        try:
            replies = self._server.run(lambda link: link.pipeline(calls), seconds, again=False)
        except Unreached:
            raise
        except ConnectionLost as error:  # perhaps stored; a second time would be a second task
            unknown = [SendUnknown("Redis did not answer: the task may or may not be stored") for _ in batch]
            for each in unknown:
                each.__cause__ = error
            return unknown
        return answers(len(batch), groups, [error_of(reply, self._bound) for reply in replies])

    def _call(self, parcels: Sequence[Parcel]) -> Call:
        by_name: dict[str, list[bytes]] = {}
        for meta, body, _ in parcels:
            by_name.setdefault(meta.name, []).append(body)
        arguments: list[int | bytes] = [self._bound]
        for bodies in by_name.values():
            arguments += (len(bodies), *bodies)
        return Call(PUSH, [DingoKeys.tasks(name) for name in by_name], arguments)


class ListListener(TurnListener):
    """Takes tasks off a list. What is given back goes to the end from which tasks are taken."""

    redelivers = False

    def __init__(
        self, server: RedisServer, name: str, prefetch: int, on_leave: Callable[[ListListener], object]
    ) -> None:
        super().__init__(server, prefetch)
        self._on_leave = on_leave
        self._name = name
        self._key = DingoKeys.tasks(name)
        self._held: set[Delivery] = set()

    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """See ``Listener.settle``. Only what is given back concerns the server."""
        with self._lock:
            ends = [(delivery, receipt) for delivery, receipt in receipts if delivery in self._held]
            self._held.difference_update(delivery for delivery, _ in ends)
            self._room.notify_all()
            left = self._closed and not self._held
        back = [delivery.body for delivery, receipt in ends if receipt is Receipt.GIVE_BACK]
        if back:
            self._give_back(back)
        for _, receipt in ends:
            if receipt is Receipt.NOK:
                self._tell(EventCode.DEAD_LETTER, "a task was refused by its worker and is gone")
            elif receipt is Receipt.WORKER_NOT_FOUND:
                self._tell(EventCode.WORKER_NOT_FOUND, "no worker here runs a task of this name; it is gone")
        if left:
            self._on_leave(self)

    def close(self) -> None:
        """See ``Listener.close``."""
        super().close()
        if not self._held:
            self._on_leave(self)

    def release(self) -> None:
        """Close, and give back what was taken and not settled."""
        self.close()
        with self._lock:
            left = list(self._held)
        self.settle([(delivery, Receipt.GIVE_BACK) for delivery in left])

    def _held_count(self) -> int:
        return len(self._held)

    def _greet(self, link: RedisLink) -> None:
        """Nothing to make: a list is there when something is in it."""

    def _read(self, link: RedisLink, count: int, block: float) -> Sequence[Delivery]:
        self._blocked = self._client
        try:
            if self._closed:
                return ()
            pop = ("BLMPOP", block) if block > 0 else ("LMPOP",)
            reply = whole(link.call((*pop, 1, self._key, "RIGHT", "COUNT", count), block + CLOSE))
        finally:
            self._blocked = None
        bodies = [each for each in whole(reply[1]) if isinstance(each, bytes)] if reply else []
        deliveries = [Delivery(body, self) for body in bodies]
        with self._lock:
            self._held.update(deliveries)
        if deliveries and self.closed:
            self.settle([(delivery, Receipt.GIVE_BACK) for delivery in deliveries])
            return ()
        return deliveries

    def _recover(self, link: RedisLink, refused: Refused) -> None:
        """Somebody keeps something else under the key of this queue."""
        self._server.complain(ConfigError(f"the queue of task {self._name!r} cannot be read: {refused}"))
        self._server.closing.wait(CLOSE)

    def _give_back(self, bodies: Sequence[bytes]) -> None:
        command: tuple[str | bytes, ...] = ("RPUSH", self._key, *reversed(bodies))
        try:
            self._server.run(lambda link: link.call(command), CLOSE, again=False)
        except (ConnectionLost, ConfigError):
            self._tell(EventCode.TASK_DELIVERY_FAILURE, f"{len(bodies)} tasks could not be given back and may be lost")

    def _tell(self, code: EventCode, what: str) -> None:
        self._server.tell(EventLevel.ERROR, code, what, task=self._name)
