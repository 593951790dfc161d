"""Decoding is total and bounded: random, structured and damaged frames into all decoders."""

from __future__ import annotations

import json
import random
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.fuzzing import attack, memory_of_attack, mutated, seeds
from tests.wire.hostile import CONTRACTS
from typeddingo.header import compose_bytes, frame_bytes

names = st.sampled_from(sorted(CONTRACTS))
trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.just("5"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["x", "y", "leaf", "twigs", "O", "A", "X", "K"]) | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(frame=st.binary(max_size=200))
def test_random_bytes(frame: bytes) -> None:
    attack(frame)


@given(name=names, payload=st.binary(max_size=100))
def test_random_payloads_under_a_good_header(name: str, payload: bytes) -> None:
    attack(frame_bytes("1", name, payload), name)


@given(name=names, chunks=st.lists(st.binary(max_size=20) | st.sampled_from([b"3", b"4", b"null", b"{}"]), max_size=6))
def test_random_chunks_under_a_good_header(name: str, chunks: list[bytes]) -> None:
    attack(compose_bytes("1", name, chunks), name)


@given(name=names, tree=trees)
def test_any_tree_as_payload(name: str, tree: Any) -> None:
    attack(frame_bytes("1", name, json.dumps(tree).encode("utf-8", "surrogatepass")), name)
    attack(frame_bytes("1", name, _packed(tree)), name)


@given(name=names, arguments=st.lists(trees, max_size=2), status=st.integers(0, 5), extra=trees)
def test_any_tree_as_argument_or_return_value(name: str, arguments: list[Any], status: int, extra: Any) -> None:
    option = {"IR": False, "MP": True, "X": extra}
    for payload in ({"O": option, "A": arguments}, {"S": status, "E": extra, "O": option, "R": arguments}):
        attack(frame_bytes("1", name, json.dumps(payload, separators=(",", ":")).encode()), name)
    chunks = [json.dumps(argument).encode() for argument in arguments]
    attack(compose_bytes("1", name, [*chunks, json.dumps(option).encode()]), name)
    attack(compose_bytes("1", name, [*chunks, b"%d" % status, b"null", b"{}"]), name)
    for packed in ([1, arguments], [1, arguments, extra, "r"], [status, 1, arguments], [status, 1, arguments, extra]):
        attack(frame_bytes("1", name, _packed(packed)), name)


SEEDS = seeds()


@settings(max_examples=400, deadline=None)
@given(first=st.sampled_from(SEEDS), second=st.sampled_from(SEEDS), seed=st.integers(0, 1 << 32))
def test_damaged_frames_within_bounded_memory(first: bytes, second: bytes, seed: int) -> None:
    frame = mutated(first, second, random.Random(seed))
    assert memory_of_attack(frame) <= 5 * len(frame) + 512 * 1024


@pytest.mark.slow
def test_ten_thousand_damaged_frames() -> None:
    dice = random.Random(20261124)
    outcomes = sum(
        (attack(mutated(dice.choice(SEEDS), dice.choice(SEEDS), dice)) for _ in range(10_000)), start=attack(b"")
    )
    assert set(outcomes) == {"value", "HeaderError", "DecodeError", "LimitError"}


def _packed(tree: Any) -> bytes:
    return msgpack.packb(tree)
