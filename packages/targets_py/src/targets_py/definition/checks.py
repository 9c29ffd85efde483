"""What settings and options may be: each check returns the value as it is kept, or raises."""

from __future__ import annotations

import keyword
import os
import types
from collections.abc import Callable, Iterable
from typing import Any

from targets_py.definition.cue import Cue
from targets_py.definition.resources import Resources
from targets_py.errors import TarValidateError

Check = Callable[[str, Any], Any]
LONGEST_NAME = 200  # bytes: names are file names, and branches append to them


def check_name(name: Any) -> str:
    """The name of a target: an identifier that can be a file name."""
    if not isinstance(name, str):
        raise TarValidateError(f"the name of a target must be a str, not {type(name).__name__} {name!r}")
    problem = ""
    if not name.isidentifier():
        problem = "it must be a valid Python identifier"
    elif keyword.iskeyword(name):
        problem = "it is a keyword of Python"
    elif name.startswith("_"):
        problem = "it must not start with an underscore"
    elif len(name.encode()) > LONGEST_NAME:
        problem = f"it is longer than {LONGEST_NAME} bytes"
    if problem:
        raise TarValidateError(f"{name!r} cannot be the name of a target: {problem}")
    return name


def one_of(*choices: str) -> Check:
    """One of a few words."""

    def check(label: str, value: Any) -> Any:
        if value not in choices:
            raise TarValidateError(f"{label} must be one of {', '.join(choices)}, not {value!r}")
        return value

    return check


def names(label: str, value: Any) -> tuple[str, ...]:
    """A str or an iterable of str, kept as a tuple."""
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise TarValidateError(f"{label} must be a list of str, not {value!r}")
    kept = tuple(items)
    if not all(isinstance(item, str) and item for item in kept):
        raise TarValidateError(f"{label} must be a list of str, not {value!r}")
    return kept


def optional(check: Check) -> Check:
    """None, or what another check allows."""

    def checked(label: str, value: Any) -> Any:
        return None if value is None else check(label, value)

    return checked


def folders(label: str, value: Any) -> tuple[str, ...]:
    """A path or an iterable of paths, kept as a tuple of str."""
    items = [value] if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(items, Iterable):
        raise TarValidateError(f"{label} must be a list of folders, not {value!r}")
    paths = tuple(os.fspath(item) if isinstance(item, os.PathLike) else item for item in items)
    return names(label, paths)


def text(label: str, value: Any) -> str:
    """A str."""
    if not isinstance(value, str):
        raise TarValidateError(f"{label} must be a str, not {value!r}")
    return value


def flag(label: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TarValidateError(f"{label} must be True or False, not {value!r}")
    return value


def format_name(label: str, value: Any) -> str:
    """A format, under the name that is kept."""
    from targets_py.storage.formats import format_names, get_format

    if not isinstance(value, str) or value not in format_names():
        raise TarValidateError(f"{label} must be one of {', '.join(format_names())}, not {value!r}")
    return value if value == "auto" else get_format(value).name


def priority(label: str, value: Any) -> float:
    """A number between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise TarValidateError(f"{label} must be a number between 0 and 1, not {value!r}")
    return float(value)


def every(label: str, value: Any) -> bool | int:
    """False, True, or a number of targets."""
    if not isinstance(value, int) or value < 0:
        raise TarValidateError(f"{label} must be an integer >= 0, not {value!r}")
    return value


def seed(label: str, value: Any) -> int | None:
    """An integer, or None for no seeds."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TarValidateError(f"{label} must be an integer or None, not {value!r}")
    return value


def instance(kind: type, maker: str) -> Check:
    """An object that a function of ours makes."""

    def check(label: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise TarValidateError(f"{label} must come from {maker}, not {value!r}")
        return value

    return check


def resources(label: str, value: Any) -> Resources:
    """The result of `tar_resources()`; an empty dict means the defaults."""
    if value == {}:
        return Resources()
    checked: Resources = instance(Resources, "tar_resources()")(label, value)
    return checked


def namespace(label: str, value: Any) -> Any:
    """A dict or a module."""
    if not isinstance(value, (dict, types.ModuleType)):
        raise TarValidateError(f"{label} must be a dict or a module, not {value!r}")
    return value


def controller(label: str, value: Any) -> Any:
    """A controller of crew_py, or a group of them, that finds itself valid."""
    if not callable(getattr(value, "push", None)) or not callable(getattr(value, "validate", None)):
        raise TarValidateError(f"{label} must be a controller of crew_py, or a group of them, not {value!r}")
    try:
        value.validate()
    except Exception as error:
        raise TarValidateError(f"{label} is not valid: {error}") from error
    return value


TARGET_CHECKS: dict[str, Check] = {
    "packages": names,
    "library": optional(folders),
    "format": format_name,
    "repository": one_of("local"),
    "iteration": one_of("vector", "list", "group"),
    "error": one_of("stop", "continue", "null", "trim", "abridge"),
    "memory": one_of("auto", "persistent", "transient"),
    "garbage_collection": flag,
    "deployment": one_of("worker", "main"),
    "priority": priority,
    "resources": resources,
    "storage": one_of("worker", "main", "none"),
    "retrieval": one_of("auto", "worker", "main", "none"),
    "cue": instance(Cue, "tar_cue()"),
    "description": optional(text),
}

OPTION_CHECKS: dict[str, Check] = TARGET_CHECKS | {
    "garbage_collection": every,
    "repository_meta": one_of("local"),
    "imports": names,
    "envir": optional(namespace),
    "debug": names,
    "workspaces": names,
    "workspace_on_error": flag,
    "seed": seed,
    "controller": optional(controller),
    "trust_timestamps": optional(flag),
}
