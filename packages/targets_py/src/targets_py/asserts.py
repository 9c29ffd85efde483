"""Checks for writers of target factories: each raises TarValidateError, with `msg` if one is given."""

from __future__ import annotations

import importlib.util
import inspect
import keyword
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.definition.targets import Target
from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

__all__ = (
    "tar_assert_file",
    "tar_assert_flag",
    "tar_assert_function",
    "tar_assert_function_arguments",
    "tar_assert_in",
    "tar_assert_name",
    "tar_assert_names",
    "tar_assert_not_dir",
    "tar_assert_not_dirs",
    "tar_assert_not_in",
    "tar_assert_package",
    "tar_assert_path",
    "tar_assert_store",
    "tar_assert_target",
    "tar_assert_target_list",
    "tar_assert_unique",
    "tar_assert_unique_targets",
)


def _check(condition: bool, msg: str | None, text: str) -> None:
    if not condition:
        raise TarValidateError(msg or text)


def tar_assert_file(x: str | os.PathLike[str], msg: str | None = None) -> None:
    """`x` is an existing file."""
    _check(Path(x).is_file(), msg, f"{x} is no file")


def tar_assert_flag(x: Any, choices: Collection[Any], msg: str | None = None) -> None:
    """`x` is one of the choices, or a list of these."""
    values = x if isinstance(x, list | tuple) else [x]
    _check(all(value in choices for value in values), msg, f"{x!r} must be of {', '.join(map(str, choices))}")


def tar_assert_function(x: Any, msg: str | None = None) -> None:
    """`x` can be called."""
    _check(callable(x), msg, f"{x!r} is no function")


def tar_assert_function_arguments(x: Callable[..., Any], args: Iterable[str], msg: str | None = None) -> None:
    """`x` has exactly these parameters, in this order."""
    wanted, found = list(args), list(inspect.signature(x).parameters)
    _check(wanted == found, msg, f"{x!r} must have the parameters {wanted}, not {found}")


def tar_assert_in(x: Any, choices: Collection[Any], msg: str | None = None) -> None:
    """`x` is one of the choices, or a list of these."""
    tar_assert_flag(x, choices, msg)


def tar_assert_not_in(x: Any, choices: Collection[Any], msg: str | None = None) -> None:
    """`x` is none of the choices."""
    _check(x not in choices, msg, f"{x!r} must not be of {', '.join(map(str, choices))}")


def tar_assert_name(x: Any, msg: str | None = None) -> None:
    """`x` can be the name of a target: an identifier, no keyword, without leading underscore."""
    fine = isinstance(x, str) and x.isidentifier() and not keyword.iskeyword(x) and not x.startswith("_")
    _check(fine, msg, f"{x!r} must be an identifier without leading underscore and no keyword")


def tar_assert_names(x: Iterable[Any], msg: str | None = None) -> None:
    """Each of `x` can be the name of a target."""
    for name in x:
        tar_assert_name(name, msg)


def tar_assert_not_dir(x: str | os.PathLike[str], msg: str | None = None) -> None:
    """`x` is no folder."""
    _check(not Path(x).is_dir(), msg, f"{x} must not be a folder")


def tar_assert_not_dirs(x: Iterable[str | os.PathLike[str]], msg: str | None = None) -> None:
    """None of `x` is a folder."""
    for path in x:
        tar_assert_not_dir(path, msg)


def tar_assert_package(x: str, msg: str | None = None) -> None:
    """Module `x` can be imported."""
    try:
        found = importlib.util.find_spec(x) is not None
    except (ImportError, ValueError):
        found = False
    _check(found, msg, f"package {x} is not installed")


def tar_assert_path(
    x: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], msg: str | None = None
) -> None:
    """`x`, or each of a list, is an existing file or folder."""
    for path in [x] if isinstance(x, str | os.PathLike) else x:
        _check(Path(path).exists(), msg, f"{path} does not exist")


def tar_assert_store(x: str | os.PathLike[str], msg: str | None = None) -> None:
    """`x` is a data store."""
    _check(Path(x, "meta").is_dir(), msg, f"targets data store {x} not found")


def tar_assert_target(x: Any, msg: str | None = None) -> None:
    """`x` is a target."""
    _check(isinstance(x, Target), msg, f"{x!r} is no target: use tar_target()")


def tar_assert_target_list(x: Any, msg: str | None = None) -> None:
    """`x` is a list of targets."""
    _check(isinstance(x, list | tuple), msg, f"{x!r} is no list of targets")
    for target in x:
        tar_assert_target(target, msg)


def tar_assert_unique(x: Iterable[Any], msg: str | None = None) -> None:
    """No two of `x` are equal."""
    values = list(x)
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    _check(not twice, msg, f"duplicates: {', '.join(map(str, dict.fromkeys(twice)))}")


def tar_assert_unique_targets(x: Iterable[Target], msg: str | None = None) -> None:
    """No two of these targets have the same name."""
    tar_assert_unique([target.name for target in x], msg)
