"""Medians, percentiles and targets: what a run says of what it has measured."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measure import unit
from benchmarks.spread import Spread, percentile
from benchmarks.suite import Outcome
from benchmarks.targets import TARGETS, judged

VALUES = st.lists(st.floats(0, 1e9), min_size=1)


def spreads(**figures: float) -> dict[str, Spread]:
    return {name.replace("_", " "): Spread((value,)) for name, value in figures.items()}


@given(VALUES, st.floats(1, 100))
def test_a_percentile_is_one_of_the_values_and_enough_of_them_do_not_exceed_it(
    values: list[float], rank: float
) -> None:
    found = percentile(values, rank)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * rank / 100
    assert sum(value < found for value in values) < len(values) * rank / 100


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@given(VALUES)
def test_a_median_lies_between_the_least_and_the_most(values: Sequence[float]) -> None:
    spread = Spread(tuple(values))
    assert spread.least <= spread.median <= spread.most


def test_a_target_is_judged_against_the_raw_client_of_the_same_run() -> None:
    figures = {"typeddingo": spreads(W3_100_in_flight=50.0), "raw": spreads(W3_100_in_flight=100.0)}
    (ratio,) = judged("redis", figures)
    assert ratio.value == 0.5
    assert ratio.holds


def test_the_best_peer_is_neither_raw_nor_ours() -> None:
    figures = {
        "typeddingo": spreads(W2_drain=60.0),
        "typeddingo classic": spreads(W2_drain=99.0),
        "raw": spreads(W2_drain=99.0),
        "celery": spreads(W2_drain=5.0),
        "huey": spreads(W2_drain=10.0),
    }
    (ratio,) = judged("redis", figures)
    assert (ratio.theirs, ratio.what) == (10.0, "W2 drain / the best peer, huey")


def test_a_target_of_which_one_side_was_not_measured_is_not_judged() -> None:
    assert judged("redis", {"typeddingo": spreads(W3_100_in_flight=50.0)}) == []


def test_the_deepest_queue_is_compared_with_one_of_a_thousand() -> None:
    found = {
        f"W8 cost at {depth} to run": Spread((cost,))
        for depth, cost in (("1,000", 10.0), ("20,000", 13.0), ("9,000", 1.0))
    }
    (ratio,) = judged("amqp", {"typeddingo": found})
    assert ratio.value == 1.3
    assert not ratio.holds


def test_a_queue_of_one_depth_is_compared_with_nothing() -> None:
    assert judged("redis", {"typeddingo": {"W8 cost at 1,000 to run": Spread((1.0,))}}) == []


def test_both_servers_have_targets_and_every_figure_a_unit() -> None:
    assert {target.technology for target in TARGETS} == {"redis", "amqp"}
    assert {unit(target.figure) for target in TARGETS} == {"1/s", "ms", "s", "MB", "µs"}


def test_json_has_every_value_that_was_taken() -> None:
    outcome = Outcome("redis", rounds=3, figures={"raw": {"W4 idle p50": Spread((3.0, 1.0, 2.0))}})
    assert outcome.as_json()["figures"] == [
        {
            "system": "raw",
            "figure": "W4 idle p50",
            "unit": "ms",
            "median": 2.0,
            "least": 1.0,
            "most": 3.0,
            "taken": (3.0, 1.0, 2.0),
        }
    ]
