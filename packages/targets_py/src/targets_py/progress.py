"""How far the last run got, as tables and as lists of names."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from targets_py.places import reading_store
from targets_py.storage.metadata import ProgressRow, read_progress
from targets_py.tables import Schema, chosen_fields, chosen_names, table

if TYPE_CHECKING:
    import polars as pl

    from targets_py.places import StrPath
    from targets_py.selection import Selector
    from targets_py.storage.store import Store

__all__ = (
    "tar_canceled",
    "tar_completed",
    "tar_dispatched",
    "tar_errored",
    "tar_exist_progress",
    "tar_poll",
    "tar_progress",
    "tar_progress_branches",
    "tar_progress_summary",
    "tar_skipped",
)

STATES = ("skipped", "dispatched", "completed", "errored", "canceled")
SCHEMA: Schema = {"name": "str", "type": "str", "parent": "str", "branches": "int", "progress": "str"}
BRANCHES_SCHEMA: Schema = {"name": "str", "branches": "int", **dict.fromkeys(STATES, "int")}
SUMMARY_SCHEMA: Schema = {**dict.fromkeys(STATES, "int"), "since": "str", "time": "str"}
SUMMARY_FIELDS = (*STATES, "since")


def tar_progress(
    names: Selector = None, fields: Selector = "progress", store: StrPath | None = None
) -> pl.DataFrame:
    """What the last run did with each target and branch.

    Args:
        names: Which of them; None: all, in the order of their last change.
        fields: Columns besides name, of type, parent, branches, progress; None: all.
        store: The data store; None: that of the project.

    Returns:
        A frame with one row for each name. A pattern is dispatched or errored as soon as a branch is, and
        completed or skipped at the end.

    Raises:
        TarValidateError: An unknown name or field.

    Example:
        >>> tar_progress(["report", "bad"]).rows()
        [('report', 'completed'), ('bad', 'errored')]
    """
    rows = read_progress(reading_store(store))
    values = (_values(rows[name]) for name in chosen_names(names, rows))
    return table(SCHEMA, values).select(chosen_fields(fields, SCHEMA))


def tar_progress_branches(
    names: Selector = None, fields: Selector = None, store: StrPath | None = None
) -> pl.DataFrame:
    """How many branches of each pattern the last run skipped, dispatched, completed and so on.

    Args:
        names: Which patterns; None: all, sorted by name.
        fields: Columns besides name, of branches, skipped, dispatched, completed, errored, canceled; None:
            all.
        store: The data store; None: that of the project.

    Returns:
        A frame with one row for each pattern.

    Raises:
        TarValidateError: An unknown name or field.

    Example:
        >>> tar_progress_branches(fields=["branches", "completed"]).rows()
        [('fit', 3, 3)]
    """
    rows = read_progress(reading_store(store))
    counts = Counter((row.parent, row.progress) for row in rows.values() if row.type == "branch")
    patterns = {name: rows[name].branches for name in sorted(rows) if rows[name].type == "pattern"}
    values = (
        (name, patterns[name], *(counts[name, state] for state in STATES))
        for name in chosen_names(names, patterns)
    )
    return table(BRANCHES_SCHEMA, values).select(chosen_fields(fields, BRANCHES_SCHEMA))


def tar_progress_summary(fields: Selector = SUMMARY_FIELDS, store: StrPath | None = None) -> pl.DataFrame:
    """How many stems and branches the last run skipped, dispatched, completed and so on.

    Args:
        fields: Columns, of skipped, dispatched, completed, errored, canceled, since (the last change, in
            words) and time (the same, in UTC); None: all.
        store: The data store; None: that of the project.

    Returns:
        A frame with one row.

    Raises:
        TarValidateError: An unknown field.

    Example:
        >>> tar_progress_summary(fields=["completed", "errored"]).rows()
        [(5, 1)]
    """
    summary = _summary(reading_store(store))
    names = chosen_names(fields, SUMMARY_SCHEMA)
    return table(SUMMARY_SCHEMA, [tuple(summary.values())]).select(names)


def tar_completed(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of what the last run built: targets, patterns and branches.

    Args:
        names: Which names to look at; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_completed(["data", "fit", "bad"])
        ['data', 'fit']
    """
    return _in_state("completed", names, store)


def tar_skipped(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of what the last run found up to date: targets, patterns and branches.

    Args:
        names: Which names to look at; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_skipped()
        []
    """
    return _in_state("skipped", names, store)


def tar_dispatched(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of what the last run has begun and not ended: targets, patterns and branches.

    Args:
        names: Which names to look at; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_dispatched()
        []
    """
    return _in_state("dispatched", names, store)


def tar_errored(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of what failed in the last run: targets, patterns and branches.

    Args:
        names: Which names to look at; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_errored()
        ['bad']
    """
    return _in_state("errored", names, store)


def tar_canceled(names: Selector = None, store: StrPath | None = None) -> list[str]:
    """Names of what canceled itself in the last run: targets, patterns and branches.

    Args:
        names: Which names to look at; None: all.
        store: The data store; None: that of the project.

    Example:
        >>> tar_canceled()
        []
    """
    return _in_state("canceled", names, store)


def tar_exist_progress(store: StrPath | None = None) -> bool:
    """Whether there is a progress file.

    Example:
        >>> tar_exist_progress()
        True
    """
    return reading_store(store).progress_file.exists()


def tar_poll(
    interval: float = 1,
    timeout: float = math.inf,
    fields: Selector = SUMMARY_FIELDS,
    store: StrPath | None = None,
) -> None:
    """Show the summary of a run's progress again and again, in one line, until Ctrl-C.

    Args:
        interval: Seconds between two looks.
        timeout: Seconds after which to end.
        fields: What to show, see `tar_progress_summary()`.
        store: The data store; None: that of the project. It may appear later.

    Example:
        >>> tar_poll(interval=0.1, timeout=0.2, fields=["completed", "errored"])
        completed | errored
        ...timed out after 0.2 seconds.
    """
    place = reading_store(store)
    names = chosen_names(fields, SUMMARY_SCHEMA)
    end = time.monotonic() + timeout
    _show(" | ".join(name.ljust(_width(name)) for name in names) + "\n")
    try:
        while time.monotonic() < end:
            summary = _summary(place)
            _show("\r" + " | ".join(str(summary[name] or 0).ljust(_width(name)) for name in names))
            time.sleep(min(interval, max(0.0, end - time.monotonic())))
        _show(f"\ntimed out after {timeout:g} seconds.\n")
    except KeyboardInterrupt:
        _show("\n")


def _width(name: str) -> int:
    return max(len(name), {"since": 21, "time": 22}.get(name, 0))


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _values(row: ProgressRow) -> tuple[Any, ...]:
    return row.name, row.type, row.parent, row.branches, row.progress


def _in_state(state: str, names: Selector, store: StrPath | None) -> list[str]:
    rows = read_progress(reading_store(store))
    return [name for name in chosen_names(names, rows) if rows[name].progress == state]


def _summary(store: Store) -> dict[str, Any]:
    rows = read_progress(store)
    counts = Counter(row.progress for row in rows.values() if row.type != "pattern")
    summary: dict[str, Any] = {state: counts[state] for state in STATES}
    try:
        changed = store.progress_file.stat().st_mtime
    except OSError:
        return summary | {"since": "no data", "time": None}
    moment = datetime.fromtimestamp(changed, UTC)
    return summary | {
        "since": _ago(time.time() - changed),
        "time": f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 10_000:02d}",
    }


def _ago(seconds: float) -> str:
    if seconds < 10:
        return "moments ago"
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, count = next((unit, int(seconds // length)) for unit, length in units if seconds >= length)
    return f"{count} {unit}{'s' if count > 1 else ''} ago"
