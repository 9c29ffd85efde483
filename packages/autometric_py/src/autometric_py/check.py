"""Arguments: what is accepted, and errors that name the argument, the value and the remedy."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from autometric_py.errors import AutometricError, AutometricTypeError, AutometricValueError
from autometric_py.record import EXTRA_COLUMNS, GPU_COLUMNS, MARKER
from autometric_py.support import folder_of

StrPath: TypeAlias = str | os.PathLike[str]
Pids: TypeAlias = int | Sequence[int] | Sequence[tuple[str, int]] | Mapping[str, int]
Pairs: TypeAlias = tuple[tuple[str, int], ...]

STANDARD_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def check_path(path: StrPath) -> str:
    """The path as an absolute string; the two standard streams stay as they are."""
    if not isinstance(path, str | os.PathLike):
        raise AutometricTypeError(f"path must be one str or PathLike, not {path!r}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise AutometricTypeError(f"path must be text, not bytes: {text!r}")
    if not text or "\0" in text:
        raise AutometricValueError(f"path must name a file, not {text!r}")
    if text in STANDARD_STREAMS:
        if os.name != "posix":
            raise AutometricValueError(
                f"path={text!r} exists on Linux and macOS only; give the path of a file"
            )
        return text
    return os.path.abspath(text)  # noqa: PTH100 - Path.absolute() keeps the dots of a/../b


def check_seconds(seconds: float) -> float:
    """A finite, positive interval."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise AutometricTypeError(f"seconds must be a number, not {seconds!r}")
    if not (math.isfinite(seconds) and seconds > 0):
        raise AutometricValueError(f"seconds must be positive and finite, not {seconds!r}")
    return float(seconds)


def check_pids(pids: Pids | None) -> Pairs:
    """Pairs of name and pid; this process, named "local", when none are given."""
    if pids is None:
        return (("local", os.getpid()),)
    if isinstance(pids, str | bytes):
        raise AutometricTypeError(f"pids must be numbers, or names with numbers, not {pids!r}")
    if isinstance(pids, Mapping):
        pairs = list(pids.items())
    elif isinstance(pids, Iterable):
        pairs = [_pair(entry) for entry in pids]
    else:
        pairs = [("", pids)]
    if not pairs:
        raise AutometricValueError("pids is empty; give at least one, or None for this process")
    return tuple((check_label("name", name), check_pid(pid)) for name, pid in pairs)


def _pair(entry: Any) -> tuple[str, int]:
    if not isinstance(entry, tuple | list):
        return "", entry
    if len(entry) != 2:
        raise AutometricValueError(f"pids must hold numbers or (name, pid) pairs, not {entry!r}")
    name, pid = entry
    return name, pid


def check_pid(pid: Any) -> int:
    """One process number."""
    if isinstance(pid, bool):
        raise AutometricTypeError(f"pids must be process numbers, not {pid!r}")
    try:
        number = operator.index(pid)
    except TypeError:
        raise AutometricTypeError(f"pids must be whole process numbers, not {pid!r}") from None
    if number < 0:
        raise AutometricValueError(f"pids must not be negative, as {number} is")
    return number


def check_label(argument: str, label: str) -> str:
    """A text that can stand in one field of a record."""
    if not isinstance(label, str):
        raise AutometricTypeError(f"{argument} must be a str, not {label!r}")
    if "|" in label or "\n" in label or "\r" in label or MARKER in label:
        raise AutometricValueError(
            f"{argument} must not hold '|', a line break or {MARKER!r}, as {label!r} does; replace them first"
        )
    try:
        label.encode()
    except UnicodeEncodeError:
        raise AutometricValueError(f"{argument} must be valid Unicode, not {label!r}") from None
    return label


def check_choice(argument: str, value: Any, choices: Iterable[Any]) -> None:
    """One of a few values."""
    known = list(choices)
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in known):
        shown = ", ".join(map(repr, known))
        raise AutometricValueError(f"{argument} must be one of {shown}, not {value!r}")


def check_extras(extras: Sequence[str] | str) -> tuple[str, ...]:
    """Names of extra columns, in the order of the record."""
    names = (extras,) if isinstance(extras, str) else tuple(extras)
    for name in names:
        check_choice("extras", name, EXTRA_COLUMNS)
    return tuple(name for name in EXTRA_COLUMNS if name in names)


def check_measurable(extras: Sequence[str]) -> None:
    """Whether what the extra columns need is installed."""
    if any(name in GPU_COLUMNS for name in extras) and folder_of("pynvml") is None:
        raise AutometricError("figures of the GPU need the extra: pip install 'autometric-py[gpu]'")
