"""RabbitMQ keeps the contract of every backend: through one reply queue, and in Go dingo's layout through many."""

from __future__ import annotations

import pytest

from tests.servers import RabbitServer
from typeddingo.backend import Backend
from typeddingo.backends.amqp import AmqpBackend
from typeddingo.testing import BackendTestSuite


class Amqp(BackendTestSuite):
    settings = ""
    url = ""

    @pytest.fixture(autouse=True)
    def _server(self, rabbit_server: RabbitServer) -> None:
        self.url = f"{rabbit_server.url()}?{self.settings}"

    def make_backend(self) -> AmqpBackend:
        return AmqpBackend(self.url)

    def make_peer(self, backend: Backend) -> AmqpBackend:
        return AmqpBackend(self.url)


class TestNative(Amqp):
    keeps_early_reports = False  # nobody can report before the task is sent, and it is polled before that


class TestDingo(Amqp):
    settings = "layout=dingo"
    many = 300  # each of them is a queue

    def test_names_and_ids_that_read_alike_are_kept_apart(self, backend: Backend) -> None:
        pytest.skip("Go's names of queues are ambiguous; what a frame says tells them apart: tests/amqp/test_dingo.py")
