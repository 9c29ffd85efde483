"""Maps and large values of mirai_py beside others: rounds of all in turn, medians and ratios at the end.

Peers that are not installed (loky, joblib, mpire, dask.distributed) are left out.

python benchmarks/mirai_data/run.py [--rounds 5] [--elements 1000000] [--daemons 2]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import multiprocessing
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack

import numpy as np

import mirai_py

MEGABYTES = 80
FEW = 5_000  # elements for those that take long for each


def identity(x):
    return x


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def per_second(number, call):
    return number / seconds(call)


def installed(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Contenders:
    """Everybody, running."""

    def __init__(self, daemons, stack):
        context = multiprocessing.get_context("fork")
        self.pool = stack.enter_context(context.Pool(daemons))
        self.executor = stack.enter_context(
            concurrent.futures.ProcessPoolExecutor(daemons, mp_context=context)
        )
        self.executor.submit(abs, 1).result()
        self.mpire = self.loky = self.joblib = self.dask = None
        if (mpire := installed("mpire")) is not None:
            self.mpire = stack.enter_context(mpire.WorkerPool(daemons, keep_alive=True))
            self.mpire.map(abs, range(10))
        if (loky := installed("loky")) is not None:
            self.loky = loky.get_reusable_executor(daemons, timeout=1000)
            self.loky.submit(abs, 1).result()
            stack.callback(self.loky.shutdown)
        if (joblib := installed("joblib")) is not None:
            self.joblib = stack.enter_context(joblib.Parallel(daemons))
            self.delayed = joblib.delayed
        if (distributed := installed("distributed")) is not None:
            cluster = distributed.LocalCluster(
                n_workers=daemons, threads_per_worker=1, dashboard_address=None
            )
            self.dask = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        stack.enter_context(mirai_py.daemons(daemons))


def maps(it, number):
    """Elements a second of a map over trivial elements, values included."""
    yield "Pool.map", lambda: per_second(number, lambda: it.pool.map(abs, range(number)))
    some = number // 50
    yield "Pool.map, chunksize 1", lambda: per_second(some, lambda: it.pool.map(abs, range(some), 1))
    few = range(FEW)
    yield "ProcessPoolExecutor.map", lambda: per_second(FEW, lambda: list(it.executor.map(abs, few)))
    if it.mpire is not None:
        yield "mpire", lambda: per_second(number, lambda: it.mpire.map(abs, range(number)))
    if it.loky is not None:
        yield "loky", lambda: per_second(FEW, lambda: list(it.loky.map(abs, few)))
    if it.joblib is not None:
        calls = (it.delayed(abs)(i) for i in few)
        yield "joblib", lambda: per_second(FEW, lambda: it.joblib(calls))
    if it.dask is not None:
        some = range(FEW // 5)
        yield (
            "dask.distributed",
            lambda: per_second(len(some), lambda: it.dask.gather(it.dask.map(abs, some))),
        )
    yield "mirai_map", lambda: per_second(number, lambda: mirai_py.mirai_map(range(number), abs).collect())


def there_and_back(it):
    """Milliseconds of an array there and back."""
    array = np.random.default_rng(1).random(MEGABYTES * 1_000_000 // 8)

    def two_copies():
        first = np.empty_like(array)
        first[:] = array
        second = np.empty_like(array)
        second[:] = first

    def timed(call):
        return lambda: seconds(call) * 1000

    yield "two memcpy into fresh memory", timed(two_copies)
    yield "Pool.apply", timed(lambda: it.pool.apply(identity, (array,)))
    yield "ProcessPoolExecutor", timed(lambda: it.executor.submit(identity, array).result())
    if it.loky is not None:
        yield "loky", timed(lambda: it.loky.submit(identity, array).result())
    if it.joblib is not None:
        yield "joblib (memory-mapped argument)", timed(lambda: it.joblib([it.delayed(identity)(array)]))
    yield "mirai", timed(lambda: mirai_py.mirai(identity, array).collect())
    yield "mirai, and all of it read", timed(lambda: mirai_py.mirai(identity, array).collect().sum())
    shared = mirai_py.share(array)
    yield "mirai of a shared array", timed(lambda: mirai_py.mirai(identity, shared).collect())


def makespans(it, daemons):
    """Time of 200 elements of 20 to 200 ms, over what it must take at least."""
    rng = random.Random(3)
    naps = [rng.uniform(0.02, 0.2) for _ in range(200)]
    ideal = sum(naps) / daemons
    yield "Pool.map", lambda: seconds(lambda: it.pool.map(time.sleep, naps)) / ideal
    yield (
        "ProcessPoolExecutor.map",
        lambda: seconds(lambda: list(it.executor.map(time.sleep, naps))) / ideal,
    )
    yield "mirai_map", lambda: seconds(mirai_py.mirai_map(naps, time.sleep).call) / ideal


QUEUE = """
import re, sys
from pathlib import Path
import mirai_py

def memory():
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmRSS:\\s+(\\d+) kB", text, re.MULTILINE)[1]) * 1024

number = int(sys.argv[1])
mirai_py.daemons(url=mirai_py.local_url())
before = memory()
held = {submit}
print((memory() - before) / number)
"""


def queued(number):
    """Bytes of the host for each task that waits: of a process of its own, whose heap is fresh."""

    def grown(submit):
        source = QUEUE.format(submit=submit)
        return float(subprocess.check_output([sys.executable, "-c", source, str(number)]))

    yield "mirai", lambda: grown("[mirai_py.mirai(abs, i) for i in range(number)]")
    yield "mirai_map, an element", lambda: grown("mirai_py.mirai_map(range(number), abs)")


def measures(it, number, daemons, last):
    yield from (("elements/s of a map", who, run) for who, run in maps(it, number))
    yield from ((f"ms, {MEGABYTES} MB there and back", who, run) for who, run in there_and_back(it))
    if last:
        yield from (("makespan / ideal, 20 to 200 ms", who, run) for who, run in makespans(it, daemons))
        yield from (("bytes a queued task", who, run) for who, run in queued(number // 10))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--daemons", type=int, default=2)
    arguments = parser.parse_args()
    found = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        it = Contenders(arguments.daemons, stack)
        for number in range(arguments.rounds):
            last = number == arguments.rounds - 1
            for group, who, run in measures(it, arguments.elements, arguments.daemons, last):
                found[group][who].append(run())
            print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    report(found)


def report(found):
    for group, rows in found.items():
        medians = {who: statistics.median(values) for who, values in rows.items()}
        mine = next(value for who, value in medians.items() if who.startswith("mirai"))
        print(f"\n{group:<44}{'median':>14}{'mirai is':>12}")
        for who, value in medians.items():
            print(f"  {who:<42}{value:>14,.4g}{mine / value:>11.2f}x")


if __name__ == "__main__":
    main()
