"""What every test of every layer runs under: nothing may be left behind.

A process that a test starts inherits a token in its environment, so that it is found even after its
parent is gone. Temporary files go to one folder per pytest process, so that tests running in parallel
do not see each other's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import select
import shutil
import signal
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN_NAME = "LEFT_BEHIND_TOKEN"  # noqa: S105 - marks processes, keeps no secret
GRACE_SECONDS = 10.0
# Library threads that serve the whole process and end with it; "Dummy-" are NNG's own, which ran a callback.
LASTING_THREADS = ("nngsock-", "execnet", "mirai_py-callbacks", "mirai_py-timer", "Dummy-")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So it is in what a shell runs in the background, and so it would be in all that tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    token = uuid.uuid4().hex
    os.environ[TOKEN_NAME] = token
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    os.environ.setdefault("MPLBACKEND", "agg")
    config.stash[_FOLDER] = folder


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


_FOLDER = pytest.StashKey[Path]()


def processes_of_this_run() -> set[int]:
    """Pids of all living processes that carry this run's token, this one left out."""
    if not Path("/proc/self/environ").exists():
        return set()
    mark = f"{TOKEN_NAME}={os.environ[TOKEN_NAME]}".encode()
    found = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # ended meanwhile, or a zombie
            if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found


def wait_for_exit(pids: set[int], seconds: float) -> set[int]:
    """The pids that still live after at most `seconds`."""
    deadline = time.monotonic() + seconds
    for pid in sorted(pids):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)
    return pids & processes_of_this_run()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:300]
    except OSError:
        return "(ended)"


def shared_memory(pids: set[int]) -> set[str]:
    """Segments in /dev/shm whose name carries one of the pids, as a part of its own: others are random."""
    folder = Path("/dev/shm")  # noqa: S108 - listed, not written
    if not folder.is_dir():
        return set()
    marks = {str(pid) for pid in pids}
    return {name for name in os.listdir(folder) if not marks.isdisjoint(re.split(r"[^0-9A-Za-z]+", name))}


def temporary_files() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if not name.startswith("pytest-of-")}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a process, thread, shared-memory segment or temporary file behind."""
    processes = processes_of_this_run()
    threads = set(threading.enumerate())
    files = temporary_files()
    segments = shared_memory({os.getpid()})
    yield
    left = []
    new_processes = processes_of_this_run() - processes
    if new_processes:
        gc.collect()
        for pid in wait_for_exit(new_processes, GRACE_SECONDS):
            left.append(f"process {pid}: {command_line(pid)}")
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in set(threading.enumerate()) - threads:
        if thread.name.startswith(LASTING_THREADS):
            continue
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            left.append(f"thread {thread.name}")
    left += [f"temporary file {name}" for name in temporary_files() - files]
    left += [f"shared memory {name}" for name in shared_memory({os.getpid()} | new_processes) - segments]
    if left:
        pytest.fail("left behind: " + "; ".join(sorted(left)), pytrace=False)
