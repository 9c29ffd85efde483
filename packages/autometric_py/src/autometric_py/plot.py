"""Drawing logs with matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from autometric_py.check import check_choice, check_label, check_pid
from autometric_py.errors import AutometricTypeError, AutometricValueError
from autometric_py.record import DEFAULT_PHASE, GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from matplotlib.axes import Axes

    Log: TypeAlias = pl.DataFrame | pl.LazyFrame

# Beyond that many, a legend of phases helps nobody: those that differ in a number or a hash at their end
# become one, and the rarer ones share the grey, which the others then do not have.
SHOWN_PHASES = 9
OTHER_COLOUR = "0.6"
NUMBERED = r"([_\-. ])(?:[0-9a-f]{8,}|[0-9]+)$"
LINE = {"marker": "o", "markersize": 3.0, "linewidth": 1.2}


def log_plot(
    log: Log,
    pid: int | None = None,
    name: str | None = None,
    phase: str | None = None,
    metric: str = "resident",
    ax: Axes | None = None,
    title: str | None = None,
    xlabel: str = "time",
    ylabel: str | None = None,
    ylim: tuple[float, float] | None = None,
    *,
    phase_bands: bool = False,
    **kwargs: Any,
) -> Axes:
    """Plot one figure of one process against time.

    Records with a status other than 0 are left out. Without `pid` and `name` it is the process of the last
    record that remains.

    Args:
        log: What `log_read` returned.
        pid: The process, by its number.
        name: The process, by its name; do not give both.
        phase: Only the time when this was the label.
        metric: The column to plot: `"resident"`, `"virtual"`, `"core"`, `"cpu"` or an extra column.
        ax: Where to draw; None makes a new figure.
        title: The title; None tells the process and the phase.
        xlabel: The label of the time axis.
        ylabel: The label of the other axis; None is the metric.
        ylim: The range of the other axis; None reaches from 0, or the smallest value below it, to the
            largest.
        phase_bands: Whether to shade the background by the label of the time; where there are too many
            labels for a legend, those that end in different numbers or hashes count as one.
        **kwargs: Passed on to `Axes.plot`.

    Returns:
        The axes that were drawn on; `ax.figure` is the figure.

    Raises:
        AutometricTypeError: An argument is of the wrong type.
        AutometricValueError: Nothing is left to plot, the metric is unknown, or `pid` and `name` are given.

    Example:
        >>> log_print("example.log", seconds=0.1)
        >>> ax = log_plot(log_read("example.log"), metric="core")
        >>> ax.get_ylabel()
        'core'
    """
    import matplotlib.pyplot as plt
    from matplotlib import cbook, lines

    if pid is not None and name is not None:
        raise AutometricValueError(f"give pid or name, not both: pid={pid!r}, name={name!r}")
    check_choice("phase_bands", phase_bands, (True, False))
    good = good_records(log, metric)
    choice = choose(good, pid, name, phase)
    whole = by_kind(choice.whole)
    style: dict[str, Any] = LINE | cbook.normalize_kwargs(kwargs, lines.Line2D)
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    times, values = choice.records["time"].to_numpy(), choice.records[metric].to_numpy()
    ax.plot(times, values, **style)
    if phase_bands:
        draw_bands(ax, bands(whole), phase_colours(whole))
        add_phase_legend(ax, whole)
    ax.set(
        title=choice.title if title is None else title,
        xlabel=xlabel,
        ylabel=metric if ylabel is None else ylabel,
        ylim=value_range(choice.records[metric]) if ylim is None else ylim,
    )
    return ax


@dataclass
class Choice:
    """The records to plot, all of the same process whatever the phase, and what to call them."""

    records: pl.DataFrame
    whole: pl.DataFrame
    title: str


def good_records(log: Log, metric: str) -> pl.DataFrame:
    """The records that can be trusted and have this figure."""
    import polars as pl

    if isinstance(log, pl.LazyFrame):
        log = log.collect()
    if not isinstance(log, pl.DataFrame):
        raise AutometricTypeError(f"log must be a polars DataFrame, as log_read() returns, not {type(log)}")
    if not {"time", "status", "pid"} <= set(log.columns):
        raise AutometricValueError(f"log must have the columns of log_read(), not {', '.join(log.columns)}")
    metrics = [c for c, t in log.schema.items() if t.is_numeric() and c not in {"pid", "status", "time"}]
    if metric not in metrics:
        raise AutometricValueError(f"metric must be one of {', '.join(metrics)}, not {metric!r}")
    if log.is_empty():
        raise AutometricValueError("log has no records to plot")
    good = log.filter(pl.col("status") == GOOD, pl.col(metric).is_not_null(), pl.col("time").is_not_null())
    if good.is_empty():
        statuses = ", ".join(map(str, sorted(log["status"].unique())))
        raise AutometricValueError(f"log has no good record of {metric!r}; there are statuses {statuses}")
    return good


def choose(good: pl.DataFrame, pid: int | None, name: str | None, phase: str | None) -> Choice:
    """The records of one process, in the order of time."""
    import polars as pl

    records, title = good, ""
    if phase is not None:
        check_label("phase", phase)
        records = _only(records, "phase", phase)
        title = f"log phase: {phase}\n"
    if name is None:
        pid = records["pid"][-1] if pid is None else check_pid(pid)
        records, whole, title = (
            _only(records, "pid", pid),
            good.filter(pl.col("pid") == pid),
            f"{title}process ID: {pid}",
        )
    else:
        check_label("name", name)
        records, whole, title = (
            _only(records, "name", name),
            good.filter(pl.col("name") == name),
            f"{title}process name: {name}",
        )
    return Choice(records.sort("time", maintain_order=True), whole.sort("time", maintain_order=True), title)


def _only(records: pl.DataFrame, column: str, value: Any) -> pl.DataFrame:
    import polars as pl

    kept = records.filter(pl.col(column) == value)
    if kept.is_empty():
        known = records[column].unique(maintain_order=True).drop_nulls().to_list()
        shown = ", ".join(map(repr, known[:20])) + (", ..." if len(known) > 20 else "")
        raise AutometricValueError(f"no good record has {column}={value!r}; there are {shown}")
    return kept


def value_range(values: pl.Series) -> tuple[float, float]:
    """From 0, or below, to the largest value; never an empty range."""
    low, high = min(0.0, float(values.min())), float(values.max())  # type: ignore[arg-type]
    return (low, high) if high > low else (low, low + 1.0)


def bands(records: pl.DataFrame) -> Iterator[tuple[str, float, float]]:
    """Phases with their beginning and end; a label stands for the time since the record before."""
    before: float | None = None
    current: tuple[str, float, float] | None = None
    for phase, time in records.select("phase", "time").iter_rows():
        start = time if before is None else before
        if current is not None and current[0] == phase:
            current = (phase, current[1], time)
        else:
            if current is not None:
                yield current
            current = (phase, start, time)
        before = time
    if current is not None:
        yield current


def by_kind(records: pl.DataFrame) -> pl.DataFrame:
    """The records, their labels without numbers and hashes at the end if there are too many to tell apart."""
    import polars as pl

    if "phase" not in records.columns or records["phase"].n_unique() <= SHOWN_PHASES:
        return records
    return records.with_columns(pl.col("phase").str.replace(NUMBERED, "${1}*"))


def phase_colours(records: pl.DataFrame) -> dict[str, Any]:
    """A colour for each of the most frequent phases, in the order of their appearance."""
    import matplotlib as mpl
    import polars as pl

    counts = (
        records.filter(pl.col("phase").is_not_null(), pl.col("phase") != DEFAULT_PHASE)
        .group_by("phase", maintain_order=True)
        .len()
        .with_row_index()
        .top_k(SHOWN_PHASES, by="len")
        .sort("index")
    )
    palette = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
    coloured = [colour for colour in palette if len(set(colour)) > 1]
    return dict(zip(counts["phase"], coloured, strict=False))


def draw_bands(ax: Axes, spans: Iterator[tuple[str, float, float]], colours: dict[str, Any]) -> None:
    """Shade an Axes by phase; the default phase stays white."""
    stretches: dict[Any, list[tuple[float, float]]] = {}
    for phase, start, end in spans:
        if phase is not None and phase != DEFAULT_PHASE:
            stretches.setdefault(colours.get(phase, OTHER_COLOUR), []).append((start, end - start))
    for colour, stretch in stretches.items():  # one artist per colour: there may be thousands of bands
        ax.broken_barh(
            stretch,
            (0, 1),
            transform=ax.get_xaxis_transform(),
            color=colour,
            alpha=0.25,
            linewidth=0,
            zorder=0,
        )


def phase_handles(records: pl.DataFrame) -> list[Any]:
    """What the legend shows: the coloured phases, and how many others there are."""
    from matplotlib.patches import Patch

    colours = phase_colours(records)
    others = records["phase"].drop_nulls().n_unique() - len(colours) - (DEFAULT_PHASE in records["phase"])
    handles = [Patch(color=colour, alpha=0.25, label=phase) for phase, colour in colours.items()]
    if others > 0:
        handles.append(Patch(color=OTHER_COLOUR, alpha=0.25, label=f"{others} more"))
    return handles


def add_phase_legend(ax: Axes, records: pl.DataFrame) -> None:
    """A legend of the phases, beside the plot."""
    handles = phase_handles(records)
    if handles:
        ax.legend(handles=handles, title="phase", loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
