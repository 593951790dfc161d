"""Calls in this process that middleware is told of. Comes from the local bridge, goes to its pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from typeddingo.execute import Course, Local
from typeddingo.header import Header
from typeddingo.hooks import Hooks
from typeddingo.middleware import Outgoing
from typeddingo.terms import Terms

__all__ = ["Put", "PutOn", "announced"]

Put: TypeAlias = Callable[[Local], None]
PutOn: TypeAlias = Callable[[Terms, Local], None]
"""The same for a call that waits, expires or is urgent."""


def announced(hooks: Hooks, put: Put, put_on: PutOn, *, travels: bool) -> tuple[Put, PutOn]:
    """Both ways in, with the hooks around them. Headers stay beside the call, unless its frame ``travels``, to a child
    process."""

    def announce(call: Local) -> tuple[Outgoing, Local]:
        outcome, first, second, option, course = call
        told = hooks.announce(outcome.name, outcome.id, option)
        if told.headers:
            course = (course or Course())._replace(headers={**told.headers})
            if travels:
                try:
                    task = first.decode_task(Header.from_bytes(second), second)
                    second = first.encode_task(replace(task, headers=course.headers))
                except BaseException as error:
                    hooks.sent(told, error)
                    raise
        return told, (outcome, first, second, option, course)

    def put_announced(call: Local) -> None:
        told, call = announce(call)
        with hooks.telling(told):
            put(call)

    def put_announced_on(terms: Terms, call: Local) -> None:
        told, call = announce(call)
        with hooks.telling(told):
            put_on(terms, call)

    return put_announced, put_announced_on
