"""Whether a broker can do what is asked of it. Asked before a task is sent: what has no place is refused."""

from __future__ import annotations

from typeddingo.broker import Feature, Producer
from typeddingo.errors import ConfigError
from typeddingo.terms import Terms

__all__ = ["need_features"]


def need_features(producer: Producer, terms: Terms) -> None:
    """Raises ``ConfigError`` that names the options."""
    able = producer.features
    asked = {
        "delay": (terms.delay, Feature.LATER),
        "eta": (terms.eta, Feature.LATER),
        "expires": (terms.lifetime or terms.expires, Feature.EXPIRY),
        "priority": (terms.priority, Feature.PRIORITY),
        "unique_for": (terms.unique_for, Feature.UNIQUE),
    }
    if missing := [name for name, (value, feature) in asked.items() if value and feature not in able]:
        raise ConfigError(
            f"{type(producer).__name__} as it is set up has no place for {' and '.join(missing)}: send without, or use "
            "another broker or layout"
        )
