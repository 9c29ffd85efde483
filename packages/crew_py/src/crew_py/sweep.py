"""Many tasks from one command: the arguments of `walk` and `map`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crew_py import validation
from crew_py.errors import CrewTypeError, CrewValueError
from crew_py.names import crew_random_name

__all__ = ("Sweep",)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One task per index of `columns`.

    Attributes:
        columns: sequences of equal length by argument name.
        data: arguments that all tasks share; a column of the same name wins.
        names: the tasks' names.
        seed: of the first task; the others count up from it.
    """

    columns: dict[str, Sequence[Any]]
    data: dict[str, Any]
    names: list[str]
    seed: int | None

    @classmethod
    def of(
        cls,
        iterate: Mapping[str, Sequence[Any]],
        data: Mapping[str, Any] | None,
        names: str | None,
        seed: int | None,
    ) -> Sweep:
        """Check the arguments.

        Raises:
            CrewTypeError: something is of the wrong type.
            CrewValueError: columns are missing, empty or unequally long, or names are not unique.
        """
        columns = validation.named("iterate", iterate)
        if not columns:
            raise CrewValueError("`iterate` must have at least one column: {'x': [1, 2, 3]}")
        lengths = {name: _length(name, column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise CrewValueError(f"the columns of `iterate` must be of equal length, got {lengths}")
        n = next(iter(lengths.values()))
        if n == 0:
            raise CrewValueError("the columns of `iterate` must not be empty")
        return cls(columns, validation.named("data", data), _names(columns, names, n), seed)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any], int | None]]:
        """Name, arguments and seed of each task."""
        for i, name in enumerate(self.names):
            arguments = {**self.data, **{key: column[i] for key, column in self.columns.items()}}
            yield name, arguments, None if self.seed is None else self.seed + i


def _length(name: str, column: Any) -> int:
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__getitem__"):
        raise CrewTypeError(f"`iterate[{name!r}]` must be a list or another sequence, got {column!r}")
    try:
        return len(column)
    except TypeError as error:
        raise CrewTypeError(f"`iterate[{name!r}]` must have a length, got {column!r}") from error


def _names(columns: dict[str, Sequence[Any]], names: str | None, n: int) -> list[str]:
    if names is None:
        prefix = f"unnamed_task_{crew_random_name()}"
        return [f"{prefix}_{i}" for i in range(1, n + 1)]
    if names not in columns:
        raise CrewValueError(f"`names` must be one of the columns {list(columns)}, got {names!r}")
    found = [str(columns[names][i]) for i in range(n)]
    if len(set(found)) != n:
        twice = next(name for name in found if found.count(name) > 1)
        raise CrewValueError(
            f"the names in the column {names!r} must be unique, {twice!r} is there more than once"
        )
    return found
