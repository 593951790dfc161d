"""The rights that docs/security.md gives a user on the servers are enough, and no more than it says."""

from __future__ import annotations

import shlex
from urllib.parse import quote

import pytest
import redis
from redis.exceptions import NoPermissionError

from tests.docs.pages import ROOT, blocks
from tests.servers import RabbitServer, RedisServer
from typeddingo import App, ConfigError, TypedDingoError

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 20.0
SECURITY = ROOT / "docs" / "security.md"
WORD = "a-long-random-password"


def commands(program: str) -> list[list[str]]:
    """What the page tells to type, as arguments of this program."""
    lines = [line for block in blocks(SECURITY) if block.language == "console" for line in block.text.splitlines()]
    found = [shlex.split(line.removeprefix(f"$ {program} ")) for line in lines if line.startswith(f"$ {program} ")]
    assert found, f"the page shows no command of {program}"
    return found


def add(a: int, b: int) -> int:
    return a + b


def everything(url: str) -> None:
    """What callers, workers and operators do: calls, refusals, inspection, dead letters."""
    with App(url) as app:
        good = app.register("good", add)
        bad = app.register("bad task", add)
        app.allocate(good, 2)
        with app.batch():
            results = [good.call(n, 1) for n in range(20)]
        assert [result.get(SECONDS) for result in results] == [n + 1 for n in range(20)]
        inspector = app._inspector()  # pyright: ignore[reportPrivateUsage]  # what the command line uses
        assert inspector is not None
        inspector.ping()
        bad.with_options(ignore_report=True).call(1, 2)
        assert inspector.queue("bad task").waiting == 1
        assert inspector.dead("bad task") == []
        assert inspector.replay("bad task") == inspector.purge("bad task") == 0


def test_a_user_of_redis_with_these_rights_can_do_everything(redis_server: RedisServer) -> None:
    for command in commands("redis-cli"):
        redis_server.ask(*command)
    try:
        everything(f"redis://shop:{WORD}@127.0.0.1:{redis_server.port}/700")
        client = redis.Redis(port=redis_server.port, db=700, username="shop", password=WORD)
        for forbidden in (["SET", "other:key", "1"], ["FLUSHALL"], ["CONFIG", "SET", "maxmemory", "1"], ["KEYS", "*"]):
            with pytest.raises(NoPermissionError):
                client.execute_command(*forbidden)  # type: ignore[no-untyped-call]  # redis gives it no types
        client.close()
    finally:
        redis_server.ask("ACL", "DELUSER", "shop")


def test_a_user_of_redis_without_rights_is_told_so(redis_server: RedisServer) -> None:
    redis_server.ask("ACL", "SETUSER", "nobody", "on", f">{WORD}", "~tdg:*", "+@connection")
    try:
        with App(f"redis://nobody:{WORD}@127.0.0.1:{redis_server.port}/701?send_timeout=3") as app:
            task = app.register("add", add)
            with pytest.raises(ConfigError, match="does not let this user do what is needed: NOPERM"):
                task.call(1, 2)
    finally:
        redis_server.ask("ACL", "DELUSER", "nobody")


def test_a_user_of_rabbitmq_with_these_rights_can_do_everything(rabbit_server: RabbitServer) -> None:
    vhost = rabbit_server.new_vhost()
    for command in commands("rabbitmqctl"):
        rabbit_server.ctl(
            *[vhost if before == "-p" else part for before, part in zip(["", *command], command, strict=False)]
        )
    try:
        url = f"amqp://shop:{WORD}@127.0.0.1:{rabbit_server.port}/{quote(vhost, safe='')}"
        everything(url)
        with pytest.raises(TypedDingoError, match="refuse"):
            everything(f"{url}?namespace=other&send_timeout=3")
    finally:
        rabbit_server.ctl("delete_user", "shop")
        rabbit_server.drop_vhost(vhost)


@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_a_wrong_password_is_a_config_error_that_does_not_repeat_it(
    technology: str, redis_server: RedisServer, rabbit_server: RabbitServer
) -> None:
    port = redis_server.port if technology == "redis" else rabbit_server.port
    with pytest.raises(ConfigError, match="credentials") as caught:
        everything(f"{technology}://somebody:{WORD}@127.0.0.1:{port}/")
    assert WORD not in str(caught.value)
