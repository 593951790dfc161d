"""The main function of a child process. Comes from ``isolation.process``, which starts it with a ``Job``; runs one task
after the other, as a thread of the worker would, until the worker wants no more.

It opens no connection and starts no worker: what its tasks call, they call through the app that was imported.
"""

# The other end of isolation is a part of the app that runs beside it:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from typeddingo._io.threads import Deadline, Threads
from typeddingo.app import App, open_apps
from typeddingo.commands.locate import told
from typeddingo.commands.logs import set_up
from typeddingo.config import Config, Limits
from typeddingo.context import Context, Slot, current_slot
from typeddingo.contract import Contract
from typeddingo.decorator import TaskSpec
from typeddingo.errors import TypedDingoError
from typeddingo.execute import failed, perform, perform_async
from typeddingo.failure import not_invoked
from typeddingo.header import Header
from typeddingo.ids import SeqIDMaker
from typeddingo.isolation import anew
from typeddingo.isolation.frames import Channel, Frame, Kind
from typeddingo.isolation.job import Job
from typeddingo.isolation.place import Place
from typeddingo.isolation.seat import AFTER
from typeddingo.message import Report, TaskMessage
from typeddingo.option import Option
from typeddingo.registry import Entry, Registry
from typeddingo.task import Task
from typeddingo.tasks import declaration
from typeddingo.time_limit import Timekeeper
from typeddingo.wire import Wire

__all__ = ["main"]

R = TypeVar("R")


def main(given: dict[str, Any]) -> None:
    """``given``: the job. Returns when the worker has no more tasks."""
    job = Job.from_dict(given)
    work, line = socket.socket(fileno=job.work), socket.socket(fileno=job.line)
    for sock in (work, line):
        sock.set_inheritable(False)
        os.register_at_fork(after_in_child=sock.close)  # the worker must see our end, whatever a task leaves behind
    _live_no_longer_than(line)
    if job.log is not None:
        set_up(*job.log)
    channel = Channel(work)
    with contextlib.suppress(EOFError):
        _serve(job, channel)


def _serve(job: Job, channel: Channel) -> None:
    try:
        entry, registry = _found(job)
    except _NotFound as error:
        channel.send(Frame(Kind.UNFIT, str(error).encode(errors="replace")))
        return
    keeper = Timekeeper(Threads("child"))
    room = _Room(channel, registry.wire_of(entry))
    try:
        work = room.async_worker(entry, keeper) if entry.contract.is_async else room.worker(entry, keeper)
        channel.send(Frame(Kind.READY))
        while True:
            frame = channel.receive()
            if frame.kind == Kind.TASK:  # else about a task that has ended
                room.run(frame, work)
    finally:
        keeper.stop()
        keeper.join(Deadline(1.0))


class _Here:
    """The task that runs."""

    __slots__ = ("attempt", "number", "task")

    def __init__(self, number: int, attempt: int, task: TaskMessage) -> None:
        self.number = number
        self.attempt = attempt
        self.task = task


class _Room:
    """Where tasks run, one at a time; threads that they start may use their context."""

    def __init__(self, channel: Channel, wire: Wire) -> None:
        self._channel = channel
        self._wire = wire
        self._slot: Slot[_Here] = Slot(self._describe)
        self._cancelled = 0
        """The number of the task that was."""
        current_slot.set(self._slot)

    def worker(self, entry: Entry, keeper: Timekeeper) -> Callable[[TaskMessage], Report[object]]:
        """How a ``def`` runs."""
        run = perform(entry, self._slot, keeper)
        return lambda task: run(task, self._wire)

    def async_worker(self, entry: Entry, keeper: Timekeeper) -> Callable[[TaskMessage], Report[object]]:
        """How an ``async def`` runs: on an event loop of its own, which ends with it."""
        import asyncio

        run = perform_async(entry, self._slot, keeper)
        return lambda task: asyncio.run(run(task, self._wire))

    def run(self, frame: Frame, work: Callable[[TaskMessage], Report[object]]) -> None:
        """From a TASK frame to its REPORT."""
        number, wire = frame.number, self._wire
        header = Header.from_bytes(frame.body)
        try:
            task = wire.decode_task(header, frame.body)
        except Exception as error:
            report = failed(header.name, header.id, Option(), not_invoked(error))
        else:
            self._slot.job = _Here(number, frame.extra, task)
            report = work(task)
            self._slot.job = None
        _flush()
        if report.failed and (verdict := self._slot.verdict).again:
            after = b"" if verdict.after is None else AFTER.pack(verdict.after)
            self._channel.send(Frame(Kind.VERDICT, after, number, 1))
        self._channel.send(Frame(Kind.REPORT, wire.encode_report(report), number))

    def _describe(self, here: _Here) -> Context:
        task, number = here.task, here.number

        def emit(report: Report[object]) -> None:
            if self._runs(number):
                with contextlib.suppress(EOFError):  # the worker is gone, and so are we, soon
                    self._channel.send(Frame(Kind.PROGRESS, self._wire.encode_report(report), number))

        def cancelled() -> bool:
            while self._runs(number) and self._cancelled != number and (frame := self._look()) is not None:
                if frame.kind == Kind.CANCEL:
                    self._cancelled = frame.number
            return self._cancelled == number

        return Context(
            task.name,
            task.id,
            task.option,
            attempt=here.attempt,
            emit=emit,
            cancelled=cancelled,
            headers=task.headers,
        )

    def _runs(self, number: int) -> bool:
        return (here := self._slot.job) is not None and here.number == number

    def _look(self) -> Frame | None:
        try:
            return self._channel.look()
        except EOFError:
            return None


def _flush() -> None:
    """A child may be killed: what its tasks have printed is not lost with it."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # there is none, or a task has closed it
        return


class _NotFound(Exception):
    """Says what to do."""


def _found(job: Job) -> tuple[Entry, Registry]:
    """The task, by the name of its function, rather in the app it belongs to; what else that has is left alone."""
    found = _imported(job.place, job.place.find)
    owner = None if job.app is None else _owner(job.app)
    handle = cast("Task[..., object]", found) if isinstance(found, Task) else None
    fn = cast("Callable[..., object]", found) if handle is None else handle.fn
    apps = open_apps() if owner is None else [owner, *open_apps()]
    registries = [app._registry for app in apps]
    named = [(entry, reg) for reg in registries if (entry := reg.find(job.task)) is not None and entry.fn is fn]
    other = [(entry, reg) for reg in registries for entry in reg if entry.fn is fn]
    if registered := (named or other):
        return registered[0]
    if handle is not None and (declared := declaration(handle)) is not None:
        return _included(owner or App("local", config=Config(limits=Limits(**job.limits))), *declared)
    if not job.usual:
        raise _NotFound(
            f"task {job.task!r} is not registered when its process imports {job.place.module}. With retries, a "
            "converter or a marshaller of its own it must be: decorate it at the top level of that module"
        )
    return _usual(job, fn, owner)


def _owner(place: Place) -> App | None:
    """None: it is made when the program starts, not when its module is imported."""
    app: object = getattr(_imported(place, place.load), place.qualname, None)
    return app if isinstance(app, App) else None


def _included(app: App, contract: Contract, spec: TaskSpec) -> tuple[Entry, Registry]:
    """A task of a collection that no app has included here."""
    try:
        with anew.importing():
            app._add(contract, spec)
    except TypedDingoError as error:
        raise _NotFound(f"its process cannot run it: {error}") from error
    return app._registry.get(contract.name), app._registry


def _usual(job: Job, fn: Callable[..., object], owner: App | None) -> tuple[Entry, Registry]:
    """A task that was registered when the program started."""
    settings = dict(job.settings)
    contract = Contract.of(fn, name=job.task, context=settings["context"], strict=settings.pop("strict"))
    registry = Registry(SeqIDMaker(), Limits(**job.limits))
    registry.add(entry := Entry(job.task, fn, contract, **settings))
    if owner is not None:
        entry.hooks = owner._hooks
    return entry, registry


def _imported(place: Place, how: Callable[[], R]) -> R:
    try:
        with anew.importing():
            return how()
    except Exception as error:
        raise _NotFound(f"its process did not find it: {told(place.module, error)}") from error
    except SystemExit:
        raise _NotFound(
            f"its process could not import {place.module}: the module ends the program. What does so belongs under "
            'if __name__ == "__main__":'
        ) from None


def _live_no_longer_than(line: socket.socket) -> None:
    """When the worker's end of it closes, the system ends this process group, even one that is deep in C code."""
    fcntl.fcntl(line, fcntl.F_SETOWN, -os.getpgrp())
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    with contextlib.suppress(BlockingIOError):
        if not line.recv(1, socket.MSG_DONTWAIT):  # closed before the system was told
            os._exit(1)
