"""Reading logs into polars: records are picked out of whatever else the files hold."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from autometric_py.check import StrPath, check_choice, check_extras
from autometric_py.errors import (
    AutometricError,
    AutometricMissingError,
    AutometricTypeError,
    AutometricValueError,
)
from autometric_py.record import EXTRA_COLUMNS, MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import BufferedReader

    import polars as pl

UnitsCpu: TypeAlias = Literal["percentage", "fraction"]
UnitsMemory: TypeAlias = Literal["megabytes", "bytes", "kilobytes", "gigabytes"]
UnitsTime: TypeAlias = Literal["seconds", "minutes", "hours", "days"]

FACTORS_CPU = {"percentage": 1.0, "fraction": 0.01}
FACTORS_MEMORY = {"megabytes": 1e-6, "bytes": 1.0, "kilobytes": 1e-3, "gigabytes": 1e-9}
FACTORS_TIME = {"seconds": 1.0, "minutes": 1 / 60, "hours": 1 / 3600, "days": 1 / 86400}

CPU_COLUMNS = ("core", "cpu", "gpu")
MEMORY_COLUMNS = ("resident", "virtual", "read", "written", "gpu_memory")

CHUNK_BYTES = 1 << 26
_MARK = MARKER.encode()
_NUMBER = rb"-?\d{1,18}(?:\.\d{1,18})?"
_METRICS = rb"\|\d{1,18}\|[^|\n]*\|-?\d{1,18}" + (rb"\|" + _NUMBER) * 5
# Versions before 0.1.0 had no phase. Extra columns follow it as key=value. The marker at the end is not
# consumed: where a record was torn just before it, it is the first of the next record.
RECORD = re.compile(
    _MARK
    + rb"\|("
    + (rb"0\.0\.[^|\n]*" + _METRICS + rb"|[^|\n]*" + _METRICS + rb"\|[^|\n]*(?:\|[a-z_]+=[^|\n]*)*")
    + rb")(?=\|"
    + _MARK
    + rb")"
)
# The fields of a record as they stand in the log.
_FIELDS = ("version", "pid", "name", "status", "time", "core", "cpu", "resident", "virtual", "phase")
_REQUIRED = ("version", "pid", "status", "time", "core", "cpu", "resident", "virtual")
COLUMNS = ("version", "phase", "pid", "name", "status", "time", "core", "cpu", "resident", "virtual")


def log_read(
    path: StrPath | Iterable[StrPath],
    units_cpu: UnitsCpu = "percentage",
    units_memory: UnitsMemory = "megabytes",
    units_time: UnitsTime = "seconds",
    hidden: bool = False,
    *,
    extras: Sequence[str] = (),
) -> pl.DataFrame:
    """Read the records of one or more logs, wherever they stand in the files.

    Files may hold other text, be compressed with gzip, and end in the middle of a record.

    Args:
        path: A file or folder, or several. Folders are searched through, subfolders too.
        units_cpu: Of `core` and `cpu`: `"percentage"` or `"fraction"`.
        units_memory: Of `resident` and `virtual`, decimal: `"bytes"`, `"kilobytes"`, `"megabytes"` or
            `"gigabytes"`.
        units_time: Of `time`, which starts at 0 with the earliest record: `"seconds"`, `"minutes"`, `"hours"`
            or `"days"`.
        hidden: Whether to read files and folders within `path` whose name begins with a dot.
        extras: Extra columns to read, as in `log_start`; null where a record has none.

    Returns:
        One row per record, files in the order of their paths: version, phase, pid, name, status (0 is good,
        else the figures do not count), time, core (100 is one busy core), cpu (100 is the whole machine),
        resident, virtual, and the extra columns.

    Raises:
        AutometricTypeError: A path is neither a str nor a PathLike.
        AutometricValueError: A unit or an extra column is unknown.
        AutometricMissingError: None of the paths exists; it is a FileNotFoundError too.
        AutometricError: A file cannot be read.

    Example:
        >>> log_print("example.log", seconds=0.1)
        >>> log_read("example.log").select("phase", "name", "status", "time")
        shape: (1, 4)
        ┌─────────────┬───────┬────────┬──────┐
        │ phase       ┆ name  ┆ status ┆ time │
        │ ---         ┆ ---   ┆ ---    ┆ ---  │
        │ str         ┆ str   ┆ i64    ┆ f64  │
        ╞═════════════╪═══════╪════════╪══════╡
        │ __DEFAULT__ ┆ local ┆ 0      ┆ 0.0  │
        └─────────────┴───────┴────────┴──────┘
    """
    import polars as pl

    units = Units.checked(units_cpu, units_memory, units_time)
    columns = check_extras(extras)
    files = find_files(path, hidden=hidden)
    skipped = Skipped()
    frames = list(read_frames(files, columns, skipped))
    skipped.warn()
    raw = pl.concat(frames) if frames else empty_frame(columns)
    return recentered(raw, units, first_time(raw), columns)


def log_scan(
    path: StrPath | Iterable[StrPath],
    units_cpu: UnitsCpu = "percentage",
    units_memory: UnitsMemory = "megabytes",
    units_time: UnitsTime = "seconds",
    hidden: bool = False,
    *,
    extras: Sequence[str] = (),
) -> pl.LazyFrame:
    """Read logs piece by piece when the result is collected: for folders too big for memory.

    The files are looked up at the call and read twice when collected, first for the earliest time. Collect
    with `engine="streaming"` where the result, or what it is computed from, is large.

    Args:
        path: As in `log_read`.
        units_cpu: As in `log_read`.
        units_memory: As in `log_read`.
        units_time: As in `log_read`.
        hidden: As in `log_read`.
        extras: As in `log_read`.

    Returns:
        A lazy frame of the columns of `log_read`.

    Raises:
        AutometricTypeError: As in `log_read`.
        AutometricValueError: As in `log_read`.
        AutometricMissingError: As in `log_read`.

    Example:
        >>> import polars as pl
        >>> log_print("example.log", seconds=0.1)
        >>> log_scan("example.log").filter(pl.col("status") == 0).select(pl.len()).collect().item()
        1
    """
    from polars.io.plugins import register_io_source

    units = Units.checked(units_cpu, units_memory, units_time)
    columns = check_extras(extras)
    files = find_files(path, hidden=hidden)

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch_size  # the pieces have the size that reads fastest
        starts = [first_time(frame) for frame in read_frames(files, (), Skipped())]
        start = min((time for time in starts if time is not None), default=None)
        skipped = Skipped()
        for raw in read_frames(files, columns, skipped):
            frame = recentered(raw, units, start, columns)
            if n_rows is not None:
                frame = frame.head(n_rows)
                n_rows -= len(frame)
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if with_columns is None else frame.select(with_columns)
            if n_rows == 0:
                break
        skipped.warn()

    schema = recentered(empty_frame(columns), units, None, columns).schema
    return register_io_source(source, schema=schema)


@dataclass(frozen=True)
class Units:
    """What to multiply figures by."""

    cpu: float
    memory: float
    time: float

    @classmethod
    def checked(cls, cpu: str, memory: str, time: str) -> Units:
        """The factors of three units; an unknown one raises, naming the choices."""
        check_choice("units_cpu", cpu, FACTORS_CPU)
        check_choice("units_memory", memory, FACTORS_MEMORY)
        check_choice("units_time", time, FACTORS_TIME)
        return cls(FACTORS_CPU[cpu], FACTORS_MEMORY[memory], FACTORS_TIME[time])


@dataclass
class Skipped:
    """How many lines held the marker of a record but no whole record."""

    lines: int = 0

    def warn(self) -> None:
        """Tell of them once."""
        if self.lines:
            warnings.warn(
                f"skipped {self.lines} torn or malformed record{'s' if self.lines > 1 else ''}",
                RuntimeWarning,
                stacklevel=3,
            )


def recentered(raw: pl.DataFrame, units: Units, start: float | None, extras: Sequence[str]) -> pl.DataFrame:
    """The columns of the result: time from the start on, in the units asked for."""
    import polars as pl

    cpu = [name for name in CPU_COLUMNS if name in raw.columns]
    memory = [name for name in MEMORY_COLUMNS if name in raw.columns]
    time = pl.when(pl.col("time") != 0).then(pl.col("time") - (start or 0.0)) * units.time
    return raw.with_columns(time, pl.col(cpu) * units.cpu, pl.col(memory) * units.memory).select(
        *COLUMNS, *extras
    )


def first_time(raw: pl.DataFrame) -> float | None:
    """The earliest time of a frame; the zeros that R writes for dead processes are none."""
    earliest = raw["time"].replace(0.0, None).min()
    assert earliest is None or isinstance(earliest, float)
    return earliest


def find_files(path: StrPath | Iterable[StrPath], *, hidden: bool) -> list[Path]:
    """The files to read, each once, in the order of their paths."""
    if isinstance(path, str | os.PathLike):
        path = [path]
    try:
        paths = list(path)
    except TypeError:
        raise AutometricTypeError(
            f"path must be a str, a PathLike or several of them, not {path!r}"
        ) from None
    found: dict[str, Path] = {}
    exists = False
    for entry in paths:
        root = _checked(entry)
        exists = exists or root.exists()
        for file in _files_in(root, hidden=hidden) if root.is_dir() else [root] if root.exists() else []:
            found.setdefault(os.path.realpath(file), file)
    if not exists:
        shown = ", ".join(repr(os.fspath(p)) for p in paths)
        raise AutometricMissingError(f"no log found: {shown or 'no path was given'} does not exist")
    return sorted(found.values())


def _checked(path: StrPath) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise AutometricTypeError(f"path must hold str or PathLike, not {path!r}")
    if not os.fspath(path):
        raise AutometricValueError("path must name a file or folder, not ''")
    return Path(path)


def _files_in(folder: Path, *, hidden: bool) -> Iterator[Path]:
    """The regular files below a folder."""
    for here, folders, names in os.walk(folder):
        if not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in names if hidden or not name.startswith(".")]
        yield from (file for name in shown if (file := Path(here, name)).is_file())


def read_frames(files: Sequence[Path], extras: Sequence[str], skipped: Skipped) -> Iterator[pl.DataFrame]:
    """The records of these files, in the log's own units, a piece at a time."""
    for chunk in _chunks(files):
        if _MARK in chunk:
            yield _frame(chunk, extras, skipped)


def _chunks(files: Sequence[Path]) -> Iterator[bytes]:
    """The files one after another in large pieces of whole lines: many small files make one piece."""
    pieces: list[bytes] = []
    size = 0
    for file in files:
        for piece in _pieces(file):
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
    yield b"".join(pieces)


def _pieces(file: Path) -> Iterator[bytes]:
    """One file in pieces that end with a line; of a file that cannot be read to its end, what there is."""
    try:
        with _opened(file) as stream:
            rest = b""
            while data := _read(stream):
                head, newline, tail = data.rpartition(b"\n")
                if newline:
                    yield rest + head + newline
                    rest = tail
                else:
                    rest += data
            if rest:
                yield rest + b"\n"
    except FileNotFoundError:  # removed since it was found
        return
    except OSError as error:
        raise AutometricError(f"the log {str(file)!r} cannot be read: {error}") from error


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BufferedReader | gzip.GzipFile]:
    """The bytes of a file, decompressed where it needs it."""
    with file.open("rb") as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            with gzip.open(stream) as inner:
                yield inner
        else:
            yield stream


def _read(stream: BufferedReader | gzip.GzipFile) -> bytes:
    try:
        return stream.read1(CHUNK_BYTES)  # `read` would lose what comes before a torn end
    except (EOFError, zlib.error, gzip.BadGzipFile):  # whoever compressed it was stopped
        return b""


def _frame(chunk: bytes, extras: Sequence[str], skipped: Skipped) -> pl.DataFrame:
    """The records of a piece: at once when they have lines of their own, otherwise picked out one by one."""
    if not extras:
        frame = _pure_frame(chunk)
        if frame is None:
            chunk = b"\n".join([line for line in chunk.split(b"\n") if _MARK in line]) + b"\n"
            frame = _pure_frame(chunk)
        if frame is not None:
            return frame
    records = RECORD.findall(chunk)
    if chunk.count(_MARK) != 2 * len(records):
        skipped.lines += _damaged_lines(chunk)
    names = _names(extras)
    return _named(_parse(b"\n".join(["|".join(names).encode(), *records]), names, header=True), extras)


def _names(extras: Sequence[str]) -> tuple[str, ...]:
    """The fields of a record with room for extra columns, should there be any to look for."""
    return _FIELDS + tuple(f"extra_{i}" for i in range(len(EXTRA_COLUMNS) if extras else 0))


def _damaged_lines(chunk: bytes) -> int:
    """How many lines hold a marker that belongs to no record."""
    used = {place for record in RECORD.finditer(chunk) for place in (record.start(), record.end() + 1)}
    stray = (mark.start() for mark in re.finditer(_MARK, chunk) if mark.start() not in used)
    return len({chunk.rfind(b"\n", 0, place) for place in stray})


def _pure_frame(chunk: bytes) -> pl.DataFrame | None:
    """The records of a piece in which every line is one plain record; None when it is not so."""
    import polars as pl

    names = ("head", *_FIELDS, "tail")
    first = chunk[: chunk.index(b"\n")]
    if not first.startswith(_MARK) or first.count(b"|") != len(names) - 1:
        return None
    lines = chunk.count(b"\n")
    if chunk.count(_MARK) != 2 * lines:
        return None
    frame = _parse(chunk, names)
    whole = pl.all_horizontal(
        pl.col("head").eq_missing(pl.lit(MARKER)),
        pl.col("tail").eq_missing(pl.lit(MARKER)),
        pl.col(_REQUIRED).is_not_null(),
    )
    if len(frame) != lines or not frame.select(whole.all()).item():
        return None
    return _named(frame, ())


def _parse(text: bytes, names: Sequence[str], *, header: bool = False) -> pl.DataFrame:
    """Fields between bars to columns, by polars' CSV parser; the first line must have them all."""
    import polars as pl

    types: dict[str, type[pl.DataType]] = {"pid": pl.Int64, "status": pl.Int64}
    types.update(dict.fromkeys(_REQUIRED[3:], pl.Float64))
    schema = {name: types.get(name, pl.String) for name in names}
    return pl.read_csv(
        text,
        separator="|",
        has_header=header,
        quote_char=None,
        schema=schema,
        encoding="utf8-lossy",
        ignore_errors=True,
        truncate_ragged_lines=True,
    )


def _named(frame: pl.DataFrame, extras: Sequence[str]) -> pl.DataFrame:
    """Empty names and phases as such, not as missing; the extra columns by their keys."""
    import polars as pl

    old = pl.col("version").str.starts_with("0.0.")
    phase = pl.when(old).then(None).otherwise(pl.col("phase").fill_null("")).alias("phase")
    cells = [name for name in frame.columns if name.startswith("extra_")]
    values = [
        pl.coalesce(pl.col(cell).str.strip_prefix(f"{key}=").cast(pl.Float64, strict=False) for cell in cells)
        .cast(pl.Float64)
        .alias(key)
        for key in extras
    ]
    return frame.with_columns(pl.col("name").fill_null(""), phase, *values).select(*_FIELDS, *extras)


def empty_frame(extras: Sequence[str]) -> pl.DataFrame:
    """No records, with the columns of some."""
    names = _names(extras)
    return _named(_parse("|".join(names).encode(), names, header=True), extras)
