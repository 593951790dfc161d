"""A URL with a password, given to an app: whatever is wrong with it, no error shows the password."""

from __future__ import annotations

import pytest

from tests.support.canary import CANARY, chain, shown_by
from typeddingo import App, ConfigError

WRONG = [
    f"redis://user:{CANARY}[@db/0",
    f"amqp://user:{CANARY}\u2100@db/0",
    f"redis://user:{CANARY}@db:port/0",
    f"redis://:12/{CANARY}@db/0",
    f"rediss://user:{CANARY}@db/0?verify=no",
    f"amqp://user:{CANARY}@db/0?lease=soon",
    f"mysql://user:{CANARY}@db/0",
    f"user:{CANARY}@db",
    f"unix://user:{CANARY}@run/redis.sock",
]


@pytest.mark.parametrize("url", WRONG)
def test_an_app_never_repeats_a_url_that_it_refuses(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        App(url)
    for error in chain(caught.value, suppressed=True):
        assert CANARY not in f"{error} {error!r} {error.args!r}"
    ours = [line for line in shown_by(caught.value).splitlines() if not line.startswith("    ")]  # not our source
    assert CANARY not in "\n".join(ours)
