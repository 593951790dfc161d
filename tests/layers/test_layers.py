"""Imports go down only; adapters see bytes; each library stays in its room."""

from __future__ import annotations

from fnmatch import fnmatch
from graphlib import TopologicalSorter

import pytest

from tests.layers.source import MODULES, Module

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "terms",
        "option",
        "role",
        "config",
        "events",
        "ids",
        "readable",
        "rhythm",
        "urgent",
        "limits",
        "firsts",
        "turnstile",
        "limiter_memory",
        "_io",
        "_io.*",
    ),
    ("journey", "message", "header", "headers"),
    (
        "converter",
        "converters",
        "converters.*",
        "schema",
        "schema.*",
        "signature",
        "fitting",
        "row",
        "contract",
        "task_key",
    ),
    ("marshaller", "marshallers", "marshallers.*", "invoker"),
    ("broker", "timetable", "backend", "inspection"),
    ("brokers", "brokers.*", "backends", "backends.*"),
    (
        "isolation",
        "isolation.*",
        "context",
        "failure",
        "outcome",
        "window",
        "task_run",
        "time_limit",
        "retry",
        "cancelled",
        "registry",
        "entries",
        "runtime",
        "wire",
        "middleware",
        "hooks",
        "lifespan",
        "terminated",
    ),
    ("patience", "steps", "relay", "outbox", "reception", "desk", "limited_desk", "scheduler"),
    ("execute", "execute_isolated", "pool", "loop_pool", "mapper", "worker"),
    ("bridge", "bridges", "bridges.*"),
    (
        "handlers",
        "reports",
        "ending",
        "result",
        "gathering",
        "method",
        "decorator",
        "task",
        "scheduling",
        "schedules",
        "tasks",
        "pipeline",
    ),
    ("app", "cli", "commands", "commands.*", "__main__", "", "testing", "testing.*"),
)
"""From the ground up. A module may import what lies in its own layer or below it."""

ADAPTERS = ("brokers.*", "backends.*")
WHAT_ADAPTERS_SEE = (*LAYERS[0], *LAYERS[1], "broker", "timetable", "backend", "inspection")

ROOMS_OF = {
    "pydantic": ("converters.*", "schema.*", "row"),
    "pydantic_core": ("converters.*", "schema.*", "row"),
    "cattrs": ("converters.*",),
    "msgpack": ("marshallers.msgpack", "marshallers.packed"),
    "inspect": ("signature",),
    "redis": ("brokers.redis", "backends.redis", "_io.redis_*"),
    "pika": ("brokers.amqp", "backends.amqp", "_io.amqp_*"),
    "cronsim": ("rhythm",),
    "pytest": ("testing", "testing.*"),
    "hypothesis": ("testing", "testing.*"),
    "rich": (),
    "pickle": (),
}
"""The only modules that may import each library."""


def fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def layer(name: str) -> int:
    return next(index for index, patterns in enumerate(LAYERS) if fits(name, patterns))


def of(module: Module) -> str:
    return module.name or "__init__"


@pytest.mark.parametrize("module", MODULES, ids=of)
def test_every_module_has_its_layer(module: Module) -> None:
    assert sum(fits(module.name, patterns) for patterns in LAYERS) == 1, f"give {module.name} a place in LAYERS"


@pytest.mark.parametrize("module", MODULES, ids=of)
def test_imports_go_down_only(module: Module) -> None:
    upwards = {name for name in module.own_imports() if layer(name) > layer(module.name)}
    assert upwards == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module.name: module.own_imports(at_start=True) for module in MODULES}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", [m for m in MODULES if fits(m.name, ADAPTERS)], ids=of)
def test_adapters_see_bytes_and_meta_and_never_each_other(module: Module) -> None:
    folder, _, file = module.name.partition(".")
    technology = file.lstrip("_").partition("_")[0]
    own = (f"{folder}.{technology}*", f"{folder}._{technology}*")
    strange = {name for name in module.own_imports() if not fits(name, (*WHAT_ADAPTERS_SEE, *own))}
    assert strange == set()


@pytest.mark.parametrize("module", MODULES, ids=of)
def test_each_library_is_imported_in_its_rooms_only(module: Module) -> None:
    astray = {name for name in module.foreign_imports() if name in ROOMS_OF and not fits(module.name, ROOMS_OF[name])}
    assert astray == set()
