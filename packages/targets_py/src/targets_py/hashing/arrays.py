"""Hashes of arrays and data frames: of what they hold, not of chunks, strides, or bytes below nulls."""

from __future__ import annotations

import array
import sys
from typing import TYPE_CHECKING, Any

from targets_py.hashing.value import UnhashableValueError

if TYPE_CHECKING:
    from targets_py.hashing.value import Rule, Update, Walker

_FEW = 10_000  # values that are converted quicker than numpy is imported
_X87_MANTISSA, _X87_BYTES = 63, 10  # long doubles of x86: the other bytes are padding


def find_array_rule(kind: type) -> Rule | None:
    """The rule for a class of numpy, polars, pandas or pyarrow or a subclass of one; imports none of them."""
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package == "torch":
            raise UnhashableValueError(f"a {kind.__qualname__} of torch has no canonical form")
        rule = _RULES.get((package, base.__qualname__))
        if rule is not None:
            return rule
    return None


def _write_numpy(walker: Walker, update: Update, value: Any) -> None:
    import numpy as np

    if isinstance(value, np.ma.MaskedArray):
        walker.add_class(update, type(value))
        _write_buffer(walker, update, np.ma.getmaskarray(value))
        zero: Any = np.zeros((), value.dtype)[()]
        _write_buffer(walker, update, value.filled(zero))
        walker.add(update, value.fill_value)
        return
    # A mapped file is an array like any other.
    walker.add_class(update, np.ndarray if type(value) is np.memmap else type(value))
    _write_buffer(walker, update, value.view(np.ndarray))


def _write_buffer(walker: Walker, update: Update, value: Any) -> None:
    import numpy as np

    dtype = value.dtype
    walker.add_text(update, f"{dtype.str}{value.shape}")
    if dtype.names is not None:  # field by field: between them lies garbage
        for name in dtype.names:
            walker.add_text(update, name)
            _write_buffer(walker, update, value[name])
    elif dtype.hasobject or dtype.kind == "T":
        walker.add(update, value.ravel().tolist())
    elif value.size and dtype.itemsize:
        rows = np.ascontiguousarray(value).reshape(-1)
        raw = rows.view(np.uint8)
        if dtype.type in (np.longdouble, np.clongdouble) and np.finfo(np.longdouble).nmant == _X87_MANTISSA:
            raw = np.ascontiguousarray(raw.reshape(-1, np.dtype(np.longdouble).itemsize)[:, :_X87_BYTES])
        update(raw)


def _write_numpy_scalar(walker: Walker, update: Update, value: Any) -> None:
    import numpy as np

    walker.add_class(update, type(value))
    _write_buffer(walker, update, np.asarray(value))


def _write_dtype(walker: Walker, update: Update, value: Any) -> None:
    walker.add_text(update, f"dtype {value.descr if value.names else value.str}")


def _write_polars_frame(walker: Walker, update: Update, value: Any) -> None:
    walker.add_class(update, type(value))
    update(b"%d:%d:" % value.shape)
    for column in value.get_columns():
        _write_column(walker, update, column)


def _write_polars_series(walker: Walker, update: Update, value: Any) -> None:
    walker.add_class(update, type(value))
    _write_column(walker, update, value)


def _write_column(walker: Walker, update: Update, column: Any) -> None:
    walker.add_text(update, column.name)
    walker.add_text(update, f"{column.dtype!r} {len(column)}")
    if column.null_count():
        update(_bytes_of(column.is_null()))
    _write_values(walker, update, column)


def _write_values(walker: Walker, update: Update, column: Any) -> None:
    import polars as pl

    dtype = column.dtype
    if isinstance(dtype, pl.Enum):
        walker.add(update, dtype.categories.to_list())
    if isinstance(dtype, (pl.Enum, pl.Categorical, pl.Decimal)) or str(dtype) in {"Int128", "UInt128"}:
        column, dtype = column.cast(pl.String), pl.String()
    if isinstance(dtype, pl.String):
        column = column.fill_null("")
        update(_bytes_of(column.str.len_bytes()))
        update("".join(column.to_list()).encode())
    elif isinstance(dtype, pl.Binary):
        column = column.fill_null(b"")
        update(_bytes_of(column.bin.size()))
        update(b"".join(column.to_list()))
    elif isinstance(dtype, pl.List):
        lengths = column.list.len().fill_null(0)
        update(_bytes_of(lengths))
        _write_column(walker, update, column.filter(lengths > 0).explode())
    elif isinstance(dtype, pl.Array):
        _write_column(walker, update, column.drop_nulls().arr.to_list().explode())
    elif isinstance(dtype, pl.Struct):
        for field in column.filter(column.is_not_null()).struct.unnest().get_columns():
            _write_column(walker, update, field)
    elif isinstance(dtype, pl.Object):
        walker.add(update, column.to_list())
    elif not isinstance(dtype, pl.Null):
        update(_bytes_of(column.to_physical().fill_null(False if isinstance(dtype, pl.Boolean) else 0)))


def _bytes_of(column: Any) -> Any:
    """The values of a primitive polars Series without nulls, as a buffer."""
    import polars as pl

    if column.dtype == pl.Boolean:
        column = column.cast(pl.UInt8)
    if "numpy" in sys.modules or len(column) > _FEW:
        try:
            import numpy as np
        except ImportError:
            pass
        else:
            return np.ascontiguousarray(column.to_numpy()).view(np.uint8)
    return array.array(_TYPECODES[str(column.dtype)], column.to_list())


_TYPECODES = {
    "Int8": "b",
    "Int16": "h",
    "Int32": "i",
    "Int64": "q",
    "UInt8": "B",
    "UInt16": "H",
    "UInt32": "I",
    "UInt64": "Q",
    "Float32": "f",
    "Float64": "d",
}


def _write_pandas_frame(walker: Walker, update: Update, value: Any) -> None:
    walker.add_class(update, type(value))
    update(b"%d:%d:" % value.shape)
    _write_index(walker, update, value.columns)
    _write_index(walker, update, value.index)
    for position in range(value.shape[1]):
        _write_extension(walker, update, value.iloc[:, position].array)
    walker.add(update, value.attrs)


def _write_pandas_series(walker: Walker, update: Update, value: Any) -> None:
    walker.add_class(update, type(value))
    walker.add(update, value.name)
    _write_index(walker, update, value.index)
    _write_extension(walker, update, value.array)
    walker.add(update, value.attrs)


def _write_pandas_index(walker: Walker, update: Update, value: Any) -> None:
    walker.add_text(update, "pandas index")
    _write_index(walker, update, value)


def _write_index(walker: Walker, update: Update, value: Any) -> None:
    """An index of pandas; a range equals the same numbers written out."""
    walker.add(update, list(value.names))
    update(b"levels%d:" % value.nlevels)
    for level in range(value.nlevels):
        _write_extension(walker, update, value.get_level_values(level).array)


def _write_extension(walker: Walker, update: Update, value: Any) -> None:
    """A pandas array."""
    import numpy as np

    walker.add_text(update, f"{value.dtype} {len(value)}")
    plain = _plain_array(value)
    if plain is not None:
        _write_buffer(walker, update, plain)
        return
    if hasattr(value, "categories"):
        _write_index(walker, update, value.categories)
        walker.add(update, bool(value.ordered))
        _write_buffer(walker, update, np.asarray(value.codes))
        return
    nulls = np.asarray(value.isna())
    _write_buffer(walker, update, nulls)
    items = value.astype(object)
    items = np.array(items, dtype=object) if len(items) else np.empty(0, dtype=object)
    items[nulls] = None
    walker.add(update, items.tolist())


def _plain_array(value: Any) -> Any:
    """The numpy array that a pandas array is made of, if it is one without nulls of its own."""
    import numpy as np

    if type(value).__name__ == "NumpyExtensionArray":
        return value.to_numpy()
    if isinstance(value.dtype, np.dtype):  # times without zone
        return np.asarray(value)
    if hasattr(value, "asi8"):  # times with zone, periods
        return value.asi8
    if hasattr(value, "_mask") and value.dtype.kind in "iufb":
        nulls = np.asarray(value.isna())
        return np.rec.fromarrays([nulls, value.to_numpy(value.dtype.numpy_dtype, na_value=0)])
    return None


def _write_arrow(walker: Walker, update: Update, value: Any) -> None:
    import polars as pl

    walker.add_class(update, type(value))
    try:
        frame = pl.from_arrow(value)
    except Exception as error:
        raise UnhashableValueError(
            f"a pyarrow {type(value).__qualname__} has no canonical form: {error}"
        ) from error
    if hasattr(value, "schema"):
        walker.add(update, [(field.name, str(field.type)) for field in value.schema])
        _write_polars_frame(walker, update, frame)
    else:
        walker.add_text(update, str(value.type))
        _write_column(walker, update, frame)


_RULES: dict[tuple[str, str], Rule] = {
    ("numpy", "ndarray"): _write_numpy,
    ("numpy", "generic"): _write_numpy_scalar,
    ("numpy", "dtype"): _write_dtype,
    ("polars", "DataFrame"): _write_polars_frame,
    ("polars", "Series"): _write_polars_series,
    ("pandas", "DataFrame"): _write_pandas_frame,
    ("pandas", "Series"): _write_pandas_series,
    ("pandas", "Index"): _write_pandas_index,
    ("pyarrow", "Table"): _write_arrow,
    ("pyarrow", "RecordBatch"): _write_arrow,
    ("pyarrow", "ChunkedArray"): _write_arrow,
    ("pyarrow", "Array"): _write_arrow,
}
