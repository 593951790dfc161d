"""The servers that all tests rely on do what they say."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Missing, Proxy, RabbitServer, RedisServer
from tests.servers.fixtures import started
from tests.servers.process import find
from typeddingo.testing import eventually

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    with started(lambda: RedisServer(aof=True, password="p:@x")) as server:
        yield server


def test_a_redis_with_its_writes_on_disk_keeps_them_over_a_kill(own_redis: RedisServer) -> None:
    own_redis.ask("SET", "key", "value", db=3)
    port = own_redis.port
    own_redis.kill()
    own_redis.start()
    assert own_redis.ask("GET", "key", db=3) == b"value"
    assert own_redis.port == port


def test_a_frozen_redis_does_not_answer_until_it_is_thawed(own_redis: RedisServer) -> None:
    with socket.create_connection(("127.0.0.1", own_redis.port), timeout=0.2) as link:
        own_redis.freeze()
        link.sendall(b"AUTH p:@x\r\n")
        with pytest.raises(TimeoutError):
            link.recv(1)
        own_redis.thaw()
        link.settimeout(10)
        assert link.recv(5) == b"+OK\r\n"


def test_the_url_of_a_redis_quotes_its_password(own_redis: RedisServer) -> None:
    assert own_redis.url(3) == f"redis://:p%3A%40x@127.0.0.1:{own_redis.port}/3"


def test_a_virtual_host_is_new_and_goes_away(rabbit_server: RabbitServer) -> None:
    one, other = rabbit_server.new_vhost(), rabbit_server.new_vhost()
    assert one != other
    assert rabbit_server.url(one).endswith(f":{rabbit_server.port}/{one}")
    rabbit_server.drop_vhost(one)
    listed = rabbit_server.ctl("list_vhosts").split()
    rabbit_server.drop_vhost(other)
    assert other in listed
    assert one not in listed


def test_a_killed_rabbit_starts_again_on_the_same_port() -> None:
    with started(RabbitServer) as server:
        port = server.port
        vhost = server.new_vhost()
        server.kill()
        server.start()
        assert server.port == port
        assert vhost in server.ctl("list_vhosts").split()


KILLED_SESSION = """
import os, signal
from tests.servers import RedisServer
server = RedisServer()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_dies_with_the_session_that_started_it(redis_server: RedisServer, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    session = subprocess.run(
        [sys.executable, "-c", KILLED_SESSION], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert session.returncode == -signal.SIGKILL, session.stderr
    server = Path("/proc", session.stdout.strip(), "status")

    def is_gone() -> bool:
        try:
            return "State:\tZ" in server.read_text()
        except OSError:
            return True

    eventually(is_gone, "the server of a killed session is gone")


def test_a_missing_server_skips_here_and_fails_where_everything_must_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        find("a-program-that-nobody-has")

    with pytest.raises(Missing):
        missing()
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="scripts/test installs it"):
        started(missing)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        started(missing)


def test_a_proxy_puts_itself_in_the_place_of_the_server_in_a_url() -> None:
    with Proxy(1) as proxy:
        assert proxy.url("redis://u:p%40@host:6379/3?lease=5") == f"redis://u:p%40@127.0.0.1:{proxy.port}/3?lease=5"
