"""Tasks one after the other as one call. Comes from ``a | b`` and ``each(a)``, goes to the app's bridge; what comes
back is one ``Result``: that of the last step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from types import GenericAlias
from typing import Any, Generic, ParamSpec, Self, TypeVar, Unpack, cast, overload

from typeddingo.errors import ConfigError, SignatureError
from typeddingo.fitting import fits_into
from typeddingo.journey import Step
from typeddingo.option import Option
from typeddingo.registry import Launcher
from typeddingo.result import Result
from typeddingo.signature import Signature
from typeddingo.task import CallOptions, Mappable, Sender, Startable, Task

__all__ = ["Pipeline", "each", "joined"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
A = TypeVar("A")

MOST_STEPS = 100
_OPTIONS = {field.name for field in fields(Option) if field.init}


class Pipeline(Generic[P, R_co]):
    """Tasks of which each gets what the one before it has returned (Go: none). Immutable, thread-safe.

    It is called as the first task is, and its ``Result`` is the last task's. Every step is stored by the broker before
    the one before it is settled, and no process waits in between. A step that fails ends the pipeline: ``TaskFailed``
    names the task and says which step it was.
    """

    __slots__ = ("__weakref__", "_option", "_stages")

    def __init__(self, stages: tuple[tuple[Task[..., object], bool], ...], option: Option | None = None) -> None:
        """Built by ``a | b`` and ``each``: each stage is a task, and whether it is run for each value of a list."""
        self._stages = stages
        self._option = option

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tasks, in order."""
        return tuple(task.name for task, _ in self._stages)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Result[R_co]:
        """Check the arguments of the first step and send it; returns once the broker has confirmed that it is stored,
        and with it all that is to follow. Thread-safe. Raises what ``Task.call`` raises, and ``ConfigError`` where the
        broker has no place for pipelines."""
        launcher, steps = self._checked()
        result = launcher.launch(steps, args, kwargs, self._options())
        return cast("Result[R_co]", result)

    async def call_async(self, *args: P.args, **kwargs: P.kwargs) -> Result[R_co]:
        """As ``call``, without blocking the event loop."""
        launcher, steps = self._checked()
        result = await launcher.launch_async(steps, args, kwargs, self._options())
        return cast("Result[R_co]", result)

    def map(self: Mappable[A, S], values: Iterable[A]) -> list[Result[S]]:
        """Call it once for every value: their results, in order. All values are checked before the first is sent."""
        assert isinstance(self, Pipeline)
        launcher, steps = self._checked()
        results = launcher.launch_many(steps, [(value,) for value in values], self._options())
        return cast("list[Result[S]]", results)

    def with_options(self, **options: Unpack[CallOptions]) -> Self:
        """The same pipeline with other options. ``ignore_report`` and ``monitor_progress`` are for the whole; when it
        may start, expires and how urgent it is, for the first step: the others are sent as their own tasks say. Raises
        ``ConfigError``."""
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(
                    f"with_options: there is no option {name!r}; there are: {', '.join(sorted(_OPTIONS))}"
                )
        return type(self)(self._stages, replace(self._options(), **options))

    @overload
    def __or__(self, step: Mappable[R_co, S], /) -> Pipeline[P, S]: ...
    @overload
    def __or__(self: Pipeline[P, None], step: Startable[S], /) -> Pipeline[P, S]: ...
    def __or__(self, step: object, /) -> object:
        """One more step. Raises ``SignatureError`` when it cannot take what comes to it."""
        return joined(self, step)

    def __repr__(self) -> str:
        return f"<Pipeline {' | '.join(f'each({task.name})' if each else task.name for task, each in self._stages)}>"

    def _options(self) -> Option:
        """The first task's, but that reports are the last one's business."""
        if self._option is not None:
            return self._option
        first, last = _sender(self._stages[0][0]).option, _sender(self._stages[-1][0]).option
        return replace(first, ignore_report=last.ignore_report, monitor_progress=last.monitor_progress)

    def _checked(self) -> tuple[Launcher, tuple[Step, ...]]:
        """Who sends it. Raises ``ConfigError``."""
        senders = [_sender(task) for task, _ in self._stages]
        _need_one_app(senders)
        return senders[0].launcher, tuple(Step(task.name, each) for task, each in self._stages)

    def _stages_of(self) -> tuple[tuple[Task[..., object], bool], ...]:
        return self._stages


def each(work: Mappable[A, S], /) -> Pipeline[[list[A]], list[S]]:
    """A step that runs a task once for every value of a list, on as many workers as there are, and gives the list of
    what they return, in order (Go: none). Stands anywhere in a pipeline, or alone.

    The first run that fails ends the pipeline; the others may still run. Raises ``SignatureError`` for a task that
    takes no value.
    """
    if not isinstance(work, Task):
        raise SignatureError("each(…): expected a task; a pipeline cannot be run for each value, its tasks can")
    task = cast("Task[..., object]", work)
    _need_plain(task)
    _taken(_sender(task).contract.signature, task.name)
    return Pipeline(((task, True),))


def joined(left: object, right: object) -> Pipeline[..., Any]:
    """``left | right``. Raises ``SignatureError`` or ``ConfigError``."""
    stages = (*_stages(left), *_stages(right))
    if len(stages) > MOST_STEPS:
        raise ConfigError(f"a pipeline has at most {MOST_STEPS} steps, this one would have {len(stages)}")
    for task, _ in stages:
        _need_plain(task)
    _need_one_app([_sender(task) for task, _ in stages])
    at = len(_stages(left))
    _need_fit(stages[at - 1], stages[at])
    return Pipeline(stages)


def _stages(side: object) -> tuple[tuple[Task[..., object], bool], ...]:
    if isinstance(side, Task):
        return ((cast("Task[..., object]", side), False),)
    if isinstance(side, Pipeline):
        return cast("Pipeline[..., object]", side)._stages_of()  # pyright: ignore[reportPrivateUsage]  # its own module
    raise SignatureError(f"a | b: expected a task or a pipeline, not {type(side).__name__}")


def _need_plain(task: Task[..., object]) -> None:
    if task.is_method:
        raise SignatureError(
            f"task {task.name!r} is a method, and its instance does not travel between steps: register the bound "
            "method instead, app.register('name', instance.method)"
        )


def _need_one_app(senders: list[Sender]) -> None:
    owners = [owner for sender in senders if (owner := sender.owner) is not None]
    if any(owner is not owners[0] for owner in owners):
        raise ConfigError(
            f"the tasks {' | '.join(sender.name for sender in senders)} belong to several apps: a pipeline stays in one"
        )


def _need_fit(before: tuple[Task[..., object], bool], after: tuple[Task[..., object], bool]) -> None:
    """Raises ``SignatureError`` for what certainly does not fit."""
    (left, every), (right, each_value) = before, after
    given = _sender(left).contract.signature.returns
    contract = _sender(right).contract
    signature = contract.signature
    if not every and given in (None, type(None)) and not each_value and not signature.needed:
        return  # nothing is handed on
    wanted = _taken(signature, right.name)
    given = GenericAlias(list, (given,)) if every else given
    wanted = GenericAlias(list, (wanted,)) if each_value else wanted
    if contract.strict and contract.converter is None and not fits_into(given, wanted):
        raise SignatureError(
            f"{left.name!r} | {right.name!r}: the first returns {_text(given)}, the second takes {_text(wanted)}: "
            "put a task between them, or change one of the annotations"
        )


def _taken(signature: Signature, name: str) -> object:
    """The annotation of the one value that a step takes. Raises ``SignatureError``."""
    positional = signature.positional
    first = positional[0] if positional else signature.var_positional
    if first is None:
        raise SignatureError(f"task {name!r} takes no value from the step before it: give it a parameter for that")
    if others := [each for each in signature.needed if each != first.name]:
        raise SignatureError(
            f"task {name!r} is a step of a pipeline and gets one value, but it also needs {', '.join(others)}: "
            "give them defaults, or let the step before return one object with all of it"
        )
    return first.annotation


def _text(annotation: object) -> str:
    return annotation.__qualname__ if type(annotation) is type else str(annotation)


def _sender(task: Task[..., object]) -> Sender:
    return task._sender  # pyright: ignore[reportPrivateUsage]  # the other half of a handle
