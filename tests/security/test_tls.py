"""Encrypted connections: the server must prove who it is, unless that is refused by name."""

from __future__ import annotations

import pytest

from tests.security.conftest import Encrypted
from typeddingo import App, EventLevel, TypedDingoError

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 20.0


@pytest.fixture(params=["redis", "rabbit"])
def server(request: pytest.FixtureRequest) -> Encrypted:
    encrypted: Encrypted = request.getfixturevalue(f"encrypted_{request.param}")
    return encrypted


def add(a: int, b: int) -> int:
    return a + b


def called(url: str, app: App | None = None) -> int:
    with app or App(url) as app:
        task = app.register("add", add)
        app.allocate(task)
        return task.call(1, 2).get(SECONDS)


def refused(url: str) -> str:
    """All that the errors of a call say."""
    with pytest.raises(TypedDingoError) as caught:
        called(f"{url}&send_timeout=2&connect_timeout=2")
    said: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return "\n".join(said)


def test_a_server_with_a_trusted_certificate_is_spoken_to(server: Encrypted) -> None:
    assert called(server.url(f"ca={server.ca}")) == 3


def test_a_server_of_an_authority_that_is_not_known_is_refused(server: Encrypted) -> None:
    assert "certificate" in refused(server.url(f"ca={server.other_ca}")).lower()
    assert "certificate" in refused(server.url("layout=native")).lower()


def test_the_name_on_the_certificate_must_be_that_of_the_server(server: Encrypted) -> None:
    assert called(server.url(f"ca={server.ca}&server_name=server.test")) == 3
    assert "certificate" in refused(server.url(f"ca={server.ca}&server_name=another.test")).lower()
    assert "certificate" in refused(server.url(f"ca={server.ca}", host="localhost")).lower()


def test_verification_can_be_given_up_by_name_and_a_warning_says_so(server: Encrypted) -> None:
    app = App(server.url("verify=none"))
    warnings = app.listen(level=EventLevel.WARNING)
    assert called("", app) == 3
    assert [event.message for event in warnings if "verify=none" in event.message] != []


def test_files_that_cannot_be_read_are_a_clear_error(server: Encrypted) -> None:
    assert "TLS: ca, cert or key in the URL cannot be used" in refused(server.url("ca=/missing.pem"))
