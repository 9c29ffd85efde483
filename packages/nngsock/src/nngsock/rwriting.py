"""Python's objects in the serialization of R. Needs the extra `r`: the package rdata does the writing."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from rdata.conversion import ConverterFromPythonToR
from rdata.conversion.to_r import build_r_object
from rdata.missing import R_FLOAT_NA, R_INT_NA
from rdata.unparser import unparse_data

__all__ = ("write_r",)

INT_MAX: Final = 2**31 - 1
EXACT_MAX: Final = 2**53  # up to here doubles hold every integer
EPOCH: Final = dt.date(1970, 1, 1)


def write_r(data: Any) -> bytes:
    """An object in R's serialization, format XDR, version 3.

    Args:
        data: Numbers, text, dates and datetimes become vectors of one; arrays become vectors or matrices (one
            of str, with None for NA, a character vector); lists and dicts lists; data frames of polars or
            pandas data frames; categorical data factors. Integers beyond 32 bits become doubles.

    Raises:
        TypeError: There is something else in it.
        OverflowError: An integer in it has no exact double.
    """
    converter = ConverterFromPythonToR(constructor_dict={_Classed: _build})
    content: bytes = unparse_data(converter.convert_to_r_data(_prepare(data)))
    return content


@dataclass(frozen=True, slots=True)
class _Classed:
    """A vector with attributes."""

    values: Any
    attributes: dict[str, Any]


def _build(data: _Classed, converter: Any) -> Any:
    bare = converter.convert_to_r_object(data.values)
    attributes = converter.convert_to_r_attributes(data.attributes)
    return build_r_object(
        bare.info.type, value=bare.value, is_object="class" in data.attributes, attributes=attributes
    )


def _prepare(value: Any) -> Any:
    """The value in terms of what rdata writes, and writes rightly."""
    if value is None or isinstance(value, bool | float | complex | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= INT_MAX else float(_checked(value))
    if isinstance(value, list | tuple):
        return [_prepare(x) for x in value]
    if isinstance(value, Mapping):
        return {_key(key): _prepare(x) for key, x in value.items()}
    if isinstance(value, dt.datetime):
        return _times(np.array([value.timestamp()]), _zone_of(value))
    if isinstance(value, dt.date):
        return _dates(np.array([(value - EPOCH).days], dtype=float))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return _array(np.array([value]))
    return _table(value)


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise TypeError(f"a dict for R must have str as keys, not {key!r}")


def _table(value: Any) -> Any:
    """What pandas and polars hold."""
    if isinstance(value, pd.Categorical):
        return _factor(value)
    if isinstance(value, pd.Series):
        return _pandas_column(value)
    if isinstance(value, pd.DataFrame):
        if not value.columns.astype(str).is_unique:
            raise ValueError(f"the columns of a data frame for R must have different names: {list(value)}")
        return _frame({str(name): _pandas_column(column) for name, column in value.items()}, len(value))
    pl: Any = sys.modules.get("polars")
    if pl is not None and isinstance(value, pl.Series):
        return _polars_column(pl, value)
    if pl is not None and isinstance(value, pl.DataFrame):
        return _frame({x.name: _polars_column(pl, x) for x in value}, value.height)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(
        f"an object of type {kind} cannot be written for R: send its parts, or bytes in mode 'raw'"
    )


def _array(array: np.ndarray[Any, Any]) -> Any:
    if array.ndim > 1:
        return _Classed(_array(array.ravel(order="F")), {"dim": np.array(array.shape, dtype=np.int32)})
    array = np.atleast_1d(array)
    kind = array.dtype.kind
    if kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.int64) / 1e6
        return _times(np.ma.array(seconds, mask=np.isnat(array)), "UTC")
    if kind in "iu":
        return _integers(array)
    if kind in "fc":
        return _with_na(array.astype(np.float64 if kind == "f" else np.complex128))
    if kind == "O" and not all(x is None or isinstance(x, str) for x in array):
        return [_prepare(x) for x in array]
    if kind in "bUO":
        return array
    raise TypeError(f"an array of {array.dtype} cannot be written for R")


def _integers(array: np.ndarray[Any, Any]) -> Any:
    """Integers, or doubles where one is too large."""
    extremes = (array.min(), array.max()) if array.size else ()
    largest = max((abs(int(x)) for x in extremes if x is not np.ma.masked), default=0)
    if largest <= INT_MAX:
        return array.astype(np.int32)
    _checked(largest)
    return _with_na(array.astype(np.float64))


def _checked(number: int) -> int:
    """The integer, if a double holds it."""
    if abs(number) > EXACT_MAX:
        raise OverflowError(f"{number} is too large for R, whose numbers are exact up to 2**53")
    return number


def _with_na(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ma.filled(array, R_FLOAT_NA)


def _zone_of(time: dt.datetime) -> str | None:
    """The zone as R knows it; None, R's own, for a naive time, which means the local one in Python too."""
    return None if time.tzinfo is None else getattr(time.tzinfo, "key", "UTC")


def _dates(days: np.ndarray[Any, Any]) -> _Classed:
    return _Classed(_with_na(days), {"class": "Date"})


def _times(seconds: np.ndarray[Any, Any], zone: str | None) -> _Classed:
    attributes: dict[str, Any] = {"class": np.array(["POSIXct", "POSIXt"])}
    return _Classed(_with_na(seconds), attributes | ({"tzone": zone} if zone else {}))


def _factor(value: pd.Categorical) -> _Classed:
    classes = ["ordered", "factor"] if value.ordered else ["factor"]
    codes = np.ma.masked_equal(value.codes.astype(np.int32) + 1, 0)
    return _Classed(
        codes, {"levels": value.categories.astype(str).to_numpy(object), "class": np.array(classes)}
    )


def _frame(columns: dict[str, Any], rows: int) -> _Classed:
    row_names = np.ma.array([R_INT_NA, -rows], mask=[True, False])  # R's way to say 1 to the number of rows
    names = np.array(list(columns), dtype=object)
    return _Classed(list(columns.values()), {"names": names, "class": "data.frame", "row.names": row_names})


def _pandas_column(column: pd.Series[Any]) -> Any:
    missing = column.isna().to_numpy()
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _factor(column.array)
    if kind == "M":
        zone = getattr(column.dtype, "tz", None)
        seconds = (
            column.astype("int64").to_numpy() / 10 ** {"s": 0, "ms": 3, "us": 6, "ns": 9}[column.dt.unit]
        )
        return _times(np.ma.array(seconds, mask=missing), str(zone) if zone else "UTC")
    if kind in "biu":
        return _array(
            np.ma.array(column.fillna(False if kind == "b" else 0).to_numpy(), mask=missing)
            if missing.any()
            else column.to_numpy()
        )
    if kind in "fc":
        return _array(column.to_numpy())
    return _array(
        np.array([*(None if na else x for x, na in zip(column, missing, strict=True)), None], object)[:-1]
    )


def _polars_column(pl: Any, column: Any) -> Any:
    kind = column.dtype
    if kind in (pl.Categorical, pl.Enum):
        texts = column.cast(pl.String)
        levels = kind.categories if kind == pl.Enum else texts.drop_nulls().unique(maintain_order=True)
        return _factor(pd.Categorical(texts.to_list(), levels.to_list()))
    if kind == pl.String:
        return np.array(column.to_list(), dtype=object)
    missing = column.is_null().to_numpy()
    if kind == pl.Date:
        return _dates(np.ma.array(column.to_physical().fill_null(0).to_numpy().astype(float), mask=missing))
    if kind == pl.Datetime:
        seconds = column.dt.epoch("us").fill_null(0).to_numpy() / 1e6
        return _times(np.ma.array(seconds, mask=missing), kind.time_zone or "UTC")
    if kind == pl.Boolean or kind.is_numeric():
        values = column.fill_null(False if kind == pl.Boolean else 0).to_numpy()
        return _array(np.ma.array(values, mask=missing) if missing.any() else values)
    return [_prepare(x) for x in column.to_list()]
