"""From ``module:app`` to the app. Comes from every command that names one; imports the user's module."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from types import FunctionType, ModuleType
from typing import cast

from typeddingo.app import App
from typeddingo.commands.exits import Exit, Stop
from typeddingo.errors import TypedDingoError
from typeddingo.tasks import Tasks

__all__ = ["LoadError", "load_app", "told"]

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class LoadError(Stop):
    """The app cannot be had; says why and what to write instead."""

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(Exit.USAGE, message)
        self.cause = cause
        """What the user's own code raised."""


def load_app(where: str) -> App:
    """``where``: ``package.module:name``, the name of an ``App`` or of a function without arguments that makes one.
    What stands in the working directory can be imported, as ``python -m`` has it. Raises ``LoadError``."""
    module_name, colon, path = where.partition(":")
    if not (module_name and colon and path):
        raise LoadError(f"{where!r}: expected module:app, for example shop.tasks:app")
    found: object = _import(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise LoadError(f"module {module_name!r} has no attribute {path!r}{_suggest(module_name)}") from None
    if isinstance(found, FunctionType):
        found = _make(where, found)
    if isinstance(found, App):
        return found
    if isinstance(found, Tasks):
        raise LoadError(f"{where} is a Tasks collection, not an App: name the App that includes it")
    what = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise LoadError(f"{where} is not an App but {what}{_suggest(module_name)}")


def _import(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            hint = "; write it with dots and without .py" if "/" in name or name.endswith(".py") else ""
            raise LoadError(f"there is no module {name!r} here, in {here}{hint}") from None
        raise LoadError(told(name, error), error) from error
    except (Exception, SystemExit) as error:
        raise LoadError(told(name, error), error) from error


def _make(where: str, function: FunctionType) -> object:
    try:
        return cast("object", function())
    except (Exception, SystemExit) as error:
        raise LoadError(told(f"{where}()", error), error) from error


def told(what: str, error: BaseException) -> str:
    """A mistake in the user's code, told as Python would, without our own frames and those of the import system.
    What this package itself refuses says all there is to say; only the place is missing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
    if isinstance(error, TypedDingoError):
        place = f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}" if frames else what
        return f"{place}: {error}"
    lines = ["Traceback (most recent call last):\n"] if frames else []
    lines += [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    return f"{what} cannot be imported:\n{''.join(lines).rstrip()}"


def _is_ours(file: str) -> bool:
    return file.startswith((_PACKAGE, "<frozen importlib")) or file == importlib.__file__


def _suggest(module_name: str) -> str:
    names = [name for name, value in vars(sys.modules[module_name]).items() if isinstance(value, App)]
    return f"; there is {module_name}:{names[0]}" if names else ""
