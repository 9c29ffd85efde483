import pytest

import crew_py
from crew_py.sweep import Sweep


def test_one_task_per_index_and_columns_beat_data():
    sweep = Sweep.of({"x": [1, 2], "y": ("a", "b")}, {"x": 0, "z": 9}, None, 5)
    assert len(sweep) == 2
    tasks = list(sweep)
    assert [data for _, data, _ in tasks] == [{"x": 1, "z": 9, "y": "a"}, {"x": 2, "z": 9, "y": "b"}]
    assert [seed for _, _, seed in tasks] == [5, 6]


def test_unnamed_tasks_share_a_random_part_and_count_from_1():
    first, second = Sweep.of({"x": range(2)}, None, None, None).names
    assert first.startswith("unnamed_task_")
    assert first.endswith("_1")
    assert second == first[:-1] + "2"


def test_names_come_from_a_column_which_stays_an_argument():
    tasks = list(Sweep.of({"id": ["a", "b"]}, None, "id", None))
    assert tasks == [("a", {"id": "a"}, None), ("b", {"id": "b"}, None)]


def test_arrays_and_series_are_columns():
    np = pytest.importorskip("numpy")
    pl = pytest.importorskip("polars")
    sweep = Sweep.of({"x": np.arange(2), "y": pl.Series([3, 4])}, None, None, None)
    assert [(data["x"], data["y"]) for _, data, _ in sweep] == [(0, 3), (1, 4)]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"iterate": {}}, "at least one"),
        ({"iterate": [1]}, "`iterate` must be a dict"),
        ({"iterate": {1: [1]}}, "keys of `iterate`"),
        ({"iterate": {"x": [1], "y": [1, 2]}}, "equal length"),
        ({"iterate": {"x": []}}, "not be empty"),
        ({"iterate": {"x": 5}}, r"iterate\['x'\]"),
        ({"iterate": {"x": "abc"}}, r"iterate\['x'\]"),
        ({"iterate": {"x": [1]}, "names": "y"}, "`names`"),
        ({"iterate": {"x": [1, 1]}, "names": "x"}, "'1' is there more than once"),
        ({"iterate": {"x": [1]}, "data": [1]}, "`data`"),
    ],
)
def test_arguments_are_checked(arguments, match):
    with pytest.raises(crew_py.crew_error, match=match):
        Sweep.of(**{"data": None, "names": None, "seed": None} | arguments)
