"""Reports find the caller through one queue, are dropped aloud when he is gone, and survive lost connections."""

from __future__ import annotations

import time

import pika
import pytest

from tests.amqp.by_hand import KICK_ALL, by_hand, codes, count, heard
from tests.servers import RabbitServer
from tests.servers.ports import free_port
from typeddingo.backend import ReportStream
from typeddingo.backends.amqp import AmqpBackend
from typeddingo.broker import Parcel
from typeddingo.errors import ConfigError, ConnectionLost, PayloadTooLarge, ResultClosed, SendError, SendUnknown
from typeddingo.events import EventCode, EventLevel
from typeddingo.message import Meta
from typeddingo.testing import eventually


def take(stream: ReportStream, count: int = 1) -> list[bytes]:
    frames: list[bytes] = []
    deadline = time.monotonic() + 10
    while len(frames) < count and time.monotonic() < deadline:
        frames += stream.take(0.5)
    assert len(frames) == count
    return frames


def test_a_batch_for_one_caller_is_one_message(amqp_url: str) -> None:
    caller, worker = AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    metas = [Meta("job", str(number), caller.reply_to) for number in range(20)]
    caller.poll(metas[0])
    caller.close()  # nobody reads what comes now
    with by_hand(amqp_url) as channel:
        channel.queue_declare("somebody", durable=True)
    worker.report([Parcel(Meta("job", meta.id, "somebody"), b"report") for meta in metas])
    assert count(amqp_url, "somebody") == 1
    worker.close()


def test_the_report_of_a_caller_that_is_gone_is_dropped_aloud(amqp_url: str) -> None:
    caller, worker = AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    events = heard(worker.events())
    gone, none = Meta("job", "1", caller.reply_to), Meta("job", "2")
    caller.poll(gone)
    caller.close()
    worker.report([Parcel(gone, b"late"), Parcel(none, b"nowhere to go")])
    dropped = [(e.id, e.level) for e in events if e.code is EventCode.REPORT_DROPPED]
    assert sorted(dropped) == [("1", EventLevel.WARNING), ("2", EventLevel.WARNING)]
    worker.close()


def test_a_caller_survives_lost_connections_and_so_do_its_reports(rabbit_server: RabbitServer, amqp_url: str) -> None:
    caller, worker = AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    events = heard(caller.events())
    metas = [Meta("job", str(number), caller.reply_to) for number in range(6)]
    streams = [caller.poll(meta) for meta in metas]
    worker.report([Parcel(metas[0], b"0")])
    for number in range(1, 6):
        if number % 2:
            rabbit_server.eval(KICK_ALL)
        try:
            worker.report([Parcel(metas[number], b"%d" % number)])
        except SendUnknown:
            worker.report([Parcel(metas[number], b"%d" % number)])
    for number, stream in enumerate(streams):
        assert set(stream.take(10)) == {b"%d" % number}
    eventually(lambda: any("back" in what for what in codes(events, EventCode.CONNECTION)), "it was told")
    caller.close()
    worker.close()


def test_a_caller_survives_a_restart_of_the_server(own_rabbit: RabbitServer) -> None:
    caller, worker = AmqpBackend(own_rabbit.url()), AmqpBackend(own_rabbit.url())
    before, after = (Meta("job", id, caller.reply_to) for id in ("before", "after"))
    stream, later = caller.poll(before), caller.poll(after)
    worker.report([Parcel(before, b"stored before")])
    assert take(stream) == [b"stored before"]
    own_rabbit.restart()
    deadline = time.monotonic() + 30
    while True:
        try:
            worker.report([Parcel(after, b"stored after")])
            break
        except (SendError, SendUnknown):
            assert time.monotonic() < deadline
    assert set(take(later)) == {b"stored after"}
    caller.close()
    worker.close()


def test_the_reply_queue_lives_as_long_as_its_store_and_expires_after_it(amqp_url: str) -> None:
    store = AmqpBackend(f"{amqp_url}?result_ttl=60")
    store.poll(Meta("job", "1", store.reply_to))
    with by_hand(amqp_url) as channel:  # the same arguments: it exists with these
        channel.queue_declare(store.reply_to, durable=True, arguments={"x-expires": 60_000})
    store.close()
    with pytest.raises(Exception, match="NOT_FOUND"):
        count(amqp_url, store.reply_to)


def test_hostile_bytes_in_the_reply_queue_are_told_and_harm_no_other_result(amqp_url: str) -> None:
    caller, worker = AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    events = heard(caller.events())
    meta = Meta("job", "1", caller.reply_to)
    stream = caller.poll(meta)
    with by_hand(amqp_url) as channel:
        for body in (b"", b"\xff" * 40, b"\0\0\0\1\xff\xff\xff\xff"):
            for kind in (None, "tdg.reports"):
                channel.basic_publish("", caller.reply_to, body, pika.BasicProperties(type=kind))
    worker.report([Parcel(meta, b"good")])
    assert take(stream) == [b"good"]
    assert len(codes(events, EventCode.UNDECODABLE)) == 6
    caller.close()
    worker.close()


def test_nobody_may_poll_without_a_way_back() -> None:
    store = AmqpBackend(f"amqp://127.0.0.1:{free_port()}/?connect_timeout=0.3")
    with pytest.raises(SendError, match="nothing was sent") as caught:
        store.poll(Meta("job", "1", store.reply_to))
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert store.outstanding() == 0
    with pytest.raises(ConnectionLost):
        store.ping()
    store.close()


def test_a_server_that_refuses_us_is_told_to_whoever_polls_reports_or_pings(rabbit_server: RabbitServer) -> None:
    store = AmqpBackend(f"amqp://guest:wrong@127.0.0.1:{rabbit_server.port}/")
    with pytest.raises(ConfigError, match="credentials"):
        store.poll(Meta("job", "1", store.reply_to))
    with pytest.raises(ConfigError, match="credentials"):
        store.ping()
    with pytest.raises(ConfigError, match="credentials"):
        store.report([Parcel(Meta("job", "1", "somewhere"), b"")])
    store.close()


def test_a_report_above_the_limit_is_refused_before_the_socket(amqp_url: str) -> None:
    worker = AmqpBackend(amqp_url, max_frame=1024 + 100)
    with pytest.raises(PayloadTooLarge):
        worker.report([Parcel(Meta("job", "1", "somewhere"), bytes(101))])
    worker.close()


def test_a_store_keeps_nothing_for_other_processes(amqp_url: str) -> None:
    store = AmqpBackend(amqp_url)
    with pytest.raises(ResultClosed, match="AmqpBackend keeps no reports"):
        store.reattach(Meta("job", "1")).take(1)
    store.close()


def test_ten_megabytes_travel_both_ways(amqp_url: str) -> None:
    caller, worker = AmqpBackend(amqp_url), AmqpBackend(amqp_url)
    meta = Meta("job", "1", caller.reply_to)
    stream = caller.poll(meta)
    frame = bytes(range(256)) * (10 * 4096)
    begin = time.monotonic()
    worker.report([Parcel(meta, frame)])
    assert take(stream) == [frame]
    assert time.monotonic() - begin < 5
    caller.close()
    worker.close()
