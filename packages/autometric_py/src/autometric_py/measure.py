"""Measuring a command, or running processes, until they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autometric_py.control import log_attach, log_detach, log_start, log_stop
from autometric_py.errors import AutometricError
from autometric_py.record import GOOD, clean_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

FORWARDED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
EXTRAS = ("threads", "read", "written")
# What a shell reports for a command that is not there, or cannot be run.
NOT_FOUND, NOT_RUNNABLE = 127, 126


class NotStartedError(AutometricError):
    """The command could not be started.

    Attributes:
        status: The exit status that a shell would give.
    """

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command}: {error.strerror}")
        self.status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


@dataclass
class Outcome:
    """How the measured processes ended."""

    status: int
    seconds: float
    cpu: float | None = None
    peak: float | None = None


def run_command(command: Sequence[str], path: str, seconds: float, *, children: bool) -> Outcome:
    """Start the sampler, then the command, so that nothing of it is missed."""
    log_start(path, seconds, {"autometric": os.getpid()}, children=children, extras=EXTRAS)
    try:
        began = time.monotonic()
        with _signals() as receive:
            try:
                process = subprocess.Popen(command)
            except OSError as error:
                raise NotStartedError(command[0], error) from error
            receive(process)
            log_attach(process.pid, clean_label(Path(command[0]).name))
            log_detach(os.getpid())
            return _wait(process, began)
    finally:
        log_stop()


def _wait(process: subprocess.Popen[bytes], began: float) -> Outcome:
    """Wait for the command; where the system tells, with what it and its descendants used."""
    if not hasattr(os, "wait4"):
        return Outcome(process.wait(), time.monotonic() - began)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    peak = used.ru_maxrss * (1e-6 if sys.platform == "darwin" else 1024e-6)
    return Outcome(code, time.monotonic() - began, used.ru_utime + used.ru_stime, peak)


@contextmanager
def _signals() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Leave Ctrl-C to the command, and pass on to it what is sent to this process alone."""
    processes: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: object) -> None:
        for process in processes:
            process.send_signal(number)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    before |= {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield processes.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow(pids: Sequence[int], path: str, seconds: float, *, children: bool) -> Outcome:
    """Log running processes until the last has ended, or Ctrl-C."""
    import psutil

    try:
        processes = [psutil.Process(pid) for pid in pids]
    except psutil.NoSuchProcess as error:
        raise AutometricError(f"there is no process {error.pid}") from error
    began = time.monotonic()
    pairs = [(clean_label(process.name()), process.pid) for process in processes]
    with log_start(path, seconds, pairs, children=children, extras=EXTRAS):
        try:
            for process in processes:
                process.wait()
        except KeyboardInterrupt:
            pass
    return Outcome(0, time.monotonic() - began)


def count_records(path: str) -> int:
    """Records that the log holds already."""
    from autometric_py.read import log_read

    return len(log_read(path)) if Path(path).is_file() else 0


def summary_text(path: str, outcome: Outcome, before: int) -> str:
    """What the processes used, from the log's records after the first ones and from the system's counts."""
    lines = [("wall time", f"{outcome.seconds:.2f} s"), ("exit status", str(outcome.status))]
    if outcome.cpu is not None and outcome.seconds:
        share = 100 * outcome.cpu / outcome.seconds
        lines.append(("cpu", f"{outcome.cpu:.2f} s, {share:.0f}% of one core on average"))
    lines += _logged(path, before) or [
        ("memory", f"peak {outcome.peak:,.1f} MB" if outcome.peak else "not known")
    ]
    lines.append(("log", path))
    return "\n".join(f"autometric: {label:<12}{value}" for label, value in lines)


def _logged(path: str, before: int) -> list[tuple[str, str]]:
    """The lines of the summary that come from the log; none when it got no record."""
    import polars as pl

    from autometric_py.read import log_read

    if not Path(path).is_file():  # the standard output, or a log that was removed meanwhile
        return []
    good = log_read(path, extras=EXTRAS).slice(before).filter(pl.col("status") == GOOD)
    if good.is_empty():
        return []
    memory, core = _peak_and_mean(good, "resident"), _peak_and_mean(good, "core")
    return [
        ("processes", str(good["pid"].n_unique())),
        ("memory", f"peak {memory[0]:,.1f} MB, mean {memory[1]:,.1f} MB"),
        ("cores", f"peak {core[0]:.0f}%, mean {core[1]:.0f}% of one core"),
        ("io", f"read {_last_sum(good, 'read'):,.1f} MB, written {_last_sum(good, 'written'):,.1f} MB"),
    ]


def _peak_and_mean(good: pl.DataFrame, metric: str) -> tuple[float, float]:
    """Of all processes together."""
    from autometric_py.summary import total

    values = total(good, metric)[metric].drop_nulls().to_numpy()
    return float(values.max()), float(values.mean())


def _last_sum(good: pl.DataFrame, column: str) -> float:
    """A counter that only grows, summed over the processes."""
    return float(good.group_by("pid").max()[column].sum() or 0.0)
