"""The sampler: measures processes and appends lines to the log, in a process of its own.

`main()` is what that process runs (see `sampler_process.py`). It loads nothing of the package but `record.py`
(and `gpu.py` when asked for figures of the GPU), reads its orders, JSON lines, from standard input, and
says READY on standard output when it has its first figures. The same `Sampler` runs on a thread where no
process can be started.
"""

from __future__ import annotations

import contextlib
import functools
import json
import mmap
import os
import queue
import select
import signal
import sys
import threading
import time

from autometric_py.record import (
    CELL_BYTES,
    GOOD,
    GPU_COLUMNS,
    NO_ACCESS,
    NO_BASELINE,
    NO_PROCESS,
    SYSTEM_ERROR,
    Sample,
    clean_label,
    failed,
    label_reader,
    record_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    import psutil

    Reader = Callable[[psutil.Process], float | None]

READY = b"ready\n"
STOP = {"stop": True}
PARENT_CHECK_SECONDS = 1.0
FINISH_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 3600.0
SPARE_DESCRIPTORS = 48
# What the kernel never mixes with another writer's bytes in a pipe.
PIPE_ATOMIC_BYTES: int = getattr(select, "PIPE_BUF", 512)
# Signals that a terminal or a scheduler sends to a whole group; the last seconds are what the log is for.
GROUP_SIGNALS = frozenset(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


class Watch:
    """One process under observation: its figures since the last successful look at it.

    Attributes:
        name: What its lines call it.
        pid: The process.
    """

    def __init__(self, name: str, pid: int, readers: Mapping[str, Reader] | None = None) -> None:
        self.name = name
        self.pid = pid
        self._readers = readers or {}
        self._process: psutil.Process | None = None
        self._ended = False
        self._exit: select.poll | None = None
        self._exit_descriptor = -1
        self._base: tuple[float, float] | None = None
        self.sample()

    def __repr__(self) -> str:
        return f"<Watch {self.name!r} pid={self.pid}{' ended' if self._ended else ''}>"

    @property
    def ended(self) -> bool:
        """Whether the process is known to have ended, or never was."""
        return self._ended

    def close(self) -> None:
        """Give back the descriptor that tells of the process's end."""
        self._exit = None
        if self._exit_descriptor >= 0:
            os.close(self._exit_descriptor)
            self._exit_descriptor = -1

    def sample(self) -> Sample:
        """Measure since the last successful sample; what has ended stays ended, whoever gets its number."""
        import psutil

        if self._ended:
            return self._failed(NO_PROCESS)
        try:
            sample = self._measure(self._process or self._open())
            self._ended = self._has_ended()
        except psutil.NoSuchProcess:
            self._ended = True
        except (psutil.AccessDenied, ValueError, IndexError):  # the latter: a file of /proc in unknown form
            return self._failed(NO_ACCESS)
        except OSError:
            return self._failed(SYSTEM_ERROR)
        if not self._ended:
            return sample
        self.close()
        return self._failed(NO_PROCESS)

    def _failed(self, status: int) -> Sample:
        self._base = None
        return failed(status, time.time(), self._readers)

    def _open(self) -> psutil.Process:
        import psutil

        # The descriptor comes first: it stands for this very process.
        if self._exit is None:
            self._open_exit()
        self._process = psutil.Process(self.pid)
        return self._process

    def _open_exit(self) -> None:
        try:
            self._exit_descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError, OverflowError):  # not Linux, no such process, no descriptors left
            return
        if self._exit_descriptor > _most_descriptors():  # the rest is needed to read /proc
            self.close()
            return
        self._exit = select.poll()
        self._exit.register(self._exit_descriptor, select.POLLIN)

    def _has_ended(self) -> bool:
        """Whether what was just measured is no longer the process that was opened."""
        import psutil

        if self._exit is not None:
            return bool(self._exit.poll(0))
        process = psutil.Process(self.pid)
        return process != self._process or process.status() == psutil.STATUS_ZOMBIE

    def _measure(self, process: psutil.Process) -> Sample:
        with process.oneshot():
            now, moment = time.time(), time.monotonic()
            used = process.cpu_times()
            memory = process.memory_info()
            extras = {key: _extra(reader, process) for key, reader in self._readers.items()}
        seconds = used.user + used.system
        base, self._base = self._base, (moment, seconds)
        cores = _logical_cores()
        if not cores:
            return failed(SYSTEM_ERROR, now, self._readers)
        if base is None or moment <= base[0]:
            return failed(NO_BASELINE, now, self._readers)
        core = 100.0 * (seconds - base[1]) / (moment - base[0])
        return Sample(GOOD, now, core, core / cores, memory.rss, memory.vms, extras)


@functools.cache
def _logical_cores() -> int:
    import psutil

    return psutil.cpu_count() or 0


@functools.cache
def _most_descriptors() -> int:
    """The highest descriptor that may be kept open."""
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS


def _extra(reader: Reader, process: psutil.Process) -> float | None:
    """An extra figure, or None where this process does not give it; the main figures stand all the same."""
    import psutil

    try:
        return reader(process)
    except (psutil.AccessDenied, AttributeError, OSError):
        return None


def _io(process: psutil.Process, direction: str) -> int:
    """Bytes through system calls where the system counts them, else those that reached a disk."""
    counters = process.io_counters()
    chars: int | None = getattr(counters, f"{direction}_chars", None)
    return int(getattr(counters, f"{direction}_bytes")) if chars is None else chars


def _files(process: psutil.Process) -> int:
    count: int = getattr(process, "num_fds" if os.name == "posix" else "num_handles")()
    return count


def extra_readers(names: Sequence[str]) -> dict[str, Reader]:
    """How to read each extra column, in the order asked for."""
    readers: dict[str, Reader] = {
        "threads": lambda process: process.num_threads(),
        "files": _files,
        "read": lambda process: _io(process, "read"),
        "written": lambda process: _io(process, "write"),
    }
    if any(name in GPU_COLUMNS for name in names):
        from autometric_py.gpu import gpu_readers

        readers.update(gpu_readers())
    return {name: readers[name] for name in names}


class Sink:
    """Where the lines go: a file that is opened at each write, or a descriptor that is there already."""

    def __init__(self, path: str, descriptor: int | None = None) -> None:
        self._path = path
        self._descriptor = descriptor
        self._torn = False

    def append(self, lines: Sequence[str]) -> None:
        """Append lines, whole ones even where others write to the same place."""
        if not lines:
            return
        if self._descriptor is None:
            self._append_to_file("".join(lines).encode())
            return
        for chunk in _chunks(lines):
            os.write(self._descriptor, chunk)

    def _append_to_file(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._path, flags, 0o666)
        try:
            # After half a line (a disk that filled up) the next one starts afresh.
            data = b"\n" + data if self._torn else data
            self._torn = os.write(descriptor, data) < len(data)
        finally:
            os.close(descriptor)


def _chunks(lines: Sequence[str]) -> Iterator[bytes]:
    """Whole lines in pieces that a pipe takes at once."""
    chunk = b""
    for line in lines:
        data = line.encode()
        if chunk and len(chunk) + len(data) > PIPE_ATOMIC_BYTES:
            yield chunk
            chunk = b""
        chunk += data
    yield chunk


class Sampler:
    """Follows processes and logs them at a steady beat until it is told to stop.

    Args:
        options: `path`, `descriptor`, `seconds`, `pids` (pairs of name and pid), `version`, `children` and
            `extras`.
        phase: Gives the label of this moment.
        orders: Where orders arrive: `STOP`, `{"attach": [name, pid]}`, `{"detach": pid}`.
    """

    def __init__(
        self, options: Mapping[str, Any], phase: Callable[[], str], orders: queue.SimpleQueue[dict[str, Any]]
    ) -> None:
        self._sink = Sink(options["path"], options["descriptor"])
        self._seconds: float = options["seconds"]
        self._version: str = options["version"]
        self._children: bool = options["children"]
        self._readers = extra_readers(options["extras"])
        self._phase = phase
        self._orders = orders
        self._watches = [Watch(name, pid, self._readers) for name, pid in options["pids"]]
        self._descendants: dict[int, Watch] = {}
        self._ancestors: dict[int, Watch] = {}  # whom each of them descends from
        if self._children:
            self._find_descendants()
        self._due = time.monotonic() + self._seconds

    def run(self) -> None:
        """Log until the order to stop."""
        try:
            self._loop()
        finally:
            self.close()

    def close(self) -> None:
        """Give back the descriptors of those that were followed."""
        for watch in [*self._watches, *self._descendants.values()]:
            watch.close()

    def _loop(self) -> None:
        while True:
            wait = min(max(0.0, self._due - time.monotonic()), LONGEST_WAIT_SECONDS)
            try:
                order = self._orders.get(timeout=wait)
            except queue.Empty:
                if time.monotonic() >= self._due:
                    self._tick()
                    self._due = next_due(self._due, self._seconds, time.monotonic())
                continue
            if order == STOP:
                return
            self._obey(order)

    def _tick(self) -> None:
        phase = self._phase()
        # A full disk, a folder that is gone, no memory left: the log tells of it and does not end by it.
        with contextlib.suppress(OSError, MemoryError):
            lines = [self._line(watch, phase) for watch in self._watches]
            if self._children:
                lines += self._descendant_lines(phase)
            self._sink.append(lines)

    def _line(self, watch: Watch, phase: str) -> str:
        return record_line(self._version, watch.pid, watch.name, phase, watch.sample())

    def _obey(self, order: Mapping[str, Any]) -> None:
        if "attach" in order:
            name, pid = order["attach"]
            self._forget(pid)
            self._watches.append(Watch(name, pid, self._readers))
            return
        for watch in [w for w in self._watches if w.pid == order["detach"]]:
            watch.close()
            self._watches.remove(watch)
            for pid in [pid for pid, ancestor in self._ancestors.items() if ancestor is watch]:
                self._forget(pid)

    def _descendant_lines(self, phase: str) -> list[str]:
        """Lines of those that still live; new ones get their first line at the next beat."""
        lines = []
        for pid, watch in list(self._descendants.items()):
            line = self._line(watch, phase)
            if watch.ended:
                self._forget(pid)
            else:
                lines.append(line)
        self._find_descendants()
        return lines

    def _forget(self, pid: int) -> None:
        """Follow a descendant no longer, if it is one."""
        watch = self._descendants.pop(pid, None)
        if watch is not None:
            watch.close()
            del self._ancestors[pid]

    def _find_descendants(self) -> None:
        """Begin to follow new descendants; one whose parent ends before it is still followed."""
        import psutil

        processes = {p.pid: p.info for p in psutil.process_iter(["ppid", "name"])}
        named = {watch.pid for watch in self._watches} | {os.getpid()}
        ancestors = self._ancestors | {watch.pid: watch for watch in self._watches if not watch.ended}
        for pid, info in _descendants(processes, set(ancestors)):
            ancestor = ancestors.setdefault(pid, ancestors[info["ppid"]])
            name = clean_label(f"{ancestor.name}/{info['name']}")
            if pid in self._descendants:
                self._descendants[pid].name = name  # it may run another program by now
            elif pid not in named:
                self._descendants[pid] = Watch(name, pid, self._readers)
                self._ancestors[pid] = ancestor


def _descendants(processes: Mapping[int, Mapping[str, Any]], roots: set[int]) -> Iterator[tuple[int, Any]]:
    """All below the roots, a parent before its children."""
    children: dict[int, list[int]] = {}
    for pid, info in processes.items():
        children.setdefault(info["ppid"], []).append(pid)
    waiting, seen = sorted(roots), set()
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in seen:
                seen.add(pid)
                waiting.append(pid)
                yield pid, processes[pid]


def next_due(due: float, seconds: float, now: float) -> float:
    """The first beat after now: beats that were missed are skipped, the rhythm stays."""
    missed = max(0, int((now - due) / seconds))
    return due + (missed + 1) * seconds


class Orders:
    """Orders on standard input, until the one to stop, its end, or the end of the parent.

    The end of the parent shows in two ways: end-of-file, at once; and another parent, looked at every
    second, for when a fork of the parent keeps the pipe open.
    """

    def __init__(self, descriptor: int, parent: int) -> None:
        self._descriptor = descriptor
        self._parent = parent
        self._buffer = b""

    def next(self) -> dict[str, Any]:
        """Wait for the next order."""
        while b"\n" not in self._buffer:
            if not self._wait():
                return STOP
            data = os.read(self._descriptor, 65536)
            if not data:
                return STOP
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def _wait(self) -> bool:
        """Wait until there is something to read; False when the parent has gone first."""
        if os.name != "posix":  # the number of the parent never changes there, and nothing keeps the pipe
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while os.getppid() == self._parent:
            if poll.poll(PARENT_CHECK_SECONDS * 1000):
                return True
        return False


def _listen(orders: Orders, to: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Hand orders over; after the last one end the process, even one that hangs in a write."""
    while (order := orders.next()) != STOP:
        to.put(order)
    to.put(STOP)
    time.sleep(FINISH_SECONDS)
    os._exit(0)


def _ignore_group_signals() -> None:
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # `launch.py` kept them from us until here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)


def main() -> None:
    """Be the sampler of the process whose pid is the first argument."""
    _ignore_group_signals()
    orders = Orders(sys.stdin.fileno(), int(sys.argv[1]))
    options = orders.next()
    if options == STOP:
        return
    sys.path.extend(options["search"])
    with open(options["cell"], "rb") as file:  # noqa: PTH123 - pathlib is big
        cell = mmap.mmap(file.fileno(), CELL_BYTES, access=mmap.ACCESS_READ)
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    sampler = Sampler(options, label_reader(cell), waiting)
    os.write(sys.stdout.fileno(), READY)
    threading.Thread(target=_listen, args=(orders, waiting), daemon=True).start()
    sampler.run()
