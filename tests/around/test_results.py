"""What is kept of a result, for how long, and how it is let go."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from tests.around.conftest import MakeApp
from tests.servers.proxy import Proxy
from typeddingo import App, Context, Result, ResultClosed, ResultExpired, Status
from typeddingo.testing import eventually

SECONDS = 20.0


def double(value: int) -> int:
    return 2 * value


def test_forgetting_changes_nothing_for_who_has_the_result(app: App) -> None:
    task = app.register("double", double)
    app.allocate(task)
    result = task.call(21)
    assert result.get(SECONDS) == 42
    result.forget()
    result.forget()
    app.forget(task, result.id)
    app.forget("double", "never sent")
    assert result.get(SECONDS) == 42
    assert task.call(1).get(SECONDS) == 2


@pytest.mark.servers
@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_who_waits_for_a_result_that_is_forgotten_is_told(request: pytest.FixtureRequest, technology: str) -> None:
    with App(str(request.getfixturevalue(f"{technology}_url"))) as app:
        task = app.register("double", double)
        result = task.call(21)
        result.forget()
        with pytest.raises(ResultExpired, match="was forgotten"):
            result.get(SECONDS)
        app.allocate(task)
        assert task.call(2).get(SECONDS) == 4


@pytest.mark.servers
def test_on_redis_a_forgotten_result_is_known_to_nobody(redis_url: str) -> None:
    with App(redis_url) as worker, App(redis_url) as asker:
        with App(redis_url) as caller:
            sent = caller.register("double", double).call(21)
        worker.allocate(worker.register("double", double))
        asked: Result[int] = asker.result("double", sent.id, int)
        assert asked.get(SECONDS) == 42
        assert asker.result("double", sent.id, int).get(SECONDS) == 42, "it is kept"
        asked.forget()
        for app in (worker, asker):
            with pytest.raises(ResultExpired, match="was forgotten"):
                app.result("double", sent.id, int).get(SECONDS)


@pytest.mark.servers
def test_on_redis_a_result_is_kept_for_its_time_to_live(redis_url: str) -> None:
    url = f"{redis_url}?result_ttl=0.5"
    with App(url) as worker, App(url) as asker:
        with App(url) as caller:
            sent = caller.register("double", double).call(21)
        worker.allocate(worker.register("double", double))
        assert asker.result("double", sent.id, int).get(SECONDS) == 42
        stored = time.monotonic()
        eventually(lambda: time.monotonic() > stored + 0.6)
        with pytest.raises(ResultExpired):
            asker.result("double", sent.id, int).get(SECONDS)


@pytest.mark.servers
def test_on_rabbitmq_a_result_is_for_its_caller_alone(amqp_url: str) -> None:
    with App(amqp_url) as app:
        task = app.register("double", double)
        app.allocate(task)
        result = task.call(21)
        assert result.get(SECONDS) == 42
        with pytest.raises(ResultClosed, match="keeps no reports"):
            app.result(task, result.id).get(SECONDS)
        result.forget()
        with pytest.raises(ResultClosed):
            app.result(task, result.id).get(SECONDS)


def test_progress_reaches_the_caller_in_order(make_app: MakeApp) -> None:
    with make_app() as app:

        @app.task(name="count", context=True)
        def count(context: Context, to: int) -> int:
            for done in range(1, to + 1):
                context.progress(done, to)
            return to

        app.allocate(count)
        reports = list(count.with_options(monitor_progress=True).call(3).reports(SECONDS))
        assert [report.progress for report in reports if report.progress] == [(1, 3), (2, 3), (3, 3)]
        assert (reports[-1].status, reports[-1].value) == (Status.SUCCESS, 3)


@pytest.mark.servers
def test_on_redis_progress_is_seen_from_another_process_too(redis_url: str) -> None:
    with App(redis_url) as worker, App(redis_url) as asker:
        with App(redis_url) as caller:
            sent = caller.register("wait", _waits).with_options(monitor_progress=True).call()

        @worker.task(name="wait", context=True)
        def wait(context: Context) -> str:
            context.progress(1, 2)
            eventually(lambda: seen)
            return "done"

        seen: list[tuple[float, float | None]] = []
        worker.allocate(wait)
        for report in asker.result("wait", sent.id, str).reports(SECONDS):
            if report.progress is not None:
                seen.append(report.progress)
        assert seen == [(1, 2)]


def _waits() -> str:
    raise NotImplementedError


def test_the_results_of_what_has_run_arrive_although_the_app_is_closed(app: App) -> None:
    ran = list[int]()

    def note(value: int) -> int:
        ran.append(value)
        return value

    task = app.register("note", note)
    app.allocate(task)
    results = [task.call(number) for number in range(100)]
    eventually(lambda: len(ran) == 100, "all have run", SECONDS)
    app.close()
    assert [result.get(SECONDS) for result in results] == list(range(100))


@pytest.mark.servers
@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_an_app_without_a_server_closes_soon(request: pytest.FixtureRequest, technology: str) -> None:
    url = str(request.getfixturevalue(f"{technology}_url"))
    with Proxy(urlsplit(url).port or 0) as proxy, App(proxy.url(url)) as app:
        task = app.register("double", double)
        app.allocate(task)
        assert task.call(1).get(SECONDS) == 2
        waiting = app.register("never", double).call(1)
        proxy.weather.blackhole = True
        begin = time.monotonic()
        app.close(0.1)
        assert time.monotonic() - begin < 15
        assert waiting.wait(SECONDS).failed
