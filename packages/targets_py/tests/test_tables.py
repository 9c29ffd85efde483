import polars as pl

from targets_py.tables import chosen_fields, chosen_names, table

SCHEMA = {
    "name": "str",
    "n": "int",
    "x": "float",
    "ok": "bool",
    "at": "time",
    "parts": "list",
    "any": "object",
}


def test_types_do_not_depend_on_what_is_in_the_rows():
    empty = table(SCHEMA, [])
    full = table(SCHEMA, [("a", 1, 1, True, 10**18, ["p"], {1}), ("b", None, None, None, None, None, None)])
    assert empty.schema == full.schema
    assert empty.shape == (0, 7)
    assert full.schema["at"] == pl.Datetime("ns", "UTC")
    assert full.row(1) == ("b", None, None, None, None, None, None)
    assert full["x"].to_list() == [1.0, None]
    assert full["at"].dt.year().to_list() == [2001, None]


def test_the_first_column_is_always_chosen():
    assert chosen_fields(["x", "n"], SCHEMA) == ["name", "x", "n"]
    assert chosen_fields(["x", "name"], SCHEMA) == ["name", "x"]
    assert chosen_fields(None, SCHEMA) == list(SCHEMA)


def test_no_names_mean_all():
    assert chosen_names(None, ["b", "a"]) == ["b", "a"]
    assert chosen_names([], ["b", "a"]) == []
