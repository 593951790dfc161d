"""What the exchanges and queues are called and how they are declared. Used by broker and backend, in both layouts.

native: the default exchange; for each task a queue, one for suspects and one for dead letters. dingo: Go dingo's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from pika.channel import Channel

from typeddingo._io.amqp_channel import Dialogue, declare_queue
from typeddingo._io.amqp_later import BACKSTOP, Levels, Wait
from typeddingo._io.amqp_message import MAX_SHORT, Route
from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo.errors import ConfigError

__all__ = ["DingoTopology", "NativeTopology", "ResultQueue", "TaskQueue", "declare_queue"]

DeclareQueue: TypeAlias = "Callable[[str, Channel], Dialogue[None]]"
DEAD_SECONDS = 7 * 24 * 3600
JOIN_SECONDS = 7 * 24 * 3600
"""For so long what was brought together in part is kept, from when it was last declared or looked at."""
DEAD_LENGTH = 100_000
"""Dead letters are users' data and a finite number: the oldest go."""


class TaskLife:
    """The queues that the tasks of one name have only when they are asked for. For any thread."""

    def __init__(self, name: Callable[[str], str], send: Route, levels: Levels, declare: DeclareQueue) -> None:
        """``name``: of the queue of one kind; ``declare``: one as that of the tasks is."""
        self._name = name
        self._levels = levels
        self._declare = declare
        self._routes: dict[int, Route] = {0: send}

    def to(self, priority: int) -> Route:
        """Where a task of this priority waits for a worker: each has a queue of its own, because no queue of RabbitMQ
        that is kept safe knows more than two. Raises ``ConfigError`` for a name that is too long for it."""
        if (route := self._routes.get(priority)) is None:
            queue = self._name(f"urgent.{priority}")
            route = self._routes[priority] = Route("", queue, partial(self._declare, queue))
        return route

    def wait(self, seconds: float, priority: int) -> Wait:
        """Where it waits for at least so many seconds before that. Raises ``ConfigError`` likewise."""
        return self._levels.wait(seconds, self._name(f"due.{priority}"), self.to(priority))


class TaskQueue(NamedTuple):
    """The tasks of one name."""

    main: str
    """The name of its queue."""
    suspects: str
    """The queue of those whose worker died; empty: the layout has none."""
    dead: str
    send: Route
    """For whoever sends a task."""
    suspect: Route
    bury: Route
    life: TaskLife | None = None
    """What else may become of them; None: the layout has no place for it."""


class ResultQueue(NamedTuple):
    """The reports of one task, in the dingo layout."""

    queue: str
    route: Route


class NativeTopology:
    """Immutable."""

    def __init__(self, settings: AmqpSettings) -> None:
        self._settings = settings
        self._namespace = settings.namespace
        self._levels = Levels(settings.namespace)

    def task(self, name: str) -> TaskQueue:
        """Raises ``ConfigError`` for a name that AMQP cannot carry."""
        main, suspects, dead = (self._queue(kind, name) for kind in ("task", "suspect", "dead"))

        def declare_main(queue: str, channel: Channel) -> Dialogue[None]:
            yield from declare_queue(channel, queue, self._main_arguments(dead))

        def declare_suspects(channel: Channel) -> Dialogue[None]:
            yield from declare_queue(channel, suspects, self._suspect_arguments(dead))

        def declare_dead(channel: Channel) -> Dialogue[None]:
            yield from declare_queue(channel, dead, self._dead_arguments())

        send = Route("", main, partial(declare_main, main))
        return TaskQueue(
            main,
            suspects,
            dead,
            send,
            Route("", suspects, declare_suspects),
            Route("", dead, declare_dead),
            TaskLife(lambda kind: self._queue(kind, name), send, self._levels, declare_main),
        )

    def join_queue(self, name: str, id: str) -> str:
        """What the runs for each value of a list have given so far. Raises ``ConfigError`` for what AMQP cannot
        carry."""
        return self._queue("join", f"{name}.{id}")

    def join_route(self, name: str, id: str) -> Route:
        """For whoever brings a part."""
        return self._plain(self.join_queue(name, id), {"x-expires": JOIN_SECONDS * 1000})

    def baton(self, task: str, name: str) -> Route:
        """The queue of a schedule's baton: one message, one consumer at a time. Raises ``ConfigError``."""
        return self._plain(self._queue("schedule", _both(task, name)), {"x-single-active-consumer": True})

    def fired(self, task: str, name: str) -> Route:
        """The queue that shows the latest baton to everybody. Raises ``ConfigError``."""
        return self._plain(self._queue("fired", _both(task, name)), {"x-max-length": 1})

    def _plain(self, queue: str, arguments: dict[str, object]) -> Route:
        if self._settings.queue_type == "quorum":
            arguments |= {"x-queue-type": "quorum", "x-delivery-limit": BACKSTOP}

        def declare(channel: Channel) -> Dialogue[None]:
            yield from declare_queue(channel, queue, arguments)

        return Route("", queue, declare)

    def reply_queue(self, id: str) -> str:
        return f"{self._namespace}.reply.{id}"

    def reply_route(self, reply_to: str) -> Route:
        """Its owner declares it; when it is gone, so is he."""
        return Route("", reply_to)

    def declare_reply(self, channel: Channel, queue: str) -> Dialogue[None]:
        """Outlives its connection, and its owner by the time to live of a result."""
        yield from declare_queue(channel, queue, {"x-expires": max(1, round(self._settings.result_ttl * 1000))})

    def _queue(self, kind: str, name: str) -> str:
        try:
            if "%" in name or not name.isprintable():  # else no name holds a %: no two share a queue
                name = quote(name, safe=" ")
            queue = f"{self._namespace}.{kind}.{name}"
            size = len(queue.encode())
        except UnicodeEncodeError:
            raise ConfigError("the name of a task must be encodable as UTF-8; it holds a lone surrogate") from None
        if size > MAX_SHORT:
            raise ConfigError(
                f"task {name[:40]!r}…: the name of its queue exceeds {MAX_SHORT} bytes; use a shorter one"
            )
        return queue

    def _main_arguments(self, dead: str) -> dict[str, object]:
        arguments = self._suspect_arguments(dead)
        if self._settings.max_length is not None:
            arguments["x-max-length"] = self._settings.max_length
            arguments["x-overflow"] = "reject-publish"
        return arguments

    def _suspect_arguments(self, dead: str) -> dict[str, object]:
        arguments: dict[str, object] = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        if self._settings.queue_type == "quorum":
            arguments |= {
                "x-queue-type": "quorum",
                "x-delivery-limit": BACKSTOP,
                # A dead letter is kept until it has arrived; the server wants the other for it.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
        if self._settings.ack_timeout is not None:
            arguments["x-consumer-timeout"] = round(self._settings.ack_timeout * 1000)
        return arguments

    def _dead_arguments(self) -> dict[str, object]:
        arguments: dict[str, object] = {"x-message-ttl": DEAD_SECONDS * 1000, "x-max-length": DEAD_LENGTH}
        if self._settings.queue_type == "quorum":
            arguments |= {"x-queue-type": "quorum", "x-delivery-limit": BACKSTOP}
        return arguments


class DingoTopology:
    """Go dingo's own names, without arguments: they must be the same on both sides."""

    TASKS = "dingo.x.task"
    RESULTS = "dingo.x.result"
    CONTENT = "text/json"

    def task(self, name: str) -> TaskQueue:
        """Raises ``ConfigError`` for a name that AMQP cannot carry."""
        queue = _short(f"dingo.q.task.{name}", name)

        def declare(channel: Channel) -> Dialogue[None]:
            yield lambda then: channel.exchange_declare(self.TASKS, "direct", durable=True, callback=then)
            yield from declare_queue(channel, queue, {})
            yield lambda then: channel.queue_bind(queue, self.TASKS, name, callback=then)

        route = Route(self.TASKS, name, declare, self.CONTENT)
        return TaskQueue(queue, "", "", route, route, route)

    def result(self, name: str, id: str) -> ResultQueue:
        """Raises ``ConfigError`` for a name and an id that AMQP cannot carry."""
        queue = _short(f"dingo.q.{name}.{id}", name)
        key = _short(f"dingo.rkey.{name}.{id}", name)

        def declare(channel: Channel) -> Dialogue[None]:
            yield lambda then: channel.exchange_declare(self.RESULTS, "direct", durable=True, callback=then)
            yield from declare_queue(channel, queue, {})
            yield lambda then: channel.queue_bind(queue, self.RESULTS, key, callback=then)

        return ResultQueue(queue, Route(self.RESULTS, key, declare, self.CONTENT, remade=False))


def _short(text: str, name: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SHORT:
        raise ConfigError(f"task {name[:40]!r}…: name and id are too long for the names that Go dingo gives its queues")
    return text


def _both(task: str, name: str) -> str:
    """Of which task a schedule is, too: another one's may have the same name."""
    return f"{task.replace('/', '//')}/{name}"
