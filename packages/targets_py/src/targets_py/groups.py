"""Groups of rows: what `iteration="group"` branches over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets_py.errors import TarValidateError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("tar_group",)

COLUMN = "tar_group"


def tar_group(data: Any, by: str | Sequence[str]) -> Any:
    """Number the groups of a data frame's rows, so that a pattern can branch over them.

    Args:
        data: A polars or pandas DataFrame.
        by: The column or columns whose combinations of values are the groups.

    Returns:
        The same rows in the same order, with an Int64 column `tar_group`: 1 for the first combination in
        sorted order, nulls last.

    Raises:
        TarValidateError: It is no data frame, or a column is missing, or none is given.

    Example:
        >>> import polars as pl
        >>> tar_group(pl.DataFrame({"k": ["b", "a", "b", None]}), "k")["tar_group"].to_list()
        [2, 1, 2, 3]
    """
    library = type(data).__module__.partition(".")[0]
    if library not in ("polars", "pandas") or type(data).__name__ != "DataFrame":
        raise TarValidateError(f"`data` must be a polars or pandas DataFrame, not {type(data).__name__}")
    columns = [by] if isinstance(by, str) else list(by)
    if not columns:
        raise TarValidateError("`by` must name at least one column")
    unknown = [name for name in columns if name not in data.columns]
    if unknown:
        raise TarValidateError(
            f"`by` names the column {unknown[0]!r}, which the data does not have; it has: "
            + ", ".join(map(str, data.columns))
        )
    return _number_polars(data, columns) if library == "polars" else _number_pandas(data, columns)


def _number_polars(data: Any, columns: list[str]) -> Any:
    import polars as pl

    keys = data.select(columns).unique().sort(columns, nulls_last=True).with_row_index(COLUMN, offset=1)
    keys = keys.with_columns(pl.col(COLUMN).cast(pl.Int64))
    bare = data.drop(COLUMN, strict=False)
    return bare.join(keys, on=columns, how="left", nulls_equal=True, maintain_order="left")


def _number_pandas(data: Any, columns: list[str]) -> Any:
    groups = data.groupby(columns, sort=True, dropna=False).ngroup() + 1
    return data.assign(**{COLUMN: groups.astype("int64")})
