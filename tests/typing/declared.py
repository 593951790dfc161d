"""The tasks whose types are asserted: one of each kind. Imported by what must hold and by what must not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from typeddingo import App, AsyncTask, Context, Task, Tasks

P = ParamSpec("P")
R = TypeVar("R")

app = App("local")
tasks = Tasks()


@app.task
def add(a: int, b: int) -> int:
    return a + b


@app.task
def shout(text: str, mark: str = "!") -> str:
    return text.upper() + mark


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


def usual(fn: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """A decorator for coroutines as they are commonly typed."""
    return fn


@app.task
@usual
async def wrapped(url: str) -> bytes:
    return url.encode()


@app.task(name="typing.wrapped", timeout=3)
@usual
async def wrapped_too(url: str) -> bytes:
    return url.encode()


@app.task
def pair(number: int) -> tuple[int, str]:
    return number, str(number)


@app.task
def nothing() -> None: ...


@app.task
def total(*numbers: int, start: int = 0, **more: int) -> int:
    return start + sum(numbers) + sum(more.values())


@app.task
def maybe(number: int | None) -> int | None:
    return number


@app.task(context=True)
def with_ctx(ctx: Context, a: int) -> str:
    return f"{ctx.name}: {a}"


@app.task(context=True, name="typing.async_ctx")
async def async_ctx(ctx: Context, a: int) -> str:
    return f"{ctx.name}: {a}"


@app.task(name="typing.apart", isolation="process", timeout=1, hard_timeout=2.0)
def apart(a: int) -> str:
    return str(a)


@app.task(name="typing.named", workers=1, strict=False)
def named(a: int) -> int:
    return a


@tasks.task
def declared(a: int) -> str:
    return str(a)


@tasks.task(context=True)
async def declared_ctx(ctx: Context, a: int) -> str:
    return str(a)


class Service:
    """A task in a class body, and a method to be registered."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    @app.task
    def mul(self, x: int) -> int:
        return self.factor * x

    @app.task
    async def wait(self, x: int) -> str:
        return str(self.factor * x)

    @staticmethod
    @app.task
    def double(x: int) -> int:
        return 2 * x

    def power(self, x: int, exponent: int = 2) -> float:
        return float(self.factor * x**exponent)


def inner(x: int, /) -> int:
    return x


async def inner_async(x: int) -> str:
    return str(x)


def inner_ctx(ctx: Context, x: int) -> str:
    return f"{ctx.name} {x}"


class Adder:
    """A callable object."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x: int) -> int:
        return x + self.by


service = Service(3)
power = app.register("power", service.power)
as_base: Task[[int], int] = app.register("inner", inner)
as_async: AsyncTask[[int], str] = app.register("inner_async", inner_async)
app.include(tasks)


def takes_str(text: str) -> None: ...


def takes_int(number: int) -> None: ...


def takes_object(thing: object) -> None: ...
