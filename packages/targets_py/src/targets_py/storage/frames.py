"""Formats for data frames: Parquet, Feather (Arrow IPC) and CSV."""

# ruff: noqa: D102, PTH123
# `Format` documents the methods.
# The os functions are several times as fast as pathlib, and this runs for each target.

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarRunError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Key in the schema's metadata that tells which class wrote the file; without it, it was polars.
KEY = "targets_py_class"


def describe(value: Any) -> str:
    """How a message names a value of a wrong kind."""
    return (
        "None"
        if value is None
        else f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    )


def kind_of(value: Any) -> str | None:
    """Which library a frame is of: "polars", "lazy", "pandas", "arrow", None for no frame; imports none."""
    for module, name, kind in (
        ("polars", "DataFrame", "polars"),
        ("polars", "LazyFrame", "lazy"),
        ("pandas", "DataFrame", "pandas"),
        ("pyarrow", "Table", "arrow"),
    ):
        library = sys.modules.get(module)
        if library is not None and isinstance(value, getattr(library, name, ())):
            return kind
    return None


def _convert(form: str, value: Any) -> Any:
    kind = kind_of(value)
    if kind is None:
        raise TypeError(
            f"format {form} stores data frames of polars, pandas or pyarrow, not {describe(value)}"
        )
    return value.collect() if kind == "lazy" else value


def _as_arrow(value: Any) -> Any:
    """A pandas frame or Arrow table as a table that remembers its class."""
    arrow = _pyarrow()
    kind = kind_of(value)
    table = arrow.Table.from_pandas(value) if kind == "pandas" else value
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: kind})


def _from_arrow(table: Any) -> Any:
    """What `_as_arrow()` was given."""
    metadata = dict(table.schema.metadata or {})
    kind = metadata.pop(KEY.encode())
    table = table.replace_schema_metadata(metadata or None)
    return table.to_pandas() if kind == b"pandas" else table


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise TarRunError(
            "pandas frames and Arrow tables are stored by pyarrow: pip install 'targets-py[arrow]'"
        ) from None
    return pa


class Parquet:
    """Data frames as Parquet."""

    name = "parquet"
    lossy = False

    def convert(self, value: Any) -> Any:
        return _convert(self.name, value)

    def write(self, path: str, value: Any, options: Mapping[str, Any]) -> str | None:
        compression = options.get("compression", "zstd")
        level = options.get("compression_level")
        if kind_of(value) == "polars":
            value.write_parquet(path, compression=compression, compression_level=level)
            return None
        table = _as_arrow(value)
        from pyarrow import parquet

        parquet.write_table(table, path, compression=compression, compression_level=level)
        return None

    def read(self, path: str) -> Any:
        import polars as pl

        if KEY not in pl.read_parquet_metadata(path):
            return pl.read_parquet(path)
        _pyarrow()
        from pyarrow import parquet

        return _from_arrow(parquet.ParquetFile(path).read())


class Feather:
    """Data frames as Arrow IPC files, which are mapped into memory when they are read."""

    name = "feather"
    lossy = False

    def convert(self, value: Any) -> Any:
        return _convert(self.name, value)

    def write(self, path: str, value: Any, options: Mapping[str, Any]) -> str | None:
        compression = options.get("compression", "default")
        if compression == "default":
            compression = "uncompressed"  # only that can be mapped without a copy
        if kind_of(value) == "polars":
            value.write_ipc(path, compression=compression)
            return None
        table = _as_arrow(value)
        from pyarrow import feather

        feather.write_feather(table, path, compression, options.get("compression_level"))
        return None

    def read(self, path: str) -> Any:
        if not _footer_holds(path, KEY.encode()):
            import polars as pl

            return pl.read_ipc(path)
        _pyarrow()
        from pyarrow import feather

        return _from_arrow(feather.read_table(path, memory_map=True))


def _footer_holds(path: str, key: bytes) -> bool:
    """Whether a key stands in the footer of an Arrow IPC file, whose end tells how long the footer is."""
    with open(path, "rb") as file:
        end = file.seek(-10, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, end - length))
        return key in file.read(length)


class Csv:
    """Data frames as CSV: a polars frame with guessed types comes back."""

    name = "csv"
    lossy = True

    def convert(self, value: Any) -> Any:
        converted = _convert(self.name, value)
        if kind_of(converted) == "polars":
            return converted
        _pyarrow()
        import polars as pl

        return pl.from_arrow(converted) if kind_of(converted) == "arrow" else pl.from_pandas(converted)

    def write(self, path: str, value: Any, options: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - it has none
        value.write_csv(path)
        return None

    def read(self, path: str) -> Any:
        import polars as pl

        return pl.read_csv(path, try_parse_dates=True)
