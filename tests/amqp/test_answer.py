"""What one answer for a batch says, by what became of its messages."""

from __future__ import annotations

import threading

import pytest

from typeddingo._io.amqp_answer import Answer
from typeddingo.errors import QueueFull, SendError, SendUnknown, TypedDingoError

FULL, UNKNOWN = QueueFull("full"), SendUnknown("lost")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([None, None], None),
        ([FULL, FULL], QueueFull),
        ([FULL, UNKNOWN], SendUnknown),
        ([UNKNOWN, FULL], SendUnknown),
        ([None, UNKNOWN], SendUnknown),
        ([None, FULL], SendUnknown),  # sending all of it again would not be safe
        ([FULL, None], SendUnknown),
    ],
)
def test_a_batch_is_as_certain_as_its_least_certain_message(
    outcomes: list[TypedDingoError | None], expected: type[TypedDingoError] | None
) -> None:
    answer, heard = Answer(2, 1.0), list[BaseException | None]()
    answer.add_done_callback(heard.append)
    for outcome in outcomes:
        assert heard == []
        answer.settle(outcome)
    answer.add_done_callback(heard.append)
    assert [type(error) for error in heard] == [type(None) if expected is None else expected] * 2
    if expected is None:
        answer.wait()
    else:
        with pytest.raises(expected):
            answer.wait()


def test_an_empty_batch_is_stored() -> None:
    Answer(0, 1.0).wait(0)


def test_waiting_ends_with_its_timeout_and_can_be_done_again() -> None:
    answer = Answer(1, 60.0)
    with pytest.raises(SendUnknown, match=r"within 0\.01 s"):
        answer.wait(0.01)
    answer.settle(None)
    answer.wait(0)


def test_everybody_who_waits_is_answered() -> None:
    answer, answers = Answer(1, 60.0), list[str]()

    def wait() -> None:
        try:
            answer.wait(10)
        except SendError as error:
            answers.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    answer.settle(FULL)
    for thread in threads:
        thread.join(10)
    assert answers == ["full"] * 4


def test_a_report_proves_that_its_task_was_stored() -> None:
    answer, heard = Answer(1, 60.0), list[BaseException | None]()
    answer.add_done_callback(heard.append)
    answer.prove()
    answer.wait(0)
    answer.settle(UNKNOWN)  # the server's own answer, or that none came: it is known better
    answer.prove()
    answer.wait(0)
    assert heard == [None]


def test_a_report_proves_nothing_about_the_others_of_a_batch() -> None:
    answer = Answer(2, 60.0)
    answer.settle(None)
    answer.prove()
    answer.settle(FULL)
    with pytest.raises(SendUnknown):
        answer.wait(0)
