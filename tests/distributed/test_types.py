"""Every type that can travel, to a worker in another process and back."""

from __future__ import annotations

import pytest

from tests.distributed.program import CHUNKS, MARSHALLERS, Program
from tests.wire.test_roundtrip import same
from typeddingo import MarshallerID

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECONDS = 30.0


@pytest.mark.parametrize("marshaller", MARSHALLERS, ids=lambda marshaller: marshaller.name)
def test_every_value_comes_back_as_itself_from_another_process(program: Program, marshaller: MarshallerID) -> None:
    with program.app.batch():
        results = [
            program.echoes[marshaller, number].call(*(value for _, value in chunk))
            for number, chunk in enumerate(CHUNKS)
        ]
    wrong: list[str] = []
    for result, chunk in zip(results, CHUNKS, strict=True):
        returned = result.get(SECONDS)
        assert len(returned) == len(chunk)
        wrong += [
            f"{annotation}: {sent!r} came back as {got!r} ({type(got).__name__})"
            for got, (annotation, sent) in zip(returned, chunk, strict=True)
            if not same(got, sent)
        ]
    assert wrong == []
