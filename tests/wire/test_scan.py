"""The scanner that looks at JSON without parsing it, against a parser."""

from __future__ import annotations

import json
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hostile import nested
from typeddingo.errors import WireError
from typeddingo.marshallers.scan import longer_number, nesting, split_object

trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[]{}"\\a', max_size=4), inner, max_size=4),
    max_leaves=20,
)


def _depth(tree: object) -> int:
    if isinstance(tree, dict):
        inner = list(cast("dict[str, object]", tree).values())
    elif isinstance(tree, list):
        inner = cast("list[object]", tree)
    else:
        return 0
    return 1 + max(map(_depth, inner), default=0)


@given(tree=trees, limit=st.integers(1, 6), ascii_only=st.booleans())
def test_the_depth_of_json_is_counted_without_parsing_it(tree: Any, limit: int, ascii_only: bool) -> None:
    data = json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert (nesting(data, limit) > limit) == (_depth(tree) > limit)


def test_depth_is_counted_across_the_windows_of_a_long_text() -> None:
    strings = b",".join([b'"[[["', b'"]"'] * 30_000)
    assert nesting(b"[" + strings + b"," + nested(4) + b"]", 5) == 5
    assert nesting(b"[" + strings + b"," + nested(5) + b"]", 5) == 6


@given(members=st.dictionaries(st.text(), trees, max_size=5), indent=st.sampled_from([None, 1]))
def test_an_object_is_cut_at_its_top_level(members: dict[str, Any], indent: int | None) -> None:
    parts = split_object(json.dumps(members, indent=indent).encode())
    assert {key: json.loads(part) for key, part in parts.items()} == members


@given(data=st.text('{}[]":,\\ a1').map(str.encode) | st.binary())
def test_cutting_anything_else_is_an_object_or_a_wire_error(data: bytes) -> None:
    try:
        parts = split_object(data)
    except WireError:
        return
    assert all(part and part in data for part in parts.values())


def test_digits_count_in_numbers_and_not_in_strings() -> None:
    assert longer_number(b'[123456,"1"]', 5)
    assert longer_number(b"[123.456]", 5)
    assert not longer_number(b'["123456",12345]', 5)
    assert not longer_number(b"[12345]", 5)
