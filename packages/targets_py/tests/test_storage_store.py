import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from targets_py.errors import TarError, TarFileError, TarRunError, TarValidateError
from targets_py.hashing.digest import hash_file, hash_paths
from targets_py.storage import store as module
from targets_py.storage.records import Record
from targets_py.storage.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "_targets")
    store.create()
    return store


def stored(store, value, name="x", form="pickle"):
    """Store a value and give its record."""
    info = store.write(name, form, value)
    return Record(
        name, "stem", path=info.path, time=info.time, size=info.size, format=form, file_hash=info.file_hash
    )


class TestFolders:
    def test_making_the_object_touches_nothing(self, tmp_path):
        store = Store(tmp_path / "_targets")

        assert not store.exists()
        assert list(tmp_path.iterdir()) == []

    def test_a_new_store_keeps_only_its_metadata_in_git(self, store):
        assert store.exists()
        assert (store.path / ".gitignore").read_text() == "*\n!.gitignore\n!meta\nmeta/*\n!meta/meta\n"
        assert sorted(path.name for path in store.path.iterdir()) == [
            ".gitignore", "meta", "objects", "scratch", "user",
        ]  # fmt: skip

    def test_an_old_store_is_completed_and_left_alone(self, store):
        (store.path / ".gitignore").write_text("mine")
        (store.user / "note").touch()
        store.remove_scratch()
        store.create()

        assert (store.path / ".gitignore").read_text() == "mine"
        assert store.scratch.is_dir()

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(TarFileError, match="cannot make the data store"):
            Store(tmp_path / "file").create()

    def test_a_relative_path_is_that_of_the_folder_then(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        assert Store("_targets").path == tmp_path / "_targets"


class TestObjects:
    @pytest.mark.parametrize("value", [1, [1, [2]], {"a": {1, 2}}, None])
    def test_values_come_back(self, store, value):
        assert store.read(stored(store, value)) == value

    def test_what_is_known_of_a_stored_value(self, store):
        record = stored(store, [1, 2])
        path = store.object_path("x")

        assert path == store.path / "objects" / "x"
        assert (record.size, record.time) == (path.stat().st_size, path.stat().st_mtime_ns)
        assert record.file_hash == hash_file(path)
        assert list(store.scratch.iterdir()) == []

    def test_a_worker_makes_the_folders_itself(self, tmp_path):
        store = Store(tmp_path / "new")

        assert store.read(stored(store, 1)) == 1

    def test_a_value_that_cannot_be_stored_leaves_the_old_one(self, store):
        record = stored(store, 1)
        with pytest.raises(TarRunError, match=r"Error storing output: .*pickle.*lock") as caught:
            store.write("x", "pickle", [threading.Lock()])

        assert caught.value.target == "x"
        assert store.read(record) == 1
        assert store.check(record) is record
        assert list(store.scratch.iterdir()) == []

    def test_a_full_disk_leaves_the_old_one(self, store, monkeypatch):
        record = stored(store, 1)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module.os, "replace", full)
        with pytest.raises(TarRunError, match=r"Error storing output: .*No space left"):
            store.write("x", "pickle", 2)
        monkeypatch.undo()

        assert store.read(record) == 1
        assert list(store.scratch.iterdir()) == []

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_kill_while_writing_leaves_the_old_one(self, store):
        """The process is gone before the new file takes its place."""
        record = stored(store, 1)

        def killed(*_):
            os._exit(9)

        pid = os.fork()
        if pid == 0:
            module.os.replace = killed
            store.write("x", "pickle", 2)
        os.waitpid(pid, 0)

        assert store.read(record) == 1
        assert len(list(store.scratch.iterdir())) == 1
        store.remove_scratch()
        assert not store.scratch.exists()

    def test_a_value_that_is_gone_or_damaged_is_told(self, store):
        record = stored(store, 1)
        store.object_path("x").write_bytes(b"")
        with pytest.raises(TarRunError, match=r"could not read .*objects/x"):
            store.read(record)
        assert store.delete("x")
        assert not store.delete("x")
        with pytest.raises(TarRunError, match=r"the value of x is not stored: .*objects/x does not exist"):
            store.read(record)

    def test_an_error_that_counts_as_none_is_none(self, store):
        assert store.read(Record("x", "branch", format="null")) is None

    def test_an_unknown_format_is_refused(self, store):
        with pytest.raises(TarValidateError, match="'nonsense' is unknown"):
            store.write("x", "nonsense", 1)

    def test_names_in_scratch_do_not_clash(self, store):
        assert store.scratch_path("x") != store.scratch_path("x")

    def test_what_somebody_else_wrote_is_looked_at(self, store):
        store.object_path("x").write_bytes(b"abc")
        info = store.look("x", "pickle")

        assert (info.size, info.file_hash) == (3, hash_file(store.object_path("x")))
        with pytest.raises(TarRunError, match=r"no output is stored at .*objects/y"):
            store.look("y", "pickle")

    def test_errors_are_of_this_layer(self, store):
        with pytest.raises(TarError):
            store.write("x", "json", {1})


class TestCheck:
    def test_an_unchanged_object_is_not_read(self, store, monkeypatch):
        record = stored(store, 1)
        store.scan()
        monkeypatch.setattr(module, "hash_file", None)

        assert store.check(record) is record

    def test_objects_are_listed_in_one_pass(self, store):
        records = [stored(store, i, f"x{i}") for i in range(3)]
        fresh = Store(store.path)

        assert fresh.scan() == {r.name: (r.size, r.time) for r in records}
        assert all(fresh.check(record) is record for record in records)

    def test_what_is_written_later_is_known(self, store):
        store.scan()
        record = stored(store, 1)

        assert store.check(record) is record
        store.delete("x")
        assert store.check(record) is None

    def test_a_deleted_object_has_changed(self, store):
        record = stored(store, 1)
        store.object_path("x").unlink()

        assert Store(store.path).check(record) is None

    @pytest.mark.parametrize("content", [b"", b"another length, another value"])
    def test_an_object_of_another_size_has_changed(self, store, content):
        record = stored(store, 1)
        store.object_path("x").write_bytes(content)

        assert Store(store.path).check(record) is None

    def test_other_bytes_of_the_same_size_have_changed(self, store):
        record = stored(store, 1)
        path = store.object_path("x")
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(1, 1))

        assert Store(store.path).check(record) is None

    def test_a_touched_object_gets_its_new_time(self, store):
        record = stored(store, 1)
        os.utime(store.object_path("x"), ns=(1, 12345))

        assert Store(store.path).check(record) == replace(record, time=12345)

    def test_without_trust_the_bytes_count(self, store):
        record = stored(store, 1)
        path = store.object_path("x")
        assert store.check(record, trust=False) is record
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(record.time, record.time))
        fresh = Store(store.path)

        assert fresh.check(record) is record
        assert fresh.check(record, trust=True) is record
        assert fresh.check(record, trust=False) is None

    def test_an_error_that_counts_as_none_needs_no_file(self, store):
        record = Record("x", "branch", format="null")

        assert store.check(record) is record


class TestFiles:
    @pytest.fixture(autouse=True)
    def fine_timestamps(self, monkeypatch):
        monkeypatch.setattr(module, "trusts_timestamps", lambda path: True)

    def test_the_value_is_the_path(self, store, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a").write_text("12")
        record = stored(store, "a", form="file")

        assert store.read(record) == "a"
        assert record.size == 2
        assert record.file_hash == hash_paths(["a"])
        assert list(store.objects.iterdir()) == []

    @pytest.mark.parametrize("name", ["a|b*c%", "line\nfeed", "\udc80", " "])
    def test_any_name_can_be_tracked(self, store, tmp_path, name):
        path = tmp_path / name
        path.write_text("1")
        record = stored(store, [str(path)], form="file")
        assert store.read(record) == [str(path)]
        assert store.check(record) is record
        path.write_text("22")

        assert store.check(record) is None

    def test_each_file_counts(self, store, tmp_path):
        paths = [str(tmp_path / name) for name in "ab"]
        for path in paths:
            Path(path).write_text("1", encoding="utf-8")
        record = stored(store, paths, form="file")
        assert store.check(record) is record
        Path(paths[1]).unlink()

        assert store.check(record) is None

    def test_a_touched_file_gets_its_new_time(self, store, tmp_path):
        path = tmp_path / "a"
        path.write_text("1")
        record = stored(store, str(path), form="file")
        later = record.time + 1000
        os.utime(path, ns=(later, later))

        assert store.check(record) == replace(record, time=later)

    def test_other_bytes_of_the_same_size_have_changed(self, store, tmp_path):
        path = tmp_path / "a"
        path.write_text("1")
        record = stored(store, str(path), form="file")
        path.write_text("2")
        os.utime(path, ns=(1, record.time + 1))

        assert store.check(record) is None

    def test_where_timestamps_are_coarse_the_bytes_count(self, store, tmp_path, monkeypatch):
        path = tmp_path / "a"
        path.write_text("1")
        record = stored(store, str(path), form="file")
        path.write_text("2")
        os.utime(path, ns=(record.time, record.time))
        assert store.check(record) is record
        monkeypatch.setattr(module, "trusts_timestamps", lambda path: False)

        assert store.check(record) is None
        assert store.check(record, trust=True) is record
        assert store.check(record, trust=False) is None

    def test_a_new_file_in_a_folder_is_a_change(self, store, tmp_path):
        (tmp_path / "folder" / "sub").mkdir(parents=True)
        record = stored(store, str(tmp_path / "folder"), form="file")
        assert store.check(record) is record
        (tmp_path / "folder" / "sub" / "new").touch()

        assert store.check(record) is None

    def test_no_files_at_all(self, store):
        record = stored(store, [], form="file")

        assert store.read(record) == []
        assert store.check(record) is record

    @pytest.mark.parametrize("value", ["nowhere", ["nowhere"], "nul\0"])
    def test_a_file_that_is_not_there_is_an_error(self, store, value):
        with pytest.raises(TarRunError, match="the command returned a path, but"):
            store.write("x", "file", value)
