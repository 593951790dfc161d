"""Configuration: what is left out is sensible, what is wrong is refused where it is written."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from typeddingo.config import Config, Limits
from typeddingo.errors import ConfigError


def test_the_defaults_are_those_that_are_documented() -> None:
    assert Config() == Config(
        mappers=3, workers=4, shutdown_timeout=10.0, marshal_locally=False, max_length=None, limits=Limits()
    )
    assert Limits() == Limits(frame=16_777_216, registry=1024, id=128, name=128, depth=64, digits=4300)


def test_a_configuration_is_frozen_and_copied_with_changes() -> None:
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.workers = 1  # type: ignore[misc]  # what the test is about
    assert replace(config, workers=1).workers == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mappers", 0),
        ("mappers", -1),
        ("mappers", True),
        ("mappers", 1.0),
        ("workers", 0),
        ("workers", "2"),
        ("shutdown_timeout", -0.1),
        ("shutdown_timeout", math.inf),
        ("shutdown_timeout", math.nan),
        ("shutdown_timeout", None),
        ("shutdown_timeout", True),
        ("max_length", 0),
        ("max_length", 1.5),
        ("marshal_locally", 1),
        ("limits", None),
    ],
)
def test_a_wrong_value_is_refused_and_the_field_named(field: str, value: object) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=field):
        Config(**wrong)


@pytest.mark.parametrize("field", ["frame", "registry", "id", "name", "depth", "digits"])
@pytest.mark.parametrize("value", [0, -1, None, True, 1.0])
def test_a_wrong_limit_is_refused_and_the_field_named(field: str, value: object) -> None:
    wrong: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=field):
        Limits(**wrong)


def test_an_immediate_shutdown_and_a_bound_of_one_are_allowed() -> None:
    assert Config(shutdown_timeout=0, max_length=1).max_length == 1
