import polars as pl
import pytest

from targets_py import TarValidateError, tar_group


def test_groups_are_numbered_in_the_order_of_their_keys_and_rows_keep_theirs():
    data = pl.DataFrame({"k": ["b", "a", "b", None], "v": [1, 2, 3, 4]})
    grouped = tar_group(data, "k")
    assert grouped["tar_group"].to_list() == [2, 1, 2, 3]
    assert grouped["tar_group"].dtype == pl.Int64
    assert grouped["v"].to_list() == [1, 2, 3, 4]


def test_several_columns_make_one_key():
    data = pl.DataFrame({"a": [2, 1, 1], "b": ["x", "y", "x"]})
    assert tar_group(data, ["a", "b"])["tar_group"].to_list() == [3, 2, 1]


def test_an_earlier_grouping_is_replaced():
    data = tar_group(pl.DataFrame({"a": [1, 2], "b": [2, 1]}), "a")
    assert tar_group(data, "b")["tar_group"].to_list() == [2, 1]


def test_pandas_frames_are_numbered_alike():
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"k": ["b", "a", "b", None]})
    assert tar_group(data, "k")["tar_group"].tolist() == [2, 1, 2, 3]


@pytest.mark.parametrize(
    ("data", "by", "message"),
    [
        ([1, 2], "k", "must be a polars or pandas DataFrame, not list"),
        (pl.DataFrame({"k": [1]}), [], "at least one column"),
        (pl.DataFrame({"k": [1]}), "z", "'z'.*it has: k"),
    ],
)
def test_what_cannot_be_grouped_is_refused(data, by, message):
    with pytest.raises(TarValidateError, match=message):
        tar_group(data, by)
