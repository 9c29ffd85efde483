"""The metadata as a table, and who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets_py.errors import TarValidateError
from targets_py.places import note, reading_store, warns
from targets_py.storage.log import read_table
from targets_py.storage.metadata import Metadata
from targets_py.storage.process import read_process
from targets_py.storage.records import unescape
from targets_py.tables import Schema, chosen_fields, chosen_names, table

if TYPE_CHECKING:
    import polars as pl

    from targets_py.places import StrPath
    from targets_py.selection import Selector
    from targets_py.storage.records import Record
    from targets_py.storage.store import Store

__all__ = ("tar_crew", "tar_exist_meta", "tar_exist_process", "tar_meta", "tar_pid", "tar_process")

SCHEMA: Schema = {
    "name": "str",
    "type": "str",
    "data": "str",
    "command": "str",
    "depend": "str",
    "seed": "int",
    "path": "list",
    "time": "time",
    "size": "str",
    "bytes": "int",
    "format": "str",
    "repository": "str",
    "iteration": "str",
    "parent": "str",
    "children": "list",
    "seconds": "float",
    "warnings": "str",
    "error": "str",
    "file_hash": "str",
}
GLOBALS = ("function", "object")  # the types of records that are no targets


def tar_meta(
    names: Selector = None,
    fields: Selector = None,
    targets_only: bool = False,
    complete_only: bool = False,
    store: StrPath | None = None,
) -> pl.DataFrame:
    """What is recorded of targets and globals: hashes, files, run times, warnings, errors.

    Args:
        names: Which of them; None: all, in the order of the file.
        fields: Columns besides name; None: all.
        targets_only: Leave out functions and other globals.
        complete_only: Leave out rows with a missing value in the chosen columns.
        store: The data store; None: that of the project.

    Returns:
        A frame with one row for each name; with all 19 columns also if there is no metadata yet.

    Raises:
        TarValidateError: An unknown name or field.

    Example:
        >>> tar_meta(fields="error", complete_only=True).rows()
        [('bad', 'division by zero')]
    """
    records = read_records(reading_store(store))
    if targets_only:
        records = {name: record for name, record in records.items() if record.type not in GLOBALS}
    chosen = chosen_names(names, records)
    frame = table(SCHEMA, (_row(records[name]) for name in chosen)).select(chosen_fields(fields, SCHEMA))
    return frame.drop_nulls() if complete_only else frame


def tar_process(names: Selector = None, store: StrPath | None = None) -> pl.DataFrame:
    """The process of the last run: pid, created, host, version_targets, version_python.

    Args:
        names: Which of these; None: all.
        store: The data store; None: that of the project.

    Returns:
        A frame with the columns name and value, both String; empty without a store.

    Example:
        >>> tar_process()["name"].to_list()
        ['pid', 'created', 'host', 'version_python', 'version_targets']
    """
    values = read_process(reading_store(store))
    return table(
        {"name": "str", "value": "str"}, ((name, values[name]) for name in chosen_names(names, values))
    )


def tar_pid(store: StrPath | None = None) -> int | None:
    """The process id of the last run, None if there was none.

    Example:
        >>> tar_pid() == int(tar_process("pid")["value"].item())
        True
    """
    pid = read_process(reading_store(store)).get("pid")
    return None if pid is None else int(pid)


def tar_crew(store: StrPath | None = None) -> pl.DataFrame:
    """What the crew workers of the last run did, by controller.

    Args:
        store: The data store; None: that of the project.

    Returns:
        A frame with the columns controller, seconds and targets.

    Raises:
        TarValidateError: The last run had no crew workers.

    Example:
        >>> try:
        ...     tar_crew()
        ... except TarValidateError as error:
        ...     print(error)
        No crew worker metadata found.
    """
    rows = read_table(reading_store(store).crew_file, "controller|seconds|targets")
    if not rows:
        raise TarValidateError("No crew worker metadata found.")
    values = ((unescape(name), float(seconds), int(targets)) for name, seconds, targets in rows)
    return table({"controller": "str", "seconds": "float", "targets": "int"}, values)


def tar_exist_meta(store: StrPath | None = None) -> bool:
    """Whether there is a metadata file.

    Example:
        >>> tar_exist_meta()
        True
    """
    return reading_store(store).meta_file.exists()


def tar_exist_process(store: StrPath | None = None) -> bool:
    """Whether there is a file about the process of the last run.

    Example:
        >>> tar_exist_process()
        True
    """
    return reading_store(store).process_file.exists()


def read_records(store: Store) -> dict[str, Record]:
    """Name -> latest record; says so if there is no metadata."""
    if not store.meta_file.exists():
        if warns():
            note(f"No local metadata in {store.path}: run tar_meta_download() or tar_make() first.")
        return {}
    return Metadata.load(store).records


def _row(record: Record) -> tuple[Any, ...]:
    path = [record.path] if isinstance(record.path, str) else record.path
    return (
        record.name,
        record.type,
        record.data,
        record.command,
        record.depend,
        record.seed,
        path,
        record.time,
        None if record.size is None else f"s{record.size}b",
        record.bytes,
        record.format,
        record.repository,
        record.iteration,
        record.parent,
        record.children,
        record.seconds,
        record.warnings,
        record.error,
        record.file_hash,
    )
