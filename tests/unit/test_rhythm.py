"""When schedules are due: the same moments for whoever asks, also when clocks are put forward and back."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typeddingo import ConfigError
from typeddingo.rhythm import FRESH, MOST, CatchUp, Cron, Every, Rhythm, chosen, missed, spelled

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_790_000_000.0

moments = st.floats(1_500_000_000, 2_500_000_000)
rhythms = st.one_of(
    st.builds(Every, st.floats(0.1, 1_000_000)),
    st.builds(
        Cron,
        st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0,30 2,3 * * *", "15 */2 * * 1-5", "0 0 29 2 *"]),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    ),
)


def local(rhythm: Rhythm, start: datetime, count: int) -> list[str]:
    """So many moments after this one, as the clocks of Berlin show them."""
    found: list[str] = []
    moment: float | None = start.timestamp()
    for _ in range(count):
        assert moment is not None
        moment = rhythm.after(moment)
        assert moment is not None
        found.append(datetime.fromtimestamp(moment, BERLIN).strftime("%d. %H:%M %Z"))
    return found


@settings(deadline=None)  # the parser is slow when a machine is busy
@given(rhythms, moments)
def test_the_next_moment_is_later_and_nothing_lies_in_between(rhythm: Rhythm, moment: float) -> None:
    due = rhythm.after(moment)
    assert due is not None
    assert due > moment
    assert rhythm.after((moment + due) / 2) == due or (moment + due) / 2 == due
    following = rhythm.after(due)
    assert following is not None
    assert following > due


@settings(deadline=None)  # the parser is slow when a machine is busy
@given(rhythms, moments, st.floats(0, 400_000), st.integers(1, 20))
def test_what_was_missed_is_the_end_of_all_there_was(rhythm: Rhythm, last: float, gap: float, most: int) -> None:
    if isinstance(rhythm, Every) and rhythm.after(0) < 300:
        gap %= 10_000
    now = last + gap
    everything: list[float] = []
    moment = rhythm.after(last)
    while moment is not None and moment <= now:
        everything.append(moment)
        moment = rhythm.after(moment)
    assert missed(rhythm, last, now, most) == everything[-most:]


@settings(deadline=None)  # the parser is slow when a machine is busy
@given(rhythms, moments, st.lists(st.floats(0.01, 50_000), max_size=5), st.sampled_from(["none", "last", "all"]))
def test_however_often_somebody_looks_no_moment_runs_twice(
    rhythm: Rhythm, start: float, steps: list[float], catch_up: CatchUp
) -> None:
    settled, now, run = start, start, list[float]()
    for step in steps:
        now += step
        if (due := chosen(rhythm, settled, now, catch_up)) is not None:
            settled, some = due
            assert settled <= now
            run += some
        assert chosen(rhythm, settled, now, catch_up) is None
    assert run == sorted(set(run))
    assert all(start < moment <= now for moment in run)


def test_every_counts_from_the_epoch_and_not_from_the_start_of_a_process() -> None:
    assert Every(10).after(NOW + 3.2) == NOW + 10
    assert Every(10).after(NOW) == NOW + 10
    assert Every(0.2).after(NOW + 0.2) == NOW + 0.4
    assert Every(90).spec == "every 90s"


def test_what_was_missed_is_made_up_for_as_was_said() -> None:
    hourly = Every(3600)
    first = hourly.after(NOW)
    late = first + 3 * 3600 + FRESH + 1
    all_four = [first + n * 3600 for n in range(4)]
    assert chosen(hourly, NOW, late, "all") == (all_four[-1], all_four)
    assert chosen(hourly, NOW, late, "last") == (all_four[-1], [all_four[-1]])
    assert chosen(hourly, NOW, late, "none") == (all_four[-1], [])
    assert chosen(hourly, NOW, first - 0.001, "all") is None


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
def test_a_run_that_is_hardly_late_has_not_been_missed(catch_up: CatchUp) -> None:
    hourly = Every(3600)
    due = hourly.after(NOW)
    assert chosen(hourly, NOW, due + FRESH - 1, catch_up) == (due, [due])


def test_of_very_many_that_were_missed_the_latest_are_made_up_for_and_soon() -> None:
    ten_years = NOW + 10 * 365 * 24 * 3600
    secondly = chosen(Every(1), NOW, ten_years, "all")
    assert secondly is not None
    assert secondly[1] == [ten_years - MOST + 1 + n for n in range(MOST)]
    minutely = chosen(Cron("* * * * *"), NOW, ten_years, "last")
    assert minutely is not None
    assert len(minutely[1]) == 1


def test_in_spring_a_time_that_there_is_not_comes_when_the_clocks_have_been_put_forward() -> None:
    start = datetime(2026, 3, 28, 12, tzinfo=BERLIN)  # the night from the 28th to the 29th has no hour from 2 to 3
    assert local(Cron("30 2 * * *", "Europe/Berlin"), start, 2) == ["29. 03:00 CEST", "30. 02:30 CEST"]
    assert local(Cron("15,45 2 * * *", "Europe/Berlin"), start, 2) == ["29. 03:00 CEST", "30. 02:15 CEST"]
    assert local(Cron("*/30 * * * *", "Europe/Berlin"), start + timedelta(hours=13), 4) == [
        "29. 01:30 CET",
        "29. 03:00 CEST",
        "29. 03:30 CEST",
        "29. 04:00 CEST",
    ]


def test_a_line_with_seconds_minds_both_as_one_without_does() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert local(Cron("0 30 2 * * *", "Europe/Berlin"), spring, 2) == ["29. 03:00 CEST", "30. 02:30 CEST"]
    assert local(Cron("0 30 2 * * *", "Europe/Berlin"), autumn, 2) == ["25. 02:30 CEST", "26. 02:30 CET"]
    moments, moment = list[float](), spring.timestamp()
    cron = Cron("10,40 30 2 * * *", "Europe/Berlin")
    for _ in range(3):
        moment = cron.after(moment) or 0.0
        moments.append(moment)
    assert [datetime.fromtimestamp(each, BERLIN).strftime("%d. %H:%M:%S") for each in moments] == [
        "29. 03:00:10",
        "29. 03:00:40",
        "30. 02:30:10",
    ]


def test_in_autumn_a_time_that_comes_twice_is_meant_once_and_an_interval_goes_on() -> None:
    start = datetime(2026, 10, 24, 12, tzinfo=BERLIN)  # in the night to the 25th, the hour from 2 to 3 comes twice
    assert local(Cron("30 2 * * *", "Europe/Berlin"), start, 2) == ["25. 02:30 CEST", "26. 02:30 CET"]
    between = datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1)
    assert local(Cron("30 2 * * *", "Europe/Berlin"), between, 1) == ["26. 02:30 CET"]
    assert local(Cron("*/30 * * * *", "Europe/Berlin"), start + timedelta(hours=14, minutes=-1), 5) == [
        "25. 02:00 CEST",
        "25. 02:30 CEST",
        "25. 02:00 CET",
        "25. 02:30 CET",
        "25. 03:00 CET",
    ]


def test_a_moment_is_spelled_the_same_in_every_process_and_no_two_alike() -> None:
    assert spelled(NOW) == "2026-09-21T14:13:20Z"
    assert spelled(NOW + 0.25) == "2026-09-21T14:13:20.250000Z"
    assert datetime.fromisoformat(spelled(NOW)) == datetime.fromtimestamp(NOW, UTC)


@pytest.mark.parametrize(
    ("spec", "tz", "why"),
    [
        ("* * * *", "UTC", "wrong number of fields; expected minute, hour"),
        ("61 * * * *", "UTC", "bad minute; expected minute, hour"),
        ("0 0 31 2 *", "UTC", "day-of-month"),
        ("0 0 * 2 1#7", "UTC", "bad day-of-week"),
        ("* * * * *", "Mars/Olympus", "there is no such time zone here"),
        ("* * * * *", "../etc/passwd", "there is no such time zone here"),
        (5, "UTC", "expected a line of text"),
        ("* * * * *", None, "the name of a time zone"),
    ],
)
def test_a_line_that_means_nothing_is_refused_with_what_was_expected(spec: str, tz: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Cron(spec, tz)


@pytest.mark.parametrize("seconds", [0, -1, 0.05, float("inf"), float("nan"), True, "5"])
def test_an_interval_must_be_a_tenth_of_a_second_at_least(seconds: float) -> None:
    with pytest.raises(ConfigError, match="every: expected"):
        Every(seconds)


def test_without_the_parser_the_error_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['cronsim'] = None\n"
        "from typeddingo import App, ConfigError\n"
        "App('local').every(seconds=5)\n"
        "try: App('local').cron('* * * * *')\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "cron needs the package cronsim: pip install 'typeddingo[cron]'\n"
