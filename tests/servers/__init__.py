"""Private servers for tests: each is started by a test session, listens on the loopback only and ends with it."""

from __future__ import annotations

from tests.servers.process import Missing
from tests.servers.proxy import Proxy
from tests.servers.rabbit import RabbitServer
from tests.servers.redis import RedisServer

__all__ = ["Missing", "Proxy", "RabbitServer", "RedisServer"]
