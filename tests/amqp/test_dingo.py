"""``layout="dingo"`` as a Go dingo process on the same server sees it: by hand, from GO's names and frames."""

from __future__ import annotations

import time

import pika
import pytest

from tests.amqp.by_hand import by_hand, codes, count, get, heard, take
from typeddingo.backends.amqp import AmqpBackend
from typeddingo.broker import Parcel, Receipt
from typeddingo.brokers.amqp import AmqpBroker
from typeddingo.events import EventCode
from typeddingo.header import frame_bytes
from typeddingo.message import Meta
from typeddingo.testing import eventually

FRAME = frame_bytes("id-1", "job", b'{"O":{"IR":false,"MP":false},"A":[1]}')
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="text/json")


@pytest.fixture
def url(amqp_url: str) -> str:
    return f"{amqp_url}?layout=dingo"


def test_a_go_worker_finds_what_we_send(url: str) -> None:
    broker = AmqpBroker(url)
    assert not broker.carries_reply_to
    broker.send([Parcel(Meta("job", "id-1", "ignored"), FRAME)]).wait(10)
    with by_hand(url) as channel:
        channel.exchange_declare("dingo.x.task", "direct", durable=True)  # as Go declares them: the same arguments
        channel.queue_declare("dingo.q.task.job", durable=True)
        _, properties, body = get(channel, "dingo.q.task.job")
    assert body == FRAME
    assert (properties.delivery_mode, properties.content_type, properties.reply_to) == (2, "text/json", None)
    broker.close()


def test_we_find_what_a_go_caller_sends(url: str) -> None:
    with by_hand(url) as channel:
        channel.exchange_declare("dingo.x.task", "direct", durable=True)
        channel.queue_declare("dingo.q.task.job", durable=True)
        channel.queue_bind("dingo.q.task.job", "dingo.x.task", "job")
        channel.basic_publish("dingo.x.task", "job", FRAME, PERSISTENT)
    broker = AmqpBroker(url)
    (delivery,) = take(broker.add_listener("job"))
    assert (delivery.body, delivery.reply_to, delivery.attempt) == (FRAME, "", 1)
    broker.close()


def test_a_task_is_acknowledged_when_it_is_taken(url: str) -> None:
    """At most once, as in Go: who dies with it takes it along."""
    broker = AmqpBroker(url)
    listener = broker.add_listener("job")
    broker.send([Parcel(Meta("job", "id-1"), FRAME)]).wait(10)
    (delivery,) = take(listener)
    delivery.settle(Receipt.OK)
    broker.close()
    assert count(url, "dingo.q.task.job") == 0
    broker = AmqpBroker(url)
    broker.send([Parcel(Meta("job", "id-1"), FRAME)]).wait(10)
    take(broker.add_listener("job"))
    eventually(lambda: count(url, "dingo.q.task.job") == 0, "it is gone")
    broker.close()


def test_a_taken_task_that_is_given_back_is_sent_again(url: str) -> None:
    broker, other = AmqpBroker(url), AmqpBroker(url)
    listener = broker.add_listener("job")
    broker.send([Parcel(Meta("job", "id-1"), FRAME)]).wait(10)
    (delivery,) = take(listener)
    listener.close()
    delivery.settle(Receipt.GIVE_BACK)
    assert take(other.add_listener("job"))[0].body == FRAME
    broker.close()
    other.close()


@pytest.mark.parametrize("bad", [b"no frame", frame_bytes("id-1", "another", b"{}")], ids=["header", "name"])
def test_what_is_refused_is_rejected_for_a_dead_letter_policy_and_the_listener_lives(url: str, bad: bytes) -> None:
    broker = AmqpBroker(url)
    events = heard(broker.events())
    listener = broker.add_listener("job")
    for body in (bad, FRAME):
        broker.send([Parcel(Meta("job", "id-1"), body)]).wait(10)
    (refused,) = take(listener)
    assert refused.body == bad
    refused.settle(Receipt.NOK)
    (good,) = take(listener)
    assert good.body == FRAME
    good.settle(Receipt.OK)
    assert len(codes(events, EventCode.DEAD_LETTER)) == 1
    broker.close()
    assert count(url, "dingo.q.task.job") == 0


def test_a_go_worker_reports_to_us(url: str) -> None:
    store = AmqpBackend(url)
    assert store.reply_to == ""
    meta = Meta("job", "id-1")
    stream = store.poll(meta)
    with by_hand(url) as channel:  # BeforeReport: the same declarations
        channel.exchange_declare("dingo.x.result", "direct", durable=True)
        channel.queue_declare("dingo.q.job.id-1", durable=True)
        channel.queue_bind("dingo.q.job.id-1", "dingo.x.result", "dingo.rkey.job.id-1")
        for frame in (b"sent", b"success"):
            channel.basic_publish("dingo.x.result", "dingo.rkey.job.id-1", frame, PERSISTENT)
    frames: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(frames) < 2 and time.monotonic() < deadline:
        frames += stream.take(1)
    assert frames == [b"sent", b"success"]
    store.done(meta)
    eventually(lambda: _is_gone(url, "dingo.q.job.id-1"), "its queue is deleted")
    store.close()


def test_we_report_to_a_go_caller(url: str) -> None:
    reporter = AmqpBackend(url)
    reporter.before_report(Meta("job", "id-1"))
    reporter.report([Parcel(Meta("job", "id-1"), b"sent"), Parcel(Meta("job", "id-1"), b"success")])
    with by_hand(url) as channel:
        channel.queue_declare("dingo.q.job.id-1", durable=True)
        assert [get(channel, "dingo.q.job.id-1")[2] for _ in range(2)] == [b"sent", b"success"]
    reporter.close()


def test_results_that_share_a_queue_in_go_are_told_apart_by_their_frames(url: str) -> None:
    store, reporter = AmqpBackend(url), AmqpBackend(url)
    metas = [Meta("a.b", "c"), Meta("a", "b.c")]
    streams = [store.poll(meta) for meta in metas]
    frames = [frame_bytes(meta.id, meta.name, b"{}") for meta in metas]
    reporter.report([Parcel(meta, frame) for meta, frame in zip(metas, frames, strict=True)])
    assert [list(stream.take(10)) for stream in streams] == [[frame] for frame in frames]
    store.done(metas[0])
    reporter.report([Parcel(metas[1], frames[1])])
    assert list(streams[1].take(10)) == [frames[1]]
    store.close()
    reporter.close()
    assert _is_gone(url, "dingo.q.a.b.c")


def test_a_caller_that_has_left_finds_no_queue_made_for_it_again(url: str) -> None:
    reporter, meta = AmqpBackend(url), Meta("job", "id-1")
    events = heard(reporter.events())
    reporter.report([Parcel(meta, b"sent")])
    with by_hand(url) as channel:  # Go's Done
        channel.queue_delete("dingo.q.job.id-1")
    reporter.report([Parcel(meta, b"success")])
    reporter.close()
    assert len(codes(events, EventCode.REPORT_DROPPED)) == 1
    assert _is_gone(url, "dingo.q.job.id-1")


def test_what_was_fetched_and_not_taken_keeps_its_place_in_the_queue(url: str) -> None:
    broker = AmqpBroker(url)
    bodies = [frame_bytes(f"id-{number}", "job", b"{}") for number in range(6)]
    broker.send([Parcel(Meta("job", "id"), body) for body in bodies]).wait(10)
    (first,) = take(broker.add_listener("job", 4))
    assert first.body == bodies[0]
    broker.close()
    with by_hand(url) as channel:
        assert [get(channel, "dingo.q.task.job")[2] for _ in bodies[1:]] == bodies[1:]


def _is_gone(url: str, queue: str) -> bool:
    try:
        count(url, queue)
    except Exception as error:
        return "NOT_FOUND" in repr(error)
    return False
