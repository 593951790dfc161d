"""Ports that nobody uses. Below those that the system gives to outgoing connections, so that a server finds its port
still free when it is started again."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 20000, 32000


def free_port() -> int:
    """Another process may take it before the server does: whoever starts a server must be ready to try again."""
    chance = random.SystemRandom()  # tests set the seed of the common one, and would all ask for the same ports
    while True:
        port = chance.randrange(FIRST, LAST)
        with socket.socket() as probe:
            # A server sets this too: a port whose last connections are only being remembered is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
