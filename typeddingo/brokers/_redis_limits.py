"""Limits over all workers that share a Redis. Comes from workers that are about to start a task, goes to the server.

The arithmetic of ``turnstile``, where the server's clock counts and its script decides. A slot is a lease: its worker
renews it while the task runs; when the worker dies it ends by itself.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from typeddingo._io.redis_keys import NativeKeys
from typeddingo._io.redis_link import Call, Command, Script
from typeddingo._io.redis_reply import Refused
from typeddingo._io.redis_server import RedisServer
from typeddingo._io.threads import Threads
from typeddingo.errors import ConfigError, ConnectionLost
from typeddingo.limits import Limiter, Want
from typeddingo.turnstile import FRONT, GRACE, GUESS, LATE, LONG, PATIENCE, SOON, window_of

__all__ = ["RedisLimiter"]

CLOSE = 1.0
DAY = 24 * 3600 * 1000


class RedisLimiter(Limiter):
    """Thread-safe."""

    def __init__(self, server: RedisServer, keys: NativeKeys, threads: Threads) -> None:
        self._server = server
        self._keys = keys
        self._threads = threads
        self._lease = server.settings.lease
        self._lock = threading.Lock()
        self._held: dict[Want, None] = {}
        self._chores: deque[Command] = deque()
        self._wake = threading.Event()
        self._started = False
        self._closed = False

    def acquire(self, wants: Sequence[Want]) -> Sequence[float]:
        """See ``Limiter.acquire``."""
        calls = [*self._waiting_chores(), *[self._ask(want) for want in wants]]
        asked = time.monotonic()
        replies = self._server.run(lambda link: link.pipeline(calls))[len(calls) - len(wants) :]
        late = time.monotonic() - asked > LATE
        waits: list[float] = []
        for want, reply in zip(wants, replies, strict=True):
            if isinstance(reply, Refused):
                raise reply.error() from reply
            wait = reply / 1e6 if isinstance(reply, int) else SOON
            waits.append(max(0.0, wait))
            if wait <= 0 and want.bounds.most is not None:
                self._hold(want)
            if late and isinstance(reply, int) and reply < 0:
                self._add_chore(self._move(want, -reply))
        return waits

    def release(self, wants: Sequence[Want]) -> None:
        """See ``Limiter.release``: done by a thread of its own, or together with the next ``acquire``."""
        with self._lock:
            released = [want for want in wants if self._held.pop(want, 0) is None]
        for want in released:
            self._add_chore(Call(_RELEASE, self._limit_keys(want)[1:3], [want.id]))

    def close(self) -> None:
        """Release what there is, and end the thread. Idempotent; takes a second at most."""
        self._closed = True
        self._wake.set()
        self._try(self._waiting_chores(), CLOSE)

    def _hold(self, want: Want) -> None:
        with self._lock:
            self._held[want] = None
            self._start()

    def _add_chore(self, chore: Command) -> None:
        with self._lock:
            self._chores.append(chore)
            self._start()
        self._wake.set()

    def _start(self) -> None:
        """The thread, by whoever has the lock."""
        if not (self._started or self._closed):
            self._started = True
            self._threads.start("limits", self._run)

    def _run(self) -> None:
        renew_at = time.monotonic() + self._lease / 3
        while not self._closed:
            self._wake.wait(max(0.0, renew_at - time.monotonic()))
            self._wake.clear()
            self._try(self._waiting_chores())
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + self._lease / 3
                self._try(self._renewals())

    def _try(self, commands: Sequence[Command], seconds: float | None = None) -> None:
        """What fails is made good for by the next one, or by the end of the lease or the window."""
        if not commands:
            return
        try:
            self._server.run(lambda link: link.pipeline(commands), seconds)
        except ConnectionLost:
            pass
        except ConfigError as error:
            self._server.complain(error)

    def _waiting_chores(self) -> list[Command]:
        with self._lock:
            chores = list(self._chores)
            self._chores.clear()
        return chores

    def _move(self, want: Want, counted: int) -> Command:
        seconds = want.bounds.rate.seconds if want.bounds.rate else 0.0
        return Call(_MOVE, self._limit_keys(want)[:1], [f"{counted} {want.id}", round(window_of(seconds) * 1000)])

    def _renewals(self) -> list[Command]:
        with self._lock:
            held = list(self._held)
        return [Call(_RENEW, [self._limit_keys(want)[1]], [want.id, round(self._lease * 1e6)]) for want in held]

    def _ask(self, want: Want) -> Command:
        rate, most = want.bounds
        window = round(window_of(rate.seconds) * 1e6) if rate else 0
        lease = round(self._lease * 1e6)
        spread = round((0.9 + 0.2 * random.random()) * 1000)  # so that not all come back at once
        return Call(
            _ASK, self._limit_keys(want), [want.id, rate.times if rate else 0, window, most or 0, lease, spread]
        )

    def _limit_keys(self, want: Want) -> list[str]:
        return [self._keys.limit(want.name, want.key, what) for what in ("starts", "running", "hold", "line", "due")]


_ASK = Script(
    f"""
-- KEYS: when the latest started, until when those count that run, when they began and how long they run, the tickets of
-- those that wait, when they should be back. ARGV: id, starts in a window (0: no bound), microseconds of it, how many
-- run at most (0: no bound), microseconds of a lease, thousandths by which a guess is spread
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id, times, window = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local most, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
local function text(number) return string.format('%.0f', number) end
local started, running = 0, 0
if most > 0 then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now))) do
    redis.call('ZREM', KEYS[2], gone)
    redis.call('HDEL', KEYS[3], 'since ' .. gone)
  end
  if redis.call('ZSCORE', KEYS[2], id) then
    redis.call('ZADD', KEYS[2], text(now + lease), id)
    return 0
  end
  running = redis.call('ZCARD', KEYS[2])
end
if times > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now - window))
  started = redis.call('ZCARD', KEYS[1])
end
local room = math.huge
if times > 0 then room = times - started end
if most > 0 then room = math.min(room, most - running) end
for _, late in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. text(now - {round(GRACE * 1e6)}))) do
  redis.call('ZREM', KEYS[4], late)
  redis.call('ZREM', KEYS[5], late)
end
local ticket = redis.call('ZSCORE', KEYS[4], id)
local place = ticket and redis.call('ZRANK', KEYS[4], id) or redis.call('ZCARD', KEYS[4])
local first = 0
if place > 0 then
  local before = redis.call('ZRANGE', KEYS[4], 0, math.min(place, {FRONT}) - 1)
  for _, due in ipairs(redis.call('ZMSCORE', KEYS[5], unpack(before))) do
    if due and tonumber(due) <= now then first = first + 1 end
  end
end
if first < room then
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', KEYS[5], id)
  if times > 0 then
    redis.call('ZADD', KEYS[1], text(now), text(now) .. ' ' .. id)
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000) + 1000)
  end
  if most > 0 then
    redis.call('ZADD', KEYS[2], text(now + lease), id)
    redis.call('PEXPIRE', KEYS[2], {DAY})
    redis.call('HSET', KEYS[3], 'since ' .. id, text(now))
    redis.call('PEXPIRE', KEYS[3], {DAY})
  end
  return times > 0 and -now or 0
end
local wait = {round(SOON * 1e6)}
if times > 0 and place >= times - started then
  local rounds, at = math.floor((place - times + started) / times), (place - times + started) % times
  local start = now
  if at < started then start = tonumber(redis.call('ZRANGE', KEYS[1], at, at, 'WITHSCORES')[2]) end
  wait = math.max(wait, math.min(start - now + window * (rounds + 1), {round(LONG * 1e6)}))
end
if most > 0 and place - most + running + 1 > 0 then
  local hold = tonumber(redis.call('HGET', KEYS[3], 'hold') or {round(GUESS * 1e6)})
  local guess = hold * (place - most + running + 1) / most * ARGV[6] / 1000
  wait = math.max(wait, math.min(guess, {round(PATIENCE * 1e6)} * ARGV[6] / 1000))
end
wait = math.ceil(wait)
if not ticket then
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', KEYS[4], text(last and tonumber(last) + 1 or 1), id)
end
redis.call('ZADD', KEYS[5], text(now + wait), id)
for at = 4, 5 do redis.call('PEXPIRE', KEYS[at], math.ceil(wait / 1000) + {DAY}) end
return wait
""",
    always=True,
)
"""The microseconds after which it should ask again. 0: it starts; below 0: it does, and was counted at that time."""

_MOVE = Script(
    """
-- KEYS: when the latest started. ARGV: a start, milliseconds of a window
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] + 1000)
return 1
""",
    always=True,
)
"""Whoever was let go has heard of it late: that is when it starts."""

_RENEW = Script(
    f"""
-- KEYS: until when those count that run. ARGV: id, microseconds of a lease
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', time[1] * 1000000 + time[2] + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], {DAY})
return 1
""",
    always=True,
)

_RELEASE = Script(
    """
-- KEYS: until when those count that run, when they began and how long they run. ARGV: id
local time = redis.call('TIME')
local since = redis.call('HGET', KEYS[2], 'since ' .. ARGV[1])
redis.call('HDEL', KEYS[2], 'since ' .. ARGV[1])
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 and since then
  local held = math.max(0, time[1] * 1000000 + time[2] - since)
  local hold = tonumber(redis.call('HGET', KEYS[2], 'hold') or held)
  redis.call('HSET', KEYS[2], 'hold', string.format('%.0f', hold + 0.3 * (held - hold)))
end
return 1
""",
    always=True,
)
