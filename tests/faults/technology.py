"""What differs between Redis and RabbitMQ as far as fault tests care. Used by ``Scene``."""

from __future__ import annotations

import abc
from typing import TypeAlias, cast
from urllib.parse import urlencode

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

    def remove(self, how: str) -> None:
        """Every stream of tasks, as whole databases, as groups or as keys."""
        if how == "FLUSHALL":
            self.server.ask("FLUSHALL")
        for key in self._keys(0):
            if self.server.ask("TYPE", key) in (b"stream", "stream") and "note" in key:
                for group in cast("list[dict[bytes, bytes]]", self.server.ask("XINFO", "GROUPS", key)):
                    self.server.ask(*(["XGROUP", "DESTROY", key, group[b"name"]] if how != "DEL" else ["DEL", key]))

    def _keys(self, db: int) -> list[str]:
        return [key.decode() for key in cast("list[bytes]", self.server.ask("KEYS", "*", db=db))]

    def connections(self) -> int:
        listed = self.server.ask("CLIENT", "LIST")
        return len(cast("list[object]", listed)) - 1  # without the one that asks


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
        self.server.drop_vhost(place)

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
        return set(self.server.ctl("-p", place, "list_queues", "name", "--no-table-headers").split())

    def remove_queues(self, place: str, kind: str) -> int:
        """Those of this place that hold tasks called ``kind``, with what is in them. Returns how many there were."""
        listed = self.server.ctl("-p", place, "list_queues", "name", "--no-table-headers").split()
        names = [name for name in listed if name.endswith(kind) and "dead" not in name]
        for name in names:
            self.server.ctl("-p", place, "delete_queue", name)
        return len(names)

    def set_memory_limit(self, fraction: float) -> None:
        """Of the machine's memory: the server blocks senders when it uses more."""
        self.server.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({fraction}), ok.")

    def connections(self) -> int:
        return int(self.server.eval("length(rabbit_networking:connections()).").strip(" {}ok,\n") or 0)
