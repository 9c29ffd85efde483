import os
import signal
import subprocess
import sys

import pytest

from targets_py.errors import TarWarning
from targets_py.storage.metadata import Depends, Metadata, Progress, ProgressRow, read_progress
from targets_py.storage.records import HEADER, Record, encode
from targets_py.storage.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "_targets")
    store.create()
    return store


def record(store, *records):
    metadata = Metadata.load(store)
    metadata.open()
    for each in records:
        metadata.record(each)
    metadata.close()


def lines(store):
    return store.meta_file.read_text(encoding="utf-8").splitlines()


X, Y, Z = (Record(name, "stem", data=name * 16, children=[f"{name}_1", f"{name}_2"]) for name in "xyz")
X2 = Record("x", "stem", data="b" * 16)


class TestMetadata:
    def test_without_a_file_there_are_no_records_and_none_is_made(self, tmp_path):
        assert Metadata.load(Store(tmp_path / "nowhere")).records == {}
        assert list(tmp_path.iterdir()) == []

    def test_records_are_there_in_the_order_of_their_last_line(self, store):
        record(store, X, Y, X2, Z)

        assert list(Metadata.load(store).records.values()) == [Y, X2, Z]

    def test_a_record_is_on_disk_at_once(self, store):
        metadata = Metadata.load(store)
        metadata.open()
        metadata.record(X)

        assert Metadata.load(store).records == {"x": X}
        metadata.close()

    def test_closing_keeps_one_line_a_name(self, store):
        record(store, X, X2)

        assert lines(store) == [HEADER, encode(X2)]

    def test_opening_compacts_what_a_killed_run_left(self, store):
        store.meta_file.write_text("\n".join([HEADER, encode(X), encode(Y), encode(X2), "torn|li"]))
        metadata = Metadata.load(store)
        metadata.open()

        assert lines(store) == [HEADER, encode(Y), encode(X2)]
        metadata.close()

    def test_nothing_is_rewritten_where_there_is_nothing_to_do(self, store):
        record(store, X)
        inode = store.meta_file.stat().st_ino
        record(store, Y)

        assert store.meta_file.stat().st_ino == inode

    def test_what_changed_since_loading_is_not_lost(self, store):
        early = Metadata.load(store)
        record(store, X)
        early.open()
        early.record(Y)
        early.close()

        assert Metadata.load(store).records == {"x": X, "y": Y}

    def test_a_line_with_a_damaged_number_is_ignored(self, store):
        store.meta_file.write_text(f"{HEADER}\n{encode(X)}\ny|stem||||1x|||||||||||||\n")
        with pytest.warns(TarWarning, match="ignored 1 damaged"):
            metadata = Metadata.load(store)
        assert metadata.records == {"x": X}

        metadata.open()
        metadata.close()
        assert lines(store) == [HEADER, encode(X)]

    @pytest.mark.parametrize("content", [b"", b"name|type|da", HEADER.encode() + b"\r\n"])
    def test_an_empty_half_or_foreign_file_works(self, store, content):
        store.meta_file.write_bytes(content)
        record(store, X)

        assert Metadata.load(store).records == {"x": X}
        assert lines(store) == [HEADER, encode(X)]

    def test_removing_and_pruning(self, store):
        record(store, X, Y, Z)
        metadata = Metadata.load(store)
        metadata.remove(["x", "unknown"])
        assert lines(store) == [HEADER, encode(Y), encode(Z)]
        metadata.prune({"z"})

        assert lines(store) == [HEADER, encode(Z)]
        assert Metadata.load(store).records == metadata.records == {"z": Z}

    def test_pruning_while_open_takes_effect_at_the_end(self, store):
        record(store, X, Y)
        metadata = Metadata.load(store)
        metadata.open()
        metadata.prune(["y"])
        metadata.record(Z)
        metadata.close()

        assert lines(store) == [HEADER, encode(Y), encode(Z)]

    def test_lines_may_wait(self, store):
        metadata = Metadata.load(store)
        metadata.open(seconds=9999)
        metadata.record(X)
        metadata.record(Y)
        on_disk = Metadata.load(store).records
        metadata.flush()

        assert set(on_disk) <= {"x"}  # the first one may be written: nothing was for longer than that
        assert set(Metadata.load(store).records) == {"x", "y"}
        metadata.close()


KILLED = """
import os, signal, sys
from targets_py.storage.metadata import Metadata
from targets_py.storage.records import Record
from targets_py.storage.store import Store

metadata = Metadata.load(Store(sys.argv[1]))
metadata.open()
for i in range(50):
    metadata.record(Record(f"t{i}", "stem", data="0" * 16))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_recorded_survives_a_kill(store):
    run = subprocess.run([sys.executable, "-c", KILLED, str(store.path)], check=False)

    assert run.returncode == -signal.SIGKILL
    assert len(Metadata.load(store).records) == 50


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_write_what_waits_in_its_parent(store):
    metadata = Metadata.load(store)
    metadata.open(seconds=9999)
    metadata.record(X)
    metadata.flush()
    metadata.record(Y)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

    assert set(Metadata.load(store).records) == {"x"}
    metadata.close()


class TestDepends:
    def test_hashes_come_back(self, store):
        depends = Depends.load(store)
        depends.open()
        depends.record("y", {"helpers.f": "1" * 16, "x": "2" * 16})
        depends.record("z", {})
        depends.record("y", {"x": "3" * 16})
        depends.close()

        assert Depends.load(store).depends == {"z": {}, "y": {"x": "3" * 16}}
        assert store.depends_file.read_text() == f"name|depends\nz|\ny|x={'3' * 16}\n"

    def test_a_torn_file_explains_less_but_does_not_fail(self, store):
        store.depends_file.write_text("name|depends\ny|x=1\nz|damaged\nu|x=")
        with pytest.warns(TarWarning, match="damaged"):
            assert Depends.load(store).depends == {"y": {"x": "1"}}

    def test_names_are_pruned(self, store):
        depends = Depends.load(store)
        depends.open()
        for name in "xyz":
            depends.record(name, {"d": "1"})
        depends.close()
        depends.prune(["y"])

        assert Depends.load(store).depends == {"y": {"d": "1"}}


class TestProgress:
    def test_the_last_row_of_each_name_counts_in_the_order_of_these_rows(self, store):
        progress = Progress(store)
        x, y = (
            ProgressRow("x", "stem", "x", 0, "dispatched"),
            ProgressRow("y", "pattern", "y", 3, "dispatched"),
        )
        done = ProgressRow("x", "stem", "x", 0, "completed")
        for row in (x, y, done):
            progress.record(row)

        assert list(read_progress(store).values()) == [y, done]
        progress.close()

    def test_it_starts_empty(self, store):
        for name in "xy":
            progress = Progress(store)
            progress.record(ProgressRow(name, "stem", name, 0, "completed"))
            progress.close()

        assert set(read_progress(store)) == {"y"}

    def test_rows_of_skipped_targets_are_written_in_bulk(self, store):
        progress = Progress(store)
        for i in range(500):
            progress.record(ProgressRow(f"t{i}", "stem", f"t{i}", 0, "skipped"))
        waiting = 500 - len(read_progress(store))
        progress.record(ProgressRow("x", "stem", "x", 0, "dispatched"))

        assert waiting > 400
        assert len(read_progress(store)) == 501
        progress.close()

    def test_without_a_run_there_is_none(self, store):
        assert read_progress(store) == {}
