import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import autometric_py
from autometric_py import (
    AutometricError,
    log_active,
    log_attach,
    log_detach,
    log_phase_set,
    log_print,
    log_start,
    log_stop,
)

MODES = ["process", "thread"]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


def test_a_log_starts_and_stops(pipe, mode):
    log = log_start(pipe.path, seconds=0.05, mode=mode)
    assert log_active()
    assert (log.path, log.seconds, log.mode, log.pids) == (
        str(pipe.path),
        0.05,
        mode,
        (("local", os.getpid()),),
    )
    version, pid, name, status, *_, phase = pipe.fields()
    assert (version, pid, name, status) == (autometric_py.log_version(), str(os.getpid()), "local", "0")
    assert phase == "__DEFAULT__"
    log_stop()
    assert not log_active()
    assert not log.active


def test_nothing_is_written_at_time_zero(pipe, mode):
    log_start(pipe.path, seconds=600, mode=mode)
    assert pipe.silent(0.2)


def test_there_is_a_line_per_interval(tmp_path, records, mode):
    began = time.monotonic()
    log_start(tmp_path / "x.log", seconds=0.1, mode=mode)
    time.sleep(0.35)
    log_stop()
    assert 1 <= len(records(tmp_path / "x.log")) <= (time.monotonic() - began) / 0.1


def test_after_the_stop_no_line_comes_and_no_process_remains(pipe):
    log = log_start(pipe.path, seconds=0.01)
    pipe.line()
    log_stop()
    assert not psutil.pid_exists(log.sampler_pid)
    while not pipe.silent(0):
        pipe.line()
    assert pipe.silent(0.2)


def test_missing_folders_are_made_and_the_file_is_there_at_once(tmp_path, mode):
    path = tmp_path / "a" / "b" / "c" / "x.log"
    log_start(path, seconds=600, mode=mode)
    assert path.read_bytes() == b""


def test_a_log_is_appended_to(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("before\n")
    log_print(path, seconds=0.01)
    assert path.read_text().startswith("before\n__AUTOMETRIC__|")


@pytest.mark.parametrize("function", [log_start, log_print])
def test_a_place_that_cannot_be_written_raises_and_starts_nothing(tmp_path, function):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x.log", tmp_path):
        with pytest.raises(AutometricError, match="cannot be written") as caught:
            function(path, seconds=0.01)
        assert isinstance(caught.value.__cause__, OSError)
    assert not log_active()


def test_a_second_start_changes_nothing(pipe, tmp_path, mode):
    first = log_start(pipe.path, seconds=0.05, pids={"first": os.getpid()}, mode=mode)
    second = log_start(tmp_path / "b.log", seconds=1, pids={"second": 1}, mode=mode)
    assert not (tmp_path / "b.log").exists()
    assert (second.path, second.pids, second.sampler_pid) == (first.path, first.pids, first.sampler_pid)
    assert {pipe.fields()[2] for _ in range(3)} == {"first"}


def test_a_start_right_after_a_stop_writes_to_the_new_file_only(pipe, tmp_path, mode):
    log_start(tmp_path / "old.log", seconds=0.01, mode=mode)
    log_stop()
    size = (tmp_path / "old.log").stat().st_size
    log_start(pipe.path, seconds=0.01, mode=mode)
    for _ in range(5):
        pipe.line()
    assert (tmp_path / "old.log").stat().st_size == size


def test_stopping_twice_or_without_a_start_is_nothing(tmp_path):
    log_stop()
    log_start(tmp_path / "x.log")
    log_stop()
    log_stop()


def test_a_with_block_stops_what_it_started(pipe, mode):
    with log_start(pipe.path, seconds=0.05, mode=mode) as log:
        assert log.active
        assert "active" in repr(log)
        with log_start(pipe.path) as inner:
            assert inner.active
        assert log_active()
    assert not log_active()
    assert "stopped" in repr(log)


def test_a_with_block_does_not_stop_a_later_log(tmp_path):
    with log_start(tmp_path / "a.log") as first:
        log_stop()
        second = log_start(tmp_path / "b.log")
        assert not first.active
    assert second.active


def test_an_error_in_the_block_passes_through(tmp_path):
    with pytest.raises(KeyError), log_start(tmp_path / "a.log"):
        raise KeyError
    assert not log_active()


def test_lines_come_in_the_order_of_the_pids(pipe, sleeper, mode):
    log_start(pipe.path, seconds=0.05, pids={"b": sleeper.pid, "a": os.getpid(), "c": 2**22 + 5}, mode=mode)
    lines = [pipe.fields() for _ in range(9)]
    assert [fields[2] for fields in lines] == ["b", "a", "c"] * 3
    assert [fields[3] for fields in lines] == ["0", "0", "10002"] * 3


def test_the_others_go_on_when_one_ends(pipe, mode):
    process = subprocess.Popen(["sleep", "600"])
    log_start(pipe.path, seconds=0.05, pids={"gone": process.pid, "here": os.getpid()}, mode=mode)
    pipe.line(), pipe.line()
    process.kill()
    process.wait()
    statuses = [(fields[2], fields[3]) for fields in (pipe.fields() for _ in range(8))]
    assert statuses[-2:] == [("gone", "10002"), ("here", "0")]


def test_attach_and_detach(pipe, sleeper, mode):
    log = log_start(pipe.path, seconds=0.05, mode=mode)
    log_attach(sleeper.pid, "child")
    log_attach(sleeper.pid, "again")
    assert log.pids == (("local", os.getpid()), ("child", sleeper.pid))
    assert any(pipe.fields()[2] == "child" for _ in range(10))
    log_detach(os.getpid())
    log_detach(2**22 + 5)
    assert log.pids == (("child", sleeper.pid),)
    for _ in range(10):
        pipe.line()
    assert {pipe.fields()[2] for _ in range(3)} == {"child"}


def test_attach_without_a_log_is_nothing():
    log_attach(os.getpid(), "me")
    log_detach(os.getpid())
    with pytest.raises(ValueError, match="name"):
        log_attach(os.getpid(), "a|b")
    with pytest.raises(ValueError, match="negative"):
        log_detach(-1)


def test_children_and_extra_columns(pipe, sleeper, mode):
    log_start(pipe.path, seconds=0.05, children=True, extras=["threads", "files"], mode=mode)
    lines = [pipe.fields() for _ in range(6)]
    assert {fields[2] for fields in lines} == {"local", "local/sleep"}
    assert all(fields[-2].startswith("threads=") and fields[-1].startswith("files=") for fields in lines)


def test_many_pids_are_followed(tmp_path, pipe):
    pids = [*range(2**22 + 5, 2**22 + 505)]
    log_start(pipe.path, seconds=0.05, pids=[*pids, os.getpid()])
    lines = [pipe.fields() for _ in range(501)]
    assert [int(fields[1]) for fields in lines] == [*pids, os.getpid()]


def test_one_print_is_one_line_per_pid(tmp_path, records, sleeper):
    path = tmp_path / "a" / "b" / "c" / "x.log"
    log_phase_set("now")
    log_print(path, seconds=0.05)
    log_print(path, seconds=0.05, pids={"me": os.getpid()})
    log_print(path, seconds=0.05, pids=[sleeper.pid, 2**22 + 5])
    lines = records(path)
    assert [(fields[2], fields[3], fields[-1]) for fields in lines] == [
        ("local", "0", "now"),
        ("me", "0", "now"),
        ("", "0", "now"),
        ("", "10002", "now"),
    ]


def test_a_print_works_beside_a_sampler(pipe, tmp_path, records):
    log_start(pipe.path, seconds=600)
    log_print(tmp_path / "y.log", seconds=0.05)
    assert len(records(tmp_path / "y.log")) == 1
    assert log_active()


def test_without_an_interpreter_the_sampler_is_a_thread(pipe, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.warns(RuntimeWarning, match="runs on a thread"):
        log = log_start(pipe.path, seconds=0.05)
    assert (log.mode, log.sampler_pid) == ("thread", None)
    assert pipe.fields()[3] == "0"


def test_where_no_process_can_be_started_the_sampler_is_a_thread(pipe, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with pytest.warns(RuntimeWarning, match="No such file"):
        log = log_start(pipe.path, seconds=0.05)
    assert log.mode == "thread"


def test_an_executable_that_is_no_python_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(AutometricError, match="ended at its start"):
        log_start(tmp_path / "x.log")
    assert not log_active()


def test_threads_that_start_at_once_start_one_sampler(tmp_path):
    logs = []
    threads = [threading.Thread(target=lambda: logs.append(log_start(tmp_path / "x.log"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({log.sampler_pid for log in logs}) == 1


def test_a_log_goes_on_when_the_thread_that_started_it_ends(pipe):
    thread = threading.Thread(target=log_start, args=(pipe.path, 0.05))
    thread.start()
    thread.join()
    for _ in range(5):
        pipe.line()
    assert log_active()


def test_no_descriptor_is_left(tmp_path):
    log_start(tmp_path / "x.log")
    log_stop()
    before = set(os.listdir("/proc/self/fd"))
    for mode in MODES * 2:
        log_start(tmp_path / "x.log", mode=mode)
        log_stop()
        log_print(tmp_path / "x.log", seconds=0.01)
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_sampler_has_only_the_descriptors_it_needs(tmp_path):
    with (tmp_path / "other").open("w") as other:
        os.set_inheritable(other.fileno(), True)
        log = log_start(tmp_path / "x.log", seconds=600)
        targets = [str(link.readlink()) for link in Path(f"/proc/{log.sampler_pid}/fd").iterdir()]
    assert {target.partition(":")[0] for target in targets} <= {"pipe", "/memfd", "anon_inode", "pidfd"}
    assert len(targets) <= 6


@pytest.mark.parametrize("switch", [["-I"], ["-S"], ["-E", "-s"], []])
def test_it_starts_under_any_interpreter_options_and_from_any_folder(tmp_path, switch):
    source = str(Path(autometric_py.__file__).parents[1])
    site = str(Path(psutil.__file__).parents[1])
    for name in ("record", "sampler", "gpu"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('a user module of this name')")
    code = (
        f"import sys; sys.path[:0] = [{source!r}, {site!r}]\n"
        "import autometric_py, os\n"
        "os.mkfifo('p'); keep = os.open('p', os.O_RDWR)\n"
        "log = autometric_py.log_start('p', 0.05); print(os.read(keep, 5000).decode()[:14])"
    )
    done = subprocess.run(
        [sys.executable, *switch, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("__AUTOMETRIC__\n", "")
