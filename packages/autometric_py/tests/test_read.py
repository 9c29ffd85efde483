import csv
import gzip
import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from autometric_py import AutometricError, log_print, log_read, log_scan, read

DATA = Path(__file__).with_name("data")
SCHEMA = {
    "version": pl.String,
    "phase": pl.String,
    "pid": pl.Int64,
    "name": pl.String,
    "status": pl.Int64,
    "time": pl.Float64,
    "core": pl.Float64,
    "cpu": pl.Float64,
    "resident": pl.Float64,
    "virtual": pl.Float64,
}


def record(*, version="0.1.0", pid=1, name="n", status=0, time=100.0, phase="p", extras="", core=50.0):
    phase = "" if phase is None else f"|{phase}"
    return (
        f"__AUTOMETRIC__|{version}|{pid}|{name}|{status}|{time:.3f}|{core:.3f}|25.000|1000000|2000000"
        f"{phase}{extras}|__AUTOMETRIC__"
    )


@pytest.fixture
def log(tmp_path):
    """Write a log and give its path."""

    def write(*lines, name="x.log", end="\n"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("".join(line + end for line in lines).encode("utf-8", "surrogateescape"))
        return path

    return write


@pytest.fixture(params=["eager", "lazy"])
def reader(request):
    return log_read if request.param == "eager" else lambda *a, **k: log_scan(*a, **k).collect()


def test_a_log_of_the_original_reads_as_the_original_reads_it(reader):
    frame = reader(DATA / "autometric_r.log")
    assert frame.schema == SCHEMA
    with (DATA / "autometric_r.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name, kind in SCHEMA.items():
        if name != "time":
            assert frame[name].to_list() == [pytest.approx(kind.to_python()(row[name])) for row in rows]
    # The original leaves times as they are once one of them is zero; here that one is null.
    times = [float(row["time"]) for row in rows]
    start = min(time for time in times if time)
    assert frame["time"].to_list() == [pytest.approx(t - start, abs=1e-6) if t else None for t in times]


def test_the_original_reads_a_log_of_this_package_as_we_do(reader):
    theirs = pl.read_csv(DATA / "autometric_py_in_r.csv", schema=SCHEMA)
    assert_frame_equal(reader(DATA / "autometric_py.log"), theirs)


def test_a_log_of_this_package_reads_back(tmp_path, reader):
    log_print(tmp_path / "x.log", seconds=0.05, pids=[("é #1 'q' \"r\"", os.getpid()), ("gone", 2**22 + 5)])
    frame = reader(tmp_path / "x.log")
    assert frame.schema == SCHEMA
    assert frame["name"].to_list() == ["é #1 'q' \"r\"", "gone"]
    assert frame["status"].to_list() == [0, 10002]
    assert 1 < frame["resident"][0] < frame["virtual"][0]


def test_texts_stay_texts(log, reader):
    frame = reader(
        log(record(name="007", phase="001"), record(name="", phase="NA"), record(name="NULL", phase=""))
    )
    assert frame["name"].to_list() == ["007", "", "NULL"]
    assert frame["phase"].to_list() == ["001", "NA", ""]
    assert frame.schema == SCHEMA


def test_records_are_found_anywhere_in_a_line(log, reader):
    path = log(
        "before " + record(pid=1) + " after",
        "no record here | or | here",
        record(pid=2) + record(pid=3) + " and " + record(pid=4),
        "[INFO] " + record(pid=5, name='# it\'s "quoted"'),
    )
    frame = reader(path)
    assert frame["pid"].to_list() == [1, 2, 3, 4, 5]
    assert frame["name"][4] == '# it\'s "quoted"'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_line_ends(log, reader, end):
    frame = reader(log(record(pid=1), record(pid=2, phase="q"), end=end))
    assert frame["phase"].to_list() == ["p", "q"]


def test_a_last_line_without_an_end(log, reader):
    path = log(record(pid=1), record(pid=2))
    path.write_bytes(path.read_bytes()[:-1])
    assert reader(path)["pid"].to_list() == [1, 2]


# Cuts behind the last field after which the first letters of the next record complete the marker.
TORN = record(pid=123, name="torn")
ENDED_BY_THE_NEXT = [
    cut for cut in range(TORN.rindex("|") + 1, len(TORN)) if (TORN[:cut] + "__AUTOMETRIC__").startswith(TORN)
]


@pytest.mark.parametrize("cut", range(1, len(TORN)))
@pytest.mark.parametrize("separator", ["\n", ""])
def test_a_record_torn_at_any_byte_is_skipped_with_a_warning(log, cut, separator):
    path = log(record(pid=1) + "\n" + TORN[:cut] + separator + record(pid=2))
    if cut < len("__AUTOMETRIC__"):
        assert log_read(path)["pid"].to_list() == [1, 2]
    elif separator == "" and cut in ENDED_BY_THE_NEXT:
        assert log_read(path)["pid"].to_list() == [1, 123, 2]
    else:
        with pytest.warns(RuntimeWarning, match=r"skipped 1 torn or malformed record$"):
            assert log_read(path)["pid"].to_list() == [1, 2]


@pytest.mark.parametrize(
    "chatter",
    [
        "the marker is __AUTOMETRIC__ here",
        "__AUTOMETRIC__|x|__AUTOMETRIC__",
        "__AUTOMETRIC__|0.1.0|one|n|0|1.0|1.0|1.0|1|1|p|__AUTOMETRIC__",
        "__AUTOMETRIC__|0.1.0|1|n|0|1.0|1.0|1.0|1|1|p|extra|__AUTOMETRIC__",
        "__AUTOMETRIC__|0.1.0|1|n|0|1.0|1.0|1.0|1|1|__AUTOMETRIC__",  # no phase, though of a later version
        "__AUTOMETRIC__|0.1.0|1|n|0|1.0|1.0|1.0|1||p|__AUTOMETRIC__",
    ],
)
def test_chatter_with_the_marker_is_skipped_with_a_warning(log, reader, chatter):
    path = log(record(pid=1), chatter, chatter, record(pid=2))
    with pytest.warns(RuntimeWarning, match=r"skipped 2 torn or malformed records$"):
        assert reader(path)["pid"].to_list() == [1, 2]


def test_records_without_a_phase_may_be_mixed_with_newer_ones(log, reader):
    frame = reader(log(record(version="0.0.5", phase=None), record(), record(version="0.0.5", phase=None)))
    assert frame["phase"].to_list() == [None, "p", None]
    assert frame["resident"].to_list() == [1.0, 1.0, 1.0]


def test_bytes_that_are_no_text_do_not_matter(tmp_path, reader):
    path = tmp_path / "x.log"
    cut = record(phase="\udcc3").encode("utf-8", "surrogateescape")  # as R cuts a long label
    path.write_bytes(b"\xff\xfe\x00" + record(pid=1).encode() + b"\x80\n" + cut + b"\n")
    frame = reader(path)
    assert frame["pid"].to_list() == [1, 1]
    assert frame["phase"].to_list() == ["p", "\N{REPLACEMENT CHARACTER}"]


def test_no_records_are_an_empty_frame(log, tmp_path, reader):
    log("no record", name="a/text.log")
    log(name="a/empty.log")
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a", tmp_path / "b", tmp_path / "a" / "empty.log"):
        frame = reader(path)
        assert frame.schema == SCHEMA
        assert frame.is_empty()


def test_a_folder_is_read_through_in_the_order_of_paths(log, tmp_path, reader):
    log(record(pid=3, time=1), name="f/c/1.log")
    log(record(pid=1, time=3), name="f/a/9.log")
    log(record(pid=2, time=2), name="f/b.log")
    assert reader(tmp_path / "f")["pid"].to_list() == [1, 2, 3]
    assert reader([tmp_path / "f" / "c", str(tmp_path / "f" / "b.log")])["pid"].to_list() == [2, 3]


def test_hidden_files_count_only_when_asked_for_or_named(log, tmp_path, reader):
    shown = log(record(pid=1), name="f/x.log")
    hidden = log(record(pid=2), name="f/.x.log")
    log(record(pid=3), name="f/.d/x.log")
    assert reader(tmp_path / "f")["pid"].to_list() == [1]
    assert sorted(reader(tmp_path / "f", hidden=True)["pid"]) == [1, 2, 3]
    assert sorted(reader([shown, hidden])["pid"]) == [1, 2]
    assert reader(tmp_path / "f" / ".d")["pid"].to_list() == [3]


def test_a_file_that_is_reached_twice_is_read_once(log, tmp_path, reader):
    path = log(record(pid=1), name="f/x.log")
    (tmp_path / "link.log").symlink_to(path)
    assert len(reader([path, path, tmp_path / "f", tmp_path / "link.log"])) == 1


def test_a_missing_path_is_ignored_when_another_exists(log, tmp_path, reader):
    path = log(record(pid=1))
    assert len(reader([tmp_path / "missing", path])) == 1
    with pytest.raises(FileNotFoundError, match="missing"):
        reader(tmp_path / "missing")
    with pytest.raises(AutometricError):
        reader([tmp_path / "missing", tmp_path / "missing too"])
    with pytest.raises(FileNotFoundError):
        reader([])


@pytest.mark.parametrize(
    ("path", "error"), [("", ValueError), (3, TypeError), ([3], TypeError), (None, TypeError)]
)
def test_paths_that_cannot_be(path, error):
    with pytest.raises(error, match="path"):
        log_read(path)


def test_special_files_in_a_folder_are_left_alone(log, tmp_path):
    log(record(pid=1), name="f/x.log")
    os.mkfifo(tmp_path / "f" / "pipe")
    (tmp_path / "f" / "dangling").symlink_to(tmp_path / "nowhere")
    assert len(log_read(tmp_path / "f")) == 1


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(AutometricError, match="cannot be read"):
        log_read("/proc/self/mem")


def test_time_starts_with_the_earliest_record_of_all_files(log, tmp_path, reader):
    log(record(time=110.5), record(status=10002, time=0), name="a.log")
    log(record(time=100), name="b.log")
    assert reader(tmp_path)["time"].to_list() == [10.5, None, 0.0]


@pytest.mark.parametrize(
    ("unit", "value"), [("seconds", 86400.0), ("minutes", 1440.0), ("hours", 24.0), ("days", 1.0)]
)
def test_units_of_time(log, reader, unit, value):
    frame = reader(log(record(time=100), record(time=86500)), units_time=unit)
    assert frame["time"][1] == pytest.approx(value)


@pytest.mark.parametrize(
    ("unit", "value"), [("bytes", 1e6), ("kilobytes", 1e3), ("megabytes", 1.0), ("gigabytes", 1e-3)]
)
def test_units_of_memory_are_decimal(log, reader, unit, value):
    frame = reader(log(record()), units_memory=unit)
    assert frame["resident"][0] == pytest.approx(value)
    assert frame["virtual"][0] == pytest.approx(2 * value)


def test_units_of_cpu(log, reader):
    frame = reader(log(record()), units_cpu="fraction")
    assert (frame["core"][0], frame["cpu"][0]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("argument", "choices"),
    [("units_cpu", "'fraction'"), ("units_memory", "'megabytes'"), ("units_time", "'minutes'")],
)
def test_an_unknown_unit_names_the_choices(log, argument, choices):
    for function in (log_read, log_scan):
        with pytest.raises(ValueError, match=f"{argument}.*{choices}.*'furlongs'"):
            function(log(record()), **{argument: "furlongs"})


EXTRAS = "|threads=3|files=|read=1500000|gpu=12.500"


def test_extra_columns_are_read_when_asked_for(log, reader):
    path = log(record(extras=EXTRAS), record())
    assert reader(path).schema == SCHEMA
    frame = reader(path, extras=["gpu", "read", "threads", "files"], units_cpu="fraction")
    assert frame.columns == [*SCHEMA, "threads", "files", "read", "gpu"]
    assert frame["threads"].to_list() == [3.0, None]
    assert frame["files"].to_list() == [None, None]
    assert frame["read"].to_list() == [1.5, None]
    assert frame["gpu"].to_list() == [0.125, None]
    assert frame["phase"].to_list() == ["p", "p"]


def test_asking_for_extra_columns_that_no_record_has(log, tmp_path, reader):
    frame = reader(log(record()), extras=["threads"])
    assert frame["threads"].to_list() == [None]
    (tmp_path / "empty").touch()
    assert reader(tmp_path / "empty", extras=["threads"]).schema == SCHEMA | {"threads": pl.Float64}


def test_gzip_files_are_read_whole_or_torn(tmp_path, reader):
    data = "".join(record(pid=pid, phase=f"phase {pid * 7919 % 1000}") + "\n" for pid in range(5000)).encode()
    packed = gzip.compress(data)
    (tmp_path / "x.log.gz").write_bytes(packed)
    assert reader(tmp_path / "x.log.gz")["pid"].to_list() == list(range(5000))
    (tmp_path / "x.log.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.warns(RuntimeWarning, match="skipped 1"):
        pids = reader(tmp_path / "x.log.gz")["pid"].to_list()
    assert 500 < len(pids) < 5000
    assert pids == list(range(len(pids)))


def test_pieces_of_any_size_give_the_same(log, tmp_path, monkeypatch, reader):
    log(*(record(pid=pid, phase="é" * (pid % 7)) + " chatter" * (pid % 5) for pid in range(300)), name="f/a")
    log(*(record(pid=pid) for pid in range(300)), name="f/b")
    whole = log_read(tmp_path / "f")
    monkeypatch.setattr(read, "CHUNK_BYTES", 1000)
    assert_frame_equal(reader(tmp_path / "f"), whole)


def test_a_scan_reads_what_is_asked_for(log):
    path = log(*(record(pid=pid % 3, time=100 + pid) for pid in range(30)))
    lazy = log_scan(path)
    assert lazy.collect_schema() == SCHEMA
    assert lazy.filter(pl.col("pid") == 1).select("time").collect()["time"].to_list() == list(range(1, 30, 3))
    assert lazy.head(4).collect()["time"].to_list() == [0, 1, 2, 3]
    assert lazy.select(pl.col("resident").max()).collect(engine="streaming").item() == 1.0
    assert lazy.select(pl.len()).collect().item() == 30


@pytest.mark.parametrize("between", [[], ["other output", ""]])
def test_records_on_lines_of_their_own_need_no_search(log, monkeypatch, between):
    monkeypatch.setattr(read, "RECORD", None)
    path = log(*(line for pid in range(10) for line in [*between, record(pid=pid)]))
    assert log_read(path)["pid"].to_list() == list(range(10))
