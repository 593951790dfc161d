"""What a Redis URL may say, and what the server must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.redis.bench import NAME, Bench, heard, parcel, send
from tests.servers import RedisServer
from typeddingo._io.redis_checks import check_server
from typeddingo._io.redis_link import Command, RedisLink
from typeddingo._io.redis_reply import Refused, Reply
from typeddingo._io.redis_settings import RedisSettings
from typeddingo.backends import redis as backends
from typeddingo.brokers import redis as brokers
from typeddingo.brokers.redis import RedisBroker
from typeddingo.config import Config
from typeddingo.errors import ConfigError, TypedDingoError


class TestURL:
    def test_everything_has_a_default(self) -> None:
        settings = RedisSettings.parse("redis://somewhere")
        assert str(settings.address) == "redis://somewhere:6379"
        assert (settings.db, settings.dingo, settings.lease, settings.max_deliveries) == (0, False, 60.0, 5)
        assert (settings.max_length, settings.namespace, settings.result_ttl) == (None, "tdg", 3600.0)
        assert (settings.send_timeout, settings.connect_timeout, settings.check) == (10.0, 5.0, True)

    def test_everything_can_be_said(self) -> None:
        settings = RedisSettings.parse(
            "rediss://u:p@h:1/7?layout=dingo&lease=5&max_deliveries=2&max_length=9&namespace=n&result_ttl=60"
            "&send_timeout=1.5&connect_timeout=2&check=no"
        )
        assert (settings.db, settings.dingo, settings.lease, settings.max_deliveries) == (7, True, 5.0, 2)
        assert (settings.max_length, settings.namespace, settings.result_ttl) == (9, "n", 60.0)
        assert (settings.send_timeout, settings.connect_timeout, settings.check) == (1.5, 2.0, False)
        assert settings.address.tls is not None

    def test_a_socket_is_a_path_and_its_database_a_setting(self) -> None:
        settings = RedisSettings.parse("unix:///run/redis.sock?db=3")
        assert (str(settings.address), settings.db) == ("unix:///run/redis.sock", 3)

    @pytest.mark.parametrize(
        "url",
        [
            "http://h",
            "redis://h/x",
            "redis://h/1?db=2",
            "redis://h?db=-1",
            "redis://h?lease=0",
            "redis://h?lease=x",
            "redis://h?layout=go",
            "redis://h?max_deliveries=0",
            "redis://h?namespace=",
            "redis://h?check=maybe",
            "redis://h?colour=red",
            "redis://h?lease=1&lease=2",
        ],
    )
    def test_what_cannot_be_meant_is_refused_without_a_secret(self, url: str) -> None:
        secret = url.replace("://h", "://user:c4n4ry@h")
        with pytest.raises(ConfigError) as caught:
            RedisSettings.parse(secret)
        assert "c4n4ry" not in str(caught.value)

    def test_a_bound_of_the_app_holds_where_the_url_has_none(self) -> None:
        assert RedisSettings.parse("redis://h", max_length=7).max_length == 7
        assert RedisSettings.parse("redis://h?max_length=3", max_length=7).max_length == 3

    def test_a_socket_is_connected_to(self, tmp_path: Path) -> None:
        socket = tmp_path / "redis.sock"
        with RedisServer("--unixsocket", str(socket)):
            broker = RedisBroker(f"unix://{socket}")
            send(broker, parcel())
            assert broker.queue(NAME).waiting == 1
            broker.close()

    def test_an_app_connects_through_it(self, bench: Bench) -> None:
        broker = brokers.connect(f"{bench.url}?max_length=3", Config())
        backend = backends.connect(bench.url, Config())
        bench.closes(broker.close)
        bench.closes(backend.close)
        broker.ping()
        backend.ping()
        assert repr(broker).startswith("RedisBroker('redis://127.0.0.1:")
        assert repr(backend).startswith("RedisBackend('redis://127.0.0.1:")

    def test_two_namespaces_do_not_meet(self, bench: Bench) -> None:
        one, other = bench.broker("namespace=a"), bench.broker("namespace=b:{c}")
        send(one, parcel())
        assert (one.queue(NAME).waiting, other.queue(NAME).waiting) == (1, 0)


class TestServer:
    def test_one_that_would_delete_tasks_is_refused_and_says_what_to_set(self) -> None:
        with RedisServer("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
            broker = RedisBroker(server.url())
            for use in (broker.ping, lambda: send(broker, parcel()), lambda: broker.add_listener(NAME)):
                with pytest.raises(ConfigError, match="maxmemory-policy noeviction"):
                    use()
            broker.close()
            anyway = RedisBroker(f"{server.url()}?check=no")
            anyway.ping()
            anyway.close()

    def test_one_whose_memory_is_bounded_is_accepted(self) -> None:
        with RedisServer("--maxmemory", "50mb", "--maxmemory-policy", "noeviction") as server:
            broker = RedisBroker(server.url())
            broker.ping()
            broker.close()

    def test_one_that_forgets_at_a_restart_is_told(self, bench: Bench) -> None:
        broker = bench.broker()
        events = heard(broker.events())
        broker.ping()
        broker.ping()
        assert [event.message for event in events if "appendonly" in event.message] != []
        assert len(events) == 1

    def test_one_that_keeps_its_settings_secret_is_told(self, own_server: RedisServer, own_bench: Bench) -> None:
        own_server.ask("ACL", "SETUSER", "someone", "on", ">pw", "~*", "+@all", "-config")
        broker = RedisBroker(own_server.url().replace("://", "://someone:pw@"))
        own_bench.closes(broker.close)
        events = heard(broker.events())
        broker.ping()
        send(broker, parcel())
        (event,) = events
        assert "CONFIG is forbidden" in event.message

    @pytest.mark.parametrize("credentials", [":c4n4ry@", "someone:c4n4ry@", ""])
    def test_wrong_credentials_are_an_error_of_configuration(self, credentials: str) -> None:
        with RedisServer(password="right") as server:
            url = server.url().replace(":right@", credentials)
            broker, backend = RedisBroker(url), backends.RedisBackend(url)
            for use in (broker.ping, backend.ping, lambda: send(broker, parcel()), lambda: broker.add_listener(NAME)):
                with pytest.raises(ConfigError) as caught:
                    use()
                assert "127.0.0.1" in str(caught.value)
                assert "c4n4ry" not in str(caught.value)
            broker.close()
            backend.close()

    def test_credentials_may_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with RedisServer(password="right") as server:
            monkeypatch.setenv("TYPEDDINGO_REDIS_PASSWORD", "right")
            broker = RedisBroker(server.url().replace(":right@", ""))
            broker.ping()
            broker.close()

    def test_a_user_without_the_right_is_told_so(self, own_server: RedisServer, own_bench: Bench) -> None:
        own_server.ask("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+info", "+config", "+ping", "+client")
        broker = RedisBroker(own_server.url().replace("://", "://reader:pw@"))
        own_bench.closes(broker.close)
        with pytest.raises(ConfigError, match="does not let this user"):
            send(broker, parcel())

    def test_a_listener_that_is_turned_away_goes_on_and_tells_once(self, own_server: RedisServer) -> None:
        broker = RedisBroker(own_server.url())
        events = heard(broker.events())
        listener = broker.add_listener(NAME)
        own_server.ask("CONFIG", "SET", "requirepass", "new")
        own_server.password = "new"
        own_server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert list(listener.take(1, 1.0)) == []
        assert [event.message for event in events if "credentials" in event.message or "NOAUTH" in event.message]
        own_server.ask("CONFIG", "SET", "requirepass", "")
        own_server.password = None
        send(broker, parcel())
        assert len(listener.take(1, 5.0)) == 1
        broker.close()


class Answers(RedisLink):
    """A server of which this machine has none: its answers, and nothing else."""

    def __init__(self, info: str, **settings: str) -> None:
        self.info = info
        self.settings = settings

    def call(self, command: Command, patience: float | None = None) -> Reply:
        if command[0] == "INFO":
            return self.info.encode()
        if "forbidden" in self.settings:
            raise Refused("ERR", "unknown command")
        name = str(command[2])
        return [name.encode(), self.settings[name].encode()] if name in self.settings else []


class TestChecks:
    def check(self, link: RedisLink) -> list[str]:
        warnings: list[str] = []
        check_server(link, "redis://here", warnings.append)
        return warnings

    @pytest.mark.parametrize("version", ["6.2.14", "2.8.0", ""])
    def test_a_server_that_is_too_old_is_refused(self, version: str) -> None:
        with pytest.raises(ConfigError, match=r"7\.0 is needed"):
            self.check(Answers(f"redis_version:{version}\r\n"))

    @pytest.mark.parametrize("version", ["7.0.0", "7.4.1", "8.2.0", "10.0.0"])
    def test_newer_ones_are_accepted(self, version: str) -> None:
        assert self.check(Answers(f"redis_version:{version}\r\nredis_mode:standalone\r\n", appendonly="yes")) == []

    def test_a_cluster_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cluster is not supported"):
            self.check(Answers("redis_version:7.0.0\r\nredis_mode:cluster\r\n"))

    def test_a_policy_without_a_bound_is_of_no_concern(self) -> None:
        settings = {"maxmemory": "0", "maxmemory-policy": "allkeys-lru", "appendonly": "yes"}
        assert self.check(Answers("redis_version:7.0.0\r\n", **settings)) == []

    def test_settings_that_cannot_be_read_are_told(self) -> None:
        (warning,) = self.check(Answers("redis_version:7.0.0\r\n", forbidden="yes"))
        assert "noeviction" in warning


def test_no_text_of_an_error_holds_the_password() -> None:
    broker = RedisBroker("redis://user:c4n4ry@127.0.0.1:1?send_timeout=0.2&connect_timeout=0.2")
    with pytest.raises(TypedDingoError) as caught:
        send(broker, parcel())
    error: BaseException | None = caught.value
    while error is not None:
        assert "c4n4ry" not in repr(error)
        error = error.__cause__ or error.__context__
    assert "c4n4ry" not in repr(broker)
    broker.close()
