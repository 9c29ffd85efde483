"""Time and memory per target of the engine: in this process, silent reporter, pickles of small integers.

    python benchmarks/targets/engine.py [--targets 10000] [--profile]

Times are processor times, so that other work on the machine does not count, in a temporary folder: put
TMPDIR on a fast file system. The budget: a target is built in 0.3 ms and skipped in 0.05 ms at 10,000
targets, and the time per target at 100,000 is within 1.5 times that at 1,000.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

from targets_py.engine.run import run_pipeline
from targets_py.script import open_script
from targets_py.storage.store import Store

STEMS = """
from targets_py import *

WIDTH = 50
pipeline = [tar_target(f"x{{n}}", f"x{{n - WIDTH}} + 1" if n >= WIDTH else n) for n in range({n})]
"""

CALLABLES = """
from targets_py import *

def add(value):
    return value + 1

pipeline = [tar_target("x", lambda: 0)]
for _ in range({n}):
    name = f"x{{_}}"
    pipeline.append(tar_target(name, lambda x, k=_: add(x) + k))
"""

BRANCHES = """
from targets_py import *

pipeline = [
    tar_target("x", lambda: list(range({n}))),
    tar_target("y", lambda x: x + 1, pattern=map("x")),
]
"""

SCRIPTS = {"stems (source)": STEMS, "stems (lambda)": CALLABLES, "branches": BRANCHES}


class Silent:
    """A reporter that shows nothing."""

    def __getattr__(self, name: str):
        return self._nothing

    def _nothing(self, *_) -> None:
        pass


def run() -> None:
    with open_script("_targets.py") as pipeline:
        run_pipeline(pipeline, Store("_targets"), Silent())


def measure(script: str, n: int, profile: bool) -> list[float]:
    """Milliseconds of processor time per target: of a run that builds all, of one that skips all."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("_targets.py").write_text(script.format(n=n), encoding="utf-8")
        for _ in range(2):
            profiler = cProfile.Profile() if profile else None
            start = time.process_time()
            if profiler:
                profiler.runcall(run)
                pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
            else:
                run()
            times.append((time.process_time() - start) / n * 1000)
        os.chdir("/")
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--only", choices=sorted(SCRIPTS))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"{'pipeline':16} {'targets':>8} {'build ms':>9} {'skip ms':>9} {'peak MB':>8}")
    for name, script in SCRIPTS.items():
        if options.only in {None, name}:
            for n in options.targets:
                build, skip = measure(script, n, options.profile)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{name:16} {n:8} {build:9.4f} {skip:9.4f} {peak:8.0f}")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
