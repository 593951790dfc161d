"""Which systems are measured on which server, and what each needs. Comes from ``suite``; data, no code."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SYSTEMS", "System", "chosen"]


@dataclass(frozen=True, slots=True)
class System:
    """One column of the tables."""

    name: str
    technology: str
    """``redis`` or ``amqp``."""
    driver: str
    """The file below ``peers``."""
    needs: tuple[str, ...] = ()
    """What its environment is made of; empty: it runs in this one."""
    query: str = ""
    """Settings added to the URL."""

    @property
    def is_ours(self) -> bool:
        return self.driver == "typeddingo"

    @property
    def is_raw(self) -> bool:
        return self.driver.startswith("raw_")


SYSTEMS = (
    System("raw", "redis", "raw_redis"),
    System("typeddingo", "redis", "typeddingo"),
    System("celery", "redis", "celery", ("celery[redis]", "pydantic")),
    System("dramatiq", "redis", "dramatiq", ("dramatiq[redis,rabbitmq]", "pydantic")),
    System("huey", "redis", "huey", ("huey[redis]", "pydantic")),
    System("rq", "redis", "rq", ("rq", "pydantic")),
    System("saq", "redis", "saq", ("saq[redis]>=0.26", "pydantic")),
    System("streaq", "redis", "streaq", ("streaq", "pydantic")),
    System("taskiq", "redis", "taskiq", ("taskiq", "taskiq-redis", "taskiq-aio-pika", "pydantic")),
    System("raw", "amqp", "raw_pika"),
    System("typeddingo", "amqp", "typeddingo"),
    System("typeddingo classic", "amqp", "typeddingo", query="queue_type=classic"),
    System("celery", "amqp", "celery", ("celery[redis]", "pydantic")),
    System("dramatiq", "amqp", "dramatiq", ("dramatiq[redis,rabbitmq]", "pydantic")),
    System("taskiq", "amqp", "taskiq", ("taskiq", "taskiq-redis", "taskiq-aio-pika", "pydantic")),
)


def chosen(technology: str, peers: tuple[str, ...] | None) -> list[System]:
    """Of one server: raw and ours always, and these peers (None: all). Raises ``LookupError`` for an unknown one."""
    known = {system.driver for system in SYSTEMS}
    if unknown := [peer for peer in peers or () if peer not in known]:
        raise LookupError(f"unknown peers: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return [
        system
        for system in SYSTEMS
        if system.technology == technology
        and (peers is None or system.is_raw or system.is_ours or system.driver in peers)
    ]
