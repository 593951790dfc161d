"""``typeddingo dead``: tasks that were put aside, looked at, put back or deleted. They are user data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TextIO

from typeddingo.commands.exits import Exit, Stop
from typeddingo.commands.inside import entries, entry, inspector
from typeddingo.commands.locate import load_app
from typeddingo.commands.shown import as_json, columns, printable
from typeddingo.errors import WireError
from typeddingo.header import Header
from typeddingo.inspection import DeadTask, Inspector

__all__ = ["run"]

EVERY = 1_000_000
"""More than anybody keeps: to find one by its key."""


def run(given: argparse.Namespace) -> int:
    """One of four actions. Names are those of the app's tasks."""
    app = load_app(given.app)
    look = inspector(app, given.app)
    with app:
        names = [entry(app, given.name).name] if given.name else [entry.name for entry in entries(app)]
        if given.action == "list":
            return _list(look, names, given.limit, given.json)
        if given.action == "show":
            return _show(look, names[0], given.keys, given.payload, given.json)
        keys = _chosen(given)
        if given.action == "replay":
            return _told("put back", [look.replay(name, keys) for name in names], keys)
        _need_consent(look, names, keys, given.yes)
        return _told("deleted", [look.purge(name, keys) for name in names], keys)


def _list(look: Inspector, names: Sequence[str], limit: int, json: bool) -> int:
    letters = [letter for name in names for letter in look.dead(name, limit)]
    if json:
        for letter in letters:
            print(as_json(_members(letter)))
    elif letters:
        heading = ("name", "key", "id", "time", "deliveries", "reason")
        rows = [(x.name, x.key, x.id, _moment(x.time), x.deliveries, x.reason) for x in letters]
        print(columns([heading, *rows]))
    return Exit.OK


def _show(look: Inspector, name: str, keys: Sequence[str], payload: bool, json: bool) -> int:
    found = {letter.key: letter for letter in look.dead(name, EVERY) if letter.key in keys}
    for key in keys:
        if key not in found:
            raise Stop(Exit.NO, f"no dead letter of {name!r} has the key {key!r}")
        members = {**_members(found[key]), **dict(_inside(found[key], payload))}
        if json:
            print(as_json(members))
        else:
            print("\n".join(f"{what:<11} {printable(str(value))}" for what, value in members.items()))
    return Exit.OK


def _members(letter: DeadTask) -> dict[str, object]:
    return {
        "name": letter.name,
        "key": letter.key,
        "id": letter.id,
        "reason": letter.reason,
        "time": _moment(letter.time),
        "deliveries": letter.deliveries,
        "bytes": len(letter.body),
    }


def _inside(letter: DeadTask, payload: bool) -> Iterator[tuple[str, object]]:
    """What the frame says of itself; the arguments only when asked for."""
    try:
        header = Header.from_bytes(letter.body)
    except WireError as error:
        yield "header", f"cannot be read: {error}"
        start = 0
    else:
        yield "header", f"name {header.name!r}, id {header.id!r}, chunks {list(header.registry) or 1}"
        start = header.length
    if payload:
        yield "payload", letter.body[start:].decode("utf-8", "backslashreplace")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if seconds else ""


def _chosen(given: argparse.Namespace) -> Sequence[str] | None:
    """The keys, or None for all of them: said twice or not at all is a mistake."""
    if bool(given.keys) == bool(given.all):
        raise Stop(Exit.USAGE, f"dead {given.action}: name the task and the keys, or say --all")
    return None if given.all else given.keys


def _need_consent(look: Inspector, names: Sequence[str], keys: Sequence[str] | None, yes: bool) -> None:
    if yes:
        return
    stdin: TextIO | None = sys.stdin  # None: it was closed
    if stdin is None or not stdin.isatty():
        raise Stop(Exit.USAGE, "dead purge: nobody is here to be asked; say --yes")
    count = len(keys) if keys is not None else sum(look.queue(name).dead for name in names)
    try:
        answer = input(f"delete {count} dead letters for good? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Stop(Exit.NO, "nothing was deleted")


def _told(what: str, counts: Sequence[int], keys: Sequence[str] | None) -> int:
    """Says how many; a key that was not there is a no."""
    count = sum(counts)
    print(f"{count} {what}")
    return Exit.OK if keys is None or count == len(set(keys)) else Exit.NO
