"""Dynamic branching: slicing values, naming slices and branches, aggregating the values of branches."""

from __future__ import annotations

import datetime as dt
import enum
import numbers
import pickle
import sys
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarRunError, TarWarning
from targets_py.hashing.digest import digest
from targets_py.hashing.value import UnhashableValueError

if TYPE_CHECKING:
    from targets_py.definition.patterns import Grid
    from targets_py.hashing.code import Code

GROUP = "tar_group"
_SCALARS = (
    str,
    bytes,
    bytearray,
    numbers.Number,
    dt.date,
    dt.time,
    dt.timedelta,
    enum.Enum,
    uuid.UUID,
    PurePath,
)


class Slices:
    """The elements of a value that a pattern branches over.

    Args:
        size: How many there are.
        element: Position -> element.
    """

    def __init__(self, size: int, element: Callable[[int], Any]) -> None:
        self._size = size
        self._element = element

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, position: int) -> Any:
        return self._element(position)

    def __repr__(self) -> str:
        return f"<{self._size} slices>"


def split(value: Any, iteration: str, name: str) -> Slices:
    """Split a value into what its branches get.

    Args:
        value: The value of a stem.
        iteration: "vector", "list" or "group".
        name: Name of the stem, for messages.

    Returns:
        Its slices.

    Raises:
        TarRunError: The value cannot be split that way.
    """
    if iteration == "group":
        return _split_groups(value, name)
    if value is None:
        return Slices(0, lambda _: None)
    if _is_scalar(value):
        return Slices(1, lambda _: value)
    kind = _library(value)
    if kind in _FRAMES and _is_frame(value):
        rows, columns = value.shape
        if iteration == "list":
            return Slices(columns, lambda position: _FRAMES[kind].column(value, position))
        return Slices(rows, lambda position: _FRAMES[kind].rows(value, position))
    if kind == "pandas" and hasattr(value, "iloc"):
        return Slices(len(value), lambda position: value.iloc[position])
    if isinstance(value, Mapping):
        keys = list(value)
        if iteration == "list":
            return Slices(len(keys), lambda position: value[keys[position]])
        return Slices(len(keys), lambda position: {keys[position]: value[keys[position]]})
    if not hasattr(type(value), "__len__") or not hasattr(type(value), "__getitem__"):
        raise TarRunError(
            f"could not branch over {name}: a value of type {type(value).__name__} cannot be split"
        )
    return Slices(len(value), lambda position: value[position])


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS) or (_library(value) == "numpy" and getattr(value, "shape", None) == ())


def _is_frame(value: Any) -> bool:
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and len(shape) == 2 and hasattr(value, "columns")


class _Frame:
    """How one library takes frames apart and puts them together."""

    def __init__(
        self,
        rows: Callable[[Any, int], Any],
        column: Callable[[Any, int], Any],
        take: Callable[[Any, list[int]], Any],
        drop: Callable[[Any], Any],
    ) -> None:
        self.rows = rows
        self.column = column
        self.take = take
        self.drop = drop


_FRAMES = {
    "polars": _Frame(
        lambda frame, position: frame.slice(position, 1),
        lambda frame, position: frame.to_series(position),
        lambda frame, rows: frame[rows],
        lambda frame: frame.drop(GROUP),
    ),
    "pandas": _Frame(
        lambda frame, position: frame.iloc[[position]],
        lambda frame, position: frame.iloc[:, position],
        lambda frame, rows: frame.iloc[rows],
        lambda frame: frame.drop(columns=GROUP),
    ),
    "pyarrow": _Frame(
        lambda frame, position: frame.slice(position, 1),
        lambda frame, position: frame.column(position),
        lambda frame, rows: frame.take(sys.modules["pyarrow"].array(rows, "int64")),
        lambda frame: frame.drop_columns([GROUP]),
    ),
}


def _split_groups(value: Any, name: str) -> Slices:
    kind = _library(value)
    if kind not in _FRAMES or not _is_frame(value):
        raise TarRunError(
            f'could not branch over {name}: iteration "group" needs a frame, not {type(value).__name__}'
        )
    columns = value.column_names if kind == "pyarrow" else list(value.columns)
    if GROUP not in columns:
        raise TarRunError(
            f'could not branch over {name}: iteration "group" needs a column {GROUP}: use tar_group()'
        )
    column = value[GROUP]
    labels = column.to_pylist() if kind == "pyarrow" else list(column)
    members: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, numbers.Integral) or label < 1:
            raise TarRunError(
                f"could not branch over {name}: {GROUP} must hold integers from 1, not {label!r} (row {row})"
            )
        members.setdefault(int(label), []).append(row)
    return Slices(
        max(members, default=0), lambda position: _FRAMES[kind].take(value, members.get(position + 1, []))
    )


def bud_names(name: str, slices: Slices, iteration: str, code: Code) -> list[str]:
    """Name the slices of a stem: after their values, so that a slice keeps its name wherever it stands."""
    hashes = []
    warned = False
    for position in range(len(slices)):
        value = slices[position]
        if iteration == "group":
            value = _FRAMES[_library(value)].drop(value)
        try:
            hashes.append(code.value_hash(value))
        except UnhashableValueError:
            if not warned:
                warnings.warn(
                    f"slices of {name} cannot be hashed by value: branches over them may run again",
                    TarWarning,
                    stacklevel=2,
                )
                warned = True
            hashes.append(digest(_pickled(name, value)))
    return distinct(f"{name}_{value}" for value in hashes)


def _pickled(name: str, value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TarRunError(f"could not branch over {name}: its slices cannot be hashed: {error}") from error


def branch_names(pattern: str, grid: Grid, children: Mapping[str, Sequence[str]]) -> list[str]:
    """Name the branches of a pattern: after what they branch over."""
    columns = [
        [children[dimension][position] for position in positions] for dimension, positions in grid.items()
    ]
    return distinct(f"{pattern}_{digest(' '.join(row).encode())}" for row in zip(*columns, strict=True))


def distinct(names: Iterable[str]) -> list[str]:
    """Append `_1`, `_2`, ... to the second, third, ... of equal names."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}_{count}" if count else name)
    return result


def aggregate(values: Sequence[Any], iteration: str) -> Any:
    """The value of a pattern from those of its branches.

    Args:
        values: The branches' values, in order.
        iteration: "list": side by side; otherwise None is dropped and the rest joined, if types allow.

    Returns:
        The aggregate, None if nothing is left.
    """
    if iteration == "list":
        return list(values)
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    if all(isinstance(value, (list, tuple)) for value in kept):
        return [item for value in kept for item in value]
    joined = _concatenate(kept)
    return kept if joined is None else joined


def _concatenate(values: list[Any]) -> Any:
    """Frames, series or arrays of one library joined; None for everything else."""
    kind = _library(values[0])
    if kind not in {"polars", "pandas", "pyarrow", "numpy"} or any(
        _library(value) != kind for value in values
    ):
        return None
    library = sys.modules[kind]
    if kind == "numpy":
        if not all(isinstance(value, library.ndarray) for value in values):
            return None
        return library.stack(values) if values[0].ndim == 0 else library.concatenate(values)
    if kind == "pyarrow":
        tables = all(isinstance(value, library.Table) for value in values)
        return library.concat_tables(values, promote_options="permissive") if tables else None
    if kind == "pandas":
        same = len({type(value) for value in values}) == 1 and isinstance(
            values[0], (library.DataFrame, library.Series)
        )
        return library.concat(values) if same else None
    if all(isinstance(value, library.DataFrame) for value in values):
        return library.concat(values, how="diagonal_relaxed")
    if all(isinstance(value, library.Series) for value in values):
        return library.concat(values)
    return None
