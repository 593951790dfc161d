"""The command ``typeddingo``. Comes from the shell, goes to ``commands``, whose modules are imported when asked for."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from typeddingo.commands.exits import Exit, Stop

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  # argparse has no public name for it

    Subparsers = _SubParsersAction[argparse.ArgumentParser]

__all__ = ["main", "parser"]

Run = Callable[[argparse.Namespace], int]

EPILOG = """\
module:app names an App, or a function without arguments that makes one, in a module that can be imported from here.

exit codes: 0 well · 1 no (the task failed, something does not answer, tasks were cut off) · 2 wrong usage or settings
            3 the server cannot be reached · 4 sent, but no answer in time · 5 the app's lifespan raised
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints what it was asked for to stdout, everything else to stderr."""
    given = parser().parse_args(argv)
    run = cast("Run", importlib.import_module(f"typeddingo.commands.{given.module}").run)
    try:
        return run(given)
    except Stop as stop:
        return _complain(str(stop), stop.code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: there is nobody to tell
        return Exit.NO
    except Exception as error:
        return _refused(error)


def _refused(error: Exception) -> int:
    """What the library refused, in one line; anything else is a bug of ours and is raised again."""
    from typeddingo.errors import ConnectionLost, SendError, SendUnknown, TypedDingoError  # a worker does without

    if isinstance(error, SendUnknown):
        return _complain(str(error), Exit.NO_ANSWER)
    if isinstance(error, ConnectionLost) or isinstance(error.__cause__, ConnectionLost):
        return _complain(str(error), Exit.UNREACHABLE)
    if isinstance(error, SendError):
        return _complain(str(error), Exit.NO)
    if isinstance(error, TypedDingoError):
        return _complain(str(error), Exit.USAGE)
    raise error


def parser() -> argparse.ArgumentParser:
    """All that can be said, with its help."""
    top = argparse.ArgumentParser(
        prog="typeddingo",
        description="The task queue for typed Python: run workers, look at queues, call tasks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(metavar="command", required=True)
    _worker(commands)
    _ping(commands)
    _queues(commands)
    _dead(commands)
    _call(commands)
    _result(commands)
    _cancel(commands)
    _retry(commands)
    _tasks(commands)
    _schedule(commands)
    return top


def _worker(commands: Subparsers) -> None:
    worker = _command(commands, "worker", "run the tasks of an app until SIGTERM or Ctrl-C")
    some = worker.add_mutually_exclusive_group()
    some.add_argument("--tasks", type=_names, default=(), metavar="A,B", help="run these tasks only")
    some.add_argument("--queues", type=_names, default=(), metavar="A,B", help="run the tasks of these queues only")
    worker.add_argument(
        "--concurrency", type=_count, metavar="N", help="tasks of each kind that a process runs at a time"
    )
    worker.add_argument("--processes", type=_count, default=1, metavar="N", help="worker processes (default: 1)")
    worker.add_argument(
        "--deadline",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds for running tasks at the end (default: 10)",
    )
    worker.add_argument(
        "--connect-deadline", type=_seconds, default=30.0, metavar="S", help="exit when no server answers (default: 30)"
    )
    worker.add_argument("--log-format", choices=("text", "json"), default="text", help="(default: text)")
    worker.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="(default: info)"
    )
    worker.add_argument("--reload", action="store_true", help="start again when a source file changes; for development")


def _ping(commands: Subparsers) -> None:
    ping = _command(commands, "ping", "do broker, backend and workers answer? For probes: exit code 0 or 1")
    ping.add_argument("--timeout", type=_seconds, default=5.0, metavar="S", help="seconds for all (default: 5)")
    ping.add_argument(
        "--workers",
        type=_natural,
        default=1,
        metavar="N",
        help="workers each queue must have; 0: do not ask (default: 1)",
    )


def _queues(commands: Subparsers) -> None:
    queues = _command(commands, "queues", "what waits, runs and has failed for good, a queue a line")
    queues.add_argument("--json", action="store_true", help="one JSON object a line")


def _dead(commands: Subparsers) -> None:
    dead = commands.add_parser("dead", help="look after tasks that were put aside", description="Dead letters.")
    actions = dead.add_subparsers(metavar="action", required=True)
    rows = (
        ("list", "name, key, id, reason, time and deliveries of each"),
        ("show", "one of them, closely"),
        ("replay", "put them back into their queue"),
        ("purge", "delete them"),
    )
    for action, what in rows:
        one = _command(actions, action, what, module="dead")
        one.set_defaults(action=action)
        one.add_argument("name", nargs="?" if action in ("list", "replay", "purge") else None, help="the task's name")
        if action != "list":
            one.add_argument(
                "keys", nargs="*" if action != "show" else "+", metavar="key", help="as 'dead list' shows it"
            )
        if action in ("list", "show"):
            one.add_argument("--json", action="store_true", help="one JSON object a line")
        if action in ("replay", "purge"):
            one.add_argument("--all", action="store_true", help="all of this task; of every task, if none is named")
        if action == "list":
            one.add_argument("--limit", type=_count, default=100, metavar="N", help="at most N a task (default: 100)")
        if action == "show":
            one.add_argument("--payload", action="store_true", help="the arguments too: they are your users' data")
        if action == "purge":
            one.add_argument("--yes", action="store_true", help="do not ask")


def _call(commands: Subparsers) -> None:
    call = _command(commands, "call", "send one task and print what it returns, as JSON")
    call.add_argument("name", help="the task's name")
    call.add_argument(
        "--json", default="[]", dest="arguments", metavar="JSON", help='arguments: [by position] or {"by": "name"}'
    )
    call.add_argument(
        "--timeout", type=_seconds, metavar="S", help="seconds to wait for the result (default: for ever)"
    )
    call.add_argument("--delay", type=_seconds, metavar="S", help="seconds before it may start")
    call.add_argument("--expires", type=_seconds, metavar="S", help="seconds after which it is not started any more")
    call.add_argument("--priority", type=_natural, metavar="N", help="0 to 9, the most urgent")
    call.add_argument("--no-wait", action="store_true", help="print the task's id and do not wait; no result is kept")


def _result(commands: Subparsers) -> None:
    result = _command(commands, "result", "print what a task has returned that was sent before, as JSON")
    result.add_argument("name", help="the task's name")
    result.add_argument("id", help="the id of the call")
    result.add_argument(
        "--wait", type=_seconds, default=1.0, metavar="S", help="seconds to wait for one that runs (default: 1)"
    )
    result.add_argument("--forget", action="store_true", help="delete what is kept of it, once it is printed")


def _cancel(commands: Subparsers) -> None:
    cancel = _command(commands, "cancel", "let tasks not start any more, or end soon where they run")
    cancel.add_argument("name", help="the task's name")
    cancel.add_argument("ids", nargs="+", metavar="id", help="as Result.id has it, and the worker's log")


def _retry(commands: Subparsers) -> None:
    retry = _command(commands, "retry", "put tasks that failed for good back into their queue")
    retry.add_argument("name", help="the task's name")
    retry.add_argument("ids", nargs="*", metavar="id", help="as Result.id has it, and 'dead list'")
    retry.add_argument("--all", action="store_true", help="all of this task")


def _tasks(commands: Subparsers) -> None:
    tasks = _command(commands, "tasks", "the tasks of an app with their signatures")
    tasks.add_argument("--json", action="store_true", help="one JSON object a line")


def _schedule(commands: Subparsers) -> None:
    schedule = commands.add_parser("schedule", help="what runs by the clock", description="Schedules.")
    actions = schedule.add_subparsers(metavar="action", required=True)
    listing = _command(actions, "list", "name, spec, time zone, next and last run, and task of each", module="schedule")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")


def _command(commands: Subparsers, name: str, what: str, module: str = "") -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    one.add_argument("app", metavar="module:app", help="for example shop.tasks:app")
    one.set_defaults(module=module or name)
    return one


class _Version(argparse.Action):
    """Looked up when asked for: reading a distribution's metadata takes longer than some commands."""

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        from importlib.metadata import version

        print(f"typeddingo {version('typeddingo')}")
        parser.exit()


def _complain(message: str, code: int) -> int:
    print(f"typeddingo: {message}", file=sys.stderr)
    return code


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("expected names, separated by commas")
    return names


def _natural(text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number, {least} or more")
    return int(text)


def _count(text: str) -> int:
    return _natural(text, 1)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("expected a number of seconds, 0 or more")
    return seconds
