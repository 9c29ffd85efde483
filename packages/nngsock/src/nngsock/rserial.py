"""What R serialised, as Python's objects. Needs the extra `r`: the package rdata does the parsing."""

from __future__ import annotations

import datetime as dt
import importlib.util
import math
import zoneinfo
from typing import Any, Final

import numpy as np
import pandas as pd
from rdata.missing import is_na
from rdata.parser import CharFlags, RObject, RObjectType, parse_data

from nngsock.serial import R_REQUEST, R_REQUEST_SIZE

__all__ = ("read_r",)

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NUMBERS: Final = {RObjectType.INT, RObjectType.REAL, RObjectType.CPLX}


def read_r(content: bytes | memoryview) -> Any:
    """The object in a serialization of R, in any of its formats.

    Args:
        content: The bytes, with or without the header of a request.

    Returns:
        A scalar for a vector of one, None for NA. A longer one is a numpy array if it is of numbers (integer
        NAs masked, real ones R's own NaN), else a list with None for NA. Dates are dates, times are datetimes
        in their zone. A named vector or list is a dict, a matrix an array of its shape, a factor a
        `pandas.Categorical`, a data frame a `polars.DataFrame`, or one of pandas where polars is missing.

    Raises:
        Exception: Whatever rdata raises about content that it cannot parse.
        TypeError: It is of a type that has no counterpart, like a function.
    """
    data = bytes(content)
    if data.startswith(R_REQUEST):
        data = data[R_REQUEST_SIZE:]
    return _convert(parse_data(data, extension=".rds").object)


def _convert(obj: RObject) -> Any:
    if obj.info.type is RObjectType.NILVALUE:
        return None
    attributes = _attributes(obj)
    if "data.frame" in attributes.get("class", ()):
        return _frame(obj, attributes)
    if "factor" in attributes.get("class", ()):
        return _factor(obj, attributes)
    if obj.info.type is RObjectType.VEC:
        return _named(attributes, [_convert(x) for x in obj.value])
    values = _vector(obj, attributes)
    if "dim" in attributes and not _is_table(attributes):
        return _shaped(values, attributes["dim"])
    if "names" in attributes:
        return _named(attributes, _listed(values))
    if len(values) == 1:
        return _listed(values)[0]
    return values if isinstance(values, np.ndarray) and values.dtype != bool else _listed(values)


def _attributes(obj: RObject) -> dict[str, Any]:
    """The attributes, strings as lists even where there is one."""
    found = {}
    rest = obj.attributes
    while rest is not None and rest.info.type is RObjectType.LIST:
        symbol = rest.tag.referenced_object or rest.tag
        value, rest = rest.value
        found[symbol.value.value.decode()] = (
            [_text(x) for x in value.value] if value.info.type is RObjectType.STR else value.value
        )
    return found


def _vector(obj: RObject, attributes: dict[str, Any]) -> Any:
    """The elements: a numpy array, or a list where there is no type of numpy for them."""
    kind = obj.info.type
    if kind is RObjectType.STR:
        return [_text(x) for x in obj.value]
    classes = attributes.get("class", ())
    if kind in NUMBERS and "Date" in classes:
        return [_date(x) for x in _listed(obj.value)]
    if kind in NUMBERS and "POSIXct" in classes:
        zone = _zone(attributes)
        return [_time(x, zone) for x in _listed(obj.value)]
    if kind is RObjectType.REAL and "integer64" in classes:  # of package bit64: integers in place of doubles
        whole = obj.value.view(np.int64)
        return np.ma.masked_equal(whole, np.iinfo(np.int64).min)
    if kind is RObjectType.LGL or kind in NUMBERS:
        return obj.value
    raise TypeError(f"an object of R's type {kind.name} has no counterpart")


def _text(obj: RObject) -> str | None:
    if obj.value is None:
        return None
    encoding = "latin-1" if obj.info.gp & CharFlags.LATIN1 else "utf-8"
    return str(obj.value, encoding, "surrogateescape")


def _listed(values: Any) -> list[Any]:
    """The elements as Python's own, None for NA."""
    if isinstance(values, list):
        return values
    found: list[Any] = values.tolist()
    if values.dtype == np.float64:
        return [None if na else x for x, na in zip(found, is_na(values), strict=True)]
    if values.dtype == np.complex128:
        return [None if na else x for x, na in zip(found, is_na(values.real.copy()), strict=True)]
    return found


def _named(attributes: dict[str, Any], values: list[Any]) -> dict[str, Any] | list[Any]:
    """A dict if every element has a name of its own, else the list."""
    if "names" not in attributes:
        return values
    names = attributes["names"]
    return dict(zip(names, values, strict=True)) if len({*names} - {"", None}) == len(values) else values


def _is_table(attributes: dict[str, Any]) -> bool:
    """Whether it is a table of one dimension, which is then treated as a vector with names."""
    dimnames = attributes.get("dimnames")
    if len(attributes["dim"]) != 1 or not dimnames or not _is_text(dimnames[0]):
        return False
    attributes["names"] = [_text(x) for x in dimnames[0].value]
    return True


def _shaped(values: Any, shape: Any) -> Any:
    if isinstance(values, list):
        values = np.array([*values, None], dtype=object)[:-1]
    return values.reshape(tuple(shape), order="F")


def _factor(obj: RObject, attributes: dict[str, Any]) -> pd.Categorical:
    codes = np.ma.filled(obj.value, 0) - 1
    return pd.Categorical.from_codes(codes, attributes["levels"], ordered="ordered" in attributes["class"])


def _date(days: float | None) -> dt.date | None:
    if days is None or math.isnan(days):
        return None
    return EPOCH.date() + dt.timedelta(days=math.floor(days))


def _time(seconds: float | None, zone: dt.tzinfo) -> dt.datetime | None:
    if seconds is None or math.isnan(seconds):
        return None
    return (EPOCH + dt.timedelta(seconds=seconds)).astimezone(zone)


def _zone(attributes: dict[str, Any]) -> dt.tzinfo:
    """The zone that R prints times in: UTC where it is R's own or not known here, the instant is the same."""
    name = attributes.get("tzone", [""])[0]
    try:
        return zoneinfo.ZoneInfo(name) if name and name != "UTC" else dt.UTC
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def _frame(obj: RObject, attributes: dict[str, Any]) -> Any:
    names = attributes.get("names", ())
    columns = dict(zip(names, obj.value, strict=True))
    if len(columns) < len(names):
        raise ValueError(f"two columns of the data frame have one name: {names}")
    if importlib.util.find_spec("polars") is None:
        return pd.DataFrame(
            {name: _pandas_column(x) for name, x in columns.items()},
            index=_row_names(attributes["row.names"]),
        )
    import polars as pl

    return pl.DataFrame([_polars_column(pl, name, x) for name, x in columns.items()])


def _polars_column(pl: Any, name: str, obj: RObject) -> Any:
    value = _column(obj)
    if isinstance(value, pd.Categorical):
        return pl.Series(name, value.tolist(), dtype=pl.Enum(value.categories.tolist()), strict=False)
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return pl.Series(name, np.ma.array(value, mask=is_na(value)))
    kind = {"Date": pl.Date, "POSIXct": pl.Datetime("us", str(_zone(_attributes(obj))))}
    classes = _attributes(obj).get("class", [""])
    return pl.Series(name, value, dtype=kind.get(classes[0]) or (pl.String if _is_text(obj) else None))


def _pandas_column(obj: RObject) -> Any:
    value = _column(obj)
    if _is_text(obj):
        return pd.array(value, dtype="str")
    if not np.ma.isMaskedArray(value):
        return value
    return pd.array(value.tolist(), dtype="boolean" if value.dtype == bool else "Int64")


def _column(obj: RObject) -> Any:
    """A column of a data frame: an array, a list, or a factor, of its length even where that is 1."""
    attributes = _attributes(obj)
    if "factor" in attributes.get("class", ()):
        return _factor(obj, attributes)
    if obj.info.type is RObjectType.VEC:
        return [_convert(x) for x in obj.value]
    values = _vector(obj, attributes)
    return _shaped(values, attributes["dim"]) if "dim" in attributes else values


def _is_text(obj: RObject) -> bool:
    return obj.info.type is RObjectType.STR


def _row_names(names: Any) -> Any:
    """The index for pandas: R writes row names that only count as (NA, minus their number)."""
    if isinstance(names, list):
        return names
    return pd.RangeIndex(abs(int(names[-1]))) if np.ma.is_masked(names) else names
