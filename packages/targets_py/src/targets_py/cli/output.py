"""What commands write to stdout: tables, lists of names, JSON."""

from __future__ import annotations

import json
import math
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

FRAMES = ("polars", "pandas", "pyarrow")


def show_json(value: Any) -> None:
    """Write one JSON document."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))


def show_names(names: Iterable[str], *, as_json: bool) -> None:
    """Write names, one a line."""
    listed = list(names)
    if as_json:
        show_json(listed)
    else:
        for name in listed:
            click.echo(name)


def show_table(frame: pl.DataFrame, *, as_json: bool) -> None:
    """Write a table whole."""
    if as_json:
        show_json(frame)
        return
    import polars as pl

    width = shutil.get_terminal_size((120, 24)).columns
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=width,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_formatting="NOTHING",
        fmt_str_lengths=200,
        fmt_table_cell_list_len=3,
    ):
        click.echo(str(frame) if frame.height else "  ".join(frame.columns))


def show_value(value: Any, *, as_json: bool) -> None:
    """Write a value of a target."""
    if as_json:
        show_json(value)
    elif _library(value) in FRAMES or isinstance(value, str):
        click.echo(str(value))
    else:
        import pprint

        click.echo(pprint.pformat(value, sort_dicts=False))


def save_value(value: Any, path: str) -> None:
    """Write a value to a file, in the format of the suffix: .parquet, .csv or .json.

    Raises:
        TarValidateError: Another suffix, or a value that is no table where one is needed.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        Path(path).write_text(
            json.dumps(plain(value), ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )
        return
    if suffix not in {".parquet", ".csv"}:
        raise TarValidateError(f"cannot write {path}: the suffix must be .parquet, .csv or .json")
    frame = _polars(value)
    if frame is None:
        raise TarValidateError(
            f"cannot write a {type(value).__name__} to {path}: only tables go there, use .json"
        )
    if suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)


def plain(value: Any) -> Any:
    """A value as JSON knows it: tables become lists of row objects, times text in ISO 8601."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no NaN
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if _library(value) in FRAMES:
        frame = _polars(value)
        if frame is not None:
            return [plain(row) for row in frame.to_dicts()]
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, series
        return plain(value.tolist())
    if hasattr(value, "to_list"):
        return plain(value.to_list())
    return value


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _polars(value: Any) -> pl.DataFrame | None:
    """A table of any library as a polars frame, None for what is no table."""
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    if type(value).__name__ not in {"DataFrame", "Table"}:
        return None
    frame = pl.from_arrow(value) if _library(value) == "pyarrow" else pl.from_pandas(value)
    return frame if isinstance(frame, pl.DataFrame) else None
