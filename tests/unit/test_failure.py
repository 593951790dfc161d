"""An exception as text that can travel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typeddingo.errors import ErrorCode
from typeddingo.failure import failure_of, not_invoked
from typeddingo.readable import TEXT_LIMIT, tidy


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


def test_type_message_and_traceback_are_told() -> None:
    failure = failure_of(raised(ValueError("no")))
    assert (failure.code, failure.message, failure.exception_type) == (ErrorCode.PANIC, "no", "ValueError")
    assert failure.traceback.startswith("Traceback")
    assert "raise error" in failure.traceback
    assert failure_of(Mute()).exception_type == f"{__name__}.Mute"


def test_an_exception_that_cannot_describe_itself_is_described() -> None:
    failure = failure_of(raised(Mute()))
    assert "has no message" in failure.message
    assert "Mute" in failure.traceback


def test_control_characters_never_reach_a_terminal() -> None:
    failure = failure_of(raised(ValueError("red\x1b[31m\r\x00 \u202e tab\tline\n")))
    assert failure.message == "red\\x1b[31m\\r\\x00 \\u202e tab\tline\n"
    assert "\x1b" not in failure.traceback


def test_long_texts_are_capped_and_a_traceback_keeps_its_end() -> None:
    failure = failure_of(raised(ValueError("é" * 100_000)))
    assert len(failure.message.encode()) <= TEXT_LIMIT
    assert len(failure.traceback.encode()) <= TEXT_LIMIT
    assert failure.message.startswith("ééé")

    def sink(depth: int) -> None:
        if depth == 0:
            raise LookupError("at the bottom")
        sink(depth - 1)

    with pytest.raises(LookupError) as caught:
        sink(300)
    assert failure_of(caught.value).traceback.endswith("LookupError: at the bottom\n")


def test_causes_are_told() -> None:
    error = ValueError("outer")
    error.__cause__ = raised(KeyError("inner"))
    assert "KeyError: 'inner'" in failure_of(raised(error)).traceback


def test_what_could_not_be_called_says_why() -> None:
    failure = not_invoked(ValueError("no such thing"))
    assert (failure.code, failure.message, failure.traceback) == (ErrorCode.INVOKE, "no such thing", "")


@given(st.text(st.characters()))
def test_any_message_can_travel(message: str) -> None:
    failure = failure_of(raised(ValueError(message)))
    for text in (failure.message, failure.traceback):
        assert len(text.encode()) <= TEXT_LIMIT
        assert text.replace("\n", "").replace("\t", "").isprintable()


@given(
    st.text(st.characters()) | st.text(st.characters(), min_size=1, max_size=9).map(lambda text: text * 4000),
    st.booleans(),
)
def test_what_is_tidy_stays_as_it_is(text: str, keep_tail: bool) -> None:
    once = tidy(text, keep_tail=keep_tail)
    assert tidy(once, keep_tail=keep_tail) == once
