"""Where a function, or an app, is found again by another process. Comes from the decorator and the bridges, goes to
the child.

What has no name at the top level of a module cannot be found, and is refused before anything relies on it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, cast

from typeddingo.errors import ConfigError
from typeddingo.registry import Entry

__all__ = ["Place", "need_name", "need_place", "place_of", "place_of_app"]

MAIN = frozenset({"__main__", "__mp_main__"})


class Place(NamedTuple):
    """A name that means the same in another process."""

    module: str
    qualname: str
    file: str = ""
    """Of a program that was started by its file: it is loaded from there."""

    def find(self) -> object:
        """Import the module, and take from it what stands there. Raises what the user's code does, ``ImportError`` and
        ``AttributeError``."""
        found: object = self.load()
        for name in self.qualname.split("."):
            found = getattr(found, name)
        return found

    def load(self) -> ModuleType:
        """Import the module. Raises what the user's code does, and ``ImportError``."""
        return _load(self.module, self.file) if self.file else importlib.import_module(self.module)


def need_name(fn: object, task: str, *, method: bool) -> None:
    """When the task is declared: refuse what can be seen to have no such name. Raises ``ConfigError``."""
    what = ""
    if sys.platform == "win32":
        raise ConfigError(f'task {task!r}: isolation="process" needs Unix')
    qualname: object = getattr(fn, "__qualname__", None)
    if method or getattr(fn, "__self__", None) is not None:
        what = "a method: the child has not got the instance"
    elif not isinstance(qualname, str) or not isinstance(getattr(fn, "__module__", None), str):
        what = f"an object of type {type(fn).__name__} without a name"
    elif "<lambda>" in qualname:
        what = "a lambda"
    elif "<locals>" in qualname:
        what = "a function inside a function"
    if what:
        raise ConfigError(
            f'task {task!r} is {what}. With isolation="process" a child process imports the module and looks for the '
            "function: write it with def, at the top level of a module"
        )


def need_place(fn: Callable[..., object], task: str) -> None:
    """Before the first worker starts: the function, or its handle, stands where its name says. Raises
    ``ConfigError``."""
    module, qualname = fn.__module__, fn.__qualname__
    found: object = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    where = f"{module}.{qualname}"
    if found is not fn and getattr(found, "fn", None) is not fn:
        there = "nothing of that name" if found is None else "something else"
        raise ConfigError(
            f'task {task!r} cannot be found by a child process, which isolation="process" needs: there is {there} at '
            f"{where}. Keep the function, or its handle, under its own name at the top level of its module"
        )
    if place_of(fn) is None:
        raise ConfigError(
            f"task {task!r} cannot be found by a child process: this program was not started from a file; write the "
            "task in a module and import it"
        )


def place_of(fn: Callable[..., object]) -> Place | None:
    """None: it was typed at a prompt, or the like."""
    return _place(fn.__module__, fn.__qualname__)


def place_of_app(entry: Entry) -> Place | None:
    """Where a module has the app of this task as a global: rather the function's own, then the one that made it, and
    the program itself last. None: nowhere that another process could look."""
    if (app := entry.owner) is None:
        return None
    others = [name for name in list(sys.modules) if name not in MAIN]
    for module in (entry.fn.__module__, entry.home, *others, *MAIN):
        if (name := _name_in(module, app)) is not None:
            return _place(module, name)
    return None


def _name_in(module: str, value: object) -> str | None:
    """None for modules that nobody has imported: they were made by hand. A lazy one is not loaded for it."""
    found: object = sys.modules.get(module)
    if not isinstance(found, ModuleType):
        return None
    there: dict[str, object] = object.__getattribute__(found, "__dict__")
    if module not in MAIN and there.get("__spec__") is None:
        return None
    return next((name for name, each in list(there.items()) if each is value), None)


def _place(module: str, qualname: str) -> Place | None:
    if module not in MAIN:
        return Place(module, qualname)
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in MAIN:  # python -m package.module
        return Place(cast("str", spec.name), qualname)
    file = getattr(main, "__file__", None)
    if not isinstance(file, str) or not os.path.isfile(file):
        return None
    return Place(os.path.splitext(os.path.basename(file))[0], qualname, os.path.abspath(file))


def _load(name: str, file: str) -> ModuleType:
    """A program as a module: under the name that a worker would import it by, so that its ``__main__`` part does not
    run and its tasks are called as they are there."""
    import importlib.util  # few programs come here

    name = "__mp_main__" if name in MAIN else name
    if (loaded := sys.modules.get(name)) is not None and getattr(loaded, "__file__", None) == file:
        return loaded
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
