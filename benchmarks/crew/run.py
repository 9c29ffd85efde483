"""Seconds that a controller and concurrent.futures take for trivial tasks: `python run.py [tasks] [rounds]`.

Both have two workers that are up before the clock starts, and get the same tasks one by one.
"""

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import crew_py

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what all benchmarks have in common

from rounds import measure, report

WORKERS = 2


def identity(x):
    return x


def pushed(controller, n):
    """Push each task by itself, wait for all, collect one frame."""
    marks = [time.perf_counter()]
    for i in range(n):
        controller.push(identity, data={"x": i})
    marks.append(time.perf_counter())
    controller.wait()
    marks.append(time.perf_counter())
    rows = controller.collect()
    marks.append(time.perf_counter())
    assert rows["result"].to_list() == list(range(n))
    return [after - before for before, after in pairwise(marks)]


def mapped(controller, n):
    """The same by map."""
    started = time.perf_counter()
    rows = controller.map(identity, iterate={"x": range(n)}, verbose=False)
    elapsed = time.perf_counter() - started
    assert rows["result"].to_list() == list(range(n))
    return elapsed


def submitted(pool, n):
    """The same by submit and result."""
    started = time.perf_counter()
    futures = [pool.submit(identity, i) for i in range(n)]
    results = [future.result() for future in futures]
    elapsed = time.perf_counter() - started
    assert results == list(range(n))
    return elapsed


def warm(controller):
    """Have all workers connected, and polars imported."""
    controller.start()
    controller.launch(WORKERS)
    crew_py.crew_retry(lambda: controller.client.status()["connections"] == WORKERS, seconds_interval=0.01)
    mapped(controller, 100)


def main(n=5000, rounds=5):
    parts = []

    def push():
        parts.append(pushed(controller, n))
        return sum(parts[-1])

    with (
        crew_py.crew_controller_local(workers=WORKERS) as controller,
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool,
    ):
        warm(controller)
        submitted(pool, 100)
        variants = {
            "ProcessPoolExecutor": lambda: submitted(pool, n),
            "crew_py push": push,
            "crew_py map": lambda: mapped(controller, n),
        }
        found = measure(variants, rounds)
    report(f"{n} trivial tasks, {WORKERS} workers", "s", found, "ProcessPoolExecutor", digits=2)
    pushing, waiting, collecting = (statistics.median(part) for part in zip(*parts, strict=True))
    print(f"of push: {pushing:.2f} s to push, {waiting:.2f} s to wait, {collecting:.2f} s to collect")
    print("R's crew took 0.97 s to walk, 1.58 s to wait and 0.20 s to collect 5000 tasks on two cores")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
