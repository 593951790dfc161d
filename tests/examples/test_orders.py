"""The README of the orders example is followed word by word, with Redis and with RabbitMQ."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.orders.models import Invoice
from tests.cli.commands import Worker, environment
from tests.docs.console import Shown, check, session, start
from tests.docs.pages import Block, blocks
from tests.examples.programs import EXAMPLES
from tests.servers import RedisServer
from tests.servers.fixtures import started

PAGE = blocks(EXAMPLES / "orders" / "README.md")


class Reader:
    """Somebody who types what stands there, in a copy of the repository."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.env = environment({"TYPEDDINGO_URL": url})
        self.worker: Worker | None = None
        shutil.copytree(
            EXAMPLES / "orders", folder / "examples" / "orders", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(EXAMPLES / "__init__.py", folder / "examples")

    def start(self, shown: Shown) -> Worker:
        self.worker = start(shown, self.folder, self.env)
        return self.worker

    def edit(self, line: str) -> None:
        """The line at the end of ``class Order``; then wait for the worker, as one does in a terminal."""
        models = self.folder / "examples" / "orders" / "models.py"
        last = "    lines: tuple[OrderLine, ...]\n"
        text = models.read_text(encoding="utf-8")
        assert text.count(last) == 1
        models.write_text(text.replace(last, last + line), encoding="utf-8")
        assert self.worker is not None
        self.worker.until("examples/orders/models.py changed: starts again")
        self.worker.until("is ready", times=2)


def steps() -> Iterator[Block | Shown]:
    for block in PAGE:
        if block.language == "console":
            yield from session(block)
        else:
            yield block


@pytest.fixture
def kept_redis_url() -> Iterator[str]:
    """Of a Redis that forgets nothing, and so gives no reason for a warning."""
    with started(lambda: RedisServer(aof=True)) as server:
        yield server.url()


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("technology", ["redis", "amqp"])
def test_the_readme_is_a_session_that_goes_as_shown(
    request: pytest.FixtureRequest, technology: str, tmp_path: Path
) -> None:
    reader = Reader(tmp_path, str(request.getfixturevalue({"redis": "kept_redis_url", "amqp": "amqp_url"}[technology])))
    with ExitStack() as running:
        for step in steps():
            if isinstance(step, Block):
                reader.edit(step.text)
            elif step.stays:
                running.enter_context(reader.start(step))
            elif not step.command.startswith("redis-server"):
                check(step, reader.folder, reader.env)
        assert reader.worker is not None
        assert reader.worker.stop() == 0
    gift = (tmp_path / "invoices" / "1004.json").read_text(encoding="utf-8")
    assert '"note": "for Emil"' in gift
    second = Invoice.model_validate_json((tmp_path / "invoices" / "1002.json").read_bytes())
    assert second.total == second.net + second.tax
    assert second.net == sum(line.amount for line in second.lines)


def test_the_readme_shows_all_the_programs() -> None:
    text = (EXAMPLES / "orders" / "README.md").read_text(encoding="utf-8")
    for program in sorted((EXAMPLES / "orders").glob("[a-z]*.py")):
        assert program.stem in text
