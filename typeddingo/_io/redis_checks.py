"""What a Redis must be before anything is entrusted to it. Asked on the first connection of a broker or backend.

Settings that lose tasks are refused; what merely loses the last second before a power cut is told.
"""

from __future__ import annotations

from collections.abc import Callable

from typeddingo._io.redis_link import RedisLink
from typeddingo._io.redis_reply import Refused, Reply, whole
from typeddingo.errors import ConfigError

__all__ = ["check_server"]

OLDEST = (7, 0)
ANYWAY = "or add check=no to the URL to use it anyway"


def check_server(link: RedisLink, where: str, warn: Callable[[str], object]) -> None:
    """Raises ``ConfigError`` saying what to set; calls ``warn`` with what should be known."""
    try:
        info = _fields(link.call(("INFO", "server")))
    except Refused as refused:
        if refused.code != "NOPERM":
            raise
        warn(f"{where}: its version could not be read (INFO is forbidden); make sure that it is 7.0 or newer")
        info = {"redis_version": "7.0"}
    version = info.get("redis_version", "")
    if _number(version) < OLDEST:
        raise ConfigError(f"{where}: Redis {version or 'of unknown version'} is too old, 7.0 is needed; {ANYWAY}")
    if info.get("redis_mode") == "cluster":
        raise ConfigError(
            f"{where}: a Redis cluster is not supported: a single server is needed, with or without replicas"
        )
    try:
        settings = _settings(link)
    except Refused:
        warn(
            f"{where}: its configuration could not be read (CONFIG is forbidden); make sure that maxmemory-policy is "
            "noeviction and appendonly is yes"
        )
        return
    policy = settings.get("maxmemory-policy", "noeviction")
    if settings.get("maxmemory", "0") != "0" and policy != "noeviction":
        raise ConfigError(
            f"{where}: maxmemory-policy is {policy}: Redis would delete tasks when its memory is full; "
            f"set maxmemory-policy noeviction, {ANYWAY}"
        )
    if settings.get("appendonly") == "no":
        warn(f"{where}: appendonly is no: tasks are lost when Redis is restarted; set appendonly yes")


def _settings(link: RedisLink) -> dict[str, str]:
    names = ("maxmemory", "maxmemory-policy", "appendonly")
    found: dict[str, str] = {}
    for name in names:
        pair = [_text(each) for each in whole(link.call(("CONFIG", "GET", name)))]
        found.update(zip(pair[::2], pair[1::2], strict=False))
    return found


def _fields(reply: Reply) -> dict[str, str]:
    lines = _text(reply).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _text(reply: Reply) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
