"""Pickling by value what the other side cannot import: functions and classes of scripts and notebooks."""

from __future__ import annotations

import io
import sys
import types
from collections import ChainMap
from typing import Any, ClassVar

import cloudpickle


def _reduce_code(code: types.CodeType) -> tuple[Any, tuple[Any, ...]]:
    """Keep the name of the file, which cloudpickle 3.1.3 drops: a remote traceback shows its lines."""
    make, parts = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if part == "<dynamic-code>" else part for part in parts)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, with the names of source files."""

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table
    )


def dumps(value: object) -> bytes:
    """Pickle a value.

    Raises:
        Exception: whatever the value raises when it cannot be pickled.
    """
    stream = io.BytesIO()
    Pickler(stream, 5).dump(value)
    return stream.getvalue()


def importable(obj: Any) -> bool:
    """Whether the other side can find this function or class by module and name."""
    module = getattr(obj, "__module__", None)
    if module is None or module == "__main__" or module in cloudpickle.list_registry_pickle_by_value():
        return False
    found = sys.modules.get(module)
    try:
        for name in obj.__qualname__.split("."):
            found = getattr(found, name)
    except AttributeError:
        return False
    return found is obj
