"""Annotations that nobody can carry are refused at decoration: which parameter, what is wrong, what to write."""

from __future__ import annotations

import dataclasses
import enum
from types import FunctionType
from typing import Annotated, Any, Literal, Optional, Protocol

import pydantic
import pytest
from pydantic import Field

from tests.unit.test_codec import contract_of
from typeddingo.contract import Contract
from typeddingo.errors import SignatureError

untyped: Any = pydantic  # the type checkers would ask what a Json holds


class Readable(Protocol):
    def read(self) -> str: ...


class Surrogate(enum.Enum):
    HALF = "\ud800"


class Faulty:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        raise KeyError("source")


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Annotated[str, Field(pattern="(?<=a)b")], "look-behind, is not supported.*mend"),
        (
            list[Annotated[str, Field(pattern="(")]],
            r"as an annotation \(regex parse error: .* unclosed group\): mend",
        ),
        (Annotated[int, Field(gt="x")], "'gt' must be coercible to an integer"),  # pyright: ignore[reportArgumentType]  # the subject
        (Readable, "the protocol Readable, .*: name its class"),
        (dict[str, Readable], "the protocol Readable"),
        (Surrogate, "not Unicode"),
        (untyped.Json, "Any and object say nothing"),
        (list[untyped.Json], "Any and object say nothing"),
        (Literal[()], "cannot be empty"),
        (Literal[list], "Literal of more than text"),
        (Faulty, "KeyError: 'source'"),
        (lambda: 1, "a call cannot travel"),
        (..., "write a type"),
    ],
    ids=lambda value: "a lambda" if isinstance(value, FunctionType) else str(value),
)
def test_an_annotation_that_cannot_be_compiled_is_refused_with_its_reason(annotation: Any, reason: str) -> None:
    with pytest.raises(SignatureError, match=f"^task 'task': 'value'.*{reason}"):
        contract_of(annotation)


TEXTS = {
    "dict.x": "AttributeError",
    "enum.Enumm": "has no attribute 'Enumm'",
    "1/0": "ZeroDivisionError",
    "[][0]": "IndexError",
    "": "cannot be read",
    "list[": "SyntaxError",
    "Optional[1, 2]": "TypeError",
    "Missing": "not defined",
}
NAMESPACE: dict[str, object] = {"Optional": Optional, "enum": enum}


@pytest.mark.parametrize(("text", "reason"), TEXTS.items())
def test_text_that_is_no_annotation_is_refused_with_its_parameter(text: str, reason: str) -> None:
    def task(before: int, value: int) -> int:
        return before

    task.__annotations__["value"] = text
    with pytest.raises(SignatureError, match=rf"^task 'task': 'value': the annotation .*{reason}"):
        Contract.of(task, name="task", namespace=NAMESPACE)


@pytest.mark.parametrize(("text", "reason"), TEXTS.items())
def test_text_that_is_no_annotation_is_refused_with_its_field(text: str, reason: str) -> None:
    made = dataclasses.make_dataclass("Made", [("before", "int"), ("value", text)])
    with pytest.raises(SignatureError, match=rf"^task 'task': Made: field 'value': the annotation .*{reason}"):
        contract_of(made, namespace=NAMESPACE)
