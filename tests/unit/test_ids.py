"""Id makers: unique, well-formed, from many threads, in a forked child."""

from __future__ import annotations

import multiprocessing
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import pytest

from typeddingo.ids import IDMaker, IDMakerID, SeqIDMaker, UUIDMaker


def _from_threads(new_id: Callable[[str], str], threads: int, each: int) -> list[str]:
    def several() -> list[str]:
        return [new_id("task") for _ in range(each)]

    with ThreadPoolExecutor(threads) as pool:
        made = [pool.submit(several) for _ in range(threads)]
    return [id for ids in made for id in ids.result()]


def test_a_uuid_is_random_of_version_4_and_36_characters() -> None:
    for _ in range(1000):  # more than one batch
        text = UUIDMaker().new_id("task")
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


def test_every_bit_of_a_uuid_that_may_vary_does() -> None:
    seen_set = seen_clear = 0
    for _ in range(512):
        number = uuid.UUID(UUIDMaker().new_id("task")).int
        seen_set |= number
        seen_clear |= ~number
    always = uuid.UUID("00000000-0000-4000-8000-000000000000").int
    never = uuid.UUID("00000000-0000-b000-4000-000000000000").int
    every_bit = (1 << 128) - 1
    assert seen_set & every_bit == every_bit ^ never
    assert seen_clear & every_bit == every_bit ^ always


@pytest.mark.parametrize("maker", [UUIDMaker(), SeqIDMaker()])
def test_no_two_threads_get_the_same_id(maker: IDMaker) -> None:
    made = _from_threads(maker.new_id, threads=8, each=2000)
    assert len(set(made)) == 16_000


def test_makers_share_no_uuid() -> None:
    first, second = UUIDMaker(), UUIDMaker()
    assert len({maker.new_id("task") for _ in range(1000) for maker in (first, second)}) == 2000


def test_a_sequence_counts_from_1_for_all_names_together() -> None:
    maker = SeqIDMaker()
    assert [maker.new_id(name) for name in ("a", "b", "a")] == ["1", "2", "3"]
    assert SeqIDMaker().new_id("a") == "1"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the child makes ids only
def test_a_forked_child_does_not_repeat_its_parents_ids() -> None:
    maker = UUIDMaker()
    maker.new_id("task")  # the pool is full now, and would be copied
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=_send_ids, args=(theirs,))
    child.start()
    from_child: list[str] = ours.recv() if ours.poll(20) else []
    child.join(20)
    assert len(from_child) == 300
    assert not set(from_child) & {maker.new_id("task") for _ in range(300)}


def _send_ids(pipe: Connection) -> None:
    pipe.send([UUIDMaker().new_id("task") for _ in range(300)])


def test_the_numbers_of_the_makers_are_gos() -> None:
    assert [(maker.name, int(maker)) for maker in IDMakerID] == [("DEFAULT", 0), ("UUID", 1), ("SEQ", 2)]


def test_anything_with_new_id_is_an_id_maker() -> None:
    class Dated:
        def new_id(self, name: str, /) -> str:
            return f"{name}-2026"

    maker: IDMaker = Dated()
    assert isinstance(maker, IDMaker)
    assert maker.new_id("report") == "report-2026"
    assert not isinstance(object(), IDMaker)
