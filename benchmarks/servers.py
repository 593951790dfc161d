"""The servers of a run. Comes from ``suite``; the tests' own private servers, started when a system first needs one.

Redis keeps its data in memory alone and RabbitMQ has its defaults: what a promise costs is then the client's to show.
"""

from __future__ import annotations

from functools import cached_property
from typing import Self, cast

from benchmarks.systems import System
from tests.servers import RabbitServer, RedisServer

__all__ = ["Servers"]


class Servers:
    """One Redis and one RabbitMQ, emptied for each stage."""

    @cached_property
    def redis(self) -> RedisServer:
        return RedisServer()

    @cached_property
    def rabbit(self) -> RabbitServer:
        return RabbitServer()

    def empty(self, system: System) -> dict[str, str]:
        """Environment variables that tell ``peers.settings`` where an empty server is."""
        self.redis.ask("FLUSHALL")
        if system.technology == "redis":
            url = self.redis.url()
        else:
            for vhost in self._vhosts:
                self.rabbit.drop_vhost(vhost)
            self._vhosts[:] = [self.rabbit.new_vhost()]
            url = self.rabbit.url(self._vhosts[0])
        query = f"?{system.query}" if system.query else ""
        return {"BENCHMARK_URL": url + query, "BENCHMARK_REDIS": self.redis.url()}

    def pid(self, system: System) -> int:
        """Of the server that carries its tasks."""
        return self.redis.pid if system.technology == "redis" else self.rabbit.pid

    def version(self, technology: str) -> str:
        """What the server says it is."""
        if technology == "redis":
            info = cast("dict[str, str]", self.redis.ask("INFO", "server"))
            return f"Redis {info['redis_version']}"
        answer = self.rabbit.eval("rabbit_misc:version().")
        return "RabbitMQ " + "".join(sign for sign in answer if sign.isdigit() or sign == ".").strip(".")

    def __enter__(self) -> Self:
        self._vhosts: list[str] = []
        return self

    def __exit__(self, *error: object) -> None:
        for server in ("redis", "rabbit"):
            if server in self.__dict__:
                self.__dict__[server].close()
