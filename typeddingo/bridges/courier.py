"""The caller's half of a remote app: poll, then send, then wait for the confirmation; reports into the ``Result``.

Comes from ``Task.call``, goes to a producer; comes back from a store.
"""

# The engine is the other half of a Result:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar

from typeddingo.backend import ReportStream, Store
from typeddingo.bridge import closed_error
from typeddingo.bridges.adapters import Adapters
from typeddingo.bridges.announcing import Announcer, Start, never
from typeddingo.bridges.asked import need_features
from typeddingo.bridges.sent import Sent
from typeddingo.bridges.unique import Earlier, SharedStore, UniqueConfirmation
from typeddingo.broker import Parcel, Producer
from typeddingo.errors import ConfigError, ResultError, ResultExpired
from typeddingo.events import EventCode, EventLevel
from typeddingo.hooks import Hooks
from typeddingo.message import Meta, TaskMessage
from typeddingo.middleware import Outgoing
from typeddingo.option import Option
from typeddingo.outcome import CallOutcome, cancelled_report, shutdown_report
from typeddingo.registry import Entry, Registry
from typeddingo.role import Role
from typeddingo.runtime import Runtime
from typeddingo.terms import AT_ONCE, Terms
from typeddingo.time_limit import meet_limit, overdue

__all__ = ["Courier"]


class Courier:
    """Thread-safe."""

    def __init__(self, runtime: Runtime, registry: Registry, adapters: Adapters) -> None:
        self._runtime = runtime
        self._registry = registry
        self._adapters = adapters
        # Not by name and id: an id maker of the user may give the same id twice, and both callers must hear.
        self._pending: set[Sent] = set()
        self._told: dict[Sent, tuple[Hooks, Outgoing]] = {}
        """Of batches: the calls that middleware was told of, and will be told the end of."""
        self._earlier = Earlier()
        self._batch: ContextVar[list[Sent] | None] = ContextVar("typeddingo_batch", default=None)

    def join(self, entry: Entry) -> None:
        """Compile how this task is sent."""
        if entry.hooks.sends:
            self._join_announced(entry)
            return
        start = self._starter(entry, self._registry.wire_of(entry).encode_task)

        def send(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> object:
            sent = start(args, kwargs, option)
            if (calls := batch.get()) is not None:
                calls.append(sent)
            else:
                sent.confirm()
            return sent.outcome

        async def send_async(
            args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None
        ) -> object:
            sent = start(args, kwargs, option)
            if (calls := batch.get()) is not None:
                calls.append(sent)
            else:
                await sent.confirm_async()
            return sent.outcome

        def send_many(rows: Sequence[tuple[object, ...]], option: Option | None = None) -> list[object]:
            for row in rows:
                bind(row, {})
            with self.batch():
                return [send(row, {}, option) for row in rows]

        bind, batch = entry.contract.bind, self._batch
        entry.send, entry.send_async, entry.send_many = send, send_async, send_many

    def _join_announced(self, entry: Entry) -> None:
        """The same where middleware is told of every call."""
        hooks, bind, batch = entry.hooks, entry.contract.bind, self._batch
        announcer = Announcer(hooks, self._registry.wire_of(entry).encode_task)
        start = announcer.around(self._starter(entry, announcer.encode, never))

        def send(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None) -> object:
            sent, call = start(args, kwargs, option)
            if (calls := batch.get()) is not None:
                self._told[sent] = hooks, call
                calls.append(sent)
            else:
                with hooks.telling(call):
                    sent.confirm()
            return sent.outcome

        async def send_async(
            args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None = None
        ) -> object:
            sent, call = start(args, kwargs, option)
            if (calls := batch.get()) is not None:
                self._told[sent] = hooks, call
                calls.append(sent)
            else:
                with hooks.telling(call):
                    await sent.confirm_async()
            return sent.outcome

        def send_many(rows: Sequence[tuple[object, ...]], option: Option | None = None) -> list[object]:
            for row in rows:
                bind(row, {})
            with self.batch():
                return [send(row, {}, option) for row in rows]

        entry.send, entry.send_async, entry.send_many = send, send_async, send_many

    def reattach(self, entry: Entry, id: str) -> object:
        """The result of a call that another process has made, as far as the store keeps it."""
        name = entry.name
        if self._runtime.closing:
            raise closed_error(name)
        if (store := self._adapters.store) is None:
            raise ConfigError(f"the result of task {name!r} cannot be had: no store is attached; call app.use(backend)")
        outcome = self._runtime.make(name, id, Option())
        outcome._home = self
        meta, shared = Meta(name, id, store.reply_to), SharedStore(store)
        sent = Sent(self, outcome, Option(), meta, self._registry.wire_of(entry), shared)
        self._follow(sent, store.reattach(meta))
        if self._runtime.is_closing():  # closed since we looked
            self.close()
        return outcome

    def forget(self, name: str, id: str) -> None:
        """Nobody here waits for it any more, and the store keeps nothing of it."""
        if self._runtime.closing:
            raise ConfigError("app.forget(): the app is closed")
        if (store := self._adapters.store) is None:
            raise ConfigError(f"nothing of task {name!r} can be forgotten: no store is attached; call app.use(backend)")
        for sent in [each for each in self._pending.copy() if each.is_of(name, id)]:
            sent.outcome._close(ResultExpired(f"the result of task {name!r} with id {id!r} was forgotten"))
            self.drop(sent)
        store.forget(Meta(name, id, store.reply_to))

    @contextlib.contextmanager
    def batch(self) -> Generator[None]:
        """Calls of this thread (or coroutine) hand over and go on; the end waits for all confirmations."""
        calls: list[Sent] = []
        token = self._batch.set(calls)
        try:
            yield
        finally:
            self._batch.reset(token)
            failure_of = self._told_failure_of if self._told else Sent.failure
            failures = [error for sent in calls if (error := failure_of(sent)) is not None]
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(calls)} calls of a batch were not confirmed", failures)

    def background(self, callback: Callable[[], None]) -> None:
        """See ``Home``."""
        self._runtime.handlers.run(callback)

    def cancel(self, name: str, id: str) -> None:
        """See ``Home``. Of a task that nobody will hear of any more, the result is told here, and so is whoever asks
        for it later. Raises ``ConnectionLost`` or ``ConfigError``."""
        if (producer := self._adapters.producer) is None:
            raise ConfigError(f"task {name!r} cannot be cancelled: no producer is attached; call app.use(broker) first")
        (gone,) = producer.cancel([Meta(name, id, self._adapters.reply_to)])
        if gone:
            for sent in [each for each in self._pending.copy() if each.is_of(name, id)]:
                sent.outcome._deliver(cancelled_report(name, id, sent.option))
                self.drop(sent)
            self._keep_cancelled(name, id)
        else:
            self.cancelled_here(name, id)

    def cancelled_here(self, name: str, id: str) -> None:
        """Workers of this process need not hear of it from the broker."""
        if self._runtime.working:
            self._runtime.cancelled.add(name, id)

    def _keep_cancelled(self, name: str, id: str) -> None:
        """The report that no worker will make, where somebody may ask for it."""
        reporter, store, entry = self._adapters.reporter, self._adapters.store, self._registry.find(name)
        if reporter is None or entry is None or store is None or type(store).reattach is Store.reattach:
            return
        report = self._registry.wire_of(entry).encode_report(cancelled_report(name, id, entry.option))
        reporter.report([Parcel(Meta(name, id), report)])

    @property
    def pending(self) -> bool:
        """Some wait for reports."""
        return bool(self._pending)

    def close(self) -> None:
        """End every result that is still pending with a Fail report."""
        for sent in self._pending.copy():
            meta = sent.meta
            sent.outcome._deliver(shutdown_report(meta.name, meta.id, sent.option))
            self.drop(sent)

    def _compile(
        self,
        entry: Entry,
        encode: Callable[[TaskMessage], bytes],
        write: Callable[[str, tuple[object, ...]], bytes | None] | None = None,
    ) -> Start[Sent]:
        name, default, bind, fits = entry.name, entry.option, entry.contract.bind, entry.contract.quick_bind()
        make = self._runtime.make if entry.unique_for is None else self._make_shared
        new_id = self._registry.id_maker_of(entry).new_id
        wire = self._registry.wire_of(entry)
        runtime, adapters = self._runtime, self._adapters
        ways, follow = self._ways, self._follow
        at_once = AT_ONCE if entry.unique_for is None else None
        beside = not wire.signed
        if write is None:
            write = wire.plain.write_call

        def start(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None) -> Sent:
            if overdue:
                meet_limit()
            if runtime.closing:
                raise closed_error(name)
            option = option or default
            producer, store = ways(name, option)
            if kwargs or not fits(args):
                args, kwargs = bind(args, kwargs)
            if adapters.others_read:
                args, kwargs = _whole(entry, args, kwargs)
            if (terms := option.terms) is not at_once:
                terms = _asked(entry, terms, args, kwargs)
                need_features(producer, terms)
            outcome = make(name, id := new_id(name), option)
            outcome._home = self
            reply_to = adapters.reply_to if store is not None else ""
            in_frame = "" if beside and adapters.beside_frame else reply_to
            # The short way saves a message that nobody else looks at; it answers None to all that it does not know.
            unusual = kwargs or in_frame or option.ignore_report or option.monitor_progress
            if unusual or (frame := write(id, args)) is None:
                frame = encode(TaskMessage(name, id, args, kwargs, option, in_frame))
            sent = Sent(self, outcome, option, meta := Meta(name, id, reply_to), wire, store)
            try:
                if store is not None:
                    follow(sent, store.poll(meta))
                sent.confirmation = producer.send((Parcel(meta, frame, terms),))
            except BaseException as error:
                self.drop(sent)  # a send that failed leaves no poll behind (the seed's did)
                if runtime.is_closing():  # closed since we looked, and the adapters with us
                    raise closed_error(name) from error
                raise
            if runtime.is_closing():  # closed since we looked: whoever sees it last ends the call
                self.close()
            return sent

        return start

    def _starter(
        self,
        entry: Entry,
        encode: Callable[[TaskMessage], bytes],
        write: Callable[[str, tuple[object, ...]], bytes | None] | None = None,
    ) -> Start[Sent]:
        start = self._compile(entry, encode, write)
        return start if entry.unique_for is None else self._compile_unique(start)

    def _compile_unique(self, start: Start[Sent]) -> Start[Sent]:
        """As ``_compile``, of a task whose call may be one that was made before."""
        earlier, background = self._earlier, self._runtime.handlers.run

        def start_unique(args: tuple[object, ...], kwargs: Mapping[str, object], option: Option | None) -> Sent:
            sent = start(args, kwargs, option)
            assert sent.confirmation is not None

            def follow(id: str) -> None:
                self._follow_first(sent, id)

            sent.confirmation = UniqueConfirmation(sent.confirmation, sent.outcome, earlier, follow, background)
            return sent

        return start_unique

    def _follow_first(self, sent: Sent, id: str) -> None:
        """This call was not stored: the task with this id stands for it."""
        outcome, meta, store = sent.outcome, Meta(sent.meta.name, id, sent.meta.reply_to), sent.store
        self.drop(sent)
        self._earlier.remove(outcome)
        if (first := self._earlier.find(meta.name, id)) is not None:
            outcome._echo(first)
            return
        outcome.id = id
        if store is None:  # nobody asks for reports
            return
        self._earlier.add(outcome)
        shared = SharedStore(store)
        again = Sent(self, outcome, sent.option, meta, sent.wire, shared)
        try:
            self._follow(again, shared.reattach(meta))
        except Exception as error:
            self.drop(again)
            outcome._close(error)
        if self._runtime.is_closing():  # closed since we looked
            self.close()

    def _make_shared(self, name: str, id: str, option: Option) -> CallOutcome:
        """Before it is sent: its equals may hear of it before its caller does."""
        outcome = self._runtime.make(name, id, option)
        self._earlier.add(outcome)
        return outcome

    def _ways(self, name: str, option: Option) -> tuple[Producer, Store | None]:
        producer, store = self._adapters.producer, self._adapters.store
        if producer is None:
            raise ConfigError(f"task {name!r} cannot be sent: no producer is attached; call app.use(broker) first")
        if option.ignore_report:
            return producer, None
        if store is None:
            raise ConfigError(
                f"task {name!r} cannot be sent: no store is attached for its result; call app.use(backend) first, or "
                "send it with ignore_report"
            )
        return producer, store

    def _follow(self, sent: Sent, stream: ReportStream) -> None:
        self._pending.add(sent)
        stream.attach(sent, prompt=sent.wire.prompt)

    def end(self, sent: Sent, error: ResultError) -> None:
        """No more reports will come."""
        if self._runtime.closing:
            sent.outcome._deliver(shutdown_report(sent.meta.name, sent.meta.id, sent.option))
        sent.outcome._close(error)
        self._pending.discard(sent)

    def refuse(self, sent: Sent, error: Exception) -> None:
        """A report that cannot be read ends the result it was for, and only that."""
        self._runtime.publish(
            Role.BRIDGE,
            EventLevel.ERROR,
            EventCode.UNDECODABLE,
            f"a report was refused: {error}",
            task=sent.meta.name,
            id=sent.meta.id,
        )
        sent.outcome._close(error)
        self.drop(sent)

    def drop(self, sent: Sent) -> None:
        """Ask for no more reports. Only once polled: the id of a poll that was refused may be another call's."""
        if sent.store is not None and sent in self._pending:
            self._pending.discard(sent)
            sent.store.done(sent.meta)

    def _told_failure_of(self, sent: Sent) -> Exception | None:
        """The same where middleware may have been told of the call."""
        error = sent.failure()
        if (told := self._told.pop(sent, None)) is not None:
            hooks, call = told
            hooks.sent(call, error)
        return error


def _asked(entry: Entry, terms: Terms, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Terms:
    """What a checked call asks of the broker."""
    if entry.unique_for is None:
        return terms
    return terms._replace(unique=entry.unique_key(args, kwargs), unique_for=entry.unique_for)


def _whole(
    entry: Entry, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[tuple[object, ...], Mapping[str, object]]:
    """A checked call for workers that know no names and no defaults: all of it by position."""
    args, kwargs = entry.contract.complete(args, kwargs)
    if kwargs:
        raise ConfigError(
            f"task {entry.name!r} cannot be called with layout=dingo: Go has no named arguments, and "
            f"{next(iter(kwargs))!r} can be given in no other way; let it be given by position"
        )
    return args, kwargs
