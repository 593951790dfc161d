"""``typeddingo call``: JSON in, by type, and JSON out. The app is local here: the command is the same for all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Done, run

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(HERE / "shop.py", tmp_path / "shop.py")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("shop.total", '[[{"name": "tea", "price": "4.20"}, {"name": "milk", "price": "1.10"}]]', '"5.30"'),
        ("shop.total", '{"items": [{"name": "tea", "price": "4.20"}], "discount": "0.20"}', '"4.00"'),
        ("shop.halves", "[7]", "[3,1]"),
        ("shop.halves", '{"number": 9, "by": 4}', "[2,1]"),
        ("shop.greet", ' ["Anna"] ', '"Grüß Gott, Anna"'),
        ("shop.nothing", "[]", "null"),
    ],
)
def test_the_result_is_printed_as_json(folder: Path, name: str, arguments: str, result: str) -> None:
    assert run(folder, "call", "shop:app", name, "--json", arguments) == Done(0, result + "\n", "")


def test_a_task_without_parameters_needs_no_arguments(folder: Path) -> None:
    assert run(folder, "call", "shop:app", "shop.nothing") == Done(0, "null\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('["7"]', "number: expected"),
        ("[7, 2, 1]", "3"),
        ('{"number": true}', "number: expected"),
        ('{"count": 7}', "no parameter of that name"),
        ("[]", "'number'"),
        ("7", "expected a JSON array"),
        ("[7", "number"),
        ("", "expected a JSON array"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(folder: Path, arguments: str, said: str) -> None:
    done = run(folder, "call", "shop:app", "shop.halves", "--json", arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_the_signature_is_shown_to_whoever_got_it_wrong(folder: Path) -> None:
    done = run(folder, "call", "shop:app", "shop.halves", "--json", '["7"]')
    assert done.err.endswith("the signature is (number: int, by: int = 2) -> tuple[int, int]\n")


def test_a_task_that_fails_is_exit_code_1_with_its_type_and_message(folder: Path) -> None:
    done = run(folder, "call", "shop:app", "shop.greet", "--json", '[""]')
    assert (done.code, done.out) == (1, "")
    assert "ValueError: nobody\\x1b[2J is there (task 'shop.greet', id '1')" in done.err


def test_an_unknown_task_is_answered_with_those_there_are(folder: Path) -> None:
    done = run(folder, "call", "shop:app", "shop.gret")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "typeddingo: no task is called 'shop.gret'; there are: shop.greet, shop.halves, shop.nothing, shop.total\n"
    )
