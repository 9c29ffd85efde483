"""Tasks per second of a controller and of concurrent.futures: `python run.py [tasks] [rounds]`.

Both have two workers that are up before the clock starts, and get the same trivial tasks one by one, in
turns. The medians are printed; a ratio above 1 means that crew_py is faster.
"""

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context

import crew_py

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
    parts, maps, pools = [], [], []
    with (
        crew_py.crew_controller_local(workers=WORKERS) as controller,
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool,
    ):
        warm(controller)
        submitted(pool, 100)
        for _ in range(rounds):
            parts.append(pushed(controller, n))
            maps.append(mapped(controller, n))
            pools.append(submitted(pool, n))
    push, wait, collect = (statistics.median(part) for part in zip(*parts, strict=True))
    total = statistics.median(sum(part) for part in parts)
    mapping, peer = statistics.median(maps), statistics.median(pools)
    print(f"{n} trivial tasks, {WORKERS} workers, medians of {rounds} rounds")
    print(f"crew_py push      {total:6.2f} s  {n / total:8.0f} tasks/s  ratio {peer / total:5.2f}")
    print(f"        (push {push:.2f} s, wait {wait:.2f} s, collect {collect:.2f} s)")
    print(f"crew_py map       {mapping:6.2f} s  {n / mapping:8.0f} tasks/s  ratio {peer / mapping:5.2f}")
    print(f"ProcessPoolExecutor {peer:4.2f} s  {n / peer:8.0f} tasks/s")
    print("R's crew took 0.97 s to walk, 1.58 s to wait and 0.20 s to collect 5000 tasks on two cores")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
