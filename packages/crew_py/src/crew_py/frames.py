"""The tables that users see. polars is imported here, when the first one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from crew_py.monad import FIELDS, Monad

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crew_py.scaling import LaunchRound
    from crew_py.tally import Tally

__all__ = ("RESULT_SCHEMA", "SUMMARY_SCHEMA", "launches", "results", "summary")

RESULT_SCHEMA = {
    "name": pl.String,
    "command": pl.String,
    "result": pl.Object,
    "status": pl.String,
    "error": pl.String,
    "code": pl.Int32,
    "trace": pl.String,
    "warnings": pl.String,
    "seconds": pl.Float64,
    "seed": pl.Int64,
    "algorithm": pl.String,
    "controller": pl.String,
}
SUMMARY_SCHEMA = {
    "controller": pl.String,
    "seconds": pl.Float64,
    "tasks": pl.Int64,
    "success": pl.Int64,
    "error": pl.Int64,
    "crash": pl.Int64,
    "cancel": pl.Int64,
    "warning": pl.Int64,
}
LAUNCHES_SCHEMA = {
    "handle": pl.Object,
    "start": pl.Float64,
    "submitted": pl.Boolean,
    "count": pl.Int64,
    "total": pl.Int64,
}


def results(monads: Sequence[Monad]) -> pl.DataFrame:
    """One row per monad, in order."""
    return _frame({name: [monad[name] for monad in monads] for name in FIELDS}, RESULT_SCHEMA)


def summary(tallies: Iterable[Tally]) -> pl.DataFrame:
    """One row per controller."""
    rows = list(tallies)
    return _frame({name: [getattr(row, name) for row in rows] for name in SUMMARY_SCHEMA}, SUMMARY_SCHEMA)


def launches(rounds: Sequence[LaunchRound]) -> pl.DataFrame:
    """One row per launch round."""
    columns: dict[str, list[Any]] = {
        name: [getattr(launched, name) for launched in rounds]
        for name in ("handle", "start", "count", "total")
    }
    columns["submitted"] = [True] * len(rounds)
    return _frame(columns, LAUNCHES_SCHEMA)


def _frame(columns: dict[str, list[Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Build column by column: polars would look into the objects of a frame given as a whole."""
    return pl.DataFrame([pl.Series(name, columns[name], dtype=dtype) for name, dtype in schema.items()])
