"""What a terminal and a page show."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure import Configuration
from benchmarks.ratio import Ratio
from benchmarks.report import figure_lines, fill_page, target_lines
from benchmarks.spread import Spread
from benchmarks.suite import Outcome

PAGE = "before\n<!-- figures redis -->\nstale\n<!-- end -->\nafter\n<!-- figures amqp -->\nkept\n<!-- end -->\n"


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(
        "redis",
        server="Redis 7",
        rounds=3,
        figures={
            "raw": {"W3 1,000 in flight": Spread((200.0,)), "W3 100 in flight": Spread((100.0,))},
            "typeddingo": {"W3 100 in flight": Spread((40.0, 60.0, 50.0))},
        },
        configurations={"typeddingo": Configuration("one process", {"redis": "8.1.0"})},
    )


def test_a_line_shows_median_spread_and_the_ratio_to_the_raw_client(outcome: Outcome) -> None:
    (line,) = (line for line in figure_lines(outcome) if line.startswith("    typeddingo  "))
    assert line.split() == ["typeddingo", "50", "[40", "–", "60]", "0.50", "×", "raw"]


def test_every_figure_has_its_configuration(outcome: Outcome) -> None:
    assert figure_lines(outcome)[-1] == "    typeddingo: one process (redis 8.1.0)"


def test_a_hundred_comes_before_a_thousand(outcome: Outcome) -> None:
    lines = [line for line in figure_lines(outcome) if "in flight" in line]
    assert lines == ["redis: W3 100 in flight (1/s)", "redis: W3 1,000 in flight (1/s)"]


def test_a_target_holds_or_is_missed() -> None:
    held, missed = target_lines([Ratio("a", 2.0, 1.0, "1/s", 1.5), Ratio("b", 2.0, 1.0, "ms", 1.5, at_most=True)])
    assert held.endswith("target ≥ 1.50  holds")
    assert missed.endswith("target ≤ 1.50  MISSED")


def test_a_page_gets_the_tables_that_were_measured_and_keeps_all_else(outcome: Outcome, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    fill_page(page, [outcome], [])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- figures redis -->\n")
    assert text.endswith("<!-- end -->\nafter\n<!-- figures amqp -->\nkept\n<!-- end -->\n")
    assert "| W3 100 in flight (1/s) | 100 | 50 |" in text
    assert "| W3 100 in flight / raw | ≥ 0.45 | 0.50 | holds |" in text
    assert "stale" not in text


def test_what_takes_long_has_a_place_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("figures amqp", "figures redis at length"), encoding="utf-8")
    figures = {"typeddingo": {"W8 cost at 1,000 to run": Spread((9.0,)), "start to first task": Spread((0.4,))}}
    fill_page(page, [Outcome("redis", server="Redis 7", rounds=1, figures=figures)], [])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- figures redis -->\nstale\n")
    assert "| W8 cost at 1,000 to run (µs) | 9 |" in text


def test_a_page_without_a_place_for_the_tables_is_an_error(outcome: Outcome, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(LookupError, match="figures redis"):
        fill_page(page, [outcome], [])
