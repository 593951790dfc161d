"""The caller's half of a pipeline: as a courier sends a call, but that its report is the last step's. Comes from
``Pipeline.call``, goes to a producer; comes back from a store.
"""

# The engine is the other half of a Result, and this of a courier:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TypeAlias

from typeddingo.backend import Store
from typeddingo.bridge import closed_error
from typeddingo.bridges.adapters import Adapters
from typeddingo.bridges.asked import need_features
from typeddingo.bridges.courier import Courier
from typeddingo.bridges.sent import Sent
from typeddingo.broker import Confirmation, Joins, Producer
from typeddingo.entries import list_of
from typeddingo.errors import ConfigError
from typeddingo.headers import NO_HEADERS
from typeddingo.hooks import Hooks
from typeddingo.journey import Journey, Step
from typeddingo.message import Meta
from typeddingo.middleware import Outgoing
from typeddingo.option import Option
from typeddingo.outcome import cancelled_report
from typeddingo.registry import Entry, Registry
from typeddingo.runtime import Runtime
from typeddingo.steps import Arrived, Stranded, Trip, fail_report, home_wire

__all__ = ["PipelineCourier"]


Told: TypeAlias = "tuple[Hooks, Outgoing] | None"
"""What middleware was told of, and will be told the end of."""


class PipelineCourier:
    """Thread-safe. See ``Launcher``."""

    def __init__(self, courier: Courier, runtime: Runtime, registry: Registry, adapters: Adapters) -> None:
        self._courier = courier
        self._runtime = runtime
        self._registry = registry
        self._adapters = adapters

    def launch(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """See ``Launcher``."""
        sent, told = self._start(steps, *self._bind_first(steps, args, kwargs), option)
        if not self._left_to_batch(sent, told):
            with _telling(told):
                sent.confirm()
        return sent.outcome

    async def launch_async(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> object:
        """See ``Launcher``."""
        sent, told = self._start(steps, *self._bind_first(steps, args, kwargs), option)
        if not self._left_to_batch(sent, told):
            with _telling(told):
                await sent.confirm_async()
        return sent.outcome

    def launch_many(self, steps: tuple[Step, ...], rows: Sequence[tuple[object, ...]], option: Option) -> list[object]:
        """See ``Launcher``."""
        bound = [self._bind_first(steps, row, {}) for row in rows]
        results: list[object] = []
        with self._courier.batch():
            for args, kwargs in bound:
                sent, told = self._start(steps, args, kwargs, option)
                self._left_to_batch(sent, told)
                results.append(sent.outcome)
        return results

    def _bind_first(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], Mapping[str, object]]:
        entry = self._registry.get(steps[0].name)
        return (list_of(entry) if steps[0].each else entry).contract.bind(args, kwargs)

    def _left_to_batch(self, sent: Sent, told: Told) -> bool:
        if (calls := self._courier._batch.get()) is None:
            return False
        if told is not None:
            self._courier._told[sent] = told
        calls.append(sent)
        return True

    def _start(
        self, steps: tuple[Step, ...], args: tuple[object, ...], kwargs: Mapping[str, object], option: Option
    ) -> tuple[Sent, Told]:
        """Tell middleware, where there is any, and send it."""
        registry, name = self._registry, steps[-1].name
        if self._runtime.closing:
            raise closed_error(name)
        producer, store = self._courier._ways(name, option)
        _need_pipelines(producer, [registry.get(step.name) for step in steps], steps, option)
        journey = Journey(registry.id_maker_of(registry.get(name)).new_id(name), steps)
        if not (hooks := registry.get(name).hooks).sends:
            return self._send(producer, store, journey, args, kwargs, option, NO_HEADERS), None
        call = hooks.announce(name, journey.id, option)
        try:
            sent = self._send(producer, store, journey, args, kwargs, option, {**call.headers})
        except BaseException as error:
            hooks.sent(call, error)
            raise
        return sent, (hooks, call)

    def _send(
        self,
        producer: Producer,
        store: Store | None,
        journey: Journey,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        option: Option,
        headers: Mapping[str, str],
    ) -> Sent:
        """Poll for the last step's report, then send the first step, which knows the others."""
        registry, runtime, name = self._registry, self._runtime, journey.name
        meta = Meta(name, journey.id, self._adapters.reply_to if store is not None else "")
        outcome = runtime.make(name, journey.id, option)
        outcome._home = _PipelineHome(self._courier, self, journey)
        sent = Sent(self._courier, outcome, option, meta, home_wire(registry, journey), store)
        trip = Trip(registry, option, meta.reply_to, headers, beside=self._adapters.beside_frame)
        sent.confirmation = _NOTHING_SENT
        try:
            departure = trip.begin(journey, args, kwargs)
        except Stranded as stranded:  # a list without values, and the step after it does not take it
            outcome._deliver(fail_report(stranded.journey, option, stranded.failure))
            return sent
        if isinstance(departure, Arrived):
            outcome._succeed(departure.value)
            return sent
        try:
            if store is not None:
                self._courier._follow(sent, store.poll(meta))
            sent.confirmation = producer.send(departure)
        except BaseException as error:
            self._courier.drop(sent)
            if runtime.is_closing():
                raise closed_error(name) from error
            raise
        if runtime.is_closing():
            self._courier.close()
        return sent

    def cancel(self, journey: Journey) -> None:
        """Let no step of it start any more. Raises ``ConnectionLost`` or ``ConfigError``."""
        if (producer := self._adapters.producer) is None:
            raise ConfigError(f"task {journey.name!r} cannot be cancelled: no producer is attached")
        steps = [replace(journey, at=at) for at in range(len(journey.steps))]
        metas = [*[Meta(step.step.name, step.step_id) for step in steps], Meta(journey.name, journey.id)]
        gone = producer.cancel(metas)
        for meta, is_gone in zip(metas, gone, strict=True):
            if not is_gone:
                self._courier.cancelled_here(meta.name, meta.id)
        if any(gone):
            for sent in [each for each in self._courier._pending.copy() if each.is_of(journey.name, journey.id)]:
                sent.outcome._deliver(cancelled_report(journey.name, journey.id, sent.option))
                self._courier.drop(sent)


class _PipelineHome:
    """See ``Home``: of the result of a pipeline."""

    def __init__(self, courier: Courier, pipelines: PipelineCourier, journey: Journey) -> None:
        self.background = courier.background
        self._courier = courier
        self._pipelines = pipelines
        self._journey = journey

    def forget(self, name: str, id: str) -> None:
        self._courier.forget(name, id)

    def cancel(self, name: str, id: str) -> None:
        self._pipelines.cancel(self._journey)


class _NothingSent(Confirmation):
    """The answer for a pipeline that was over at once."""

    def wait(self, timeout: float | None = None) -> None:
        return None

    def add_done_callback(self, callback: Callable[[BaseException | None], object]) -> None:
        callback(None)


_NOTHING_SENT = _NothingSent()


def _telling(told: Told) -> AbstractContextManager[None]:
    """Inside it the broker is asked to confirm the call."""
    return nullcontext() if told is None else told[0].telling(told[1])


def _need_pipelines(producer: Producer, entries: Sequence[Entry], steps: Sequence[Step], option: Option) -> None:
    """Raises ``ConfigError`` where a step could get lost."""
    if producer.others_read:
        raise ConfigError(
            f"{type(producer).__name__} with layout=dingo has no place for pipelines: a Go worker would drop what "
            "comes after its step; use the native layout, or call the tasks one after the other"
        )
    if any(step.each for step in steps) and not isinstance(producer, Joins):
        raise ConfigError(f"{type(producer).__name__} cannot join what each(…) has run: use another broker")
    need_features(producer, option.terms)
    for entry in entries[1:]:
        need_features(producer, entry.option.terms)
