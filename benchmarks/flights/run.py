"""The branches of examples/flights in one process and on two workers, rounds interleaved, one BLAS thread.

The parallel part is the time from the first dispatched to the last completed branch, workers' start included.
Also measured: the second run, which does nothing, interpreter start included.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what all benchmarks have in common

from rounds import Bar, ratio

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def make(folder: Path, *options: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "targets_py", "make", "--reporter", "timestamp", *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stderr


def parallel_seconds(report: str) -> float:
    times = [
        datetime.fromisoformat(line[:22])
        for line in report.splitlines()
        if "dispatched branch" in line or "completed branch" in line
    ]
    return (times[-1] - times[0]).total_seconds()


def fresh(parent: str) -> Path:
    folder = Path(parent) / "flights"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("_targets", "results", "__pycache__"))
    return folder


def main() -> None:
    alone, workers, nothing = [], [], []
    with tempfile.TemporaryDirectory() as parent:
        for number in range(ROUNDS):
            alone.append(parallel_seconds(make(fresh(parent), "--no-crew")))
            folder = fresh(parent)
            workers.append(parallel_seconds(make(folder)))
            begun = time.perf_counter()
            make(folder)
            nothing.append(time.perf_counter() - begun)
            print(
                f"round {number + 1}: one process {alone[-1]:.1f} s, two workers {workers[-1]:.1f} s, "
                f"nothing to do {nothing[-1]:.2f} s",
                flush=True,
            )
    print(Bar("one process, to two workers", ratio(alone, workers), 1.6))
    print(Bar("seconds of a run that does nothing", statistics.median(nothing), 2, at_most=True))


if __name__ == "__main__":
    main()
