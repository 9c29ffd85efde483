"""Patterns: how a target branches over others.

A pattern is a tree of `map`, `cross`, `head`, `tail`, `slice` and `sample` over target names. Given how many
elements each name has, its grid says which elements go into which branch.
"""

from __future__ import annotations

import ast
import builtins
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarRunError, TarValidateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Name of a dimension -> for each branch, the position of the element it gets.
Grid = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a target branches; made by `map()`, `cross()` and the others.

    Attributes:
        kind: Name of the function that made it.
        parts: Names of targets, and patterns.
        argument: n of head, tail and sample, index of slice (always a tuple), else None.
    """

    kind: str
    parts: tuple[str | Pattern, ...]
    argument: int | tuple[int, ...] | None = None

    def dimensions(self) -> tuple[str, ...]:
        """The names of the targets it branches over, from left to right."""
        found: list[str] = []
        for part in self.parts:
            found += (part,) if isinstance(part, str) else part.dimensions()
        return tuple(found)

    def grid(self, lengths: Mapping[str, int], seed: int | None = None) -> Grid:
        """Which elements go into which branch.

        Args:
            lengths: Name of each dimension -> how many elements it has.
            seed: Seed of `sample`; None: another sample each time.

        Returns:
            Name of each dimension -> for each branch, the 0-based position of its element.

        Raises:
            TarRunError: Lengths that do not fit together, a position out of range, too large a sample.
        """
        return _GRIDS[self.kind](self, lengths, seed)

    def __str__(self) -> str:
        parts = ", ".join(str(part) for part in self.parts)
        if self.argument is None:
            return f"{self.kind}({parts})"
        value = list(self.argument) if isinstance(self.argument, tuple) else self.argument
        return f"{self.kind}({parts}, {'index' if self.kind == 'slice' else 'n'}={value})"


def _grid_of(part: str | Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    if isinstance(part, str):
        return {part: list(range(lengths[part]))}
    return part.grid(lengths, seed)


def _rows(grid: Grid) -> int:
    return len(next(iter(grid.values())))


def _take(grid: Grid, rows: Sequence[int]) -> Grid:
    return {name: [column[row] for row in rows] for name, column in grid.items()}


def _map_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    grids = [_grid_of(part, lengths, seed) for part in pattern.parts]
    if len({_rows(grid) for grid in grids}) > 1:
        sizes = ", ".join(f"{part}: {_rows(grid)}" for part, grid in zip(pattern.parts, grids, strict=True))
        raise TarRunError(f"unequal lengths of vars in {pattern} ({sizes})")
    return {name: column for grid in grids for name, column in grid.items()}


def _cross_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    result: Grid = {}
    rows = 1
    for part in pattern.parts:
        grid = _grid_of(part, lengths, seed)
        size = _rows(grid)
        for name, column in result.items():
            result[name] = [position for position in column for _ in range(size)]
        for name, column in grid.items():
            result[name] = column * rows
        rows *= size
    return result


def _head_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    assert isinstance(pattern.argument, int)
    grid = _grid_of(pattern.parts[0], lengths, seed)
    return {name: column[: pattern.argument] for name, column in grid.items()}


def _tail_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    assert isinstance(pattern.argument, int)
    grid = _grid_of(pattern.parts[0], lengths, seed)
    return {name: column[-pattern.argument :] for name, column in grid.items()}


def _slice_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    assert isinstance(pattern.argument, tuple)
    grid = _grid_of(pattern.parts[0], lengths, seed)
    size = _rows(grid)
    for index in pattern.argument:
        if not -size <= index < size:
            raise TarRunError(f"index {index} is out of range in {pattern}: {pattern.parts[0]} has {size}")
    return _take(grid, pattern.argument)


def _sample_grid(pattern: Pattern, lengths: Mapping[str, int], seed: int | None) -> Grid:
    assert isinstance(pattern.argument, int)
    grid = _grid_of(pattern.parts[0], lengths, seed)
    size = _rows(grid)
    if pattern.argument > size:
        raise TarRunError(f"cannot sample {pattern.argument} of {size} in {pattern}")
    generator = random.Random(seed)  # noqa: S311 - a reproducible sample is the purpose
    return _take(grid, generator.sample(range(size), pattern.argument))


_GRIDS: dict[str, Callable[[Pattern, Mapping[str, int], int | None], Grid]] = {
    "map": _map_grid,
    "cross": _cross_grid,
    "head": _head_grid,
    "tail": _tail_grid,
    "slice": _slice_grid,
    "sample": _sample_grid,
}


def _make(kind: str, parts: Sequence[Any], argument: int | tuple[int, ...] | None = None) -> Pattern:
    if not parts:
        raise TarValidateError(f"{kind}() needs the name of at least one target")
    for part in parts:
        if not isinstance(part, (str, Pattern)):
            raise TarValidateError(f"{kind}() takes names of targets and patterns, not {part!r}")
    pattern = Pattern(kind, tuple(parts), argument)
    names = pattern.dimensions()
    twice = [name for position, name in enumerate(names) if name in names[:position]]
    if twice:
        raise TarValidateError(f"{twice[0]} stands twice in pattern {pattern}")
    return pattern


def _positive(kind: str, n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise TarValidateError(f"n of {kind}() must be an integer >= 1, not {n!r}")
    return n


def _positions(index: Any) -> tuple[int, ...]:
    positions = (index,) if isinstance(index, int) else index
    if not isinstance(positions, (list, tuple, range)) or not positions:
        raise TarValidateError(f"index of slice() must be an integer or a list of integers, not {index!r}")
    if any(isinstance(position, bool) or not isinstance(position, int) for position in positions):
        raise TarValidateError(f"index of slice() must be an integer or a list of integers, not {index!r}")
    return tuple(positions)


class _MapType(type):
    def __call__(cls, *arguments: Any) -> Any:
        if arguments and not isinstance(arguments[0], (str, Pattern)):
            return builtins.map(*arguments)
        return _make("map", arguments)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, builtins.map)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, builtins.map)


class map(metaclass=_MapType):  # noqa: A001, N801 - scripts import it over the builtin
    """Branch over targets side by side: `map("x", "y")` makes one branch per element of x and y.

    Args:
        *arguments: Names of targets, and patterns; with anything else first, this is the builtin `map`.

    Returns:
        The pattern for `tar_target(pattern=)`, or the builtin's iterator.

    Raises:
        TarValidateError: No name, a name twice, or something that is neither name nor pattern.

    Example:
        >>> str(map("x", cross("y", "z")))
        'map(x, cross(y, z))'
        >>> list(map(abs, [-1, 2]))
        [1, 2]
    """


class _SliceType(type):
    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        if arguments and not isinstance(arguments[0], (str, Pattern)):
            return builtins.slice(*arguments, **named)
        return _slice(*arguments, **named)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, builtins.slice)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, builtins.slice)


def _slice(pattern: str | Pattern, index: int | Sequence[int] = 0) -> Pattern:
    return _make("slice", (pattern,), _positions(index))


class slice(metaclass=_SliceType):  # noqa: A001, N801 - scripts import it over the builtin
    """Branch over elements at given positions.

    Args:
        pattern: Name of a target, or a pattern. Anything else makes this the builtin `slice`.
        index: Position or list of positions, 0-based, negative from the end; default 0.

    Returns:
        The pattern for `tar_target(pattern=)`, or the builtin's slice object.

    Raises:
        TarValidateError: An index that is no integer and no list of integers.

    Example:
        >>> str(slice("x", index=[0, -1]))
        'slice(x, index=[0, -1])'
    """


def cross(*parts: str | Pattern) -> Pattern:
    """Branch over all combinations; the first one varies slowest.

    Args:
        *parts: Names of targets, and patterns.

    Returns:
        The pattern for `tar_target(pattern=)`.

    Raises:
        TarValidateError: No name, a name twice, or something that is neither name nor pattern.

    Example:
        >>> cross("x", "y").grid({"x": 2, "y": 2})
        {'x': [0, 0, 1, 1], 'y': [0, 1, 0, 1]}
    """
    return _make("cross", parts)


def head(pattern: str | Pattern, n: int = 1) -> Pattern:
    """Branch over the first elements.

    Args:
        pattern: Name of a target, or a pattern.
        n: How many at most, default 1.

    Returns:
        The pattern for `tar_target(pattern=)`.

    Raises:
        TarValidateError: n < 1.

    Example:
        >>> head("x", n=2).grid({"x": 5})
        {'x': [0, 1]}
    """
    return _make("head", (pattern,), _positive("head", n))


def tail(pattern: str | Pattern, n: int = 1) -> Pattern:
    """Branch over the last elements.

    Args:
        pattern: Name of a target, or a pattern.
        n: How many at most, default 1.

    Returns:
        The pattern for `tar_target(pattern=)`.

    Raises:
        TarValidateError: n < 1.

    Example:
        >>> tail("x", n=2).grid({"x": 5})
        {'x': [3, 4]}
    """
    return _make("tail", (pattern,), _positive("tail", n))


def sample(pattern: str | Pattern, n: int = 1) -> Pattern:
    """Branch over randomly chosen elements; the seed of the target decides which.

    Args:
        pattern: Name of a target, or a pattern.
        n: How many, default 1.

    Returns:
        The pattern for `tar_target(pattern=)`.

    Raises:
        TarValidateError: n < 1.

    Example:
        >>> len(sample("x", n=2).grid({"x": 5}, seed=1)["x"])
        2
    """
    return _make("sample", (pattern,), _positive("sample", n))


_MAKERS: dict[str, Callable[..., Pattern]] = {
    "map": lambda *parts: _make("map", parts),
    "cross": cross,
    "head": head,
    "tail": tail,
    "slice": _slice,
    "sample": sample,
}


def as_pattern(value: Any) -> Pattern | None:
    """The pattern that a `pattern=` argument means.

    Args:
        value: None, a pattern, or source such as `"cross(w, map(x, y))"` with literals as extra arguments.

    Returns:
        The pattern, None for None.

    Raises:
        TarValidateError: Anything else, or source that is no pattern.
    """
    if value is None or isinstance(value, Pattern):
        return value
    if not isinstance(value, str):
        raise TarValidateError(
            f"pattern must come from map(), cross() and the like, or be source, not {value!r}"
        )
    try:
        tree = ast.parse(value.strip(), mode="eval").body
    except SyntaxError as error:
        raise TarValidateError(f"pattern {value!r} is no valid source: {error.msg}") from error
    if not isinstance(tree, ast.Call):
        raise TarValidateError(f"pattern {value!r} is no call of map(), cross() and the like")
    return _parse_call(tree, value)


def _parse_call(call: ast.Call, source: str) -> Pattern:
    name = call.func.id if isinstance(call.func, ast.Name) else ast.unparse(call.func)
    maker = _MAKERS.get(name)
    if maker is None:
        raise TarValidateError(
            f"unknown function {name}() in pattern {source!r}; known: {', '.join(_MAKERS)}"
        )
    arguments = [_parse_argument(node, source) for node in call.args]
    named = {keyword.arg or "**": _parse_argument(keyword.value, source) for keyword in call.keywords}
    try:
        return maker(*arguments, **named)
    except TypeError as error:
        raise TarValidateError(f"wrong arguments of {name}() in pattern {source!r}: {error}") from error


def _parse_argument(node: ast.expr, source: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call):
        return _parse_call(node, source)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise TarValidateError(
            f"{ast.unparse(node)} in pattern {source!r} is neither a name, a pattern nor a literal"
        ) from error
