"""All processes of a log in one figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from autometric_py.check import check_choice
from autometric_py.plot import (
    bands,
    by_kind,
    draw_bands,
    good_records,
    phase_colours,
    phase_handles,
    value_range,
)
from autometric_py.summary import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

    from autometric_py.plot import Log

MOST_COLUMNS = 4
PANEL_INCHES = (3.0, 1.45)
LETTER_INCHES = 0.095
# A panel is about 300 pixels wide.
PANEL_POINTS = 400


def log_plot_all(
    log: Log,
    metric: str = "resident",
    *,
    xlabel: str = "time",
    ylabel: str | None = None,
    title: str | None = None,
    phase_bands: bool = True,
) -> Figure:
    """Plot one figure of every process of a log, each in a panel of its own on common scales.

    Above them stands the sum over all processes.

    Args:
        log: What `log_read` returned.
        metric: The column to plot, as in `log_plot`.
        xlabel: The label of the time axis.
        ylabel: The label of the other axis; None is the metric.
        title: The title; None tells the number of processes.
        phase_bands: Whether to shade each panel by the label of the time, as in `log_plot`.

    Returns:
        A new figure.

    Raises:
        AutometricTypeError: `log` is not a polars frame.
        AutometricValueError: Nothing is left to plot, or the metric is unknown.

    Example:
        >>> log_print("example.log", seconds=0.1)
        >>> figure = log_plot_all(log_read("example.log"))
        >>> [ax.get_title(loc="left") for ax in figure.axes]
        ['all processes together', 'local']
    """
    import matplotlib.pyplot as plt

    check_choice("phase_bands", phase_bands, (True, False))
    good = good_records(log, metric)
    count = good.n_unique(["pid", "name"])
    if title is None:
        title = f"{metric} of {count} process{'es' if count > 1 else ''}"
    figure = plt.figure()
    draw_all(
        figure, good, metric, xlabel=xlabel, ylabel=ylabel or metric, title=title, phase_bands=phase_bands
    )
    return figure


def draw_all(
    figure: Figure,
    good: pl.DataFrame,
    metric: str,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    phase_bands: bool,
) -> None:
    """Lay out the panels on an empty figure; an empty title takes no room."""
    good = by_kind(good) if phase_bands else good
    processes = good.sort("time").partition_by("name", "pid", maintain_order=True)
    handles = phase_handles(good) if phase_bands else []
    columns = min(MOST_COLUMNS, math.ceil(math.sqrt(len(processes))))
    rows = math.ceil(len(processes) / columns)
    longest = max((len(handle.get_label()) for handle in handles), default=0)
    grid = _grid(figure, rows, columns, title=bool(title), legend=longest)
    figure.suptitle(title, y=1 - 0.15 / figure.get_figheight(), va="top")
    sum_axes = figure.add_subplot(grid[0, :])
    first = figure.add_subplot(grid[1, 0])
    panels = [first] + [
        figure.add_subplot(grid[1 + i // columns, i % columns], sharex=first, sharey=first)
        for i in range(1, len(processes))
    ]
    everything = total(good, metric)
    _draw_panel(sum_axes, "all processes together", everything, metric, filled=True)
    sum_axes.set(ylim=_roomy(everything[metric]), xlim=_time_range(good))
    colours = phase_colours(good) if phase_bands else {}
    for ax, process, label in zip(panels, processes, labels_of(processes), strict=True):
        if phase_bands:
            draw_bands(ax, bands(process), colours)
        points = thinned(process.select("time", metric), metric)
        _draw_panel(ax, label, points, metric, filled=not phase_bands)
    first.set(ylim=_roomy(good[metric]), xlim=_time_range(good))
    for number, ax in enumerate(panels):
        ax.tick_params(labelbottom=number + columns >= len(panels), labelleft=number % columns == 0)
    figure.supxlabel(xlabel, size="medium", y=0.1 / figure.get_figheight(), va="bottom")
    figure.supylabel(ylabel, size="medium", x=0.1 / figure.get_figwidth(), ha="left")
    if handles:
        corner = sum_axes.get_position()
        figure.legend(
            handles=handles,
            title="phase",
            loc="upper left",
            bbox_to_anchor=(corner.x1, corner.y1),
            frameon=False,
        )


def _grid(figure: Figure, rows: int, columns: int, *, title: bool, legend: int) -> GridSpec:
    """Places for the panels, the sum above them, and a legend of so many letters, if any.

    Measured in inches, as there may be very many.
    """
    right = max(1.9, 0.7 + LETTER_INCHES * legend) if legend else 0.25
    left, bottom, top = 0.85, 0.65, 0.75 if title else 0.3
    width = left + right + max(5.5, PANEL_INCHES[0] * columns)
    height = bottom + top + PANEL_INCHES[1] * (rows + 1.5)
    figure.set_size_inches(width, height)
    return figure.add_gridspec(
        rows + 1,
        columns,
        height_ratios=[1.5] + [1.0] * rows,
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        hspace=0.38,
        wspace=0.08,
    )


def _draw_panel(ax: Any, label: str, points: pl.DataFrame, metric: str, *, filled: bool) -> None:
    """One curve with its peak."""
    times, values = points["time"].to_numpy(), points[metric].to_numpy()
    ax.plot(times, values, color="tab:blue", linewidth=1.1, marker="." if len(times) < 30 else "")
    if filled:
        ax.fill_between(times, values, color="tab:blue", alpha=0.15, linewidth=0)
    ax.set_title(label, loc="left", fontsize="small", pad=3)
    ax.set_title(f"peak {_short(points[metric].max())}", loc="right", fontsize="x-small", color="0.35", pad=3)
    ax.tick_params(labelsize="x-small")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def _roomy(values: pl.Series) -> tuple[float, float]:
    """The range of the values with a little room above, so that peaks show whole."""
    low, high = value_range(values)
    return low, high + 0.05 * (high - low)


def _short(value: Any) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _time_range(good: pl.DataFrame) -> tuple[float, float]:
    start, end = float(good["time"].min()), float(good["time"].max())  # type: ignore[arg-type]
    return (start, end) if end > start else (start - 0.5, end + 0.5)


def labels_of(processes: Sequence[pl.DataFrame]) -> list[str]:
    """What to call each process: its name, with the pid where that is needed to tell them apart."""
    names = [process["name"][0] for process in processes]
    labels = []
    for name, process in zip(names, processes, strict=True):
        pid = process["pid"][0]
        if not name:
            labels.append(f"pid {pid}")
        else:
            labels.append(f"{name} ({pid})" if names.count(name) > 1 else name)
    return [label if len(label) <= 34 else f"{label[:20]}…{label[-13:]}" for label in labels]


def thinned(points: pl.DataFrame, metric: str, most: int = PANEL_POINTS) -> pl.DataFrame:
    """A curve with fewer points that looks the same: the lowest and the highest of each stretch."""
    import polars as pl

    if len(points) <= 2 * most:
        return points
    stretch = (pl.int_range(pl.len()) * most // pl.len()).alias("stretch")
    extremes = [
        points.group_by(stretch, maintain_order=True).agg(pl.all().get(which))
        for which in (pl.col(metric).arg_min(), pl.col(metric).arg_max())
    ]
    return pl.concat(extremes).unique().sort("time").drop("stretch")
