"""The commands that look at queues, and workers in processes of their own, on real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.cli.commands import Done, Worker, run
from tests.servers import RabbitServer, RedisServer
from tests.servers.fixtures import started
from typeddingo import App
from typeddingo.testing import eventually

HERE = Path(__file__).parent
pytestmark = [pytest.mark.servers, pytest.mark.slow]

SECRET = "canary-4711"
NOWHERE = {
    "redis": f"redis://:{SECRET}@127.0.0.1:9/0?connect_timeout=0.5",
    "amqp": f"amqp://me:{SECRET}@127.0.0.1:9/?connect_timeout=0.5",
}


def of_another_version(text: str, loudness: int) -> str:
    """What a caller takes ``post.shout`` for, whose workers know of no loudness."""
    raise NotImplementedError


class Post:
    """A folder with the module, and the commands run in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.env = {"TYPEDDINGO_URL": url}
        shutil.copy(HERE / "post.py", folder)

    def run(self, *arguments: str, stdin: str = "") -> Done:
        return run(self.folder, *arguments, env=self.env, stdin=stdin)

    def call(self, name: str, arguments: str, *more: str) -> Done:
        return self.run("call", "post:app", name, "--json", arguments, *more)

    def worker(self, *arguments: str) -> Worker:
        return Worker(self.folder, "post:app", *arguments, env=self.env)

    def dead(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.run("dead", *arguments, "--json")
        assert (done.code, done.err) == (0, "")
        return [json.loads(line) for line in done.out.splitlines()]

    def queue(self, name: str) -> dict[str, Any]:
        done = self.run("queues", "post:app", "--json")
        assert (done.code, done.err) == (0, "")
        return next(state for line in done.out.splitlines() if (state := json.loads(line))["name"] == name)

    def refused(self, count: int) -> list[dict[str, Any]]:
        """So many calls that the workers do not understand, put aside."""
        with self.worker() as worker:
            worker.until("runs post.sleep")
            with App(self.env["TYPEDDINGO_URL"]) as app:
                shout = app.register("post.shout", of_another_version)
                for number in range(count):
                    shout.with_options(ignore_report=True).call(f"no. {number}", 11)
            worker.until("ERROR", "UNDECODABLE", times=count)
            assert worker.stop() == 0
        return self.dead("list", "post:app", "post.shout")


@pytest.fixture(params=["redis", "amqp"])
def technology(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def post(request: pytest.FixtureRequest, technology: str, tmp_path: Path) -> Post:
    return Post(tmp_path, str(request.getfixturevalue(f"{technology}_url")))


# call and worker


def test_a_call_is_answered_by_a_worker_in_another_process(post: Post) -> None:
    with post.worker("--processes", "2") as worker:
        worker.until("is ready")
        assert post.call("post.shout", '["hello"]') == Done(0, '"HELLO"\n', "")
        line = worker.until("post.shout id=")
        assert "SUCCESS" in line
        assert "attempt 1" in line
        assert worker.stop() == 0
    assert not worker.saying("hello")


def test_a_call_that_is_not_waited_for_prints_its_id_and_stays_in_its_queue(post: Post) -> None:
    done = post.call("post.shout", '["later"]', "--no-wait")
    assert (done.code, len(done.out.strip()), done.err) == (0, 36, "")
    with post.worker() as worker:
        worker.until(f"post.shout id={done.out.strip()} SUCCESS")


def test_a_call_that_nobody_answers_in_time_is_exit_code_4(post: Post) -> None:
    done = post.call("post.shout", '["hello"]', "--timeout", "0.2")
    assert (done.code, done.out) == (4, "")
    assert "no result in 0.2 s" in done.err
    assert post.queue("post.shout")["waiting"] == 1


def shout(text: str) -> str:
    """What the caller knows of ``post.shout``."""
    raise NotImplementedError


def test_a_result_is_asked_for_by_its_id_and_forgotten(redis_url: str, tmp_path: Path) -> None:
    post = Post(tmp_path, redis_url)
    with App(redis_url) as caller:  # which ends before there is a result
        id = caller.register("post.shout", shout).call("hello").id
    early = post.run("result", "post:app", "post.shout", id, "--wait", "0.3")
    assert (early.code, early.out) == (4, "")
    assert "no result in 0.3 s: the task waits, runs or is not known" in early.err
    with post.worker() as worker:
        worker.until(f"post.shout id={id} SUCCESS")
        assert post.run("result", "post:app", "post.shout", id) == Done(0, '"HELLO"\n', "")
        assert post.run("result", "post:app", "post.shout", id, "--forget") == Done(0, '"HELLO"\n', "")
        gone = post.run("result", "post:app", "post.shout", id, "--wait", "20")
        assert (gone.code, gone.out) == (1, "")
        assert gone.err == "typeddingo: the result of this task was forgotten\n"
        unknown = post.run("result", "post:app", "post.shoot", id)
        assert (unknown.code, unknown.out) == (2, "")
        assert "no task is called 'post.shoot'; there are: " in unknown.err


def test_a_failure_asked_for_by_its_id_is_exit_code_1(redis_url: str, tmp_path: Path) -> None:
    post = Post(tmp_path, redis_url)
    with App(redis_url) as caller:
        id = caller.register("post.sleep", sleep).call("no/such/folder", 0.0).id
    with post.worker() as worker:
        worker.until(f"post.sleep id={id} FAIL")
        for _ in range(2):
            done = post.run("result", "post:app", "post.sleep", id, "--wait", "20", "--forget")
            assert (done.code, done.out) == (1, "")
            assert ("FileNotFoundError" in done.err) != ("was forgotten" in done.err)


def sleep(name: str, seconds: float) -> int:
    """What the caller knows of ``post.sleep``."""
    raise NotImplementedError


def test_on_rabbitmq_nobody_but_the_caller_can_have_a_result(amqp_url: str, tmp_path: Path) -> None:
    done = Post(tmp_path, amqp_url).run("result", "post:app", "post.shout", "7")
    assert (done.code, done.out) == (1, "")
    assert "keeps no reports for other processes than the caller's" in done.err


def test_a_result_of_a_server_that_is_not_there_is_exit_code_3(tmp_path: Path) -> None:
    for url in NOWHERE.values():
        done = Post(tmp_path, url).run("result", "post:app", "post.shout", "7")
        assert (done.code, done.out) == (3, "")
        assert SECRET not in done.err


def test_a_worker_that_is_killed_is_replaced_and_its_task_runs_again(post: Post) -> None:
    if post.env["TYPEDDINGO_URL"].startswith("redis"):
        post.env["TYPEDDINGO_URL"] += "?lease=1"
    mark = post.folder / "starts"
    with post.worker("--processes", "2", "--concurrency", "1") as worker:
        worker.until("is ready")
        sent = post.call("post.sleep", f'["{mark}", 1.5]', "--no-wait").out.strip()
        eventually(mark.exists)
        [busy] = [pid for pid in worker.children() if mark_of(pid, mark)]
        os.kill(busy, signal.SIGKILL)
        worker.until(f"process {busy} was killed by SIGKILL")
        assert "attempt 2" in worker.until(f"post.sleep id={sent} SUCCESS")
    assert mark.read_text() == ".."


def mark_of(pid: int, mark: Path) -> bool:
    """The process has the mark open: it is in the task."""
    return any(os.readlink(fd) == str(mark) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink())


def test_a_task_that_kills_its_process_is_put_aside_and_the_worker_lives(post: Post) -> None:
    url = post.env["TYPEDDINGO_URL"]
    post.env["TYPEDDINGO_URL"] = f"{url}?max_deliveries=2" + ("&lease=1" if url.startswith("redis") else "")
    mark = post.folder / "starts"
    with post.worker() as worker:
        worker.until("runs post.sleep")
        sent = post.call("post.die", f'["{mark}"]', "--no-wait").out.strip()
        worker.until("ended with exit code 9", times=2)
        eventually(lambda: post.queue("post.die")["dead"] == 1, timeout=20)
        assert post.call("post.shout", '["alive"]').out == '"ALIVE"\n'
    assert [letter["id"] for letter in post.dead("list", "post:app", "post.die")] == [sent]
    assert mark.read_text() == ".."


# ping


def answers(done: Done) -> dict[str, str]:
    """The answer of each part, in capitals when it is a no."""
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip().split("  ")[0] for line in done.out.splitlines()}


def test_ping_asks_broker_backend_and_workers(post: Post) -> None:
    done = post.run("ping", "post:app")
    assert (done.code, done.err) == (1, "")
    assert answers(done) == {"broker": "ok", "backend": "ok", "workers": "TOO FEW"}
    done = post.run("ping", "post:app", "--workers", "0")
    assert (done.code, done.err) == (0, "")
    assert answers(done) == {"broker": "ok", "backend": "ok"}
    with post.worker("--processes", "2") as worker:
        worker.until("is ready")
        eventually(lambda: post.run("ping", "post:app", "--workers", "2").code == 0)
        assert "post.shout: 2" in post.run("ping", "post:app").out
        assert post.run("ping", "post:app", "--workers", "3").code == 1


def test_ping_says_no_in_time_when_nothing_answers(post: Post, technology: str) -> None:
    post.env["TYPEDDINGO_URL"] = NOWHERE[technology]
    started_at = monotonic()
    done = post.run("ping", "post:app", "--timeout", "1")
    assert monotonic() - started_at < 8  # of which most is the start of two processes on a busy machine
    assert (done.code, done.err) == (1, "")
    assert answers(done) == {"broker": "NO ANSWER", "backend": "NO ANSWER", "workers": "NO ANSWER"}
    assert SECRET not in done.out


def test_ping_does_not_wait_for_a_server_that_is_silent(tmp_path: Path) -> None:
    with started(RedisServer) as server:
        post = Post(tmp_path, server.url())
        server.freeze()
        started_at = monotonic()
        done = post.run("ping", "post:app", "--timeout", "0.5")
        assert monotonic() - started_at < 5
        server.thaw()
    assert answers(done) == {"broker": "NO ANSWER", "backend": "NO ANSWER", "workers": "NO ANSWER"}
    assert (done.code, done.err) == (1, "")


# a server that cannot be reached


def test_a_worker_that_cannot_connect_ends_after_its_deadline(post: Post, technology: str) -> None:
    post.env["TYPEDDINGO_URL"] = NOWHERE[technology]
    done = post.run("worker", "post:app", "--connect-deadline", "1", "--processes", "2", "--log-level", "debug")
    assert done.code == 3
    assert done.err.count("did not answer within 1 s") == 1
    assert SECRET not in done.err


@pytest.mark.parametrize("command", ["queues post:app", "dead list post:app", 'call post:app post.shout --json ["x"]'])
def test_a_command_that_cannot_connect_is_exit_code_3(post: Post, technology: str, command: str) -> None:
    post.env["TYPEDDINGO_URL"] = NOWHERE[technology] + "&send_timeout=1"
    done = post.run(*command.split())
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("typeddingo: ")
    assert done.err.count("\n") == 1
    assert SECRET not in done.err


def test_a_worker_says_that_its_connection_is_lost_and_back_and_works_on(technology: str, tmp_path: Path) -> None:
    make: Callable[[], RedisServer | RabbitServer] = RedisServer if technology == "redis" else RabbitServer
    with started(make) as server:
        url = server.url() if isinstance(server, RedisServer) else server.url(server.new_vhost())
        post = Post(tmp_path, url)
        with post.worker() as worker:
            worker.until("runs post.sleep")
            assert post.call("post.shout", '["before"]').out == '"BEFORE"\n'
            server.stop()
            worker.until("WARNING", "CONNECTION", timeout=60)
            server.start()
            worker.until("INFO", "CONNECTION", timeout=60)
            assert post.call("post.shout", '["after"]', "--timeout", "30").out == '"AFTER"\n'
            assert worker.stop() == 0
        assert not worker.saying("a new one starts")


def test_a_process_that_starts_while_the_server_is_away_waits_for_it(tmp_path: Path) -> None:
    with started(lambda: RedisServer(aof=True)) as server:
        post = Post(tmp_path, server.url())
        with post.worker("--connect-deadline", "0.5") as worker:
            worker.until("runs post.sleep")
            [child] = worker.children()
            server.stop()
            os.kill(child, signal.SIGKILL)
            worker.until("ended with exit code 3")
            server.start()
            worker.until("is ready")
            assert post.call("post.shout", '["back"]').out == '"BACK"\n'
            assert worker.stop() == 0


# queues


def test_queues_are_listed_with_what_they_hold(post: Post) -> None:
    for _ in range(3):
        post.call("post.shout", '["x"]', "--no-wait")
    done = post.run("queues", "post:app")
    assert (done.code, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines()] == [
        ["queue", "waiting", "running", "dead", "workers", "later"],
        ["post.die", "0", "0", "0", "0", "0"],
        ["post.fail", "0", "0", "0", "0", "0"],
        ["post.shout", "3", "0", "0", "0", "0"],
        ["post.sleep", "0", "0", "0", "0", "0"],
    ]
    state = {"name": "post.shout", "waiting": 3, "running": 0, "dead": 0, "workers": 0, "later": 0}
    assert post.queue("post.shout") == state


# dead letters


def test_a_dead_letter_is_listed_and_shown_without_what_it_carries(post: Post) -> None:
    [letter] = post.refused(1)
    assert letter["name"] == "post.shout"
    assert len(letter["id"]) == 36
    assert letter["reason"]
    listed = post.run("dead", "list", "post:app")
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.startswith("name")
    assert letter["key"] in listed.out
    shown = post.run("dead", "show", "post:app", "post.shout", letter["key"])
    assert (shown.code, shown.err) == (0, "")
    assert letter["id"] in shown.out
    assert "header" in shown.out
    for done in (listed, shown):
        assert "no. 0" not in done.out
    [whole] = post.dead("show", "post:app", "post.shout", letter["key"], "--payload")
    assert '"no. 0"' in whole["payload"]


def test_replayed_letters_are_tasks_again(post: Post) -> None:
    letters = post.refused(3)
    assert len(letters) == 3
    first = letters[0]["key"]
    assert post.run("dead", "replay", "post:app", "post.shout", first) == Done(0, "1 put back\n", "")
    state = post.queue("post.shout")
    assert (state["waiting"], state["dead"]) == (1, 2)
    assert post.run("dead", "replay", "post:app", "--all") == Done(0, "2 put back\n", "")
    (post.folder / "post.py").write_text(
        (post.folder / "post.py").read_text().replace("shout(text: str)", "shout(text: str, loudness: int = 1)")
    )
    with post.worker() as worker:
        worker.until("post.shout id=", "SUCCESS", times=3)
    assert {letter["id"] for letter in letters} == {
        line.split("id=")[1].split()[0] for line in worker.saying("post.shout id=", "SUCCESS")
    }
    assert post.dead("list", "post:app") == []


def test_purged_letters_are_gone_and_the_others_stay(post: Post) -> None:
    letters = post.refused(3)
    keys = [letter["key"] for letter in letters]
    assert post.run("dead", "purge", "post:app", "post.shout", keys[1], "--yes") == Done(0, "1 deleted\n", "")
    left = [letter["id"] for letter in post.dead("list", "post:app")]
    assert left == [letters[0]["id"], letters[2]["id"]]
    assert post.run("dead", "purge", "post:app", "--all", "--yes") == Done(0, "2 deleted\n", "")
    assert post.dead("list", "post:app") == []


@pytest.mark.parametrize("technology", ["redis"])
def test_nothing_is_deleted_that_nobody_has_agreed_to(post: Post) -> None:
    [letter] = post.refused(1)
    for arguments in (
        ["purge", "post:app", "--all"],
        ["purge", "post:app", "--yes"],
        ["purge", "post:app", "post.shout", letter["key"], "--all", "--yes"],
        ["replay", "post:app"],
    ):
        done = post.run("dead", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
    assert len(post.dead("list", "post:app")) == 1


def test_a_key_that_is_not_there_is_a_no(post: Post) -> None:
    post.refused(1)
    for action in (["show"], ["replay"], ["purge", "--yes"]):
        assert post.run("dead", action[0], "post:app", "post.shout", "0-1", *action[1:]).code == 1
    assert len(post.dead("list", "post:app")) == 1


def test_a_list_can_be_limited(post: Post) -> None:
    post.refused(3)
    assert len(post.dead("list", "post:app", "--limit", "2")) == 2


# retry and cancel


def test_a_task_that_failed_for_good_runs_anew_when_it_is_told_to(post: Post) -> None:
    there = post.folder / "there"
    with post.worker() as worker:
        worker.until("runs post.sleep")
        sent = post.call("post.fail", f'["{there}"]', "--no-wait").out.strip()
        assert "attempt 1" in worker.until(f"post.fail id={sent} RETRY")
        assert "attempt 2" in worker.until(f"post.fail id={sent} FAIL")
        eventually(lambda: post.queue("post.fail")["dead"] == 1)
        [letter] = post.dead("list", "post:app", "post.fail")
        assert letter["id"] == sent
        assert "FileNotFoundError" in letter["reason"]
        assert post.run("retry", "post:app", "post.fail", "no such id") == Done(1, "0 put back\n", "")
        there.touch()
        assert post.run("retry", "post:app", "post.fail", sent) == Done(0, "1 put back\n", "")
        assert "attempt 1" in worker.until(f"post.fail id={sent} SUCCESS")
        assert post.run("retry", "post:app", "post.fail", "--all") == Done(0, "0 put back\n", "")
        assert post.run("retry", "post:app", "post.fail").code == 2


def test_a_task_that_was_cancelled_before_a_worker_came_is_not_run(post: Post) -> None:
    sent = post.call("post.shout", '["never"]', "--no-wait").out.strip()
    late = post.call("post.shout", '["late"]', "--delay", "2", "--no-wait").out.strip()
    for id in (sent, late):
        assert post.run("cancel", "post:app", "post.shout", id) == Done(0, "1 cancelled\n", "")
    with post.worker() as worker:
        worker.until("runs post.sleep")
        assert post.call("post.shout", '["after"]', "--delay", "2").out == '"AFTER"\n'
        assert not worker.saying(f"id={sent}")
        assert not worker.saying(f"id={late}")
        assert worker.stop() == 0
