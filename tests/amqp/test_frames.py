"""The frames that go past pika are the ones that pika would have read and written."""

from __future__ import annotations

import pytest
from pika.frame import Body, Header, Method, decode_frame
from pika.spec import Basic, BasicProperties

from typeddingo._io.amqp_answer import Answer
from typeddingo._io.amqp_encoder import Encoder
from typeddingo._io.amqp_frames import SMALL_BODY, Delivered, acknowledge, confirmed_in, content_at
from typeddingo._io.amqp_message import Message, Route

CHANNEL = 7


def delivery(properties: BasicProperties, body: bytes, *, redelivered: bool = False) -> list[bytes]:
    """The frames of a message, as a server writes them."""
    deliver = Method(CHANNEL, Basic.Deliver("tasks-1", 3, redelivered, "", "tdg.task.add"))
    bodies = [Body(CHANNEL, body).marshal()] if body else []
    return [deliver.marshal(), Header(CHANNEL, len(body), properties).marshal(), *bodies]


def read(frames: list[bytes], before: bytes = b"", after: bytes = b"") -> tuple[Delivered | None, int] | None:
    start = len(before)
    return content_at(before + b"".join(frames) + after, start, start + len(frames[0]), CHANNEL)


@pytest.mark.parametrize("body", [b"", b"x", b"\xce" * 1000])
@pytest.mark.parametrize(
    "properties",
    [
        BasicProperties(),
        BasicProperties(content_type="text/json", delivery_mode=2, reply_to="me", message_id="id", type="kind"),
        BasicProperties(message_id="ä" * 100, reply_to=""),
        BasicProperties(headers={"tdg-attempts": 2, "x-delivery-count": 1}, message_id="id", timestamp=12),
    ],
)
def test_a_delivery_is_read_as_pika_reads_it(properties: BasicProperties, body: bytes) -> None:
    frames = delivery(properties, body, redelivered=True)
    found = read(frames, b"before", b"after")
    expected = Delivered.by_pika("tasks-1", 3, True, properties, body)
    assert found == (expected, 6 + len(b"".join(frames)))


def test_a_delivery_that_is_not_all_here_is_waited_for() -> None:
    frames = delivery(BasicProperties(message_id="id"), b"body")
    whole = b"".join(frames)
    for end in range(len(frames[0]), len(whole)):
        assert content_at(whole[:end], 0, len(frames[0]), CHANNEL) is None


def test_a_large_body_one_in_pieces_and_one_between_other_frames_are_left_to_pika() -> None:
    large = delivery(BasicProperties(), b"x" * (SMALL_BODY + 1))
    assert read(large) == (None, len(large[0]))
    assert read(large[:2]) == (None, len(large[0]))
    pieces = [*delivery(BasicProperties(), b"xy")[:2], Body(CHANNEL, b"x").marshal(), Body(CHANNEL, b"y").marshal()]
    assert read(pieces) == (None, len(pieces[0]))
    other = Method(CHANNEL + 1, Basic.Ack(1)).marshal()
    head, *rest = delivery(BasicProperties(), b"xy")
    assert read([head, other, *rest]) == (None, len(head))
    assert read([head, rest[0], other, rest[1]]) == (None, len(head))


@pytest.mark.parametrize("multiple", [False, True])
def test_acknowledgements_are_those_of_pika(multiple: bool) -> None:
    ack = Method(CHANNEL, Basic.Ack(2**40, multiple)).marshal()
    assert acknowledge(CHANNEL, 2**40, multiple) == ack
    assert confirmed_in(b"before" + ack, 6) == (2**40, multiple)


def message(
    body: bytes = b"body",
    *,
    key: str = "tdg.task.add",
    content_type: str | None = None,
    id: str = "",
    reply_to: str = "",
    kind: str | None = None,
) -> Message:
    route = Route("", key, None, content_type)
    return Message(route, body, Answer(1, 1.0), id=id, reply_to=reply_to, kind=kind)


@pytest.mark.parametrize(
    "sent",
    [
        message(),
        message(b""),
        message(id="ü", reply_to="tdg.reply.1", kind="tdg.reports"),
        message(content_type="text/json", key="k" * 255),
    ],
)
def test_a_message_is_published_as_pika_publishes_it(sent: Message) -> None:
    rest = Encoder(CHANNEL, 4096).frames(sent) or b""
    frames: list[object] = []
    while rest:
        size, frame = decode_frame(rest)
        frames.append(frame)
        rest = rest[size:]
    method, header, *bodies = frames
    assert isinstance(method, Method)
    publish: object = method.method  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]  # isinstance knows no type arguments
    assert isinstance(publish, Basic.Publish)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == ("", sent.route.key, True)
    assert isinstance(header, Header)
    assert (header.body_size, header.properties) == (len(sent.body), sent.properties())
    assert [body.fragment for body in bodies if isinstance(body, Body)] == ([sent.body] if sent.body else [])


def test_what_is_unusual_and_what_amqp_cannot_carry_is_left_to_pika() -> None:
    encoder = Encoder(CHANNEL, 4096)
    assert encoder.frames(message(b"x" * (4096 - 8))) is not None
    assert encoder.frames(message(b"x" * (4096 - 7))) is None
    assert encoder.frames(message(reply_to="x" * 256)) is None
    assert encoder.frames(message(key="\ud800")) is None
    with_headers = Message(Route("", "key"), b"", Answer(1, 1.0), headers={"tdg-attempts": 1})
    assert encoder.frames(with_headers) is None
