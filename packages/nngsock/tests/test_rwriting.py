"""Objects written for R: what R makes of them where it is installed, and that they come back."""

import datetime as dt
import shutil
import subprocess
import zoneinfo

import pytest

pytest.importorskip("rdata")
np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from nngsock.rserial import read_r  # noqa: E402 - needs rdata
from nngsock.rwriting import write_r  # noqa: E402

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
# What is written, and what R says it is identical to.
SAME = [
    (None, "NULL"),
    (True, "TRUE"),
    (3, "3L"),
    (2**31, "2147483648"),
    (-(2**31), "-2147483648"),  # as an integer it would be NA
    (1.5, "1.5"),
    (1j, "1i"),
    ("café", "'caf\\u00e9'"),
    (["a", None, 2], "list('a', NULL, 2L)"),
    ((1,), "list(1L)"),
    ({"a": 1, "b": {"c": "x"}}, "list(a = 1L, b = list(c = 'x'))"),
    ({}, "setNames(list(), character(0))"),
    (np.array(["a", "b"]), "c('a', 'b')"),
    (np.array(["a", None], dtype=object), "c('a', NA)"),
    (np.array([1, 2], dtype=np.uint8), "1:2"),
    (np.array([1, 2**40]), "c(1, 2^40)"),
    (np.array([], dtype=np.int64), "integer(0)"),
    (np.ma.array([1, 2], mask=[False, True]), "c(1L, NA)"),
    (np.ma.array([True, True], mask=[True, False]), "c(NA, TRUE)"),
    (np.ma.array([0.5, 1], mask=[False, True]), "c(0.5, NA)"),
    (np.array([0.5], dtype=np.float32), "0.5"),
    (np.float64(2), "2"),
    (np.array([[1, 2], [3, 4]]), "matrix(c(1L, 3L, 2L, 4L), 2)"),
    (np.array([["a", "b"], ["c", "d"]]), "matrix(c('a', 'c', 'b', 'd'), 2)"),
    (dt.date(2024, 2, 29), "as.Date('2024-02-29')"),
    (NOON, "as.POSIXct('2024-07-01 12:00:00', tz = 'UTC')"),
    (NOON.astimezone(BERLIN), "as.POSIXct('2024-07-01 14:00:00', tz = 'Europe/Berlin')"),
    (NOON.astimezone(dt.timezone(dt.timedelta(hours=2))), "as.POSIXct('2024-07-01 12:00:00', tz = 'UTC')"),
    (
        np.array(["2024-07-01T12", "NaT"], "datetime64[s]"),
        "as.POSIXct(c('2024-07-01 12:00:00', NA), tz = 'UTC')",
    ),
    (np.array(3), "3L"),
    (np.array([1, 2.5, None], dtype=object), "list(1L, 2.5, NULL)"),
    (pd.Categorical(["a", None], ["b", "a"]), "factor(c('a', NA), levels = c('b', 'a'))"),
    (pd.Categorical(["a"], ["a", "b"], ordered=True), "factor('a', levels = c('a', 'b'), ordered = TRUE)"),
    (pd.Categorical.from_codes([199], [f"l{i}" for i in range(200)]), "factor('l199', paste0('l', 0:199))"),
    (pd.Series([1.5, None]), "c(1.5, NaN)"),
]


def pandas_frame():
    return pd.DataFrame(
        {
            "i": [1, 2],
            "s": ["a", None],
            "I": pd.array([1, None], "Int64"),
            "B": pd.array([True, None], "boolean"),
            "f": pd.Categorical(["u", None]),
            "t": pd.to_datetime(["2024-07-01 14:00", None]).tz_localize(BERLIN),
        }
    )


PANDAS = """data.frame(
    i = 1:2, s = c('a', NA), I = c(1L, NA), B = c(TRUE, NA), f = factor(c('u', NA)),
    t = as.POSIXct(c('2024-07-01 14:00:00', NA), tz = 'Europe/Berlin')
)"""


def polars_frame():
    pl = pytest.importorskip("polars")
    return pl.DataFrame(
        {
            "i": [1, None],
            "f": [1.5, None],
            "s": ["a", None],
            "b": [True, None],
            "d": [dt.date(2024, 1, 1), None],
            "t": [NOON, None],
            "c": pl.Series(["u", None], dtype=pl.Categorical),
            "e": pl.Series(["u", None], dtype=pl.Enum(["v", "u"])),
            "big": [2**40, None],
        }
    )


POLARS = """data.frame(
    i = c(1L, NA), f = c(1.5, NA), s = c('a', NA), b = c(TRUE, NA), d = as.Date(c('2024-01-01', NA)),
    t = as.POSIXct(c('2024-07-01 12:00:00', NA), tz = 'UTC'), c = factor(c('u', NA)),
    e = factor(c('u', NA), levels = c('v', 'u')), big = c(2^40, NA)
)"""


@pytest.fixture(scope="module")
def rscript():
    found = shutil.which("Rscript")
    if found is None:
        pytest.skip("Rscript is not installed")
    return found


COMPARE = """
same <- function(i, y) {
    x <- readRDS(paste0(i, ".rds"))
    if (!identical(x, y)) cat(i, deparse(x), deparse(y), "\\n")
}
"""


@pytest.fixture
def told(rscript, tmp_path):
    """A function that writes objects and gives what R finds different from what its expressions mean."""

    def ask(written):
        for i, (value, _) in enumerate(written):
            (tmp_path / f"{i}.rds").write_bytes(write_r(value))
        code = COMPARE + "\n".join(f"same({i}, {expression})" for i, (_, expression) in enumerate(written))
        ended = subprocess.run(
            [rscript, "-e", code], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        return ended.stdout + ended.stderr

    return ask


def test_r_reads_what_is_meant(told):
    assert told([*SAME, (pandas_frame(), PANDAS)]) == ""


def test_r_reads_frames_of_polars(told):
    assert told([(polars_frame(), POLARS)]) == ""


OBJECTS = [
    *(None, True, 3, 1.5, 1j, "café", ["a", None, 2], [], {"a": 1, "b": {"c": "x"}}, {}),
    *(dt.date(2024, 2, 29), NOON, NOON.astimezone(BERLIN)),
]


@pytest.mark.parametrize("value", OBJECTS)
def test_objects_come_back(value):
    assert read_r(write_r(value)) == value


def test_a_naive_time_is_local():
    assert read_r(write_r(dt.datetime(2024, 7, 1, 12))) == dt.datetime(2024, 7, 1, 12).astimezone()  # noqa: DTZ001


def test_a_frame_comes_back():
    pl = pytest.importorskip("polars")
    frame = polars_frame().select("f", "s", "b", "d", "t", "e").with_columns(l=pl.Series([["x"], None]))
    assert read_r(write_r(frame)).equals(frame)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), [1, object()], np.array([b"x"])])
def test_what_r_has_no_counterpart_for_is_refused(value):
    with pytest.raises(TypeError, match="cannot be written for R"):
        write_r(value)


def test_keys_must_be_text():
    with pytest.raises(TypeError, match="must have str as keys, not 1"):
        write_r({1: 2})


@pytest.mark.parametrize("value", [2**53 + 1, -(10**30), np.array([2**60])])
def test_an_integer_without_an_exact_double_is_refused(value):
    with pytest.raises(OverflowError, match="too large for R"):
        write_r([value])


def test_columns_must_have_different_names():
    with pytest.raises(ValueError, match="must have different names"):
        write_r(pd.DataFrame([[1, 2]], columns=["a", "a"]))
