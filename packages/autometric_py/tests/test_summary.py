import polars as pl
import pytest

from autometric_py import log_summary
from autometric_py.summary import interval_of, total


def test_peaks_and_means_per_process(workers):
    summary = log_summary(workers)
    assert summary.columns == [
        "name", "pid", "records", "start", "end", "peak_resident", "mean_resident", "peak_core", "mean_core",
    ]  # fmt: skip
    one = workers.filter(pl.col("pid") == 20_004)
    row = summary.row(by_predicate=pl.col("pid") == 20_004, named=True)
    assert row["records"] == len(one)
    assert (row["start"], row["end"]) == (one["time"].min(), one["time"].max())
    assert row["peak_resident"] == one["resident"].max()
    assert row["mean_core"] == pytest.approx(one["core"].mean())


def test_per_phase_and_per_phase_of_each_process(workers):
    phases = log_summary(workers, "phase")
    assert set(phases["phase"]) == {"__DEFAULT__", "load", "clean", "fit model", "report"}
    assert phases["records"].sum() == len(workers)
    assert len(log_summary(workers, "both")) == workers.n_unique(["pid", "phase"])
    with pytest.raises(ValueError, match="'both'"):
        log_summary(workers, "day")


def test_bad_records_do_not_count(workers):
    broken = workers.head(3).with_columns(
        status=pl.lit(10002, pl.Int64), resident=0.0, pid=pl.lit(7, pl.Int64)
    )
    assert log_summary(pl.concat([workers, broken])).equals(log_summary(workers))


def test_all_processes_together(workers):
    assert interval_of(workers) == pytest.approx(1.0)
    level = workers.with_columns(resident=10.0)
    middle = total(level, "resident").filter(pl.col("time").is_between(10, 110))
    assert middle["resident"].to_list() == [200.0] * len(middle)


def test_one_record_is_its_own_total(workers):
    one = workers.head(1)
    assert interval_of(one) == 0
    assert total(one, "resident")["resident"].to_list() == one["resident"].to_list()
