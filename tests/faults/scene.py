"""Where a fault test plays: one empty place on a server, its worker processes, its callers and their account."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.faults.caller import Caller
from tests.faults.plan import Plan
from tests.faults.scale import PATIENCE
from tests.faults.technology import OnRabbit, Technology
from tests.servers.process import Process
from typeddingo.backend import Backend
from typeddingo.bridges.urls import open_backend, open_broker
from typeddingo.config import Config
from typeddingo.inspection import Inspector, QueueState
from typeddingo.role import Role
from typeddingo.testing import Audit, Ledger, audit, eventually

ROOT = Path(__file__).resolve().parents[2]
QUEUES = ("note", "other", "poison", "moody", "echo", "apart", "spread", "grow", "sum_up", "flaky")


class WorkerProcess:
    """One worker program; ready when it is made."""

    def __init__(self, plan: Plan, log: Path, program: tuple[str, ...] = ("-m", "tests.faults.worker")) -> None:
        self._log = log
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **plan.environment()}
        self.process = Process([sys.executable, *program], cwd=ROOT, log=log, env=environment)
        self.pid = self.process.pid
        # One that was ready and died of its first task is what some tests want.
        if not self.process.wait_ready(self.is_ready, PATIENCE) and not self.is_ready():
            raise AssertionError(f"the worker ended before it was ready\n{self.output()}")

    def is_ready(self) -> bool:
        """Our program says so; the command line says which tasks it runs, when it does."""
        return "\nready\n" in f"\n{self.output()}" or "runs note(" in self.output()

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def told(self, *words: str) -> int:
        """How many events of this worker hold all these words."""
        events = (line for line in self.output().splitlines() if line.startswith("event "))
        return sum(all(word in line for word in words) for line in events)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds of the machine."""

    files: int
    threads: int
    megabytes: float

    @classmethod
    def of(cls, pid: int) -> Footprint:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(os.listdir(f"/proc/{pid}/fd"))
        return cls(files, int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024)

    @classmethod
    def here(cls) -> Footprint:
        """Of this process, whose callers are part of the scene."""
        return cls.of(os.getpid())


class Scene:
    """One test's; everything it starts ends with it."""

    def __init__(self, technology: Technology, directory: Path) -> None:
        self.technology = technology
        self.server = technology.server
        self.directory = directory
        self.ledger = directory / "ledger"
        self.ledger.touch()
        self._place = technology.new_place()
        self.plan = Plan(url=technology.url(self._place), ledger=str(self.ledger))
        self.figures: dict[str, Any] = {}
        self._workers: list[WorkerProcess] = []
        self._callers: list[Caller] = []
        self._numbers = itertools.count(1)

    def url(self, **settings: object) -> str:
        """The URL of this place, with other settings than the usual ones."""
        return self.technology.url(self._place, **settings)

    def worker(self, **changes: Any) -> WorkerProcess:
        """A worker process that is ready; ``changes`` of the plan."""
        log = self.directory / f"worker-{next(self._numbers)}.log"
        worker = WorkerProcess(replace(self.plan, **changes), log)
        self._workers.append(worker)
        return worker

    def command(self, *options: str) -> WorkerProcess:
        """``typeddingo worker``, one process of it."""
        program = (
            "-m",
            "typeddingo",
            "worker",
            "tests.faults.app:app",
            "--tasks",
            "note",
            "--processes",
            "1",
            *options,
        )
        worker = WorkerProcess(self.plan, self.directory / f"worker-{next(self._numbers)}.log", program)
        self._workers.append(worker)
        return worker

    def program(self, module: str, *arguments: str, exits: int) -> str:
        """Run another program to its end; what it prints. Raises ``AssertionError`` for another exit code."""
        log = self.directory / f"{module}-{next(self._numbers)}.log"
        environment = {**os.environ, **self.plan.environment()}
        program = Process([sys.executable, "-m", module, *arguments], cwd=ROOT, log=log, env=environment)
        try:
            code = program.wait(PATIENCE)
        finally:
            program.kill()
        assert code == exits, f"{module} ended with {code}\n{program.log()}"
        return program.log()

    def caller(self, **changes: Any) -> Caller:
        caller = Caller(replace(self.plan, **changes))
        self._callers.append(caller)
        return caller

    def remove_queue(self, kind: str) -> int:
        """The queue of these tasks, behind everybody's back. Returns how many queues it was."""
        assert isinstance(self.technology, OnRabbit)
        return self.technology.remove_queues(self._place, kind)

    def sends_again(self, caller: Caller, id: str, timeout: float = PATIENCE) -> bool:
        """A call is stored in time, sent again as long as it is not. Else an ``AssertionError`` says what went on."""
        try:
            eventually(lambda: caller.send(id, "note", 0.0), timeout=timeout)
        except AssertionError as late:
            raise AssertionError(f"{late}: {id} was not stored\n{caller.story(id)}\n{self.server.log()}") from None
        return True

    def leftovers(self) -> set[str]:
        """What there is in this place, whoever made it: keys, or queues and exchanges."""
        return self.technology.leftovers(self._place)

    def double(self, task: str) -> Callable[[], object]:
        """Remember the tasks that wait; the function that comes back stores them all again, as the same tasks."""
        return self.technology.double(self._place, task)

    def queues(self) -> set[str]:
        """Those of it that belong to the queues of tasks, which stay, as does the stream that all workers read."""
        named = {name for name in self.leftovers() if any(task in name for task in (*QUEUES, "notices"))}
        return {name for name in named if ":result:" not in name}  # it has the name of its task, too

    # the account

    def note_sent(self, id: str) -> None:
        """The test itself has stored a task."""
        Ledger(self.ledger).sent(id)

    def note_all_sent(self, ids: list[str]) -> None:
        """A confirmed batch, too large to be put on disk one by one."""
        with self.ledger.open("a") as ledger:
            ledger.writelines(f"S {id}\n" for id in ids)

    def audit(self) -> Audit:
        return audit(self.ledger, dead=self.dead_ids())

    def begun(self) -> int:
        """How many starts there were so far."""
        return sum(line.startswith("B ") for line in self.ledger.read_text().splitlines())

    def children_of_workers(self) -> list[int]:
        """The processes in which isolated tasks of this scene run."""
        found: list[int] = []
        mine = str(self.ledger).encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                isolated = b"commands.isolated" in (process / "cmdline").read_bytes()
                if isolated and mine in (process / "environ").read_bytes():
                    found.append(int(process.name))
        return found

    def completed(self) -> int:
        """How many ends there were so far."""
        return sum(line.startswith("E ") for line in self.ledger.read_text().splitlines())

    def dead_ids(self) -> list[str]:
        with self.inspector() as inspector:
            return [dead.id for queue in QUEUES for dead in inspector.dead(queue, 10_000)]

    def wait_done(self, timeout: float = PATIENCE) -> None:
        """Until everything that was sent has ended or is dead: law 1 in time."""

        def missing() -> frozenset[str]:
            return audit(self.ledger).lost

        try:
            eventually(lambda: not (missing() and missing() - set(self.dead_ids())), "all is done", timeout)
        except AssertionError:
            raise AssertionError(f"after {timeout} s not done: {self.audit()}; {self.states()}") from None

    def check(self, *, duplicates: int = 0, empty: tuple[str, ...] = ("note",)) -> Audit:
        """The laws: nothing lost, nothing invented, not more starts than allowed, and nothing left in the queues."""
        self.wait_done()
        for queue in empty:
            self.wait_empty(queue)
        account = self.audit()
        self.figures["account"] = str(account)
        print(f"{self.directory.name}: {account}")
        account.check(duplicates=duplicates)
        return account

    def wait_empty(self, queue: str = "note", timeout: float = PATIENCE) -> None:
        with self.inspector() as inspector:

            def is_empty() -> bool:
                state = inspector.queue(queue)
                return not state.waiting and not state.running

            try:
                eventually(is_empty, f"the queue of {queue} is empty", timeout)
            except AssertionError as error:
                raise AssertionError(f"{error}: {inspector.queue(queue)}") from None

    def state(self, queue: str = "note") -> QueueState:
        with self.inspector() as inspector:
            return inspector.queue(queue)

    def states(self) -> str:
        return "; ".join(str(self.state(queue)) for queue in QUEUES)

    @contextmanager
    def inspector(self) -> Generator[Inspector, None, None]:
        broker = open_broker(self.plan.url, Config())
        assert isinstance(broker, Inspector)
        try:
            yield broker
        finally:
            broker.close()

    @contextmanager
    def backend(self) -> Generator[Backend, None, None]:
        backend = open_backend(self.plan.backend or self.plan.url, Config())
        try:
            backend.expect(Role.REPORTER)
            yield backend
        finally:
            backend.close()

    # the end

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        self.technology.repair()
        for caller in self._callers:
            caller.close()
        self.technology.drop_place(self._place)
