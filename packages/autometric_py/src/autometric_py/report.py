"""A log as one page that needs nothing else: plots, and tables to sort."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from autometric_py.check import StrPath, check_choice, check_path
from autometric_py.errors import AutometricError, AutometricTypeError
from autometric_py.plot import good_records
from autometric_py.read import FACTORS_MEMORY, FACTORS_TIME
from autometric_py.record import GOOD
from autometric_py.summary import log_summary, total
from autometric_py.support import log_version

if TYPE_CHECKING:
    import polars as pl

    from autometric_py.plot import Log
    from autometric_py.read import UnitsMemory, UnitsTime
    from autometric_py.summary import By

TABLES: tuple[tuple[str, By], ...] = (
    ("Processes", "process"),
    ("Phases", "phase"),
    ("Phases of each process", "both"),
)
SHORT = {
    "bytes": "bytes",
    "kilobytes": "kB",
    "megabytes": "MB",
    "gigabytes": "GB",
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "days": "d",
}
HEADINGS = {
    "name": "process",
    "pid": "pid",
    "phase": "phase",
    "records": "records",
    "start": "from, {time}",
    "end": "to, {time}",
    "peak_resident": "peak memory, {memory}",
    "mean_resident": "mean memory, {memory}",
    "peak_core": "peak CPU, %",
    "mean_core": "mean CPU, %",
}


def log_report(
    log: Log,
    path: StrPath,
    title: str = "Resource use",
    *,
    units_memory: UnitsMemory = "megabytes",
    units_time: UnitsTime = "seconds",
) -> Path:
    """Write a log as one self-contained HTML page.

    It shows memory and CPU of every process over time, shaded by phase, and tables of peaks and means per
    process, per phase and per phase of each process, which a click on a heading sorts.

    Args:
        log: What `log_read` returned, with `core` and `cpu` in percent.
        path: The file to write; missing folders are made.
        title: The heading of the page.
        units_memory: The unit of memory in `log`, to be named on the page.
        units_time: The unit of time in `log`, likewise.

    Returns:
        The path of the page.

    Raises:
        AutometricTypeError: An argument is of the wrong type.
        AutometricValueError: There is no good record to show.
        AutometricError: The file cannot be written.

    Example:
        >>> log_print("example.log", seconds=0.1)
        >>> log_report(log_read("example.log"), "report.html").name
        'report.html'
    """
    if not isinstance(title, str):
        raise AutometricTypeError(f"title must be a str, not {title!r}")
    file = Path(check_path(path))
    check_choice("units_memory", units_memory, FACTORS_MEMORY)
    check_choice("units_time", units_time, FACTORS_TIME)
    page = render(log, title, SHORT[units_memory], SHORT[units_time])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise AutometricError(f"the report cannot be written to {str(file)!r}: {error}") from error
    return file


def render(log: Log, title: str, memory: str, time: str) -> str:
    """The text of the page."""
    import polars as pl

    if isinstance(log, pl.LazyFrame):
        log = log.collect()
    good = good_records(log, "resident")
    bad = log.filter(pl.col("status") != GOOD)
    note = f"{len(good):,} records"
    if not bad.is_empty():
        statuses = ", ".join(map(str, sorted(bad["status"].unique())))
        note += (
            f"; {len(bad):,} more of processes that could not be measured (status {statuses}) are left out"
        )
    sections = [
        _section("Memory of each process", _figure(good, "resident", f"resident memory, {memory}", time)),
        _section("CPU of each process", _figure(good, "core", "CPU, % of one core", time)),
        *(_section(heading, _table(log_summary(good, by), memory, time)) for heading, by in TABLES),
    ]
    template = Template(Path(__file__).with_name("report.html").read_text("utf-8"))
    return template.substitute(
        title=html.escape(title),
        note=html.escape(f"{note}; autometric-py {log_version()}"),
        tiles="".join(
            f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in _tiles(good, memory, time)
        ),
        sections="\n".join(sections),
    )


def _tiles(good: pl.DataFrame, memory_unit: str, time_unit: str) -> list[tuple[str, str]]:
    """The figures of the whole log."""
    memory, core = total(good, "resident")["resident"], total(good, "core")["core"]
    start, end = float(good["time"].min()), float(good["time"].max())  # type: ignore[arg-type]
    return [
        (f"duration, {time_unit}", _shown(end - start)),
        ("processes", str(good.n_unique(["name", "pid"]))),
        (f"peak memory of all, {memory_unit}", _shown(memory.max())),
        (f"mean memory of all, {memory_unit}", _shown(memory.mean())),
        ("peak CPU of all, % of one core", _shown(core.max())),
        ("mean CPU of all, % of one core", _shown(core.mean())),
    ]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{html.escape(heading)}</h2>{content}</section>"


def _figure(good: pl.DataFrame, metric: str, ylabel: str, time: str) -> str:
    """The panels of all processes as SVG, without the frame that only a file needs."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from autometric_py.overview import draw_all

    figure = Figure()
    draw_all(figure, good, metric, xlabel=f"time, {time}", ylabel=ylabel, title="", phase_bands=True)
    buffer = io.StringIO()
    # The same log gives the same page: no date, and a fixed salt for the names within.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": metric, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{metric}-", svg)
    return f"<figure>{svg}</figure>"


def _table(frame: pl.DataFrame, memory: str, time: str) -> str:
    """A table whose headings sort it."""
    units = {"memory": memory, "time": time}
    text = {name for name, kind in frame.schema.items() if not kind.is_numeric()}
    head = "".join(
        f'<th scope="col"{_class(name in text)}><button>{HEADINGS[name].format(**units)}</button></th>'
        for name in frame.columns
    )
    rows = "".join(
        "<tr>"
        + "".join(_cell(name in text, row[name], plain=name == "pid") for name in frame.columns)
        + "</tr>"
        for row in frame.iter_rows(named=True)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _class(text: bool) -> str:
    return ' class="text"' if text else ""


def _cell(text: bool, value: object, *, plain: bool) -> str:
    value = "" if value is None else value
    shown = str(value) if plain or not isinstance(value, int | float) else _shown(value)
    return f'<td{_class(text)} data-value="{html.escape(str(value))}">{html.escape(shown)}</td>'
