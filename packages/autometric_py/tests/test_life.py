"""How a sampler lives and dies, done for real."""

import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import termios
import time
import warnings

import psutil
import pytest

from autometric_py import log_active, log_read, log_start, log_stop

# Prints the sampler's pid once it is at work, then does what the test says.
PREAMBLE = """
import os, signal, sys, time
import autometric_py as a
log = a.log_start(sys.argv[1], seconds=0.05, pids={"local": os.getpid(), "lives on": 1})
print(log.sampler_pid, flush=True)
"""
WAIT = "signal.pause()\n"


@pytest.fixture
def main(script, pipe):
    """Start a main process with a sampler, and wait for its first line."""

    def start(code=WAIT, **options):
        process = script(PREAMBLE + code, pipe.path, **options)
        sampler = int(process.stdout.readline())
        pipe.line()
        return process, sampler

    return start


def test_the_sampler_ends_when_its_parent_is_killed(main, exited):
    process, sampler = main()
    process.kill()
    assert exited(sampler)


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "1 / 0", "os._exit(0)", "os.abort()"])
def test_the_sampler_ends_however_its_parent_ends(main, exited, end):
    process, sampler = main(f"input()\n{end}", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    print(file=process.stdin, flush=True)
    process.wait(20)
    assert exited(sampler)


def test_the_sampler_ends_though_a_fork_of_its_parent_keeps_the_pipe(main, exited):
    # A plain fork closes its copy; one that was made behind Python's back does not.
    code = """
import ctypes
if ctypes.CDLL(None).fork() == 0:
    print(os.getpid(), flush=True)
signal.pause()
"""
    process, sampler = main(code)
    fork = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        assert exited(sampler)
        assert psutil.pid_exists(fork)
    finally:
        os.kill(fork, signal.SIGKILL)
        exited(fork)


def test_stop_ends_the_sampler_though_a_fork_keeps_the_pipe(main):
    code = """
import ctypes
input()
fork = ctypes.CDLL(None).fork()
if fork == 0:
    signal.pause()
a.log_stop()
os.kill(fork, signal.SIGKILL)
print(os.waitpid(fork, 0)[1], os.path.exists(f"/proc/{log.sampler_pid}"), flush=True)
"""
    process, _ = main(code, stdin=subprocess.PIPE)
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "9 False\n"


def test_the_sampler_ends_when_its_parent_dies_in_the_middle_of_a_write(script, exited, tmp_path):
    # A pipe that nobody reads blocks the writer once it is full.
    read, write = os.pipe()
    room = fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
    code = """
import signal, sys
import autometric_py as a
log = a.log_start("/dev/stdout", seconds=0.005)
print(log.sampler_pid, file=sys.stderr, flush=True)
"""
    process = script(code + WAIT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    sampler = int(process.stderr.readline())
    while room - int.from_bytes(fcntl.ioctl(read, termios.FIONREAD, bytes(4)), sys.byteorder) > 120:
        os.sched_yield()
    time.sleep(0.2)  # nothing tells that a writer waits; it tries every 5 ms
    process.kill()
    assert exited(sampler)
    os.close(read)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_to_the_group_end_the_sampler_only_with_its_parent(main, pipe, exited, number):
    ignoring = f"signal.signal({int(number)}, lambda *_: print('got it', flush=True))\nprint(flush=True)\n"
    process, sampler = main(ignoring + "while True: signal.pause()\n", start_new_session=True)
    process.stdout.readline()
    os.killpg(process.pid, number)
    assert process.stdout.readline() == "got it\n"
    for _ in range(5):
        assert pipe.fields()[3] == "0"
    process.kill()
    assert exited(sampler)


def test_ctrl_c_during_the_start_does_not_reach_the_sampler(main, pipe, script):
    code = """
import os, signal, sys
import autometric_py as a
from autometric_py import launch
got = []
signal.signal(signal.SIGINT, lambda *_: got.append(1))
popen = launch.subprocess.Popen
def start(*arguments, **options):
    process = popen(*arguments, **options)
    os.killpg(os.getpgid(0), signal.SIGINT)  # Python has not yet begun to run there
    return process
launch.subprocess.Popen = start
log = a.log_start(sys.argv[1], seconds=0.05)
print(len(got), log.active, flush=True)
"""
    process = script(code, pipe.path, start_new_session=True)
    assert process.stdout.readline() == "1 True\n"


def test_a_sampler_that_is_killed_is_told_of_once(pipe, exited):
    log = log_start(pipe.path, seconds=0.05)
    pipe.line()
    os.kill(log.sampler_pid, signal.SIGKILL)
    assert exited(log.sampler_pid)
    with pytest.warns(RuntimeWarning, match="signal 9"):
        assert not log_active()
    assert not log_active()
    assert not log.active
    log_stop()
    assert not psutil.pid_exists(log.sampler_pid)
    assert log_start(pipe.path, seconds=0.05).active
    while not pipe.silent(0):
        pipe.line()
    pipe.line()


def test_a_suspended_sampler_is_killed_by_the_stop(pipe):
    log = log_start(pipe.path, seconds=0.05)
    os.kill(log.sampler_pid, signal.SIGSTOP)
    log_stop()
    assert not psutil.pid_exists(log.sampler_pid)


def test_a_fork_has_no_sampler_and_may_start_its_own(main, pipe, tmp_path):
    code = """
child = os.fork()
if child == 0:
    inactive = not a.log_active()
    a.log_stop()
    a.log_phase_set("child")
    own = a.log_start(sys.argv[1] + ".child", seconds=600)
    good = inactive and own.active and own.sampler_pid != log.sampler_pid
    a.log_stop()
    os._exit(0 if good else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, a.log_active(), a.log_phase_get(), flush=True)
signal.pause()
"""
    process, _ = main(code)
    assert process.stdout.readline() == "0 True __DEFAULT__\n"
    for _ in range(5):
        assert pipe.fields()[-1] == "__DEFAULT__"
    assert (tmp_path / "pipe.log.child").exists()


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_leaves_the_sampler_alone(script, pipe, method):
    code = """
import multiprocessing, sys
import autometric_py as a
def work(_):
    return a.log_active(), a.log_phase_get()
if __name__ == "__main__":
    a.log_start(sys.argv[1], seconds=0.05)
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        print({active for active, _ in pool.map(work, range(8))}, a.log_active(), flush=True)
"""
    process = script(code, pipe.path, method)
    assert process.stdout.readline() == "{False} True\n"
    assert process.wait(20) == 0


def test_it_starts_with_the_standard_streams_closed(script, pipe):
    code = """
import os, sys
for descriptor in range(3):
    os.close(descriptor)
import autometric_py as a
a.log_phase_set("no streams")
a.log_start(sys.argv[1], seconds=0.05)
import signal
signal.pause()
"""
    script(code, pipe.path)
    assert pipe.fields()[-1] == "no streams"


def test_more_processes_than_descriptors_are_followed(script):
    code = """
import os, resource, subprocess
import autometric_py as a
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
a.log_start("/dev/stdout", seconds=0.2, pids=[os.getpid()] * 300)
input()
"""
    process = script(code, stdin=subprocess.PIPE)
    assert {process.stdout.readline().split("|")[4] for _ in range(600)} == {"0"}


def test_an_unguarded_main_is_not_run_again(script, pipe):
    process = script(PREAMBLE, pipe.path)
    assert len(process.stdout.readlines()) == 1


LIMIT = 6000


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))


def test_a_full_disk_loses_lines_but_ends_nothing(script, tmp_path, exited):
    path = tmp_path / "x.log"
    code = """
import autometric_py as a, os, resource, sys
log = a.log_start(sys.argv[1], seconds=0.01)
print(log.sampler_pid, flush=True)
sys.stdin.readline()
print(a.log_active(), flush=True)
sys.stdin.readline()
"""
    process = script(code, path, stdin=subprocess.PIPE, preexec_fn=limit_files)
    sampler = int(process.stdout.readline())
    while path.stat().st_size < LIMIT:
        os.sched_yield()
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "True\n"
    # Then there is room again, and the torn line harms none of the others.
    resource.prlimit(sampler, resource.RLIMIT_FSIZE, (-1, -1))
    while path.stat().st_size < 2 * LIMIT:
        os.sched_yield()
    process.kill()
    assert exited(sampler)
    assert not path.read_bytes()[:LIMIT].endswith(b"\n")
    lines = path.read_text().splitlines()
    whole = [line for line in lines if line.startswith("__AUTOMETRIC__") and line.endswith("|__AUTOMETRIC__")]
    assert len(lines) - len(whole) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left of the torn line may be too little to tell of
        assert len(log_read(path)) == len(whole) > 80


def test_a_folder_that_disappears_loses_lines_but_ends_nothing(tmp_path):
    folder = tmp_path / "folder"
    log_start(folder / "x.log", seconds=0.01)
    while not (folder / "x.log").stat().st_size:
        os.sched_yield()
    moved = folder.rename(tmp_path / "elsewhere")
    size = (moved / "x.log").stat().st_size
    folder.mkdir()
    while not (folder / "x.log").exists() or not (folder / "x.log").stat().st_size:
        os.sched_yield()
    assert log_active()
    assert (moved / "x.log").stat().st_size - size < 500


def test_a_log_that_is_deleted_comes_back(tmp_path):
    path = tmp_path / "x.log"
    log_start(path, seconds=0.01)
    path.unlink()
    while not path.exists():
        os.sched_yield()
    log_stop()
    assert log_read(path)["status"].to_list()[0] == 0


def test_many_writers_to_one_file_tear_no_line(script, tmp_path, records):
    path = tmp_path / "x.log"
    code = """
import sys
import autometric_py as a
with a.log_start(sys.argv[1], seconds=0.002, pids=[1, 2, 3, 4, 5]):
    sys.stdin.readline()
"""
    writers = [script(code, path, stdin=subprocess.PIPE) for _ in range(3)]
    while not path.exists() or path.stat().st_size < 100_000:
        os.sched_yield()
    for writer in writers:
        print(file=writer.stdin, flush=True)
        assert writer.wait(20) == 0
    assert {len(fields) for fields in records(path)} == {10}


REDIRECTED = """
import sys
import autometric_py as a
a.log_start("/dev/stdout", seconds=0.01)
for number in range(200_000):
    print(f"text {number}")
a.log_stop()
"""


@pytest.mark.parametrize("mode", ["w", "a"])
def test_text_and_lines_are_all_intact_in_a_redirected_output(script, tmp_path, mode):
    with (tmp_path / "out.txt").open(mode) as out:
        process = script(REDIRECTED, stdout=out)
        assert process.wait(50) == 0
    lines = (tmp_path / "out.txt").read_bytes()
    # Python's own writes end anywhere in a line, so a record may stand in the middle of a text.
    rest = re.sub(rb"__AUTOMETRIC__\|[^_]*__DEFAULT__\|__AUTOMETRIC__\n", b"", lines)
    assert rest == b"".join(b"text %d\n" % number for number in range(200_000))
    log = log_read(tmp_path / "out.txt")
    assert len(log) >= 1
    assert len(lines) > len(rest)


def test_lines_reach_a_pipe_that_is_the_output(script):
    code = "import autometric_py as a, signal\na.log_start('/dev/stdout', seconds=0.02)\nsignal.pause()\n"
    process = script(code)
    assert all(process.stdout.readline().endswith("|__DEFAULT__|__AUTOMETRIC__\n") for _ in range(5))


def test_the_sampler_says_nothing_on_the_callers_streams(script, tmp_path):
    code = """
import os
import autometric_py as a
log = a.log_start("x.log", seconds=0.01)
os.kill(log.sampler_pid, 9)
os._exit(0)
"""
    process = script(code, stderr=subprocess.PIPE)
    assert process.communicate(timeout=20) == ("", "")


HOLDS_THE_LOCK = """
import random, sys
import autometric_py as a
numbers = [random.random() for _ in range(4_000_000)]
a.log_start(sys.argv[1], seconds=0.1)
print(flush=True)
sorted(numbers)
a.log_stop()
"""


def test_the_beat_is_kept_while_the_interpreter_is_held_in_c(script, tmp_path):
    path = tmp_path / "x.log"
    process = script(HOLDS_THE_LOCK, path)
    assert process.wait(50) == 0
    times = log_read(path)["time"]
    gaps = times.diff().drop_nulls()
    assert len(times) > 5
    # On a loaded machine beats come late or not at all, but they stay on the grid: none is made up for.
    assert gaps.median() == pytest.approx(0.1, abs=0.05)


def test_a_file_of_the_package_runs_where_the_package_cannot_be_imported(tmp_path):
    """The sampler needs no import of autometric_py."""
    import autometric_py.launch

    done = subprocess.run(
        [sys.executable, "-I", "-S", autometric_py.launch.SCRIPT, str(os.getpid())],
        input=b"", capture_output=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"", b"")
