"""Every value for every annotation: what does not fit is refused, and nothing is changed to make it fit."""

from __future__ import annotations

import json
from typing import Any, cast

from tests.support.carried import CARRIED
from tests.support.classes import CLASSES
from typeddingo.contract import Contract
from typeddingo.errors import WireError
from typeddingo.header import Header, frame_bytes
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.message import TaskMessage

JSON = JSONMarshaller()
OPTION = b'{"O":{"IR":false,"MP":false},"A":['
STRANGE = b'null true 0 1 1.9 "" "5" "false" "1e3" [] {} [1] {"a":1} {"$type":"x"} ["x"] [null] 1e3'.split()
"""What a lenient reader would bend into something else."""


def contract_of(annotation: Any) -> Contract:
    def task(value: object) -> None: ...

    task.__annotations__["value"] = annotation
    return Contract.of(task, name="task")


def written(contract: Contract, value: object) -> bytes:
    """The argument as it stands on the wire."""
    frame = JSON.encode_task(contract, TaskMessage("task", "1", (value,)))
    return json.dumps(json.loads(frame[Header.from_bytes(frame).length :])["A"][0]).encode()


def is_kept(one: Any, other: Any) -> bool:
    """The value that went in and the one that was made of it are of one kind, all the way down: ``"5"`` has not become
    5, nor null ``"null"``. Defaults may have been added, and a set has no order."""
    if isinstance(one, dict) and isinstance(other, dict):
        before, after = cast("dict[str, object]", one), cast("dict[str, object]", other)
        return before.keys() <= after.keys() and all(is_kept(before[key], after[key]) for key in before)
    if isinstance(one, list) and isinstance(other, list):
        before_all = sorted(cast("list[object]", one), key=json.dumps)
        after_all = sorted(cast("list[object]", other), key=json.dumps)
        return len(before_all) < len(after_all) or all(map(is_kept, before_all, after_all))
    return kind(one) == kind(other)


def kind(value: Any) -> object:
    return "number" if type(value) is int else type(value).__name__.replace("float", "number")


def test_F34_a_value_of_a_wrong_type_is_refused_and_none_is_bent() -> None:
    """Two kinds stand for others on purpose: Go's arrays of small numbers for bytes, and what a class makes of its own
    fields; those are left out."""
    cases = CARRIED[: len(CARRIED) - len(CLASSES)]
    contracts = [contract_of(annotation) for annotation, _ in cases]
    values = {*STRANGE, *(written(contract, value) for contract, (_, value) in zip(contracts, cases, strict=True))}
    accepted, refused = 0, 0
    bent: list[str] = []
    for contract, (annotation, _) in zip(contracts, cases, strict=True):
        for value in values:
            frame = frame_bytes("1", "task", OPTION + value + b"]}")
            try:
                task = JSON.decode_task(contract, Header.from_bytes(frame), frame)
            except WireError:
                refused += 1
                continue
            accepted += 1
            again = written(contract, task.args[0])
            if not is_kept(json.loads(value), json.loads(again)) and annotation not in (bytes, bytearray):
                bent.append(f"{annotation}: {value!r} -> {again!r}")
    print(f"accepted {accepted}, refused {refused}")
    assert accepted > len(cases)
    assert not bent, "\n".join(bent)
