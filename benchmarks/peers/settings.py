"""What ``stage`` tells the processes it starts. Comes from environment variables, goes to each driver."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["BIN", "CONCURRENCY", "REDIS", "URL", "on_redis"]

URL = os.environ.get("BENCHMARK_URL", "redis://127.0.0.1:6379/0")
"""The server that carries the tasks."""
REDIS = os.environ.get("BENCHMARK_REDIS", URL)
"""For results of systems that cannot keep them in RabbitMQ."""
CONCURRENCY = int(os.environ.get("BENCHMARK_CONCURRENCY", "0"))
"""Tasks that the worker runs at a time; 0: what the system does by default on two cores."""
BIN = Path(sys.executable).parent
"""Where the commands of this environment are."""


def on_redis() -> bool:
    """Redis carries the tasks; else RabbitMQ does."""
    return URL.startswith("redis")
