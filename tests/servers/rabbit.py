"""A private RabbitMQ. Comes from the fixtures and from fault tests, which may kill, freeze and restart it.

Its own directory, node name, cookie, ports and port mapper (epmd): nothing is shared with one that the system runs.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from tests.servers.ports import free_port
from tests.servers.process import Process, find
from tests.servers.server import Server

START = 90.0
"""Seconds: it takes 5 of them on a machine that has nothing else to do."""

CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{port}
log.file.level = warning
log.console = false
disk_free_limit.absolute = 10MB
"""
"""A small disk is no alarm: tests raise their own."""

NEW_VHOST = """\
rabbit_vhost:add(<<"{name}">>, <<"tests">>), \
rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>), ok.
"""

ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 3000}]}]."
"""What came due while the server was starting is handed over again after so many milliseconds, not three minutes."""


class RabbitServer(Server):
    """Started by its constructor; ``port`` stays the same over a restart. ``configuration``: more lines for its file of
    settings. Raises ``Missing`` when RabbitMQ is not installed."""

    name = "rabbitmq-server"
    patience = 60.0

    def __init__(self, configuration: str = "") -> None:
        # The program itself: the wrapper in /usr/sbin changes the user and drops the environment.
        self._program = find("/usr/lib/rabbitmq/bin/rabbitmq-server", self.name)
        self._ctl = find("/usr/lib/rabbitmq/bin/rabbitmqctl", "rabbitmqctl")
        super().__init__()
        self._cookie = secrets.token_hex(10)
        self._node = f"tdg-{secrets.token_hex(4)}@localhost"
        cookie = self._directory / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        (self._directory / "plugins").write_text("[].")
        (self._directory / "advanced.config").write_text(ADVANCED)
        for _ in range(5):
            self.port, self._distribution, self._mapper_port = free_port(), free_port(), free_port()
            (self._directory / "rabbitmq.conf").write_text(CONFIGURATION.format(port=self.port) + configuration)
            self._mapper = self._start_mapper()
            if self._mapper.running and self._start():
                return
            self._mapper.kill()
        raise AssertionError(f"rabbitmq-server does not start\n{self._process.log()}")

    def url(self, vhost: str | None = None, user: str = "guest", password: str = "guest") -> str:
        """``amqp://…``; without ``vhost``: the one that every RabbitMQ has, ``/``."""
        secret = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{secret}@127.0.0.1:{self.port}/{quote(vhost or '/', safe='')}"

    def add_user(self, name: str, password: str) -> None:
        """Somebody else than ``guest``, who may use what is given to them by ``new_vhost(name)``."""
        self.eval(f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{password}">>, <<"tests">>).')

    def queues(self, vhost: str) -> list[str]:
        """The names of all there are."""
        names = f'[binary_to_list(N) || {{resource, _, queue, N}} <- rabbit_amqqueue:list_names(<<"{vhost}">>)]'
        answer = self.eval(f'lists:append([N ++ " " || N <- {names}]).')  # lists would come as numbers
        found = re.search(r'"(.*)"', answer, re.DOTALL)
        return found[1].split() if found else []

    def new_vhost(self, user: str = "guest") -> str:
        """The name of a new, empty virtual host, all of it for this user."""
        name = f"v{secrets.token_hex(6)}"
        answer = self.eval(NEW_VHOST.format(name=name, user=user))
        if "ok" not in answer:
            raise AssertionError(f"no new virtual host: {answer}")
        return name

    def drop_vhost(self, name: str, *, wait: bool = True) -> None:
        """With all that is in it: that takes 5 seconds on a server that was killed."""
        drop = f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>)'
        self.eval(f"{drop}, ok." if wait else f"spawn(fun() -> {drop} end), ok.")

    def eval(self, expression: str, timeout: float = 60.0) -> str:
        """What the node answers to an expression of Erlang; a hundred times faster than ``ctl("eval", …)``."""
        call = [find("erl_call"), "-n", self._node, "-c", self._cookie, "-e"]
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._run(call, timeout, f"{expression}\n")
            except AssertionError as error:  # a node that is very busy does not always let it in
                if "failed to connect to node" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def ctl(self, *arguments: str, timeout: float = 60.0) -> str:
        """What ``rabbitmqctl`` prints; takes a second or two. Raises ``AssertionError`` when it fails."""
        return self._run([self._ctl, "-n", self._node, "-q", *arguments], timeout)

    def log(self) -> str:
        """What it printed and the end of what it logged."""
        files = sorted((self._directory / "log").glob("*.log"))
        return "\n".join([self._process.log(), *(file.read_text(errors="replace")[-4000:] for file in files)])

    def close(self) -> None:
        """The mapper, too."""
        super().close()
        self._mapper.kill()

    def _start_mapper(self) -> Process:
        mapper = Process(
            [find("epmd"), "-port", str(self._mapper_port), "-address", "127.0.0.1"],
            cwd=self._directory,
            log=self._directory / "epmd",
        )
        mapper.wait_ready(lambda: _listens(self._mapper_port), START)
        return mapper

    def _start(self) -> bool:
        log = self._directory / "output"
        self._process = Process([self._program], cwd=self._directory, log=log, env=self._environment())
        return self._process.wait_ready(self._accepts, START)

    def _environment(self) -> dict[str, str]:
        place = self._directory
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(place),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(place / "advanced.config"),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(place / "data"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            # The script becomes the server instead of waiting for it: signals reach the one they are meant for.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _run(self, argv: list[str], timeout: float, text: str = "") -> str:
        done = subprocess.run(
            argv, input=text, env=self._environment(), capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise AssertionError(f"{Path(argv[0]).name} failed with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def _accepts(self) -> bool:
        """It speaks AMQP: it answers the protocol's header with a frame of a method."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(b"AMQP\x00\x00\x09\x01")
                return link.recv(1) == b"\x01"
        except OSError:
            return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
