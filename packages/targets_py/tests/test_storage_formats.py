import datetime as dt
import pathlib

import polars as pl
import pytest

from targets_py.errors import TarValidateError
from targets_py.hashing.digest import hash_file
from targets_py.hashing.value import hash_value
from targets_py.storage.formats import format_names, get_format, resolve_auto


def through(name, value, path, **options):
    """Convert, write and read a value."""
    form = get_format(name)
    known = form.write(str(path), form.convert(value), options)
    if known is not None:
        assert known == hash_file(path)
    return form.read(str(path))


def test_names_and_aliases():
    assert get_format("rds").name == "pickle"
    assert get_format("ipc").name == "feather"
    assert get_format("file_fast").name == "file"
    for name in format_names():
        assert name == "auto" or get_format(name)


def test_an_unknown_format_is_refused_with_those_there_are():
    with pytest.raises(
        TarValidateError, match=r"format 'parket' is unknown; use one of pickle, parquet, .*auto"
    ):
        get_format("parket")


FRAME = pl.DataFrame(
    {
        "i": [1, None, 3],
        "s": ["a", "é", None],
        "t": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, None],
        "l": [[1], [], None],
        "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        "e": pl.Series(["x", "y", "x"], dtype=pl.Enum(["x", "y"])),
    }
)


@pytest.mark.parametrize("name", ["parquet", "feather"])
class TestFrames:
    def test_polars(self, name, tmp_path):
        again = through(name, FRAME, tmp_path / "x")

        assert again.equals(FRAME)
        assert again.schema == FRAME.schema
        assert hash_value(again) == hash_value(FRAME)

    def test_lazy_frames_are_collected(self, name, tmp_path):
        assert through(name, FRAME.lazy(), tmp_path / "x").equals(FRAME)

    def test_compression(self, name, tmp_path):
        frame = pl.DataFrame({"a": [f"text {i}" for i in range(10_000)]})
        for compression in ("zstd", "uncompressed", "lz4"):
            assert through(name, frame, tmp_path / compression, compression=compression).equals(frame)

        assert (tmp_path / "zstd").stat().st_size < (tmp_path / "uncompressed").stat().st_size

    def test_pandas(self, name, tmp_path):
        pytest.importorskip("pyarrow")
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]}, index=pd.Index([5, 6], name="i"))
        again = through(name, frame, tmp_path / "x")

        pd.testing.assert_frame_equal(again, frame)
        assert hash_value(again) == hash_value(frame)

    def test_arrow(self, name, tmp_path):
        pa = pytest.importorskip("pyarrow")
        table = pa.table({"a": [1, None], "b": ["x", "y"]}).replace_schema_metadata({"user": "kept"})
        again = through(name, table, tmp_path / "x", compression="zstd")

        assert again.equals(table)
        assert again.schema.metadata == {b"user": b"kept"}
        assert again.schema == table.schema

    @pytest.mark.parametrize("value", [[1], None, {"a": [1]}, pl.Series([1])])
    def test_other_values_are_refused(self, name, value):
        with pytest.raises(
            TypeError, match=f"format {name} stores data frames of polars, pandas or pyarrow, not"
        ):
            get_format(name).convert(value)


def test_csv_gives_a_polars_frame_with_guessed_types(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "d": [dt.date(2026, 1, 1), None], "s": ["x,y", 'q"']})

    assert get_format("csv").lossy
    assert through("csv", frame, tmp_path / "x").equals(frame)


def test_csv_takes_pandas(tmp_path):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")

    assert through("csv", pd.DataFrame({"a": [1, 2]}), tmp_path / "x").equals(pl.DataFrame({"a": [1, 2]}))


def test_json_keeps_the_order_and_turns_tuples_into_lists(tmp_path):
    again = through("json", {"b": (1, "é"), "a": None}, tmp_path / "x")

    assert get_format("json").lossy
    assert list(again.items()) == [("b", [1, "é"]), ("a", None)]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1}, object()])
def test_json_refuses_what_it_cannot_say(value, tmp_path):
    with pytest.raises((ValueError, TypeError)):
        through("json", value, tmp_path / "x")


def test_numpy(tmp_path):
    np = pytest.importorskip("numpy")
    array = np.arange(6.0).reshape(2, 3)

    assert np.array_equal(through("numpy", array, tmp_path / "x"), array)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]  # numpy would add a suffix
    with pytest.raises(ValueError, match="allow_pickle"):
        through("numpy", np.array([{}]), tmp_path / "x")
    with pytest.raises(TypeError, match="format numpy stores numpy arrays, not list"):
        get_format("numpy").convert([1])


class TestFile:
    def test_paths_become_text_and_lists_stay_lists(self):
        convert = get_format("file").convert

        assert convert("a") == "a"
        assert convert(pathlib.PurePosixPath("a/b")) == "a/b"
        assert convert([pathlib.PurePosixPath("a"), "b"]) == ["a", "b"]
        assert convert(["a"]) == ["a"]
        assert convert([]) == []

    @pytest.mark.parametrize("value", [None, 1, ("a",), {"a": 1}, [1], "", [""], [None], b"a"])
    def test_what_is_no_path_is_refused(self, value):
        with pytest.raises(TypeError, match="did not return a path"):
            get_format("file").convert(value)


def test_what_auto_means(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("a").touch()

    assert resolve_auto("a") == resolve_auto(pathlib.Path("a")) == resolve_auto(["a", "."]) == "file"
    for value in ("b", ["a", "b"], [], None, 1, ("a",), "x" * 10_000, "a\0", "", [["a"]]):
        assert resolve_auto(value) == "pickle"
