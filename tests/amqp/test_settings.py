"""What an AMQP URL says, and what it may not say."""

from __future__ import annotations

import pytest

from typeddingo._io.amqp_settings import AmqpSettings
from typeddingo.brokers.amqp import connect
from typeddingo.config import Config
from typeddingo.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "host", "port", "vhost"),
    [
        ("amqp://", "localhost", 5672, "/"),
        ("amqp://broker/", "broker", 5672, "/"),
        ("amqp://broker:7/%2F", "broker", 7, "/"),
        ("amqps://broker/orders", "broker", 5671, "orders"),
        ("amqp://broker/a%2Fb", "broker", 5672, "a/b"),
        ("amqp://[::1]/%2Fslash", "::1", 5672, "/slash"),
    ],
)
def test_where_the_server_is(url: str, host: str, port: int, vhost: str) -> None:
    settings = AmqpSettings.parse(url)
    assert (settings.address.host, settings.address.port, settings.virtual_host) == (host, port, vhost)
    assert (settings.address.tls is not None) == url.startswith("amqps")


def test_what_is_not_said_has_a_default() -> None:
    settings = AmqpSettings.parse("amqp://")
    assert (settings.layout, settings.queue_type, settings.namespace) == ("native", "quorum", "tdg")
    assert (settings.heartbeat, settings.max_deliveries, settings.max_length, settings.prefetch) == (10, 5, None, None)
    assert (settings.result_ttl, settings.send_timeout, settings.connect_timeout) == (3600.0, 10.0, 5.0)


def test_everything_can_be_said() -> None:
    settings = AmqpSettings.parse(
        "amqp://h/?layout=dingo&queue_type=classic&heartbeat=2&max_deliveries=3&max_length=9&prefetch=7&namespace=x"
        "&result_ttl=60&send_timeout=1.5&connect_timeout=2&ack_timeout=7200"
    )
    assert (settings.layout, settings.queue_type, settings.namespace) == ("dingo", "classic", "x")
    assert (settings.heartbeat, settings.max_deliveries, settings.max_length, settings.prefetch) == (2, 3, 9, 7)
    assert (settings.result_ttl, settings.send_timeout, settings.connect_timeout) == (60.0, 1.5, 2.0)
    assert settings.ack_timeout == 7200.0


@pytest.mark.parametrize(
    "wrong",
    ["layout=go", "queue_type=stream", "heartbeat=0", "max_deliveries=0", "prefetch=x", "namespace=", "lease=5", "x=1"],
)
def test_a_wrong_setting_is_named_and_no_secret_is_repeated(wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong.partition("=")[0]) as caught:
        AmqpSettings.parse(f"amqp://user:canary@h/?{wrong}")
    assert "canary" not in str(caught.value)


def test_the_repr_shows_no_secret() -> None:
    settings = AmqpSettings.parse("amqp://user:canary@h/")
    assert "canary" not in f"{settings!r} {settings.address} {settings.parameters('test')!r}"


def test_the_bound_of_the_app_holds_where_the_url_has_none() -> None:
    bounded = Config(max_length=7)
    assert connect("amqp://", bounded).settings.max_length == 7
    assert connect("amqp://?max_length=9", bounded).settings.max_length == 9
