"""Fixtures of this layer: every test ends without a sampler or figures, and with the default phase."""

from __future__ import annotations

import math
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import autometric_py

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Events are waited for; this bounds a test that fails.
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    autometric_py.log_stop()
    autometric_py.log_phase_reset()
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


class Pipe:
    """A log that is a named pipe: reading from it waits for the sampler to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._buffer = b""

    def line(self) -> str:
        """The next line, waited for."""
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.descriptor], [], [], PATIENCE)
            assert ready, "no line came"
            self._buffer += os.read(self.descriptor, 65536)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def fields(self) -> list[str]:
        """The fields of the next record, without the markers."""
        return self.line().split("|")[1:-1]

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        return not self._buffer and not select.select([self.descriptor], [], [], seconds)[0]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "pipe.log")
    yield made
    autometric_py.log_stop()
    os.close(made.descriptor)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python code in a process of its own, with its standard output in a pipe."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
        file = tmp_path / f"script{len(started)}.py"
        file.write_text(code)
        options = {"stdout": subprocess.PIPE, "text": True, "cwd": tmp_path} | options
        process = subprocess.Popen([sys.executable, str(file), *map(str, arguments)], **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def exited(pid: int) -> bool:
    """Wait for a process that need not be a child to end, or to be gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20.0)[0])
    finally:
        os.close(descriptor)


@pytest.fixture(name="exited")
def exited_fixture() -> Callable[[int], bool]:
    return exited


def records(path: Path | str) -> list[list[str]]:
    """The fields of each line of a log, without the markers."""
    return [line.split("|")[1:-1] for line in Path(path).read_text().splitlines()]


@pytest.fixture(name="records")
def records_fixture() -> Callable[[Path | str], list[list[str]]]:
    return records


@pytest.fixture
def workers() -> pl.DataFrame:
    """The log of 20 workers that run tasks of five kinds, one after the other, for two minutes."""
    phases = ["__DEFAULT__", "load", "clean", "fit model", "report"]
    rows = []
    for worker in range(20):
        for second in range(worker % 7, 120 - worker % 5):
            phase = phases[(worker + second // (8 + worker % 4)) % 5]
            level = 60 + 90 * phases.index(phase) * (0.6 + 0.4 * math.sin(worker))
            core = 0.0 if phase == "__DEFAULT__" else 85 + 15 * math.sin(second * 1.7 + worker)
            rows.append(
                {
                    "version": "0.1.0",
                    "phase": phase,
                    "pid": 20_000 + worker,
                    "name": f"worker {worker}",
                    "status": 0,
                    "time": second + worker / 20,
                    "core": core,
                    "cpu": core / 8,
                    "resident": level + 10 * math.sin(second / 3),
                    "virtual": 2 * level,
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture
def same_picture(tmp_path: Path) -> Callable[[object, str], None]:
    """Compare a figure with the stored picture of that name; AUTOMETRIC_NEW_PICTURES=1 stores it anew."""
    from matplotlib.testing.compare import compare_images

    def check(figure: object, name: str) -> None:
        stored = Path(__file__).with_name("data") / name
        drawn = tmp_path / name
        figure.savefig(stored if os.environ.get("AUTOMETRIC_NEW_PICTURES") == "1" else drawn, dpi=60)
        figure.savefig(drawn, dpi=60)
        # Letters differ a little from one version of matplotlib to the next.
        difference = compare_images(str(stored), str(drawn), tol=12)
        assert difference is None, difference

    return check
