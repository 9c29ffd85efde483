import os
import queue
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from autometric_py import launch, sampler
from autometric_py.sampler import STOP, Sampler, Sink, Watch, next_due


@pytest.fixture(params=["descriptor", "identity"])
def watch(request, monkeypatch):
    """Watches that learn of an end by a descriptor (Linux) or by comparing identities (elsewhere)."""
    if request.param == "identity":
        monkeypatch.delattr(os, "pidfd_open")
    made = []

    def make(pid, **options):
        made.append(Watch("w", pid, **options))
        return made[-1]

    yield make
    for w in made:
        w.close()


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        (10.0, 10.0, 10.5),
        (10.0, 10.2, 10.5),  # a late beat does not shift the next
        (10.0, 10.6, 11.0),  # one was missed
        (10.0, 1000.1, 1000.5),  # the machine slept: no burst
    ],
)
def test_the_beat_is_kept_and_missed_beats_are_skipped(due, now, expected):
    assert next_due(due, 0.5, now) == pytest.approx(expected)


def test_this_process_is_measured(watch):
    own = watch(os.getpid())
    sample = own.sample()
    assert sample.status == 0
    assert sample.virtual > sample.resident > 1_000_000
    assert sample.cpu == pytest.approx(sample.core / psutil.cpu_count())


def test_a_busy_thread_is_one_core(script):
    process = script("print(flush=True)\nwhile True: pass")
    process.stdout.readline()
    own = Watch("busy", process.pid)
    psutil.Process(process.pid).cpu_times()
    began, before = time.monotonic(), psutil.Process(process.pid).cpu_times()
    while time.monotonic() < began + 1.0:
        time.sleep(0.25)
    sample = own.sample()
    after = psutil.Process(process.pid).cpu_times()
    truth = 100 * (after.user + after.system - before.user - before.system) / (time.monotonic() - began)
    own.close()
    assert sample.core == pytest.approx(truth, abs=15)  # how much the machine gave it is not ours to say


def test_a_process_that_used_no_cpu_is_good(watch, sleeper):
    sample = watch(sleeper.pid).sample()
    assert (sample.status, sample.core) == (0, 0.0)
    assert sample.resident > 0


def test_a_pid_that_never_was_has_the_time_of_the_sample(watch):
    before = time.time()
    sample = watch(2**22 + 5).sample()
    assert sample.status == 10002
    assert before <= sample.time <= time.time()
    assert sample[2:6] == (0, 0, 0, 0)


def test_a_pid_beyond_all_numbers_never_was(watch):
    assert watch(2**70).sample().status == 10002


def test_a_process_that_ends_is_good_until_then(watch):
    process = subprocess.Popen(["sleep", "600"])
    own = watch(process.pid)
    assert own.sample().status == 0
    process.kill()
    process.wait()
    assert own.sample().status == 10002
    assert own.ended


def test_a_zombie_has_ended(watch, exited):
    process = subprocess.Popen(["sleep", "600"])
    own = watch(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert own.sample().status == 10002
    process.wait()


@pytest.mark.skipif(
    not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK), reason="cannot choose the next pid"
)
def test_a_number_that_is_used_again_stays_dead(watch):
    for _ in range(50):  # someone else may take the number first
        first = subprocess.Popen(["sleep", "600"])
        own = watch(first.pid)
        assert own.sample().status == 0
        first.kill()
        first.wait()
        time.sleep(0.03)  # identities are told apart by times of creation, in ticks of 0.01 s
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
        second = subprocess.Popen(["sleep", "600"])
        try:
            if second.pid == first.pid:
                assert [own.sample().status for _ in range(2)] == [10002, 10002]
                return
        finally:
            second.kill()
            second.wait()
    pytest.skip("the number was never free")


def test_denied_access_is_a_status(watch, monkeypatch):
    own = watch(os.getpid())

    def denied(_, process):
        raise psutil.AccessDenied(process.pid)

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "_measure", denied)
        assert own.sample().status == 10003
    assert own.sample().status == 10000  # the interval begins anew
    assert own.sample().status == 0


def test_a_system_error_is_a_status(watch, monkeypatch):
    own = watch(os.getpid())

    def broken(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "_measure", broken)
        assert own.sample().status == 10004


def test_an_unknown_number_of_cores_is_a_status(watch, monkeypatch):
    monkeypatch.setattr(sampler, "_logical_cores", lambda: 0)
    assert watch(os.getpid()).sample().status == 10004


def test_extra_columns(watch, tmp_path):
    readers = sampler.extra_readers(["threads", "files", "read", "written"])
    own = watch(os.getpid(), readers=readers)
    before = own.sample().extras
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1_000_000))
        file.flush()
        after = own.sample().extras
    assert list(after) == ["threads", "files", "read", "written"]
    assert after["threads"] >= 1
    assert after["files"] == before["files"] + 1
    assert after["written"] >= before["written"] + 1_000_000


def test_an_extra_column_that_is_denied_leaves_the_others(watch, monkeypatch):
    def denied(self):
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "io_counters", denied)
    own = watch(os.getpid(), readers=sampler.extra_readers(["threads", "read"]))
    sample = own.sample()
    assert sample.status == 0
    assert sample.extras["read"] is None
    assert sample.extras["threads"] >= 1


def test_a_sink_makes_its_file_anew(tmp_path):
    sink = Sink(str(tmp_path / "x.log"))
    sink.append(["one\n"])
    (tmp_path / "x.log").unlink()
    sink.append(["two\n", "three\n"])
    assert (tmp_path / "x.log").read_text() == "two\nthree\n"


def test_after_half_a_line_the_next_starts_afresh(tmp_path, monkeypatch):
    sink = Sink(str(tmp_path / "x.log"))
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        sink.append(["first\n"])
    sink.append(["second\n"])
    sink.append(["third\n"])
    assert (tmp_path / "x.log").read_text() == "fir\nsecond\nthird\n"


def test_a_pipe_gets_whole_lines_in_pieces_that_it_takes_at_once(monkeypatch):
    lines = [f"{number:0999d}\n" for number in range(10)]
    pieces = []
    monkeypatch.setattr(os, "write", lambda _, data: pieces.append(data) or len(data))
    Sink("/dev/stdout", 1).append(lines)
    assert b"".join(pieces) == "".join(lines).encode()
    assert all(len(piece) <= sampler.PIPE_ATOMIC_BYTES and piece.endswith(b"\n") for piece in pieces)
    assert len(pieces) == 3


def options(path, pids, **changes):
    fixed = {
        "path": str(path),
        "descriptor": None,
        "seconds": 0.02,
        "version": "1",
        "children": False,
        "extras": [],
    }
    return fixed | {"pids": pids} | changes


def test_attach_and_detach(tmp_path, sleeper):
    orders = queue.SimpleQueue()
    made = Sampler(options(tmp_path / "x.log", [["me", os.getpid()]]), lambda: "p", orders)
    orders.put({"attach": ["other", sleeper.pid]})
    orders.put({"detach": os.getpid()})
    orders.put(STOP)
    made._loop()
    made._tick()
    assert [line.split("|")[2:4] for line in (tmp_path / "x.log").read_text().splitlines()] == [
        [str(sleeper.pid), "other"]
    ]
    made.close()


BECOMES_ANOTHER_PROGRAM = """
import os, sys
print(os.getpid(), flush=True)
sys.stdin.read(1)
os.execvp("sleep", ["sleep", "600"])
"""

PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BECOMES_ANOTHER_PROGRAM!r}], stdin=subprocess.PIPE)
sys.stdin.readline()
child.stdin.write(b"x")
child.stdin.flush()
sys.stdin.readline()
child.kill()
child.wait()
print("killed", flush=True)
sys.stdin.readline()
"""


def test_descendants_have_lines_of_their_own_and_go_when_they_end(tmp_path, script):
    process = script(PARENT, stdin=subprocess.PIPE)
    child = int(process.stdout.readline())
    log = tmp_path / "x.log"
    made = Sampler(options(log, [["job", process.pid]], children=True), lambda: "p", queue.SimpleQueue())

    def lines():
        log.unlink(missing_ok=True)
        made._tick()
        return [(int(f[2]), f[3]) for f in (line.split("|") for line in log.read_text().splitlines())]

    name = psutil.Process(child).name()
    assert lines() == [(process.pid, "job"), (child, f"job/{name}")]
    print("exec", file=process.stdin, flush=True)
    while psutil.Process(child).name() != "sleep":
        os.sched_yield()
    lines()
    assert lines() == [(process.pid, "job"), (child, "job/sleep")]
    print("kill", file=process.stdin, flush=True)
    process.stdout.readline()
    assert lines() == [(process.pid, "job")]
    made.close()


def test_a_descendant_that_is_attached_has_one_line(tmp_path, sleeper):
    log = tmp_path / "x.log"
    made = Sampler(options(log, [["me", os.getpid()]], children=True), lambda: "p", queue.SimpleQueue())

    def names():
        log.unlink(missing_ok=True)
        made._tick()
        return [line.split("|")[3] for line in log.read_text().splitlines() if f"|{sleeper.pid}|" in line]

    assert names() == ["me/sleep"]
    made._obey({"attach": ["mine", sleeper.pid]})
    assert names() == ["mine"]
    made.close()


def test_descendants_go_with_the_process_that_is_detached(tmp_path, script):
    process = script(PARENT, stdin=subprocess.PIPE)
    process.stdout.readline()
    log = tmp_path / "x.log"
    pids = [["job", process.pid], ["init", 2**22 + 5]]
    made = Sampler(options(log, pids, children=True), lambda: "p", queue.SimpleQueue())
    made._obey({"detach": process.pid})
    made._tick()
    assert [line.split("|")[3] for line in log.read_text().splitlines()] == ["init"]
    made.close()
    print("exec\nkill", file=process.stdin, flush=True)
    process.stdout.readline()


MIDDLE = """
import subprocess
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
input()
"""

GRANDPARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {MIDDLE!r}], stdin=subprocess.PIPE)
sys.stdin.readline()
child.kill()
child.wait()
print("killed", flush=True)
sys.stdin.readline()
"""


def test_a_descendant_whose_parent_ends_is_still_followed(tmp_path, script):
    process = script(GRANDPARENT, stdin=subprocess.PIPE)
    orphan = int(process.stdout.readline())
    log = tmp_path / "x.log"
    made = Sampler(options(log, [["job", process.pid]], children=True), lambda: "p", queue.SimpleQueue())
    print("kill", file=process.stdin, flush=True)
    process.stdout.readline()
    try:
        made._tick()
        assert str(orphan) in [line.split("|")[2] for line in log.read_text().splitlines()]
    finally:
        psutil.Process(orphan).kill()
    made.close()


def test_the_sampler_process_loads_nothing_but_psutil_and_the_standard_library():
    code = f"""
import runpy, sys
sys.argv = ["sampler_process.py", "0"]  # this is not its parent: it ends at once
runpy.run_path({launch.SCRIPT!r}, run_name="__main__")
print(sorted(m for m in sys.modules if m.partition(".")[0] not in sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert eval(done.stdout) == [
        "__main__",
        "autometric_py",
        "autometric_py.record",
        "autometric_py.sampler",
    ]
