import polars as pl
import pytest

from targets_py import (
    TarValidateError,
    tar_crew,
    tar_exist_meta,
    tar_exist_process,
    tar_meta,
    tar_pid,
    tar_process,
)
from targets_py.meta import SCHEMA
from targets_py.storage.records import COLUMNS

SCRIPT = """
f = lambda x: x
pipeline = [
    tar_target("a", 1), tar_target("b", lambda a: f(a)), tar_target("c", lambda: 1 / 0, error="continue")
]
"""
TYPES = {
    "seed": pl.Int64, "bytes": pl.Int64, "seconds": pl.Float64, "time": pl.Datetime("ns", "UTC"),
    "path": pl.List(pl.String), "children": pl.List(pl.String),
}  # fmt: skip


def test_without_a_store_the_table_is_empty_and_says_so_once(project, capsys, monkeypatch):
    frame = tar_meta()
    assert frame.shape == (0, 19)
    assert dict(frame.schema) == {name: TYPES.get(name, pl.String) for name in COLUMNS}
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("No local metadata in ")
    monkeypatch.setenv("TAR_WARN", "false")
    assert tar_meta("x").height == 0
    assert capsys.readouterr().err == ""
    assert not project.store.exists()


def test_columns_are_those_of_the_file(project):
    assert tuple(SCHEMA) == COLUMNS
    project.make(SCRIPT)
    frame = tar_meta()
    assert dict(frame.schema) == {name: TYPES.get(name, pl.String) for name in COLUMNS}
    row = frame.row(by_predicate=pl.col("name") == "a", named=True)
    record = project.records["a"]
    assert row["data"] == record.data
    assert row["time"].timestamp() == pytest.approx(record.time / 1e9)
    assert row["size"] == f"s{record.size}b"


def test_rows_and_columns_are_chosen(project):
    project.make(SCRIPT)
    assert tar_meta(["b", "a"])["name"].to_list() == ["b", "a"]
    assert tar_meta(targets_only=True)["name"].to_list() == ["a", "b", "c"]
    assert tar_meta(fields=["error", "type"]).columns == ["name", "error", "type"]
    assert tar_meta(fields=lambda column: column.startswith("w")).columns == ["name", "warnings"]
    complete = tar_meta(fields="error", complete_only=True)
    assert list(complete.iter_rows()) == [("c", "division by zero")]
    with pytest.raises(TarValidateError, match="unknown name 'nope'"):
        tar_meta("nope")
    with pytest.raises(TarValidateError, match=r"unknown name 'eror'\. Did you mean 'error'"):
        tar_meta(fields="eror")
    with pytest.raises(TarValidateError):
        tar_meta("f", targets_only=True)


def test_reading_changes_nothing(project):
    project.make(SCRIPT)
    line = project.store.meta_file.read_text().splitlines()[-1]
    with project.store.meta_file.open("a") as file:
        file.write(line + "\n")
    before = project.store.meta_file.read_bytes()
    tar_meta()
    assert project.store.meta_file.read_bytes() == before


def test_the_process_of_the_last_run(project):
    assert tar_process().shape == (0, 2)
    assert tar_pid() is None
    assert not tar_exist_process()
    assert not tar_exist_meta()
    project.make(SCRIPT)
    frame = tar_process()
    assert set(frame["name"]) == {"pid", "created", "host", "version_targets", "version_python"}
    assert frame.schema["value"] == pl.String
    import os

    assert tar_pid() == os.getpid()
    assert list(tar_process("pid").iter_rows()) == [("pid", str(os.getpid()))]
    assert tar_exist_process()
    assert tar_exist_meta()


def test_workers_of_the_last_run(project):
    project.make(SCRIPT)
    with pytest.raises(TarValidateError, match="No crew worker metadata found"):
        tar_crew()
    project.store.crew_file.write_text("controller|seconds|targets\nmain|1.5|3\n")
    assert tar_crew().to_dicts() == [{"controller": "main", "seconds": 1.5, "targets": 3}]
