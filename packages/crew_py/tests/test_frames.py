import polars as pl

from crew_py import frames
from crew_py.monad import FIELDS
from crew_py.tally import Tally


def test_results_have_the_documented_types_and_hold_any_object():
    values = [None, [1, [2]], {"a": object}, pl.DataFrame({"x": [1]}), 3]
    rows = frames.results([dict.fromkeys(FIELDS) | {"result": value, "code": 0} for value in values])
    assert dict(rows.schema) == {
        "name": pl.String,
        "command": pl.String,
        "result": pl.Object,
        "status": pl.String,
        "error": pl.String,
        "code": pl.Int32,
        "trace": pl.String,
        "warnings": pl.String,
        "seconds": pl.Float64,
        "seed": pl.Int64,
        "algorithm": pl.String,
        "controller": pl.String,
    }
    assert all(a is b for a, b in zip(rows["result"].to_list(), values, strict=True))


def test_results_can_be_filtered_sorted_and_stacked():
    rows = frames.results([dict.fromkeys(FIELDS) | {"name": n, "result": {n}} for n in "ba"])
    assert rows.sort("name")["result"].to_list() == [{"a"}, {"b"}]
    assert pl.concat([rows, rows]).filter(pl.col("name") == "a")["result"].to_list() == [{"a"}, {"a"}]


def test_no_results_are_an_empty_table_of_the_same_types():
    assert frames.results([]).schema == frames.results([dict.fromkeys(FIELDS)]).schema


def test_a_summary_is_one_row_per_controller():
    rows = frames.summary([Tally("a", seconds=1.5, tasks=2, success=2), Tally("b")])
    assert rows.to_dicts()[0] == {
        "controller": "a",
        "seconds": 1.5,
        "tasks": 2,
        "success": 2,
        "error": 0,
        "crash": 0,
        "cancel": 0,
        "warning": 0,
    }
    assert rows["controller"].to_list() == ["a", "b"]
