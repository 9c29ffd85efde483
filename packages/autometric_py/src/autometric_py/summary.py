"""Peaks and means of a log, per process and per phase, and all processes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from autometric_py.check import check_choice
from autometric_py.plot import good_records

if TYPE_CHECKING:
    import polars as pl

    from autometric_py.plot import Log

By: TypeAlias = Literal["process", "phase", "both"]

GROUPS = {"process": ("name", "pid"), "phase": ("phase",), "both": ("name", "pid", "phase")}
# Enough for a curve, few enough for a page.
TOTAL_POINTS = 500
# So many steps without a record: nothing was running, or nothing was logged.
GAP_STEPS = 3


def log_summary(log: Log, by: By = "process") -> pl.DataFrame:
    """Sum up a log: how much each process used at most and on average, or in each phase.

    Args:
        log: What `log_read` returned.
        by: `"process"`, `"phase"` (the figures of the single processes, put together) or `"both"`.

    Returns:
        One row per process or phase in the order of appearance: `name` and `pid`, or `phase`, then `records`,
        `start` and `end` (in the unit of `time`), `peak_resident`, `mean_resident`, `peak_core`, `mean_core`.

    Raises:
        AutometricTypeError: `log` is not a polars frame.
        AutometricValueError: There is no good record, or `by` is unknown.

    Example:
        >>> log_print("example.log", seconds=0.1)
        >>> log_summary(log_read("example.log")).select("name", "records")
        shape: (1, 2)
        ┌───────┬─────────┐
        │ name  ┆ records │
        │ ---   ┆ ---     │
        │ str   ┆ u32     │
        ╞═══════╪═════════╡
        │ local ┆ 1       │
        └───────┴─────────┘
    """
    import polars as pl

    check_choice("by", by, GROUPS)
    figures = [
        getattr(pl.col(column), statistic)().alias(f"{label}_{column}")
        for column in ("resident", "core")
        for label, statistic in (("peak", "max"), ("mean", "mean"))
    ]
    return (
        good_records(log, "resident")
        .group_by(GROUPS[by], maintain_order=True)
        .agg(
            pl.len().alias("records"),
            pl.col("time").min().alias("start"),
            pl.col("time").max().alias("end"),
            *figures,
        )
    )


def interval_of(good: pl.DataFrame) -> float:
    """The usual distance between two records of a process; 0 when none has two."""
    import polars as pl

    gaps = good.sort("time").select(pl.col("time").diff().over("pid", "name")).to_series()
    median = gaps.filter(gaps > 0).median()
    return float(median) if isinstance(median, int | float) else 0.0


def total(good: pl.DataFrame, metric: str) -> pl.DataFrame:
    """All processes together: the sum over them, at steps wide enough for each to have a record in them.

    Where there is no record for a while, one null interrupts the curve.
    """
    import polars as pl

    times = good["time"]
    start, end = float(times.min()), float(times.max())  # type: ignore[arg-type]
    step = max(1.5 * interval_of(good), (end - start) / TOTAL_POINTS) or 1.0
    sums = (
        good.with_columns(((pl.col("time") - start) / step).floor().alias("step"))
        .group_by("step", "pid", "name")
        .agg(pl.col(metric).mean())
        .group_by("step")
        .agg(pl.col(metric).sum())
        .sort("step")
    )
    gaps = sums.filter(pl.col("step").shift(-1) - pl.col("step") > GAP_STEPS).select(pl.col("step") + 1)
    return (
        pl.concat([sums, gaps], how="diagonal")
        .sort("step")
        .select((start + (pl.col("step") + 0.5) * step).clip(start, end).alias("time"), metric)
    )
