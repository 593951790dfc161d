"""What differs between Redis and RabbitMQ as far as fault tests care. Used by ``Scene``."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import closing
from typing import TypeAlias, cast
from urllib.parse import urlencode

import pika

from tests.faults.scale import HEARTBEAT, LEASE, MAX_DELIVERIES
from tests.servers import RabbitServer, RedisServer

Server: TypeAlias = RedisServer | RabbitServer


class Technology(abc.ABC):
    """A server that tests may break, and how to get an empty place on it."""

    name: str

    @property
    @abc.abstractmethod
    def server(self) -> Server: ...

    @abc.abstractmethod
    def new_place(self) -> str:
        """A database or virtual host with nothing in it."""

    @abc.abstractmethod
    def drop_place(self, place: str) -> None: ...

    @abc.abstractmethod
    def url(self, place: str, **settings: object) -> str:
        """With the usual settings of fault tests, and these instead."""

    @abc.abstractmethod
    def repair(self) -> None:
        """Whatever a test did to the server: it runs again, and answers."""

    @abc.abstractmethod
    def double(self, place: str, task: str) -> Callable[[], object]:
        """Remember the tasks that wait; the function that comes back stores them all again."""

    @abc.abstractmethod
    def leftovers(self, place: str) -> set[str]:
        """The names of everything there is in a place."""

    @abc.abstractmethod
    def connections(self) -> int:
        """How many clients are connected."""


class OnRedis(Technology):
    name = "redis"

    def __init__(self, server: RedisServer) -> None:
        self.redis = server

    @property
    def server(self) -> RedisServer:
        return self.redis

    def new_place(self) -> str:
        self.server.ask("FLUSHALL")
        return "0"

    def drop_place(self, place: str) -> None:
        self.server.ask("FLUSHALL")

    def url(self, place: str, **settings: object) -> str:
        usual = {"lease": LEASE, "max_deliveries": MAX_DELIVERIES}
        return f"{self.server.url(int(place))}?{urlencode({**usual, **settings})}"

    def repair(self) -> None:
        self.server.thaw()
        if not self.server.running:
            self.server.start()
        self.server.ask("CONFIG", "SET", "maxmemory", "0")

    def leftovers(self, place: str) -> set[str]:
        return set(self._keys(int(place)))

    def double(self, place: str, task: str) -> Callable[[], object]:
        found = [(key, fields) for key in self._streams(task) for _, fields in self._entries(key)]
        assert found

        def store() -> None:
            for key, fields in found:
                self.server.ask("XADD", key, "*", *(part for field in fields.items() for part in field))

        return store

    def remove(self, how: str) -> None:
        """Every stream of tasks, as whole databases, as groups or as keys."""
        if how == "FLUSHALL":
            self.server.ask("FLUSHALL")
        for key in self._streams("note"):
            for group in cast("list[dict[bytes, bytes]]", self.server.ask("XINFO", "GROUPS", key)):
                self.server.ask(*(["XGROUP", "DESTROY", key, group[b"name"]] if how != "DEL" else ["DEL", key]))

    def _streams(self, task: str) -> list[str]:
        return [key for key in self._keys(0) if task in key and self.server.ask("TYPE", key) in (b"stream", "stream")]

    def _entries(self, key: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return cast("list[tuple[bytes, dict[bytes, bytes]]]", self.server.ask("XRANGE", key, "-", "+"))

    def _keys(self, db: int) -> list[str]:
        return [key.decode() for key in cast("list[bytes]", self.server.ask("KEYS", "*", db=db))]

    def connections(self) -> int:
        listed = self.server.ask("CLIENT", "LIST")
        assert isinstance(listed, bytes), "a line for each"
        return len(listed.splitlines()) - 1  # without the one that asks


class OnRabbit(Technology):
    name = "amqp"

    def __init__(self, server: RabbitServer, *, user: str = "guest", password: str = "guest") -> None:
        self.rabbit = server
        self._user, self._password = user, password

    @property
    def server(self) -> RabbitServer:
        return self.rabbit

    def new_place(self) -> str:
        return self.server.new_vhost(self._user)

    def drop_place(self, place: str) -> None:
        self.server.drop_vhost(place, wait=False)

    def url(self, place: str, **settings: object) -> str:
        usual = {"heartbeat": HEARTBEAT, "max_deliveries": MAX_DELIVERIES}
        server = self.server.url(place, self._user, self._password)
        return f"{server}?{urlencode({**usual, **settings})}"

    def repair(self) -> None:
        self.server.thaw()
        if not self.server.running:
            self.server.start()
        self.set_memory_limit(0.4)

    def leftovers(self, place: str) -> set[str]:
        return set(self.server.queues(place))

    def double(self, place: str, task: str) -> Callable[[], object]:
        link = pika.BlockingConnection(pika.URLParameters(self.server.url(place)))
        channel = link.channel()
        found: list[tuple[pika.BasicProperties, bytes]] = []
        (queue,) = self._queues(place, task)
        while (got := channel.basic_get(queue))[0] is not None:
            found.append((got[1], got[2]))
        assert found
        link.close()  # unsettled: all of it goes back

        def store() -> None:
            with closing(pika.BlockingConnection(pika.URLParameters(self.server.url(place)))) as link:
                channel = link.channel()
                for properties, body in found:
                    channel.basic_publish("", queue, body, properties)

        return store

    def _queues(self, place: str, task: str) -> list[str]:
        return [name for name in self.leftovers(place) if name.endswith(task) and "dead" not in name]

    def remove_queues(self, place: str, kind: str) -> int:
        """Those of this place that hold tasks called ``kind``, with what is in them. Returns how many there were."""
        names = self._queues(place, kind)
        for name in names:
            self.server.ctl("-p", place, "delete_queue", name)
        return len(names)

    def set_memory_limit(self, fraction: float) -> None:
        """Of the machine's memory: the server blocks senders when it uses more."""
        answer = self.server.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({fraction:.8f}), ok.")
        assert "ok" in answer, answer

    def connections(self) -> int:
        return int(self.server.eval("length(rabbit_networking:connections()).").strip(" {}ok,\n") or 0)
