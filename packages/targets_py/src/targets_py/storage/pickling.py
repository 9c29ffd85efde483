"""Pickles of values: any object, also functions and classes that the script defines."""

# ruff: noqa: PTH123
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import pickle
import sys
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cloudpickle
import xxhash

from targets_py.hashing.digest import DIGITS
from targets_py.hashing.value import is_plain

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

PROTOCOL = 5
SCRIPT_MODULE = "_targets"


def dump(path: str | os.PathLike[str], value: Any) -> str:
    """Pickle a value to a file.

    Args:
        path: A new file.
        value: Any object; functions and classes of the script go by value and by name.

    Returns:
        The hash of the file, 16 hexadecimal digits.

    Raises:
        Exception: Whatever pickling raises.
    """
    with open(path, "wb", buffering=0) as file:
        sink = _HashingFile(file)
        if is_plain(value):  # ten times as fast, for the same bytes
            sink.write(pickle.dumps(value, PROTOCOL))
        else:
            _Pickler(sink, PROTOCOL).dump(value)
    return sink.hash()


def load(path: str | os.PathLike[str]) -> Any:
    """Read a pickled value.

    Args:
        path: A file that `dump()` wrote.

    Returns:
        The value.
    """
    with open(path, "rb") as file:
        return pickle.load(file)


class _HashingFile:
    """Writes to a file and hashes what it writes; one pass even for values larger than memory's half."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._state = xxhash.xxh3_128()

    def write(self, data: bytes | memoryview | pickle.PickleBuffer) -> int:
        view = memoryview(data).cast("B")
        self._state.update(view)
        written = 0
        while written < len(view):  # the system takes at most 2 GiB at once
            written += self._file.write(view[written:])
        return written

    def hash(self) -> str:
        return str(self._state.hexdigest()[:DIGITS])


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles what the script defines as a name and a copy.

    The name gives the next run its own class back, so that isinstance() holds there; the copy lets
    `tar_read()` load the value where no script is loaded.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)) and _is_of_script(obj):
            return restore_script_object, (obj.__qualname__, _copy_of(obj))
        return super().reducer_override(obj)


def _is_of_script(obj: Any) -> bool:
    return getattr(obj, "__module__", None) == SCRIPT_MODULE and _find(obj.__qualname__) is obj


def _find(qualname: str) -> Any:
    found: Any = sys.modules.get(SCRIPT_MODULE)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _copy_of(obj: Any) -> bytes:
    """A pickle that needs no script."""
    module = sys.modules[SCRIPT_MODULE]
    known = SCRIPT_MODULE in cloudpickle.list_registry_pickle_by_value()
    if not known:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(obj, PROTOCOL))
    finally:
        if not known:
            cloudpickle.unregister_pickle_by_value(module)


def restore_script_object(qualname: str, copy: bytes) -> Any:
    """The function or class of the loaded script, or the copy where none is loaded.

    Pickles in data stores name this function: it must not be moved.

    Args:
        qualname: Its qualified name in the script.
        copy: A pickle of it.

    Returns:
        The function or class.
    """
    found = _find(qualname) if SCRIPT_MODULE in sys.modules else None
    return _load_copy(copy) if found is None else found


@lru_cache(maxsize=256)
def _load_copy(copy: bytes) -> Any:
    # Cached: the same class in two values must be one class.
    return pickle.loads(copy)
