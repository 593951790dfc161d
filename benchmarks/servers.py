"""The servers of a run. Comes from ``suite``; the tests' own private servers, started when a system first needs one.

Redis keeps its data in memory alone and RabbitMQ has its defaults: what a promise costs is then the client's to show.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self, cast

from benchmarks.systems import System
from tests.servers import RabbitServer, RedisServer

__all__ = ["Servers"]


class Servers:
    """One Redis and one RabbitMQ, emptied for each stage: these, which their owner closes, or some of its own."""

    def __init__(self, redis: RedisServer | None = None, rabbit: RabbitServer | None = None) -> None:
        self._redis = redis
        self._rabbit = rabbit
        self._vhost = ""
        self._own = ExitStack()

    @property
    def redis(self) -> RedisServer:
        if self._redis is None:
            self._redis = self._own.enter_context(RedisServer())
        return self._redis

    @property
    def rabbit(self) -> RabbitServer:
        if self._rabbit is None:
            self._rabbit = self._own.enter_context(RabbitServer())
        return self._rabbit

    def empty(self, system: System) -> dict[str, str]:
        """Environment variables that tell ``peers.settings`` where an empty server is."""
        self.redis.ask("FLUSHALL")
        if system.technology == "redis":
            url = self.redis.url()
        else:
            self._drop()
            self._vhost = self.rabbit.new_vhost()
            url = self.rabbit.url(self._vhost)
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

    def _drop(self) -> None:
        if self._vhost:
            self.rabbit.drop_vhost(self._vhost)
            self._vhost = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._own:
            self._drop()
