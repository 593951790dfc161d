"""A TCP proxy with which tests make a network bad. Comes from tests; stands between an adapter and a server.

One thread with an event loop carries all connections. What it does to them is said by a few numbers that may change
at any time; ``calm()`` puts them back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

PIECE = 65536
"""Bytes read at once."""


@dataclass
class Weather:
    """What happens to the bytes."""

    latency: float = 0.0
    """Seconds that each piece waits, in both directions."""
    jitter: float = 0.0
    """Seconds more, chosen by chance between 0 and this."""
    bandwidth: float | None = None
    """Bytes a second of one connection and direction; None: no limit."""
    blackhole: bool = False
    """Nothing comes through any more, in neither direction, on connections old and new; none is closed."""
    drop_replies: bool = False
    """Requests come through; what the server answers is thrown away."""
    refuse: bool = False
    """New connections are reset at once."""


class Proxy:
    """Listens on ``port`` of the loopback for as long as it is open; thread-safe.

    ``seed`` decides the jitter. ``connections`` counts those that were ever accepted, ``open`` those there are now.
    """

    def __init__(self, target: int, *, seed: int = 1) -> None:
        self.target = target
        self.weather = Weather()
        self.connections = 0
        self._chance = random.Random(seed)
        self._links: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()
        self._storm: asyncio.Task[None] | None = None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy to {target}", daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the proxy's thread does not start"

    def url(self, url: str) -> str:
        """The same URL with the proxy in place of the server."""
        parts = urlsplit(url)
        before, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{before}{at}127.0.0.1:{self.port}").geturl()

    @property
    def open(self) -> int:
        return len(self._links)

    def calm(self) -> None:
        """Everything passes from now on. What a black hole has swallowed does not come back."""
        self.reset_every(None)
        self.weather = Weather()

    def reset_all(self) -> None:
        """Every open connection is reset (RST), on both of its sides."""
        self._call(self._reset_all)

    def reset_every(self, seconds: float | None) -> None:
        """``reset_all()`` again and again; None ends it."""
        self._call(lambda: self._set_storm(seconds))

    def close(self) -> None:
        """Idempotent; resets what is open."""
        if self._thread.is_alive():
            self.reset_every(None)
            self._call(self._reset_all)
            self._call(self._ended.set)
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # In the caller's thread above, in the proxy's below.

    def _call(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                what()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10), "the proxy's thread does not answer"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listening, limit=PIECE)
        self._ready.set()
        await self._ended.wait()
        self._loop.remove_reader(self._listening.fileno())  # asyncio leaks what it accepts while a server is closed
        deadline = self._loop.time() + 5
        while others := asyncio.all_tasks() - {asyncio.current_task(), self._storm}:
            # Not the tasks that accept connections: asyncio logs an error for each of those that is cancelled.
            for carrier in self._carriers:
                carrier.cancel()
            if (left := deadline - self._loop.time()) <= 0:
                break
            await asyncio.wait(others, timeout=left)  # one that was just accepted starts another
        for transport in list(self._transports):  # a closed one with something left to write stays open for that
            transport.abort()
        await asyncio.sleep(0)
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._transports.add(writer.transport)
        if self.weather.refuse or self._ended.is_set():
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=PIECE)
        except OSError:
            _reset(writer)
            return
        self._transports.add(far_writer.transport)
        link = (writer, far_writer)
        if self._ended.is_set():
            for side in link:
                _reset(side)
            return
        self._links.add(link)
        try:
            # One side that ends ends the other: what has been read is written first.
            carriers = [
                asyncio.create_task(self._carry(reader, far_writer, replies=False)),
                asyncio.create_task(self._carry(far_reader, writer, replies=True)),
            ]
            self._carriers.update(carriers)
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
            self._carriers.difference_update(carriers)
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)
        finally:
            self._links.discard(link)
            for side in link:
                side.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                weather = self.weather
                if weather.latency or weather.jitter:
                    await asyncio.sleep(weather.latency + self._chance.uniform(0, weather.jitter))
                if weather.bandwidth:
                    await asyncio.sleep(len(piece) / weather.bandwidth)
                if self.weather.blackhole or (replies and self.weather.drop_replies):
                    continue
                writer.write(piece)
                await writer.drain()
            while self.weather.blackhole:  # not even the end of a connection comes through
                await asyncio.sleep(0.05)

    def _reset_all(self) -> None:
        for link in list(self._links):
            for side in link:
                _reset(side)

    def _set_storm(self, seconds: float | None) -> None:
        if self._storm is not None:
            self._storm.cancel()
        self._storm = None if seconds is None else self._loop.create_task(self._keep_resetting(seconds))

    async def _keep_resetting(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self._reset_all()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without a farewell: the other end gets RST."""
    link: socket.socket | None = writer.get_extra_info("socket")
    if link is not None:
        with contextlib.suppress(OSError):
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
