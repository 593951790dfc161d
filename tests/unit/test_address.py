"""URLs of servers: what they say is understood, what they hide stays hidden, what is wrong is refused aloud."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.canary import CANARY, chain, shown_by, spellings
from typeddingo._io.address import TLS, Address, Settings
from typeddingo.errors import ConfigError

PORTS = {"redis": 6379, "rediss": 6379, "unix": 0, "amqps": 5671}
KNOWN = frozenset({"lease", "layout", "max_length"})


@pytest.fixture(autouse=True)
def _no_credentials_around(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  # pytest uses it
    monkeypatch.delenv("TEST_USERNAME", raising=False)
    monkeypatch.delenv("TEST_PASSWORD", raising=False)


def parse(url: str) -> Address:
    return Address.parse(url, ports=PORTS, known=KNOWN, secrets="TEST")


def refused(url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(url)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("redis://", "localhost", 6379, ""),
        ("redis://db", "db", 6379, ""),
        ("REDIS://DB.example/0", "db.example", 6379, "/0"),
        ("redis://127.0.0.1:7000/3", "127.0.0.1", 7000, "/3"),
        ("redis://[::1]:7000/3", "::1", 7000, "/3"),
        ("redis://user:word@[2001:db8::7]/", "2001:db8::7", 6379, "/"),
        ("amqps://mq/orders%2Feu", "mq", 5671, "/orders/eu"),
        ("amqps://mq/%2F", "mq", 5671, "//"),
        ("unix:///run/redis/redis.sock", "localhost", 0, "/run/redis/redis.sock"),
        ("unix://:word@/run/a%20b.sock", "localhost", 0, "/run/a b.sock"),
    ],
)
def test_an_address_is_read(url: str, host: str, port: int, path: str) -> None:
    address = parse(url)
    assert (address.host, address.port, address.path) == (host, port, path)


@given(
    username=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    host=st.sampled_from(["db", "10.0.0.1", "[::1]", "[fe80::1]"]),
    port=st.integers(1, 65535),
    path=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_quoted_parts_come_out_as_they_were(username: str, password: str, host: str, port: int, path: str) -> None:
    address = parse(
        f"rediss://{quote(username, safe='')}:{quote(password, safe='')}@{host}:{port}/{quote(path, safe='')}"
    )
    assert (address.username, address.password) == (username, password)
    assert (address.host, address.port, address.path) == (host.strip("[]"), port, "/" + path)


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=6), settings=st.booleans())
def test_no_text_of_an_address_shows_the_credentials(password: str, settings: bool) -> None:
    secret = CANARY + password
    url = f"redis://{quote('user-' + secret, safe='')}:{quote(secret, safe='')}@db:7000/3" + "?lease=5" * settings
    address = parse(url)
    assert str(address) == f"{address}" == "redis://db:7000/3"
    for text in (str(address), repr(address), repr(address.settings)):
        assert CANARY not in text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://u:p@[::1]:7000/3?lease=1", "redis://[::1]:7000/3"),
        ("unix://u:p@/run/redis.sock", "unix:///run/redis.sock"),
        ("amqps://u:p@mq", "amqps://mq:5671"),
    ],
)
def test_an_address_shows_where_it_leads(url: str, text: str) -> None:
    assert str(parse(url)) == text


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{CANARY}[@db/0",  # what Python's parser says of these repeats them
        f"redis://user:{CANARY}\u2100@db/0",
        f"redis://user:{CANARY}@db:port/0",
        f"redis://:{CANARY}/x@db/0",
        f"redis://user:12/{CANARY}@db/0",
        f"redis://user:12?{CANARY}=1@db/0",
        f"redis://user:12?{CANARY}@db/0",
        f"redis://user:12#{CANARY}@db/0",
        f"redis://user:{CANARY}@db:0/0",
        f"redis://user:{CANARY}@db:99999/0",
        f"http://user:{CANARY}@db/0",
        f"{CANARY}",
        f"{CANARY}@db:6379",
        f"redis://user:{CANARY}@db/0?leese=1",
        f"redis://user:{CANARY}@db/0?lease",
        f"redis://user:{CANARY}@db/0?lease=1&lease=2",
        f"redis://user:{CANARY}@db/0?ca=/etc/ca.pem",
        f"unix://user:{CANARY}@run/redis.sock",
        f"unix://user:{CANARY}@",
    ],
)
def test_a_url_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(url)
    shown = "\n".join(line for line in shown_by(caught.value).splitlines() if not line.startswith("    "))  # our source
    shown += "".join(f"{error!r} {error.args}" for error in chain(caught.value, suppressed=True))
    for spelling in spellings(CANARY):
        assert spelling not in shown


def test_what_is_wrong_with_a_url_is_said() -> None:
    assert "begins with redis:// or rediss:// or unix:// or amqps://" in refused("http://db")
    assert "write # as %23, / as %2F" in refused("redis://:12/34@db")
    assert refused("redis://db?leese=1").startswith("unknown setting in the URL: leese; known are ")
    assert "name=value" in refused("redis://db?lease")
    assert "twice" in refused("redis://db?lease=1&lease=2")
    assert "ca in the URL: redis:// is not encrypted" in refused("redis://db?ca=x")
    assert "path of a socket, unix:///" in refused("unix://run/redis.sock")
    assert "port 0" in refused("redis://db:0")


def test_credentials_that_the_url_leaves_out_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (parse("redis://db").username, parse("redis://db").password) == (None, None)
    monkeypatch.setenv("TEST_USERNAME", "user")
    monkeypatch.setenv("TEST_PASSWORD", "p@ss%41")
    assert (parse("redis://db").username, parse("redis://db").password) == ("user", "p@ss%41")
    other = parse("redis://someone:else@db")
    assert (other.username, other.password) == ("someone", "else")
    assert parse("redis://:else@db").password == "else"
    monkeypatch.setenv("TEST_PASSWORD", "")
    assert parse("redis://db").password is None


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("redis://", True),
        ("redis://127.8.9.1", True),
        ("redis://[::1]", True),
        ("unix:///run/redis.sock", True),
        ("redis://10.0.0.1", False),
        ("redis://localhost.example", False),
        ("redis://[::2]", False),
    ],
)
def test_an_address_knows_whether_anything_leaves_this_machine(url: str, loopback: bool) -> None:
    assert parse(url).is_loopback is loopback


# settings


def test_settings_have_defaults() -> None:
    settings = Settings({})
    assert settings.text("layout", "native") == "native"
    assert settings.seconds("lease", 60.0) == 60.0
    assert settings.count("max_length", None) is None
    assert settings.choice("layout", "native", "native", "dingo") == "native"


def test_settings_are_read_from_the_url() -> None:
    settings = parse("redis://db?lease=2.5&layout=dingo&max_length=10").settings
    assert settings.seconds("lease", 60.0) == 2.5
    assert settings.choice("layout", "native", "native", "dingo") == "dingo"
    assert settings.count("max_length", None) == 10
    assert settings.names == {"lease", "layout", "max_length"}


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_any_number_of_seconds_above_zero_will_do(seconds: float) -> None:
    assert Settings({"lease": repr(seconds)}).seconds("lease", 1.0) == seconds


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "-inf", "", "soon", "1e400", "0x10"])
def test_what_is_no_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="lease= in the URL: expected a number of seconds above 0"):
        Settings({"lease": value}).seconds("lease", 1.0)


@given(st.text())
def test_what_is_no_count_is_refused(value: str) -> None:
    assume(not (value.isascii() and value.isdigit() and 0 < int(value) < 10**18))
    with pytest.raises(ConfigError, match="max_length= in the URL: expected a whole number of at least 1"):
        Settings({"max_length": value}).count("max_length", None)


@pytest.mark.parametrize("value", ["1" * 5000, "٣", "+1", "1.0", " 1"])
def test_a_count_is_a_few_plain_digits(value: str) -> None:
    with pytest.raises(ConfigError):
        Settings({"max_length": value}).count("max_length", None)
    assert Settings({"max_length": "0"}).count("max_length", None, least=0) == 0


def test_a_choice_is_one_of_those_there_are() -> None:
    with pytest.raises(ConfigError, match="layout= in the URL: expected native or dingo"):
        Settings({"layout": "Dingo"}).choice("layout", "native", "native", "dingo")


# encryption


def test_only_some_schemes_are_encrypted() -> None:
    assert parse("redis://db").tls is None
    assert parse("unix:///s").tls is None
    assert parse("rediss://db").tls == parse("amqps://db").tls == TLS()


def test_the_server_is_verified_unless_that_is_refused_by_name() -> None:
    address = parse("rediss://db?ca=/ca.pem&cert=/me.pem&key=/me.key&server_name=other")
    assert address.tls == TLS(ca="/ca.pem", cert="/me.pem", key="/me.key", verify=True, server_name="other")
    context = TLS().context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    careless = parse("rediss://db?verify=none").tls
    assert careless is not None
    assert not careless.verify
    assert careless.context().verify_mode is ssl.CERT_NONE
    assert "verify= in the URL: expected full or none" in refused("rediss://db?verify=no")


def test_files_that_cannot_be_used_are_a_config_error(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for tls in (TLS(ca=str(tmp_path / "missing")), TLS(ca=str(nonsense)), TLS(cert=str(nonsense))):
        with pytest.raises(ConfigError, match="TLS: ca, cert or key in the URL cannot be used"):
            tls.context()


def test_a_refused_certificate_is_found_wherever_a_library_puts_it() -> None:
    address = parse(f"rediss://user:{CANARY}@db")
    refusal = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refusal.verify_message = "self-signed certificate"
    outer = OSError("connecting failed")
    outer.__context__ = refusal
    wrapping = ValueError("setting up")
    wrapping.exception = refusal  # type: ignore[attr-defined]  # as pika does
    several = ExceptionGroup("several", [ValueError(), wrapping])
    for error in (refusal, outer, ConnectionError(refusal), several):
        found = address.distrusted(error)
        assert str(found) == (
            "rediss://db:6379: the server's certificate is refused (self-signed certificate): "
            "name the authority that signed it with ca=, and the server's name on it with server_name="
        )
    assert address.distrusted(OSError("something else")) is None
    outer.__cause__ = outer
    outer.__context__ = None
    assert address.distrusted(outer) is None


@pytest.mark.parametrize(
    ("url", "dangers"),
    [
        ("redis://localhost", []),
        ("unix:///run/redis.sock", []),
        ("rediss://:word@db", []),
        ("rediss://db", ["no password"]),
        ("redis://:word@db", ["unencrypted to another machine, passwords too; use rediss://"]),
        ("redis://db", ["unencrypted", "no password"]),
        ("rediss://:word@localhost?verify=none", ["not verified"]),
    ],
)
def test_what_is_dangerous_is_known(url: str, dangers: list[str]) -> None:
    found = parse(url).dangers
    assert len(found) == len(dangers)
    for text, expected in zip(found, dangers, strict=True):
        assert text.startswith(f"{parse(url)}: ")
        assert expected in text


def test_a_danger_is_told_once_in_a_process() -> None:
    told: list[str] = []
    for _ in range(3):
        parse("redis://:word@told-once.test").tell_dangers(told.append)
    assert len(told) == 1


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(ConfigError, match="key= in the URL is of no use without cert="):
        TLS(key="/me.key").context()
