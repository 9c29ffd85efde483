"""Values of targets, read from the data store."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from targets_py.engine.branching import aggregate
from targets_py.engine.graph import close_match
from targets_py.errors import TarError, TarRunError, TarValidateError
from targets_py.meta import GLOBALS
from targets_py.places import existing_store, note, project_on_path, reading_store, variables_of
from targets_py.selection import everything, tar_tidyselect_eval
from targets_py.storage.metadata import Metadata
from targets_py.storage.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from targets_py.places import StrPath
    from targets_py.selection import Selector
    from targets_py.storage.store import Store

__all__ = ("tar_exist_objects", "tar_load", "tar_load_everything", "tar_objects", "tar_read")


def tar_read(
    name: str,
    branches: int | Sequence[int] | None = None,
    meta: pl.DataFrame | None = None,
    store: StrPath | None = None,
) -> Any:
    """The value of a target.

    Args:
        name: A target or a branch.
        branches: Of a pattern, these branches only: positions from 0, negative from the end. A target without
            a pattern ignores it.
        meta: What `tar_meta()` returned, so that many reads do not read the metadata anew each time.
        store: The data store; None: that of the project.

    Returns:
        The value; of a pattern the values of its branches, joined as its iteration says.

    Raises:
        TarValidateError: There is no such target, no such branch, or no store.
        TarRunError: The value is not there: the target failed, was canceled, or its file was deleted.

    Example:
        >>> tar_read("report")
        60
        >>> tar_read("fit", branches=[0, -1])
        [10, 30]
    """
    place = existing_store(store)
    with project_on_path():
        return read_target(name, _records(place, meta), place, branches)


def tar_load(
    *names: Selector,
    branches: int | Sequence[int] | None = None,
    meta: pl.DataFrame | None = None,
    strict: bool = True,
    silent: bool = False,
    envir: dict[str, Any] | None = None,
    store: StrPath | None = None,
) -> None:
    """Assign values of targets to variables of their names.

    Args:
        *names: Which targets and branches.
        branches: Of patterns, these branches only: positions from 0, negative from the end.
        meta: What `tar_meta()` returned, so that the metadata is not read anew.
        strict: Whether a value that cannot be read is an error; otherwise it is left out.
        silent: Whether to say nothing about what was left out.
        envir: The variables, for example `globals()`; None: those of the caller, which must be top-level code
            of a module or a notebook cell.
        store: The data store; None: that of the project.

    Raises:
        TarValidateError: No names, an unknown name, or variables that cannot be assigned to.
        TarRunError: A value cannot be read (with `strict`); then nothing is assigned.

    Example:
        >>> variables = {}
        >>> tar_load("data", starts_with("rep"), envir=variables)
        >>> variables
        {'data': [1, 2, 3], 'report': 60}
    """
    if not names:
        raise TarValidateError('tar_load() needs names, such as "x" or starts_with("fit")')
    variables = variables_of(envir, sys._getframe(1))  # noqa: SLF001 - to find the caller's variables
    variables.update(_load(names, branches, meta, store, strict=strict, silent=silent))


def tar_load_everything(
    branches: int | Sequence[int] | None = None,
    meta: pl.DataFrame | None = None,
    strict: bool = True,
    silent: bool = False,
    envir: dict[str, Any] | None = None,
    store: StrPath | None = None,
) -> None:
    """Assign the values of all targets and branches to variables of their names, see `tar_load()`.

    Args:
        branches: Of patterns, these branches only.
        meta: What `tar_meta()` returned.
        strict: Whether a value that cannot be read is an error.
        silent: Whether to say nothing about what was left out.
        envir: The variables; None: those of the caller.
        store: The data store; None: that of the project.

    Example:
        >>> variables = {}
        >>> tar_load_everything(strict=False, silent=True, envir=variables)
        >>> variables["fit"]
        [10, 20, 30]
    """
    variables = variables_of(envir, sys._getframe(1))  # noqa: SLF001 - to find the caller's variables
    variables.update(_load([everything()], branches, meta, store, strict=strict, silent=silent))


def tar_objects(names: Selector = None, cloud: bool = True, store: StrPath | None = None) -> list[str]:
    """Names of the stored values, sorted; tracked files are not among them.

    Args:
        names: Which of them; None: all.
        cloud: Whether to list objects in the cloud too.
        store: The data store; None: that of the project.

    Example:
        >>> tar_objects(starts_with("rep"))
        ['report']
    """
    del cloud  # repositories in the cloud are not there yet
    found = sorted(reading_store(store).scan())
    picked = tar_tidyselect_eval(names, found)
    return found if picked is None else picked


def tar_exist_objects(
    names: str | Iterable[str], cloud: bool = True, store: StrPath | None = None
) -> list[bool]:
    """Whether there are stored values of these names, in their order.

    Args:
        names: Names of targets and branches; a pattern has no value of its own.
        cloud: Whether to look in the cloud too.
        store: The data store; None: that of the project.

    Example:
        >>> tar_exist_objects(["report", "bad"])
        [True, False]
    """
    found = set(tar_objects(cloud=cloud, store=store))
    return [name in found for name in ([names] if isinstance(names, str) else names)]


def positions(branches: int | Sequence[int], count: int, name: str) -> list[int]:
    """Positions of branches counted from 0, checked.

    Args:
        branches: One or several; negative from the end.
        count: How many there are.
        name: The pattern, for messages.

    Raises:
        TarValidateError: One is out of range, or no whole number.
    """
    given = [branches] if isinstance(branches, int) else branches
    try:
        numbers = [operator.index(number) for number in given]
    except TypeError:
        raise TarValidateError(
            f"branches must be a whole number or a list of these, not {branches!r}"
        ) from None
    outside = [number for number in numbers if not -count <= number < count]
    if outside:
        raise TarValidateError(
            f"branches out of range: {name} has {count}, so {', '.join(map(str, outside))} does not exist;"
            f" choose from 0 to {count - 1}, or from -{count} to -1 to count from the end"
        )
    return [number % count for number in numbers]


def unknown_target(name: str, known: Iterable[str]) -> TarValidateError:
    """The error for a name that is not in the metadata."""
    return TarValidateError(f"target {name} not found in the metadata.{close_match(name, known)}")


def _load(
    names: Sequence[Selector],
    branches: int | Sequence[int] | None,
    meta: pl.DataFrame | None,
    store: StrPath | None,
    *,
    strict: bool,
    silent: bool,
) -> dict[str, Any]:
    place = existing_store(store)
    records = _records(place, meta)
    choices = [name for name, record in records.items() if record.type not in GLOBALS]
    chosen = tar_tidyselect_eval(list(names), choices)
    if not chosen:
        print("Identified no targets to load.")  # noqa: T201 - as the original
        return {}
    values = {}
    with project_on_path():
        for name in chosen:
            try:
                values[name] = read_target(name, records, place, branches)
            except TarError as error:
                if strict:
                    raise
                if not silent:
                    note(f"could not load {name}: {error}")
    return values


class _FrameRecords(Mapping[str, Record]):
    """The records in a frame of `tar_meta()`, made as they are asked for."""

    COLUMNS = ("name", "type", "data", "path", "format", "iteration", "children", "error")

    def __init__(self, frame: pl.DataFrame, store: Store) -> None:
        missing = [column for column in self.COLUMNS if column not in frame.columns]
        if missing:
            raise TarValidateError(
                f"meta must have the columns of tar_meta(): {', '.join(missing)} is missing"
            )
        self._frame = frame.select(self.COLUMNS)
        self._rows = {name: row for row, name in enumerate(self._frame["name"])}
        self._store = store

    def __getitem__(self, name: str) -> Record:
        record = Record(**self._frame.row(self._rows[name], named=True))
        if record.path is not None and len(record.path) == 1:
            # The frame does not tell a path from a list of one path; the file does.
            record.path = Metadata.load(self._store).records[name].path
        return record

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _records(store: Store, meta: pl.DataFrame | None) -> Mapping[str, Record]:
    return Metadata.load(store).records if meta is None else _FrameRecords(meta, store)


def read_target(
    name: str,
    records: Mapping[str, Record],
    store: Store,
    branches: int | Sequence[int] | None = None,
) -> Any:
    """The value of a target, see `tar_read()`."""
    record = records.get(name)
    if record is None:
        raise unknown_target(name, records)
    if record.type in GLOBALS:
        raise TarValidateError(f"{name} is a {record.type} of the script: it is not a target")
    if record.type != "pattern":
        return _read_one(record, store)
    children = record.children or []
    chosen = range(len(children)) if branches is None else positions(branches, len(children), name)
    values, failures = [], {}
    for position in chosen:
        try:
            values.append(_read_child(children[position], records, store))
        except TarRunError as error:
            failures[position] = error
    if failures or (record.error is not None and not children):
        raise _unreadable(record, failures, records, store)
    return aggregate(values, record.iteration or "vector")


def _read_child(name: str, records: Mapping[str, Record], store: Store) -> Any:
    if name not in records:
        raise TarRunError(f"{name} was never built")
    return _read_one(records[name], store)


def _read_one(record: Record, store: Store) -> Any:
    if record.error is not None and record.data is None:
        raise TarRunError(f"{record.name} has no value: it failed with: {record.error}", target=record.name)
    return store.read(record)


def _unreadable(
    record: Record, failures: Mapping[int, TarRunError], records: Mapping[str, Record], store: Store
) -> TarRunError:
    if not failures:
        return TarRunError(f"{record.name} has no branches: {record.error}", target=record.name)
    children = record.children or []
    objects = store.scan()
    readable = [
        position
        for position, child in enumerate(children)
        if position not in failures and child in records and (child in objects or records[child].path)
    ]
    reasons = "\n".join(f"  {position}: {error}" for position, error in failures.items())
    remedy = f"branches={readable} can be read" if readable else "no branch can be read"
    return TarRunError(
        f"could not read {len(failures)} of {len(children)} branches of {record.name}; {remedy}\n{reasons}",
        target=record.name,
    )
