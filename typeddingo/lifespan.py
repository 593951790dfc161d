"""What workers need to live, a pool of connections or a client: entered once a process, before its first worker starts.
Comes from ``App(lifespan=…)``, left by ``close``; its value is what ``Context.state`` gives."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias, cast

from typeddingo._io.threads import Deadline
from typeddingo.context import NO_STATE
from typeddingo.errors import ConfigError, LifespanError

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from typeddingo._io.loop import LoopThread

__all__ = ["EnterLifespan", "Lifespan"]

_log = logging.getLogger("typeddingo")

EnterLifespan: TypeAlias = "Callable[[], AbstractContextManager[object] | AbstractAsyncContextManager[object]]"
"""What ``@contextmanager`` or ``@asynccontextmanager`` makes of a function without parameters."""


class Lifespan:
    """Thread-safe. ``tell`` publishes what leaving it raised; ``loop`` gives the loop of the app's tasks."""

    def __init__(self, enter: EnterLifespan, loop: Callable[[], LoopThread], tell: Callable[[str], None]) -> None:
        if not callable(enter):
            raise _unfit()
        self._enter = enter
        self._loop = loop
        self._tell = tell
        self._lock = threading.Lock()
        self._entered = False
        self._over = threading.Event()
        self._inside: set[int] = set()
        """Threads in which it is being entered."""
        self._leave: Callable[[Deadline], None] | None = None
        self.state: object = NO_STATE
        """Its value, while it is entered."""

    def begin(self) -> None:
        """Enter it, unless it is entered; blocks until it is. Raises ``LifespanError``, and then it may be tried again;
        ``ConfigError`` after ``end``."""
        if self._entered:
            return
        if threading.get_ident() in self._inside:
            raise ConfigError("the app's lifespan cannot start workers: it comes before them")
        with self._lock:
            if self._over.is_set():
                raise _closed()
            if not self._entered:
                self._inside.add(threading.get_ident())
                try:
                    manager = cast("object", self._enter())  # untyped callers
                    if isinstance(manager, AbstractContextManager):
                        self.state, self._leave = self._begin(cast("AbstractContextManager[object]", manager))
                    elif isinstance(manager, AbstractAsyncContextManager):
                        self.state, self._leave = self._begin_async(
                            cast("AbstractAsyncContextManager[object]", manager)
                        )
                    else:
                        raise _unfit()
                except ConfigError:
                    raise
                except Exception as error:
                    what = f"no worker was started: the app's lifespan raised {type(error).__name__}: {error}"
                    raise LifespanError(what) from error
                finally:
                    self._inside.clear()
                self._entered = True
                if self._over.is_set():  # meanwhile, and whoever closes the app may not have waited
                    self._go(Deadline(0.0))
                    raise _closed()

    def end(self, deadline: Deadline) -> None:
        """Leave it, if it is entered. Total, idempotent. An async one gets until the deadline, and is cancelled with
        the loop; where the loop itself asks, it is only that."""
        self._over.set()
        if not self._lock.acquire(timeout=-1 if deadline.left is None else deadline.left):
            self._tell("the app's lifespan was still being entered when the time for closing was over")
            return
        self._lock.release()
        self._go(deadline)

    def _go(self, deadline: Deadline) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            try:
                leave(deadline)
            except Exception as error:
                self._failed(error)
            self.state = NO_STATE

    def _begin(self, manager: AbstractContextManager[object]) -> tuple[object, Callable[[Deadline], None]]:
        def leave(deadline: Deadline) -> None:
            manager.__exit__(None, None, None)

        return manager.__enter__(), leave

    def _begin_async(self, manager: AbstractAsyncContextManager[object]) -> tuple[object, Callable[[Deadline], None]]:
        """One coroutine enters and leaves it: cancel scopes and contextvars want that."""
        import asyncio
        from concurrent.futures import Future

        loop, started, ended = self._loop(), Future[object](), threading.Event()
        over = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []  # the loop itself holds them weakly

        def start() -> None:
            self._inside.add(threading.get_ident())
            tasks.append(asyncio.get_running_loop().create_task(self._live(manager, started, over, ended)))

        def leave(deadline: Deadline) -> None:
            if loop.is_current or not loop.call(over.set):
                return
            if not ended.wait(deadline.left):
                self._tell("the app's lifespan had not been left when the time for closing was over")

        if not loop.call(start):
            raise _closed()
        return started.result(), leave

    async def _live(
        self,
        manager: AbstractAsyncContextManager[object],
        started: Future[object],
        over: asyncio.Event,
        ended: threading.Event,
    ) -> None:
        import asyncio

        try:
            async with manager as state:
                started.set_result(state)
                with contextlib.suppress(asyncio.CancelledError):  # the loop ends: as good a reason
                    await over.wait()
        except asyncio.CancelledError:
            if not started.done():
                started.set_exception(RuntimeError("the app was closed meanwhile"))
        except BaseException as error:
            if started.done():
                self._failed(error)
            else:
                started.set_exception(error)
        finally:
            ended.set()

    def _failed(self, error: BaseException) -> None:
        _log.error("the app's lifespan raised when it was left", exc_info=error)
        self._tell(f"the app's lifespan raised {type(error).__name__} when it was left")


def _closed() -> ConfigError:
    return ConfigError("no worker was started: the app is closed")


def _unfit() -> ConfigError:
    return ConfigError(
        "App(lifespan): expected a function without parameters that returns a context manager: decorate it with "
        "@contextmanager or, an async one, with @asynccontextmanager"
    )
