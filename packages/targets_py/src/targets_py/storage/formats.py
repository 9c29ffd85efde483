"""How values become files and files become values."""

# ruff: noqa: D102, PTH123
# `Format` documents the methods.
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from targets_py.errors import TarValidateError
from targets_py.storage import frames, pickling

Options = Mapping[str, Any]


class Format(Protocol):
    """A way to store a value in one file.

    Attributes:
        name: As users write it.
        lossy: What is read differs from what was written: downstream targets get what is read, and the hash
            of the value is that of the file.
    """

    @property
    def name(self) -> str: ...  # as properties: the classes below have constants

    @property
    def lossy(self) -> bool: ...

    def convert(self, value: Any) -> Any:
        """The value as this format keeps it: downstream targets see this one.

        Raises:
            TypeError: A value that this format cannot keep.
        """

    def write(self, path: str, value: Any, options: Options) -> str | None:
        """Write a converted value; returns the hash of the file if it is known without reading it."""

    def read(self, path: str) -> Any:
        """Read the value."""


class Pickle:
    """Any object, by cloudpickle."""

    name = "pickle"
    lossy = False

    def convert(self, value: Any) -> Any:
        return value

    def write(self, path: str, value: Any, options: Options) -> str | None:  # noqa: ARG002 - it has none
        return pickling.dump(path, value)

    def read(self, path: str) -> Any:
        return pickling.load(path)


class Json:
    """What JSON can say; keys become strings and tuples lists."""

    name = "json"
    lossy = True

    def convert(self, value: Any) -> Any:
        return value

    def write(self, path: str, value: Any, options: Options) -> str | None:  # noqa: ARG002 - it has none
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False))
        return None

    def read(self, path: str) -> Any:
        with open(path, encoding="utf-8") as file:
            return json.load(file)


class Numpy:
    """One numpy array without objects."""

    name = "numpy"
    lossy = False

    def convert(self, value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is None or not isinstance(value, numpy.ndarray):
            raise TypeError(f"format numpy stores numpy arrays, not {frames.describe(value)}")
        return value

    def write(self, path: str, value: Any, options: Options) -> str | None:  # noqa: ARG002 - it has none
        import numpy as np

        with open(path, "wb") as file:
            np.save(file, value, allow_pickle=False)
        return None

    def read(self, path: str) -> Any:
        import numpy as np

        return np.load(path, allow_pickle=False)


class File:
    """Files that the command wrote itself: the value is their path or a list of paths, nothing is stored."""

    name = "file"
    lossy = False

    def convert(self, value: Any) -> Any:
        if isinstance(value, (str, os.PathLike)):
            return _as_text(value)
        if isinstance(value, list):
            return [_as_text(path) for path in value]
        raise TypeError(f"the command did not return a path or a list of paths, but {frames.describe(value)}")


def _as_text(path: Any) -> str:
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise TypeError(f"the command did not return a path or a list of paths: {path!r} is none")
    return text


_FORMATS: dict[str, Format | File] = {
    form.name: form
    for form in (Pickle(), frames.Parquet(), frames.Feather(), frames.Csv(), Json(), Numpy(), File())
}
_ALIASES = {"rds": "pickle", "ipc": "feather", "file_fast": "file"}


def get_format(name: str) -> Format | File:
    """The format of that name; aliases are known.

    Args:
        name: One of `format_names()`, except "auto", whose meaning depends on the value.

    Returns:
        The format.

    Raises:
        TarValidateError: There is none; the message lists those there are.

    Example:
        >>> get_format("rds").name
        'pickle'
    """
    found = _FORMATS.get(_ALIASES.get(name, name))
    if found is None:
        raise TarValidateError(f"format {name!r} is unknown; use one of {', '.join(format_names())}")
    return found


def format_names() -> tuple[str, ...]:
    """All names that `format=` takes, aliases included."""
    return (*_FORMATS, *_ALIASES, "auto")


def resolve_auto(value: Any) -> str:
    """What format "auto" means for this value.

    Args:
        value: What the command returned.

    Returns:
        "file" for a path that exists and for a list of such paths, else "pickle".

    Example:
        >>> resolve_auto(12)
        'pickle'
    """
    paths = value if isinstance(value, list) else [value]
    if paths and all(isinstance(path, (str, os.PathLike)) and _exists(path) for path in paths):
        return "file"
    return "pickle"


def _exists(path: str | os.PathLike[str]) -> bool:
    try:
        return os.fspath(path) != "" and Path(path).exists()
    except (OSError, ValueError):  # too long, or holds NUL: a text, no path
        return False
