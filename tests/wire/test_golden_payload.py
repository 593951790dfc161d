"""What Go dingo emitted and accepted, decoded here and encoded again: tasks and reports of marshallers 1 and 3.

Every frame has one outcome. It is Go's, or it stands in ``golden_differences`` with the reason: nothing is skipped.

    same        the values are right, and encoded again the frame is Go's: header byte for byte, payload as JSON
    respelled   the values are right; encoded again, the payload is our canonical form of the same message
    refused     a WireError
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.wire.go_types import GoType, Inexpressible, contract_of, value
from tests.wire.golden_differences import DIFFERENCES, INEXPRESSIBLE, NO_FRAME
from tests.wire.vectors import Record, label_of, raw, records
from typeddingo.contract import Contract
from typeddingo.errors import WireError
from typeddingo.header import Header, decompose_bytes
from typeddingo.marshaller import Marshaller
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.marshallers.json_safe import JSONSafeMarshaller

SECTIONS = ("marshal", "foreign_decode")
MARSHALLERS: dict[int, Marshaller] = {1: JSONMarshaller(), 3: JSONSafeMarshaller()}


@dataclass
class Case:
    name: str
    marshaller: int
    is_task: bool
    frame: bytes
    task: str
    parameters: list[GoType]
    returns: list[GoType]
    go_accepts: bool


def _cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for record in [record for section in SECTIONS for record in records(section)]:
        if "bytes" not in record:
            continue
        name = label_of(record)
        if name in cases:  # two labels of Go's stand twice
            name += ", again"
        cases[name] = _case(record, record, name, record["kind"] == "task")
        if "bytes" in record.get("final_report", {}):
            cases[name + ", its report"] = _case(record, record["final_report"], name + ", its report", False)
    return cases


def _case(record: Record, part: Record, name: str, is_task: bool) -> Case:
    # Go's marshaller 1 looks at the types only when it invokes; a function that panics was called all the same.
    invoked: Record = (record.get("invoke") or {}) if is_task and "worker panics" not in name else {}
    returned: Record = part["decode"].get("after_invoker_return") or {}
    bad = [outcome for outcome in (part["decode"], invoked, returned) if "error" in outcome or "panic" in outcome]
    return Case(
        name=name,
        marshaller=record["marshaller"],
        is_task=is_task,
        frame=raw(part["bytes"]),
        task=record.get("name", "f"),
        parameters=record["in"],
        returns=record["out"],
        go_accepts=not bad,
    )


CASES = _cases()
EXPECTED = {name: outcome for outcome, reasons in DIFFERENCES.items() for names in reasons.values() for name in names}
TOLD_APART = [name for names in INEXPRESSIBLE.values() for name in names]


def _outcome(case: Case, contract: Contract) -> str:
    marshaller = MARSHALLERS[case.marshaller]
    header = Header.from_bytes(case.frame)
    try:
        values, again = _decoded_and_encoded(marshaller, contract, header, case)
    except WireError:
        return "refused"
    expected = _expected_values(case)
    assert values == expected
    assert [type(got) for got in values] == [type(want) for want in expected]
    new_header = Header.from_bytes(again)
    assert _decoded_and_encoded(marshaller, contract, new_header, replace(case, frame=again)) == (values, again)
    if _payload(case.marshaller, again) != _payload(case.marshaller, case.frame):
        return "respelled"
    # Escapes and the spelling of numbers may differ, and with them the lengths of chunks.
    assert new_header._replace(registry=header.registry).to_bytes() == case.frame[: header.length]
    return "same"


def _decoded_and_encoded(
    marshaller: Marshaller, contract: Contract, header: Header, case: Case
) -> tuple[tuple[object, ...], bytes]:
    if case.is_task:
        task = marshaller.decode_task(contract, header, case.frame)
        return task.args, marshaller.encode_task(contract, task)
    report = marshaller.decode_report(contract, header, case.frame)
    return report.values, marshaller.encode_report(contract, report)


def _payload(marshaller: int, frame: bytes) -> Any:
    """The payload as JSON; an object is a tuple of pairs, for its order counts."""
    header = Header.from_bytes(frame)
    if marshaller == 1:
        return json.loads(frame[header.length :], object_pairs_hook=tuple)
    return [json.loads(chunk, object_pairs_hook=tuple) for chunk in decompose_bytes(header, frame)]


def _expected_values(case: Case) -> tuple[object, ...]:
    header = Header.from_bytes(case.frame)
    listed: list[Any]
    if case.marshaller == 1:
        listed = json.loads(case.frame[header.length :]).get("A" if case.is_task else "R") or []
    else:
        chunks = decompose_bytes(header, case.frame)
        listed = [json.loads(chunk) for chunk in chunks[: -1 if case.is_task else -3]]
    slots = case.parameters if case.is_task else case.returns
    return tuple(value(go, tree) for go, tree in zip(slots, listed, strict=bool(listed)))


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in CASES.items() if name not in TOLD_APART]
)
def test_a_frame_from_go_comes_out_as_go_means_it(case: Case) -> None:
    contract = contract_of(case.task, case.parameters, case.returns)
    assert _outcome(case, contract) == EXPECTED.get(case.name, "same" if case.go_accepts else "refused")


def test_every_difference_is_one_and_every_case_has_one_name() -> None:
    frames = sum(("bytes" in r) + ("bytes" in r.get("final_report", {})) for s in SECTIONS for r in records(s))
    assert len(CASES) == frames
    assert set(EXPECTED) <= set(CASES)
    assert sum(len(names) for reasons in DIFFERENCES.values() for names in reasons.values()) == len(EXPECTED)
    agreed = [
        name for name, outcome in EXPECTED.items() if outcome == ("same" if CASES[name].go_accepts else "refused")
    ]
    assert agreed == []


def test_what_no_python_signature_says_is_listed_and_nothing_else() -> None:
    inexpressible: list[str] = []
    for case in CASES.values():
        try:
            contract_of(case.task, case.parameters, case.returns)
        except Inexpressible:
            inexpressible.append(case.name)
    assert sorted(inexpressible) == sorted(TOLD_APART)


def test_the_records_without_a_frame_are_those_go_could_not_encode() -> None:
    missing = {label_of(r): r["encode"]["error"] for s in SECTIONS for r in records(s) if "bytes" not in r}
    assert sorted(missing) == sorted(NO_FRAME)
