"""The interface of everything that carries tasks. An adapter sees bytes and ``Meta``, never values.

Comes from the bridge (``send``), goes to a worker (``Listener.take`` … ``Delivery.settle``).
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from typeddingo.errors import ConfigError
from typeddingo.events import EventSource
from typeddingo.limits import Limiter
from typeddingo.message import Meta
from typeddingo.role import Role
from typeddingo.terms import AT_ONCE, Terms

__all__ = [
    "Adapter",
    "Broker",
    "Confirmation",
    "Consumer",
    "Delivery",
    "Feature",
    "Joins",
    "Listener",
    "NamedBroker",
    "NamedConsumer",
    "Parcel",
    "Part",
    "Producer",
    "Receipt",
    "settle_all",
]


class Receipt(enum.Enum):
    """What became of a delivery (Go: ``ReceiptStatus``)."""

    OK = "ok"
    """Done: the broker forgets it."""
    NOK = "nok"
    """Refused for good (malformed, hostile): the broker dead-letters or drops it."""
    WORKER_NOT_FOUND = "worker not found"
    """Nobody here runs a task of this name: dead-lettered or dropped."""
    GIVE_BACK = "give back"
    """Not started: the broker hands it to somebody else at once."""
    FAILED = "failed"
    """It ran, and failed for good although it might have been retried: dead-lettered with ``Delivery.reason``."""
    RETRY = "retry"
    """It ran and failed: the broker hands it out again after ``Delivery.delay`` seconds, with one more in
    ``Delivery.retries``. Only where ``Feature.LATER`` is."""
    LATER = "later"
    """Not started: handed out again after ``Delivery.delay`` seconds. Only where ``Feature.LATER`` is."""


class Feature(enum.Flag):
    """What a broker may be able to do beside carrying tasks. What it has no place for is refused, never ignored."""

    NONE = 0
    LATER = enum.auto()
    """``Terms.delay`` and ``eta``, and the receipts RETRY and LATER: none of it waits in a worker."""
    EXPIRY = enum.auto()
    """``Terms.lifetime`` and ``expires``."""
    PRIORITY = enum.auto()
    """``Terms.priority``."""
    CANCEL = enum.auto()
    """``Producer.cancel``."""
    UNIQUE = enum.auto()
    """``Terms.unique``."""


class Parcel(NamedTuple):
    """One frame with the little an adapter may know of it."""

    meta: Meta
    body: bytes
    terms: Terms = AT_ONCE
    """Only what ``Adapter.features`` names."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several bodies that belong together."""

    meta: Meta
    """Of the whole: the same for all of its parts."""
    index: int
    count: int
    body: bytes


class Confirmation(abc.ABC):
    """The broker's answer to one ``send``; thread-safe."""

    @abc.abstractmethod
    def wait(self, timeout: float | None = None) -> None:
        """Block until every parcel of the batch is stored. Raises ``SendError`` (not accepted) or ``SendUnknown``
        (``timeout`` seconds passed, or the connection was lost before the answer)."""

    @abc.abstractmethod
    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        """Call ``callback`` once with None or the error, now if the answer is known; must not block."""

    instead: str = ""
    """Once it is known: the id of the task that stands for this one (``Terms.unique``); empty: it is stored."""

    def prove(self) -> None:  # noqa: B027  # most answers are there long before
        """Hook: a report of the task has come, so it was stored. Who waits need not wait for the answer."""


class Adapter(abc.ABC):
    """What brokers and backends share (Go: ``Object``)."""

    @abc.abstractmethod
    def expect(self, roles: Role) -> None:
        """The app says which roles this object will play. Raises ``ConfigError`` for one it cannot (Go: ``Expect``)."""

    def events(self) -> EventSource | None:
        """Where this object publishes what goes wrong inside it, or None (Go: ``Events``)."""
        return None

    @property
    def features(self) -> Feature:
        """What it can do beside carrying tasks. Always the same for one object."""
        return Feature.NONE

    @property
    def longest_run(self) -> float | None:
        """Of a consumer: seconds that a task may run before it is handed to somebody else although its worker lives.
        None: as long as it likes."""
        return None

    def run_at_most_once(self) -> None:  # noqa: B027  # most brokers never have two copies of a task
        """Hook of a consumer: its workers acknowledge each task before they run it (``Config(ack=Ack.EARLY)``). So a
        task that is moved must not be in two places on the way, rather in none. Called before the first listener is
        added; idempotent."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release everything. Idempotent, from any thread (Go: ``Close``)."""


class Producer(Adapter):
    """Sends tasks (Go: ``Producer``)."""

    @abc.abstractmethod
    def send(self, parcels: Sequence[Parcel]) -> Confirmation:
        """Hand over a batch without waiting for the server: it leaves when somebody waits for its confirmation, when
        there is much to send, or after a moment. Thread-safe, does not block on the network.
        Raises ``SendError`` when the batch is refused before it is sent."""

    def declare_task(self, name: str) -> None:
        """Hook: a task of this name will be sent (Go: ``ProducerHook(DeclareTask)``). Idempotent."""

    @property
    def carries_reply_to(self) -> bool:
        """``Meta.reply_to`` arrives as ``Delivery.reply_to``, so that it need not be written into the frame.
        Always the same for one object."""
        return False

    @property
    def others_read(self) -> bool:
        """Workers of another kind (Go dingo's) take these tasks: what this project alone understands would be lost.
        Always the same for one object."""
        return False

    def cancel(self, metas: Sequence[Meta]) -> Sequence[bool]:
        """Let none of these tasks start from now on (``Feature.CANCEL``). Idempotent, thread-safe, blocks until the
        server has answered; raises ``ConnectionLost`` or ``ConfigError``.

        For each: True, it was waiting and is gone, nobody will hear of it; False, whoever has it or is handed it is
        told (``Consumer.watch_cancelled``), and reports that."""
        raise ConfigError(f"{type(self).__name__} cannot cancel tasks")


class Joins(abc.ABC):
    """A producer that also brings together what many workers have done (optional; for ``each`` in pipelines)."""

    @abc.abstractmethod
    def join(self, parts: Sequence[Part]) -> Sequence[Sequence[bytes] | None]:
        """Store parts, each once: the first of an index is the one that counts. For each: all the bodies of its whole,
        in order, if it is complete now; None: whoever brings a missing one is told. A whole may be complete more than
        once. It is kept for days after the last part of it. Thread-safe, blocks; raises ``ConnectionLost``."""

    @abc.abstractmethod
    def forget_joins(self, metas: Sequence[Meta]) -> None:
        """Remove complete wholes that were passed on. Idempotent. Raises ``ConnectionLost``."""

    def release_joins(self, metas: Sequence[Meta]) -> None:  # noqa: B027  # most hold nothing
        """Hook: complete wholes that this object has handed out were not passed on; others may complete them."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One task frame in a worker's hands. Settle it exactly once, from any thread, in any order."""

    body: bytes
    listener: Listener
    tag: object = None
    """The adapter's own handle of this delivery."""
    reply_to: str = ""
    """The address of the caller's reports, where it travels beside the frame (``Producer.carries_reply_to``)."""
    attempt: int = 1
    """How often a worker has been given this task since it was sent or retried, this time included, as far as the
    broker counts."""
    retries: int = 0
    """How often it was settled with ``Receipt.RETRY``."""
    expired: bool = False
    """Its lifetime is over: it must not run."""
    delay: float = 0.0
    """Seconds until it is handed out again, for the receipts RETRY and LATER; set before it is settled."""
    reason: str = ""
    """Why the worker refuses it or what it failed with, for its dead letter; set before it is settled."""

    def settle(self, receipt: Receipt) -> None:
        """Tell the broker what became of it."""
        self.listener.settle([(self, receipt)])


class Listener(abc.ABC):
    """A stream of deliveries, shared by the workers of one queue; thread-safe."""

    redelivers: bool = True
    """A task may be delivered again, and is then not run twice here. False: never, so one with an id that was seen
    before is another task."""

    @abc.abstractmethod
    def take(self, count: int, timeout: float | None = None) -> Sequence[Delivery]:
        """Up to ``count`` deliveries, waiting at most ``timeout`` seconds for the first (None: until closed).
        Empty on timeout and once closed."""

    @abc.abstractmethod
    def settle(self, receipts: Sequence[tuple[Delivery, Receipt]]) -> None:
        """Settle a batch. Never raises: a delivery whose connection is gone is redelivered by the broker."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> bool:
        """Settle a batch with ``OK`` before it runs, for workers that run a task at most once. Returns when the broker
        has forgotten it; False: that is not certain, and nothing of it may run. Blocks. Never raises."""
        self.settle([(delivery, Receipt.OK) for delivery in deliveries])
        return True

    def free(self, meta: Meta, key: str, seconds: float) -> None:  # noqa: B027  # most brokers keep no keys
        """Hook (``Feature.UNIQUE``): this task has failed for good, so the next one with its key (``Terms.unique``) is
        not the same any more. ``seconds``: its ``Terms.unique_for``. Blocks. Never raises: a key that cannot be freed
        is free when its time is over."""

    @abc.abstractmethod
    def close(self) -> None:
        """Take no more; waiting ``take`` calls return empty; what was fetched and not taken is given back.

        What was taken stays with its taker, who still settles it: a running task may finish. What nobody settles
        is redelivered once the adapter is closed or the connection ends. Idempotent, from any thread."""

    @property
    @abc.abstractmethod
    def closed(self) -> bool: ...


def settle_all(receipts: Iterable[tuple[Delivery, Receipt]]) -> None:
    """Settle deliveries of several listeners: one batch each."""
    by_listener: dict[Listener, list[tuple[Delivery, Receipt]]] = {}
    for each in receipts:
        by_listener.setdefault(each[0].listener, []).append(each)
    for listener, batch in by_listener.items():
        listener.settle(batch)


class Consumer(Adapter):
    """Receives tasks of every name; the app's mapper sorts them (Go: ``Consumer``)."""

    @abc.abstractmethod
    def add_listener(self, prefetch: int = 1) -> Listener:
        """A new listener that holds at most ``prefetch`` unsettled deliveries (Go: ``AddListener``)."""

    def limiter(self) -> Limiter | None:
        """Hook: what counts the tasks of all workers that take from this broker. Always the same object, closed with
        this one; None: it cannot. Does not block."""
        return None

    @abc.abstractmethod
    def stop_all_listeners(self) -> None:
        """Close every listener (Go: ``StopAllListeners``). Idempotent."""

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:  # most brokers cannot cancel
        """Hook (``Feature.CANCEL``): call ``tell(name, id)`` for every cancelled task that a listener here may hand out
        or has handed out: before it does so, or within a second. In any thread; must not block. Called once."""


class NamedConsumer(Adapter):
    """Receives tasks of one name a listener (Go: ``NamedConsumer``)."""

    @abc.abstractmethod
    def add_listener(self, name: str, prefetch: int = 1) -> Listener:
        """As ``Consumer.add_listener``, for the tasks called ``name``."""

    def limiter(self) -> Limiter | None:
        """Hook: what counts the tasks of all workers that take from this broker. Always the same object, closed with
        this one; None: it cannot. Does not block."""
        return None

    @abc.abstractmethod
    def stop_all_listeners(self) -> None:
        """Close every listener. Idempotent."""

    def watch_cancelled(self, tell: Callable[[str, str], object]) -> None:  # most brokers cannot cancel
        """Hook (``Feature.CANCEL``): call ``tell(name, id)`` for every cancelled task that a listener here may hand out
        or has handed out: before it does so, or within a second. In any thread; must not block. Called once."""


class Broker(Producer, Consumer):
    """A producer and a consumer of every name (Go: ``Broker``)."""


class NamedBroker(Producer, NamedConsumer):
    """A producer and a consumer of single names (Go: ``NamedBroker``)."""
