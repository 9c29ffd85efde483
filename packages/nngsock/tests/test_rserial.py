"""Objects that R serialised: recorded ones, and live where R is installed."""

import datetime as dt
import json
import math
import shutil
import subprocess
import zoneinfo
from pathlib import Path

import pytest

import nngsock
from nngsock.serial import PICKLE, codec_for, decode_serial

pytest.importorskip("rdata")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from nngsock.rserial import read_r  # noqa: E402 - needs rdata

DATA = Path(__file__).parent / "data"
RECORDED = [
    (DATA / folder / entry["file"], entry["r"])
    for folder in ("r_wire", "r_serial")
    for entry in json.loads((DATA / folder / "index.json").read_text())
    if "raw" not in entry["file"]
]
UTC = dt.UTC


def recorded(expression):
    """The bytes of an expression, in each recorded format."""
    found = [path.read_bytes() for path, r in RECORDED if r == expression]
    assert found, expression
    return found


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("42L", 42),
        ("3.14", 3.14),
        ("TRUE", True),
        ("NA", None),
        ("NA_integer_", None),
        ("NA_real_", None),
        ("NA_character_", None),
        ('"text"', "text"),
        ("NULL", None),
        ("character(0)", []),
        ("list()", []),
        ("setNames(list(), character(0))", {}),
        ("c(TRUE, NA)", [True, None]),
        ("c('a', NA, 'b')", ["a", None, "b"]),
        ("list(1)", [1.0]),
        ('list(1, "a")', [1.0, "a"]),
        ('list(x = 1, y = "two", z = list(TRUE, NULL))', {"x": 1.0, "y": "two", "z": [True, None]}),
        ("c(a = 1, b = 2)", {"a": 1.0, "b": 2.0}),
        ("c(a = 'x', b = NA)", {"a": "x", "b": None}),
        ("table(c('x', 'y', 'x'))", {"x": 2, "y": 1}),
        (r"'caf\u00e9'", "café"),
        (r"enc2native(iconv('caf\u00e9', to = 'latin1'))", "café"),
        ('as.Date("2024-02-29")', dt.date(2024, 2, 29)),
        ("as.Date(c('1969-12-31', NA))", [dt.date(1969, 12, 31), None]),
        ("structure(c(-1L, NA), class = 'Date')", [dt.date(1969, 12, 31), None]),
        ('as.POSIXct(0, origin = "1970-01-01", tz = "UTC")', dt.datetime(1970, 1, 1, tzinfo=UTC)),
        (
            "as.POSIXct('2024-07-01 12:30:00.25', tz = 'Europe/Berlin')",
            dt.datetime(2024, 7, 1, 12, 30, 0, 250_000, zoneinfo.ZoneInfo("Europe/Berlin")),
        ),
        ("as.POSIXct(c(0, NA), origin = '1970-01-01')", [dt.datetime(1970, 1, 1, tzinfo=UTC), None]),
    ],
)
def test_small_things_become_pythons_own(expression, value):
    for data in recorded(expression):
        found = read_r(data)
        assert found == value
        assert type(found) is type(value)


def test_a_nan_is_not_na():
    assert math.isnan(read_r(*recorded("NaN")))


def test_names_that_are_not_unique_or_missing_give_a_list():
    assert read_r(*recorded("c(a = 1L, a = 2L)")) == [1, 2]
    assert read_r(*recorded("list(1, b = 2)")) == [1.0, 2.0]


def test_an_unknown_time_zone_keeps_the_instant():
    (data,) = recorded("structure(0, class = c('POSIXct', 'POSIXt'), tzone = 'Nowhere/At_all')")
    assert read_r(data) == dt.datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "array"),
    [
        ("integer(0)", np.array([], np.int32)),
        ("1:3 + 0", np.array([1.0, 2.0, 3.0])),
        ("1:1e5 (compact sequence)", np.arange(1, 100_001, dtype=np.int32)),
        ("matrix(c(1, 2, 3, 4), 2)", np.array([[1.0, 3.0], [2.0, 4.0]])),
        ("matrix(7)", np.array([[7.0]])),
        ("table(c(1, 1), c(2, 3))", np.array([[1, 1]], np.int32)),
        ("array(1:8, c(2, 2, 2))", np.arange(1, 9, dtype=np.int32).reshape(2, 2, 2, order="F")),
        ("matrix(c('a', 'b', 'c', 'd'), 2)", np.array([["a", "c"], ["b", "d"]], dtype=object)),
    ],
)
def test_numbers_and_matrices_become_arrays(expression, array):
    for data in recorded(expression):
        found = read_r(data)
        np.testing.assert_array_equal(found, array, strict=True)


def test_na_in_an_array_of_integers_is_masked():
    for expression, value in [("c(1L, NA)", 1), ("matrix(c(TRUE, NA), 1)", True)]:
        found = read_r(*recorded(expression)).ravel()
        assert found[0] == value
        assert found[1] is np.ma.masked
    (data,) = recorded("structure(c(4.94065645841246544e-324, -0), class = 'integer64')")
    assert read_r(data).tolist() == [1, None]


def test_na_in_an_array_of_doubles_is_rs_own_nan():
    for data in recorded("c(1.5, NA, NaN)"):
        low_words = read_r(data).view(np.uint64) & 0xFFFFFFFF
        assert low_words.tolist() == [0, 1954, 0]


def test_a_factor_is_categorical():
    found = read_r(*recorded("factor(c('x', NA, 'y'), levels = c('y', 'x', 'z'))"))
    assert found.tolist()[::2] == ["x", "y"]
    assert found.isna().tolist() == [False, True, False]
    assert found.categories.tolist() == ["y", "x", "z"]
    assert not found.ordered
    assert read_r(*recorded("factor('b', levels = c('a', 'b'), ordered = TRUE)")).ordered


FRAME = "data.frame(f = factor(c('u', NA)), d = as.Date(c('2024-01-01', NA)), l = c(TRUE, NA), i = c(1L, NA), s = c('a', NA), t = as.POSIXct(c(0, NA), origin = '1970-01-01', tz = 'UTC'))"  # noqa: E501 - as recorded


class TestFrames:
    def test_a_data_frame_is_one_of_polars(self):
        pl = pytest.importorskip("polars")
        found = read_r(*recorded('data.frame(id = 1:3, name = c("a", NA, "c"), score = c(0.5, NA, 2.5))'))
        expected = pl.DataFrame(
            {"id": [1, 2, 3], "name": ["a", None, "c"], "score": [0.5, None, 2.5]},
            schema_overrides={"id": pl.Int32},
        )
        assert found.equals(expected)
        assert found.schema == expected.schema

    def test_its_columns_have_their_types(self):
        pl = pytest.importorskip("polars")
        found = read_r(*recorded(FRAME))
        assert found.schema == {
            "f": pl.Enum(["u"]), "d": pl.Date, "l": pl.Boolean, "i": pl.Int32, "s": pl.String,
            "t": pl.Datetime("us", "UTC"),
        }  # fmt: skip
        assert found.row(0) == ("u", dt.date(2024, 1, 1), True, 1, "a", dt.datetime(1970, 1, 1, tzinfo=UTC))
        assert found.row(1) == (None,) * 6

    def test_one_row_or_none_is_a_frame_too(self):
        pytest.importorskip("polars")
        assert read_r(*recorded("data.frame(x = 1)")).shape == (1, 1)
        assert read_r(*recorded("data.frame()")).shape == (0, 0)

    def test_what_polars_cannot_hold_is_bytes_with_a_warning(self):
        pytest.importorskip("polars")
        (data,) = recorded("within(data.frame(x = 1:2), y <- list(1, 'a'))")
        with pytest.warns(nngsock.NngWarning, match="TypeError"):
            assert decode_serial(PICKLE, data) == data

    @pytest.fixture
    def _no_polars(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    @pytest.mark.usefixtures("_no_polars")
    def test_without_polars_it_is_one_of_pandas(self):
        found = read_r(*recorded(FRAME))
        assert isinstance(found, pd.DataFrame)
        assert found.iloc[0].tolist() == ["u", dt.date(2024, 1, 1), True, 1, "a", pd.Timestamp(0, tz="UTC")]
        assert found.iloc[1].isna().all()
        assert found.index.tolist() == [0, 1]

    @pytest.mark.usefixtures("_no_polars")
    def test_pandas_holds_columns_of_lists(self):
        assert read_r(*recorded("within(data.frame(x = 1:2), y <- list(1, 'a'))"))["y"].tolist() == [1.0, "a"]

    @pytest.mark.usefixtures("_no_polars")
    def test_there_row_names_are_its_index(self):
        found = read_r(*recorded("head(mtcars[c('mpg', 'cyl')], 2)"))
        assert found.index.tolist() == ["Mazda RX4", "Mazda RX4 Wag"]
        assert read_r(*recorded("data.frame()")).shape == (0, 0)


STRANGE = [
    *(
        "function(x) x + 1",
        "quote(a + b)",
        "as.raw(1:12)",
        "new.env()",
        "sum",
        "as.name('x')",
        "expression(a)",
    ),
    "data.frame(a = 1, a = 2, check.names = FALSE)",
]


class TestMessages:
    def test_every_format_of_r_is_known_by_its_first_bytes(self):
        for data in recorded("c('a', NA, 'b')"):
            assert decode_serial(PICKLE, data) == ["a", None, "b"]
            assert decode_serial(PICKLE, memoryview(data)) == ["a", None, "b"]

    def test_the_header_of_a_request_is_skipped(self):
        (data,) = recorded('list(1, "a")')
        assert data.startswith(b"\7\0\0")
        assert decode_serial(PICKLE, data) == [1.0, "a"]

    @pytest.mark.parametrize("expression", STRANGE)
    def test_what_has_no_counterpart_is_bytes_with_a_warning(self, expression):
        (data,) = recorded(expression)
        with pytest.warns(nngsock.NngWarning, match="received data could not be unserialized"):
            assert decode_serial(PICKLE, data) == data

    def test_a_column_that_polars_cannot_hold_makes_it_bytes_with_a_warning(self):
        pytest.importorskip("polars")
        (data,) = recorded("within(data.frame(x = 1:2), y <- list(1, 'a'))")
        with pytest.warns(nngsock.NngWarning, match="received data could not be unserialized"):
            assert decode_serial(PICKLE, data) == data

    def test_what_rs_own_serial_config_wrote_is_bytes_with_a_warning(self):
        data = (DATA / "r_serial" / "refhook.bin").read_bytes()
        with pytest.warns(nngsock.NngWarning, match="247"):
            assert decode_serial(PICKLE, data) == data

    def test_what_is_broken_is_bytes_with_a_warning(self):
        (data,) = recorded("list(a = list(b = list(c = 1:3)))")
        for end in range(13, len(data), 7):
            with pytest.warns(nngsock.NngWarning):
                assert decode_serial(PICKLE, data[:end]) == data[:end]

    def test_serializer_r_reads_nothing_else(self):
        codec = codec_for("r")
        (data,) = recorded("42L")
        assert decode_serial(codec, data) == 42
        pickled = b"\x80\x05cos\nsystem\n"
        with pytest.warns(nngsock.NngWarning):
            assert decode_serial(codec, pickled) == pickled


@pytest.fixture(scope="module")
def rscript():
    """The program Rscript, with nanonext installed."""
    found = shutil.which("Rscript")
    if found is None:
        pytest.skip("Rscript is not installed")
    asked = subprocess.run([found, "-e", "library(nanonext)"], check=False, capture_output=True, timeout=60)
    if asked.returncode:
        pytest.skip("R is installed, its package nanonext is not")
    return found


SERVE = """
library(nanonext)
s <- socket("rep", dial = commandArgs(TRUE)[1])
ctx <- context(s)
for (i in 1:3) reply(ctx, function(x) list(class = class(x), back = x, sum = if (is.numeric(x)) sum(x)))
r <- socket("req", dial = commandArgs(TRUE)[2])
answer <- request(context(r), data.frame(id = 1:2, name = c("a", NA)), timeout = 10000)
stopifnot(identical(call_aio(answer)$data, list(rows = 2L, names = c("id", "name"))))
send(r, 1:3, mode = "raw", block = 10000)
stopifnot(identical(recv(r, mode = "double", block = 10000), c(0.5, NA)))
"""


def test_r_talks_to_us(rscript, make_socket, make_url, patience):
    """Requests in both directions: ours written for R, R's with their header, and typed vectors."""
    patience *= 4
    ours = make_socket("req", listen=make_url("ipc")).set_opt("serializer", "r")
    theirs = make_socket("rep", listen=make_url("ipc")).set_opt("serializer", "r")
    urls = [ours.listener[0].url, theirs.listener[0].url]
    with subprocess.Popen([rscript, "-e", SERVE, *urls], stderr=subprocess.PIPE, text=True) as process:
        asking = nngsock.context(ours)
        answers = [
            nngsock.request(asking, data, timeout=patience).result()
            for data in (np.array([1, 2]), {"a": "x", "b": None}, ["text", True])
        ]
        assert answers[0]["class"] == "integer"
        assert answers[0]["sum"] == 3
        assert [answer["back"] for answer in answers[1:]] == [{"a": "x", "b": None}, ["text", True]]

        def shape(frame):
            return {"rows": len(frame), "names": np.array(list(frame.columns), dtype=object)}

        assert nngsock.reply(nngsock.context(theirs), shape, timeout=patience) == 0
        assert theirs.recv("integer", block=patience) == [1, 2, 3]
        assert theirs.send([0.5, None], "raw", block=patience) == 0
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
