import sys

import polars as pl
import pytest

from targets_py.hashing.value import UnhashableValueError, hash_value


def all_different(*values):
    hashes = [hash_value(value) for value in values]
    return len(set(hashes)) == len(hashes)


COLUMNS = {
    "strings": (["a", "bc", None], ["ab", "c", None], pl.String),
    "bytes": ([b"a", b"bc", None], [b"ab", b"c", None], pl.Binary),
    "categories": (["x", "y", None], ["x", "x", None], pl.Categorical),
    "enum": (["x", "y", None], ["x", "x", None], pl.Enum(["x", "y"])),
    "lists": ([[1], [2, 3], None, []], [[1, 2], [3], None, []], pl.List(pl.Int64)),
    "empty or null list": ([[1], [], []], [[1], None, []], pl.List(pl.Int64)),
    "lists of strings": ([["a"], ["b", None]], [["a", "b"], [None]], pl.List(pl.String)),
    "arrays": ([[1, 2], None, [3, 4]], [[1, 2], None, [3, 5]], pl.Array(pl.Int64, 2)),
    "structs": (
        [{"a": 1, "b": "x"}, None],
        [{"a": 1, "b": None}, None],
        pl.Struct({"a": pl.Int64, "b": pl.String}),
    ),
    "null struct": ([{"a": None}, None], [None, {"a": None}], pl.Struct({"a": pl.Int64})),
    "decimals": (["1.10", "2.00"], ["1.10", "2.01"], pl.Decimal(10, 2)),
    "large integers": ([2**100, None], [2**100 + 1, None], pl.Int128),
    "booleans": ([True, False, None], [True, None, False], pl.Boolean),
    "small": ([1, 2], [1, 3], pl.UInt8),
}


class TestPolars:
    def test_chunks_do_not_count(self):
        whole = pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x", None, "yy", ""]})
        chunked = pl.concat([whole[:1], whole[1:3], whole[3:]], rechunk=False)

        assert hash_value(whole) == hash_value(chunked)
        assert hash_value(whole[1:3]) == hash_value(pl.DataFrame({"a": [2, 3], "b": [None, "yy"]}))

    def test_what_lies_below_nulls_does_not_count(self):
        base = pl.DataFrame({"a": [1, 7, 3], "keep": [True, False, True]})
        masked = base.select(pl.when("keep").then("a").alias("a"))

        assert hash_value(masked) == hash_value(pl.DataFrame({"a": [1, None, 3]}))

    def test_names_types_order_nulls_and_values_count(self):
        assert all_different(
            pl.DataFrame({"a": [1, 2]}),
            pl.DataFrame({"b": [1, 2]}),
            pl.DataFrame({"a": [2, 1]}),
            pl.DataFrame({"a": [1, None]}),
            pl.DataFrame({"a": [1, 0]}),
            pl.DataFrame({"a": [1.0, 2.0]}),
            pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int32}),
            pl.DataFrame({"a": [1, 2], "b": [1, 2]}),
            pl.DataFrame({"b": [1, 2], "a": [1, 2]}),
            pl.DataFrame({"a": ["1", "2"]}),
            pl.DataFrame({"a": ["12", ""]}),
            pl.DataFrame({"a": [None, None]}),
            pl.DataFrame({"a": []}),
            pl.DataFrame(),
            pl.Series("a", [1, 2]),
            [1, 2],
        )

    @pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
    def test_every_type_of_column(self, column):
        values, others, dtype = column
        if isinstance(dtype, pl.Decimal):
            make = lambda items: pl.Series("s", items).cast(dtype)
        else:
            make = lambda items: pl.Series("s", items, dtype=dtype)
        chunked = pl.concat([make(values[:1]), make(values[1:])], rechunk=False)

        assert hash_value(make(values)) == hash_value(make(values))
        assert hash_value(make(values)) == hash_value(chunked)
        assert hash_value(make(values)) != hash_value(make(others))

    def test_times(self):
        import datetime as dt

        moments = [dt.datetime(2026, 1, 1), None]  # noqa: DTZ001 - a zone comes below
        assert all_different(
            pl.Series(moments),
            pl.Series(moments).dt.replace_time_zone("UTC"),
            pl.Series(moments).dt.cast_time_unit("ns"),
            pl.Series(moments).dt.date(),
            pl.Series([dt.timedelta(1), None]),
            pl.Series([dt.time(1), None]),
        )

    def test_objects_count_by_what_they_are(self):
        assert hash_value(pl.Series([{1}, {2}], dtype=pl.Object)) == hash_value(
            pl.Series([{1}, {2}], dtype=pl.Object)
        )
        assert hash_value(pl.Series([{1}], dtype=pl.Object)) != hash_value(pl.Series([{2}], dtype=pl.Object))

    def test_the_hash_is_the_same_without_numpy(self, monkeypatch):
        pytest.importorskip("numpy")
        frame = pl.DataFrame({"i": [1, None, -3], "f": [0.5, -0.0, float("nan")], "b": [True, None, False]})
        frame = frame.with_columns(
            *(pl.col("i").cast(kind).alias(str(kind)) for kind in (pl.Int8, pl.Int16, pl.Int32, pl.Float32))
        )
        with_numpy = hash_value(frame)
        monkeypatch.setitem(sys.modules, "numpy", None)
        monkeypatch.delitem(sys.modules, "numpy")
        monkeypatch.setattr("targets_py.hashing.arrays._FEW", 10**9)

        assert hash_value(frame) == with_numpy


class TestNumpy:
    @pytest.fixture
    def np(self):
        return pytest.importorskip("numpy")

    def test_layout_in_memory_does_not_count(self, np):
        a = np.arange(12.0).reshape(3, 4)

        assert hash_value(a) == hash_value(np.asfortranarray(a))
        assert hash_value(a) == hash_value(np.arange(24.0).reshape(3, 8)[:, ::2] / 2)
        assert hash_value(a[::-1]) == hash_value(a[::-1].copy())

    def test_type_shape_and_values_count(self, np):
        assert all_different(
            np.array([1, 2]),
            np.array([1, 2], dtype="int32"),
            np.array([1, 2], dtype=">i8"),
            np.array([1.0, 2.0]),
            np.array([[1, 2]]),
            np.array([2, 1]),
            np.array([], dtype=int),
            np.array([], dtype=float),
            np.array(1),
            np.int64(1),
            np.float64(1),
            1,
            1.0,
            np.array(["1", "2"]),
            np.array(["1", "2"], dtype=object),
            np.array(["2026-01-01"], dtype="M8[D]"),
            np.array(["2026-01-01"], dtype="M8[s]"),
            np.ma.array([1, 2], mask=[True, False]),
            np.dtype("int64"),
        )

    def test_an_array_in_a_list_is_not_its_bytes(self, np):
        a = np.array([1, 2], dtype="uint8")

        assert hash_value([a.tobytes()]) != hash_value([a])

    def test_what_a_mask_hides_does_not_count(self, np):
        one, two = (np.ma.array([hidden, 2], mask=[True, False]) for hidden in (5, 6))

        assert hash_value(one) == hash_value(two)

    def test_padding_does_not_count(self, np):
        padded = np.dtype([("a", "u1"), ("b", "f8")], align=True)
        raw = np.zeros(padded.itemsize, dtype="u1")
        other = raw.copy()
        other[3] = 255
        assert raw.view(padded) == other.view(padded)

        assert hash_value(raw.view(padded)) == hash_value(other.view(padded))
        assert hash_value(np.ones(2, np.longdouble)) == hash_value(np.array([1, 1]).astype(np.longdouble))

    def test_arrays_of_objects_count_by_what_they_are(self, np):
        assert hash_value(np.array([{1}, "a"], dtype=object)) == hash_value(
            np.array([{1}, "a"], dtype=object)
        )
        assert hash_value(np.array([{1}], dtype=object)) != hash_value(np.array([{2}], dtype=object))

    def test_a_mapped_file_equals_the_array(self, np, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(5))

        mapped = np.load(tmp_path / "a.npy", mmap_mode="r")

        assert hash_value(mapped) == hash_value(np.arange(5))
        del mapped


class TestPandas:
    @pytest.fixture
    def pd(self):
        pytest.importorskip("pyarrow")
        return pytest.importorskip("pandas")

    def test_blocks_in_memory_do_not_count(self, pd):
        whole = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
        grown = pd.DataFrame({"a": [1, 2, 3]})
        grown["b"] = [4, 5, 6]

        assert hash_value(whole) == hash_value(grown)
        assert hash_value(whole) == hash_value(pd.concat([whole[:1], whole[1:]]))

    def test_a_range_equals_its_numbers(self, pd):
        a = pd.DataFrame({"a": [1, 2]})

        assert hash_value(a) == hash_value(a.set_index(pd.Index([0, 1])))

    def test_names_types_index_and_values_count(self, pd):
        a = pd.DataFrame({"a": [1, 2]})
        assert all_different(
            a,
            a.rename(columns={"a": "b"}),
            a.set_index(pd.Index([1, 2])),
            a.set_index(pd.Index([0, 1], name="i")),
            a.astype("int32"),
            a.astype("Int64"),
            a.astype(float),
            a.astype(str),
            a.astype(object),
            a.astype("category"),
            a.iloc[::-1],
            a["a"],
            a["a"].rename("b"),
            a["a"].array.to_numpy(),
            pd.Index([1, 2]),
            pd.DataFrame({"a": ["x", None]}),
            pd.DataFrame({"a": ["x", ""]}),
            pd.DataFrame(),
        )

    def test_what_lies_below_nulls_does_not_count(self, pd):
        one = pd.array([1, 2, None], dtype="Int64")
        two = pd.array([1, 2, 99], dtype="Int64")
        two[2] = pd.NA

        assert hash_value(pd.Series(one)) == hash_value(pd.Series(two))

    def test_other_arrays(self, pd):
        times = pd.date_range("2026-01-01", periods=3)
        assert all_different(
            pd.Series(times),
            pd.Series(times.tz_localize("UTC")),
            pd.Series(times.to_period("D")),
            pd.Series(times - times[0]),
            pd.Series(pd.Categorical(["a", "b"], categories=["a", "b"])),
            pd.Series(pd.Categorical(["a", "b"], categories=["b", "a"])),
            pd.Series(pd.Categorical(["a", "b"], ordered=True)),
            pd.DataFrame({"x": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b")])),
            pd.DataFrame({"x": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])),
            pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2])),
        )


class TestArrow:
    @pytest.fixture
    def pa(self):
        return pytest.importorskip("pyarrow")

    def test_chunks_do_not_count_but_types_do(self, pa):
        whole = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
        chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])

        assert hash_value(whole) == hash_value(chunked)
        assert all_different(
            whole,
            whole.rename_columns(["a", "c"]),
            whole.set_column(0, "a", pa.array([1, 2, None], pa.int32())),
            whole.set_column(1, "b", pa.array(["x", "y", "z"], pa.large_string())),
            whole.slice(1),
            pl.from_arrow(whole),
            pa.array([1, 2]),
        )


def test_values_of_torch_are_left_to_their_bytes():
    module = type("Module", (), {"__module__": "torch.nn.modules.module"})
    net = type("Net", (module,), {})

    with pytest.raises(UnhashableValueError, match="torch"):
        hash_value(net())
