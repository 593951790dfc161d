"""``typeddingo call``: one task from the shell. The arguments are read as those of a frame are: strictly, by type."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any, cast

from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.inside import entry
from typeddingo.commands.locate import load_app
from typeddingo.commands.signatures import written
from typeddingo.contract import Contract
from typeddingo.errors import ArgumentError, DecodeError, ResultTimeout
from typeddingo.message import Status
from typeddingo.result import Result

__all__ = ["returned_as_json", "run"]


def run(given: argparse.Namespace) -> int:
    """Prints the result as JSON, or the failure to stderr."""
    app = load_app(given.app)
    with app:
        task = entry(app, given.name)
        args, kwargs = _arguments(task.contract, given.arguments)
        asked = {"delay": given.delay, "expires": given.expires, "priority": given.priority}
        option = replace(task.option, ignore_report=given.no_wait, **{k: v for k, v in asked.items() if v is not None})
        try:
            result = cast("Result[Any]", task.send(args, kwargs, option))
        except ArgumentError as error:
            raise Stop(Exit.USAGE, str(error)) from None
        if given.no_wait:
            print(result.id)
            return Exit.OK
        try:
            report = result.wait(given.timeout)
        except ResultTimeout:
            raise Stop(
                Exit.NO_ANSWER, f"no result in {given.timeout:g} s; task {result.id} is sent and may still run"
            ) from None
        if report.status is Status.SUCCESS:
            sys.stdout.write(returned_as_json(task.contract, report.value) + "\n")
            return Exit.OK
        raise Stop(Exit.NO, str(report.error))


def _arguments(contract: Contract, text: str) -> tuple[tuple[object, ...], dict[str, object]]:
    """An array holds them by position, an object by name. Raises ``Stop``."""
    try:
        data = text.strip().encode()
        if data.startswith(b"{"):
            return (), contract.keywords.load_json(data)
        if data.startswith(b"["):
            return contract.arguments.load_json(data), {}
    except (DecodeError, UnicodeEncodeError) as error:
        raise Stop(Exit.USAGE, f"--json: {error}; the signature is {written(contract)}") from None
    raise Stop(Exit.USAGE, "--json: expected a JSON array (arguments by position) or object (by name)")


def returned_as_json(contract: Contract, value: object) -> str:
    """What a report would hold: a tuple of several values is an array."""
    chunks = [chunk.decode() for chunk in contract.returns.dump_chunks(contract.split_returns(value))]
    return chunks[0] if contract.one_slot else f"[{','.join(chunks)}]" if chunks else "null"
