"""Branches of patterns: their names, numbers and what they branch over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets_py.definition.patterns import as_pattern
from targets_py.definition.seeds import derive_seed
from targets_py.engine.branching import branch_names
from targets_py.engine.graph import close_match
from targets_py.errors import TarValidateError
from targets_py.places import existing_store, open_pipeline, script_path, store_path
from targets_py.read import positions, unknown_target
from targets_py.storage.metadata import Metadata
from targets_py.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from targets_py.definition.patterns import Pattern
    from targets_py.places import StrPath
    from targets_py.storage.records import Record

__all__ = ("tar_branch_index", "tar_branch_names", "tar_branches", "tar_pattern")


def tar_branch_names(name: str, index: int | Sequence[int], store: StrPath | None = None) -> list[str]:
    """Names of branches of a pattern.

    Args:
        name: The pattern.
        index: Positions from 0, negative from the end.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: No such pattern, or a position out of range.

    Example:
        >>> tar_branch_names("fit", [0, -1])
        ['fit_...', 'fit_...']
    """
    record = _record(name, Metadata.load(existing_store(store)).records)
    if record.type != "pattern" or not record.children:
        raise TarValidateError(f"target {name} has no branches.")
    return [record.children[number] for number in positions(index, len(record.children), name)]


def tar_branch_index(names: str | Sequence[str], store: StrPath | None = None) -> list[int]:
    """Positions of branches in their patterns, from 0.

    Args:
        names: Names of branches.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: A name that is no recorded branch.

    Example:
        >>> tar_branch_index(tar_branch_names("fit", [2, 0]))
        [2, 0]
    """
    records = Metadata.load(existing_store(store)).records
    wanted = [names] if isinstance(names, str) else list(names)
    found: dict[str, int] = {}
    for name in wanted:
        parent = records.get(records[name].parent or "") if name in records else None
        if name not in found and parent is not None:
            found.update({child: number for number, child in enumerate(parent.children or [])})
    missing = [name for name in wanted if name not in found]
    if missing:
        raise TarValidateError(f"missing branches in metadata: {', '.join(missing)}")
    return [found[name] for name in wanted]


def tar_branches(
    name: str,
    pattern: Pattern | str | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> pl.DataFrame:
    """What each branch of a pattern branches over.

    Args:
        name: The pattern.
        pattern: How it branches, as in `tar_target(pattern=)`; None: as the script says.
        script: The script; None: that of the project. Not read if a pattern is given.
        store: The data store; None: that of the project.

    Returns:
        A frame with one row for each branch: column name, then for each upstream target of the pattern the
        name of its branch, or of its slice.

    Raises:
        TarValidateError: It is no target, has no pattern, or something is not in the metadata.

    Example:
        >>> tar_branches("fit").shape
        (3, 2)
    """
    place = existing_store(store)
    given, seed = as_pattern(pattern), None
    if given is None or _samples(given):
        declared, seed = _declared(name, script, store)
        given = given or declared
    records = Metadata.load(place).records
    dimensions = given.dimensions()
    missing = [dimension for dimension in (name, *dimensions) if dimension not in records]
    if missing:
        raise TarValidateError(f"targets not in metadata: {', '.join(missing)}")
    children = {dimension: records[dimension].children or [] for dimension in dimensions}
    grid = given.grid({dimension: len(found) for dimension, found in children.items()}, seed)
    columns = [[children[dimension][number] for number in grid[dimension]] for dimension in dimensions]
    names = branch_names(name, {dimension: grid[dimension] for dimension in dimensions}, children)
    return table(dict.fromkeys(["name", *dimensions], "str"), zip(names, *columns, strict=True))


def tar_pattern(pattern: Pattern | str, seed: int | None = 0, **lengths: int) -> pl.DataFrame:
    """Try out how a pattern branches, without a pipeline.

    Args:
        pattern: As in `tar_target(pattern=)`.
        seed: Seed of `sample()`.
        **lengths: Name of each target that it branches over -> how many elements that has.

    Returns:
        A frame with one row for each branch, and for each target a column of its elements `x_1`, `x_2`, ...

    Raises:
        TarValidateError: The length of a target is missing.
        TarRunError: The lengths do not fit together.

    Example:
        >>> tar_pattern(cross("x", "y"), x=1, y=2).rows()
        [('x_1', 'y_1'), ('x_1', 'y_2')]
    """
    parsed = as_pattern(pattern)
    if parsed is None:
        raise TarValidateError("tar_pattern() needs a pattern, such as map('x')")
    dimensions = parsed.dimensions()
    missing = [name for name in dimensions if name not in lengths]
    if missing:
        raise TarValidateError(
            f"tar_pattern() needs the length of {', '.join(missing)}, as in {missing[0]}=3"
        )
    grid = parsed.grid(lengths, seed)
    columns = [[f"{name}_{number + 1}" for number in grid[name]] for name in dimensions]
    return table(dict.fromkeys(dimensions, "str"), zip(*columns, strict=True))


def _samples(pattern: Pattern) -> bool:
    return pattern.kind == "sample" or any(
        _samples(part) for part in pattern.parts if not isinstance(part, str)
    )


def _declared(name: str, script: StrPath | None, store: StrPath | None) -> tuple[Pattern, int | None]:
    path = script_path(script)
    with open_pipeline("tar_branches", path, store_path(store)) as pipeline:
        target = pipeline.targets.get(name)
        if target is None:
            raise TarValidateError(f"{name} is not a target in {path}.{close_match(name, pipeline.targets)}")
        if target.pattern is None:
            raise TarValidateError(f"target {name} is not dynamic: it has no pattern")
        base = pipeline.options.seed
        return target.pattern, None if base is None else derive_seed(name, base)


def _record(name: str, records: Mapping[str, Record]) -> Record:
    if name not in records:
        raise unknown_target(name, records)
    return records[name]
