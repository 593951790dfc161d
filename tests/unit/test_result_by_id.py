"""``app.result``: the result of a call that another process has made, known by its id."""

from __future__ import annotations

import pytest

from typeddingo import (
    App,
    ConfigError,
    LocalBackend,
    Meta,
    Parcel,
    Report,
    ReportStream,
    ResultClosed,
    ResultExpired,
    Status,
    TaskFailed,
    gather,
)
from typeddingo.contract import Contract
from typeddingo.marshallers.json import JSONMarshaller
from typeddingo.message import Failure


class Keeping(LocalBackend):
    """Keeps reports for whoever asks, as a server does."""

    def reattach(self, meta: Meta) -> ReportStream:
        if meta.id == "gone":
            stream = ReportStream(meta)
            stream.end(ResultExpired("no report is kept"))
            return stream
        return self.poll(meta)


def words(text: str) -> list[str]:
    return text.split()


def frame_of(id: str, report: Report[object]) -> bytes:
    return JSONMarshaller().encode_report(Contract.of(words, name="words"), report)


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "by type alone"])
def test_a_result_by_id_ends_with_the_kept_report(registered: bool) -> None:
    backend = Keeping()
    with App("remote") as app:
        app.use(backend)
        if registered:
            app.register("words", words)
        result = app.result("words", "7", list[str])
        report = Report[object]("words", "7", Status.SUCCESS, values=(["a", "b"],))
        backend.report([Parcel(Meta("words", "7"), frame_of("7", report))])
        assert result.get(10) == ["a", "b"]
        failed = app.result("words", "8", list[str])
        report = Report[object]("words", "8", Status.FAIL, failure=Failure(1, "broken"))
        backend.report([Parcel(Meta("words", "8"), frame_of("8", report))])
        with pytest.raises(TaskFailed, match="broken"):
            failed.get(10)
    assert backend.outstanding() == 0


def test_a_result_that_is_kept_no_more_has_expired() -> None:
    with App("remote") as app:
        app.use(Keeping())
        task = app.register("words", words)
        with pytest.raises(ResultExpired):
            app.result(task, "gone").get(10)


def test_a_backend_that_keeps_nothing_says_so_at_once() -> None:
    with App("remote") as app:
        app.use(LocalBackend())
        with pytest.raises(ResultClosed, match="keeps no reports"):
            app.result("words", "7", list[str]).get(10)


def test_who_waits_for_a_forgotten_result_is_told_and_the_store_is() -> None:
    class Forgetting(Keeping):
        def forget(self, meta: Meta) -> None:
            forgotten.append((meta.name, meta.id))

    forgotten: list[tuple[str, str]] = []
    backend = Forgetting()
    with App("remote") as app:
        app.use(backend)
        app.register("words", words)
        result, other = app.result("words", "7", list[str]), app.result("words", "8", list[str])
        app.forget("words", "7")
        with pytest.raises(ResultExpired, match="'words' with id '7' was forgotten"):
            result.get(10)
        assert not other.done
        result.forget()
        assert forgotten == [("words", "7")] * 2
    assert backend.outstanding() == 0


def test_forgetting_needs_a_store_and_an_open_app() -> None:
    app = App("remote")
    task = app.register("words", words)
    with pytest.raises(ConfigError, match="no store"):
        app.forget(task, "7")
    app.use(LocalBackend())
    app.forget(task, "7")
    app.close()
    with pytest.raises(ConfigError, match="closed"):
        app.forget(task, "7")
    with App("local") as local:
        local.forget("words", "7")


def test_a_gathered_result_is_forgotten_by_its_parts() -> None:
    with App("local") as app:
        both = gather(*app.register("words", words).map(["a", "b c"]))
        assert both.get(10) == (["a"], ["b", "c"])
        with pytest.raises(ConfigError, match="parts"):
            both.forget()


def test_a_result_by_id_needs_a_store_a_known_type_and_an_open_app() -> None:
    app = App("remote")
    app.register("words", words)
    with pytest.raises(ConfigError, match="no store"):
        app.result("words", "7", list[str])
    app.use(LocalBackend())
    with pytest.raises(ConfigError, match="another type"):
        app.result("words", "7", list[int])
    app.close()
    with pytest.raises(ConfigError, match="closed"):
        app.result("words", "7", list[str])
    with App("local") as local, pytest.raises(ConfigError, match="local app"):
        local.result("words", "7", list[str])
