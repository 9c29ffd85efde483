"""Tables with fixed columns: polars frames whose types do not depend on what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets_py.selection import Selector, tar_tidyselect_eval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

# Column -> type: str int float bool time list object.
Schema = dict[str, str]


def table(schema: Schema, rows: Iterable[Sequence[Any]]) -> pl.DataFrame:
    """A frame of rows.

    Args:
        schema: Column -> name of its type.
        rows: Values in the order of the columns; None is null.
    """
    import polars as pl

    types = {
        "str": pl.String(),
        "int": pl.Int64(),
        "float": pl.Float64(),
        "bool": pl.Boolean(),
        "time": pl.Datetime("ns", "UTC"),
        "list": pl.List(pl.String()),
        "object": pl.Object(),
    }
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pl.DataFrame(
        [
            pl.Series(name, values, dtype=types[kind], strict=False)
            for (name, kind), values in zip(schema.items(), columns, strict=True)
        ]
    )


def chosen_fields(fields: Selector, columns: Iterable[str]) -> list[str]:
    """The columns that `fields=` selects; the first one is always among them, in front."""
    names = list(columns)
    picked = tar_tidyselect_eval(fields, names)
    if picked is None:
        return names
    return list(dict.fromkeys([names[0], *picked]))


def chosen_names(names: Selector, known: Iterable[str]) -> list[str]:
    """The names that `names=` selects, in its order; all in theirs if it is None."""
    choices = list(known)
    picked = tar_tidyselect_eval(names, choices)
    return choices if picked is None else picked
