"""mirai_py beside what Python brings along: rounds of all, one after another, medians and ratios at the end.

python benchmarks/mirai/run.py [--rounds 5] [--tasks 20000] [--daemons 2]
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import defaultdict
from contextlib import contextmanager

import pynng

import mirai_py
import nngsock

ECHO_PYNNG = """
import sys, pynng
with pynng.Pair1(dial=sys.argv[1]) as s:
    while (message := s.recv()) != b"end":
        s.send(message)
"""
ECHO_NNGSOCK = """
import sys, nngsock
s = nngsock.socket("pair1", dial=sys.argv[1])
while (message := nngsock.recv(s, mode="raw", block=True)) != b"end":
    nngsock.send(s, message, mode="raw", block=True)
"""

# Mirais that are awaited one after the other in one event loop.
AWAITED = 10_000


def seconds(call):
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def one_at_a_time(call, number=1000):
    """Median microseconds of a call."""
    for _ in range(100):
        call()
    return statistics.median(seconds(call) for _ in range(number)) * 1e6


def per_second(number, call):
    return number / seconds(call)


@contextmanager
def echo_by_pynng():
    url = f"abstract://bench-{os.getpid()}-pynng"
    with pynng.Pair1(listen=url) as socket:
        peer = subprocess.Popen([sys.executable, "-c", ECHO_PYNNG, url])
        socket.send(b"first")
        socket.recv()

        def trip():
            socket.send(b"x" * 100)
            socket.recv()

        yield trip
        socket.send(b"end")
        peer.wait()


@contextmanager
def echo_by_nngsock():
    url = f"abstract://bench-{os.getpid()}-nngsock"
    with nngsock.socket("pair1", listen=url) as socket:
        peer = subprocess.Popen([sys.executable, "-c", ECHO_NNGSOCK, url])

        def trip():
            nngsock.send(socket, b"x" * 100, mode="raw", block=True)
            nngsock.recv(socket, mode="raw", block=True)

        trip()
        yield trip
        nngsock.send(socket, b"end", mode="raw", block=True)
        peer.wait()


@contextmanager
def busy_thread():
    """Another thread of the host runs pure Python all the while."""
    stop = False

    def spin():
        while not stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


def all_of(submit, wait, number):
    def run():
        for each in [submit(i) for i in range(number)]:
            wait(each)

    return run


def closure_over(k):
    return lambda x: x + k


def closure_over_list(k):
    return lambda x: x + k[0]


async def await_all(number):
    for each in [mirai_py.mirai(abs, i) for i in range(number)]:
        await each


def start_interpreters():
    command = [sys.executable, "-c", "import pynng, cloudpickle"]
    for process in [subprocess.Popen(command) for _ in range(2)]:
        process.wait()


def start_daemons():
    """Seconds until two are ready."""
    begun = time.perf_counter()
    with mirai_py.daemons(2, compute="starting"):
        return time.perf_counter() - begun


def bytes_of_a_queued_task(number=20_000):
    """Memory of tasks that wait for a daemon, with the mirais that the caller holds."""
    with mirai_py.daemons(url=mirai_py.local_url(), compute="queue"):
        mirai_py.mirai(abs, 0, _compute="queue")
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            waiting = [mirai_py.mirai(abs, i, _compute="queue") for i in range(number)]
            now, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (now - before) / len(waiting)


@contextmanager
def contenders(daemons):
    """Everybody, running: an executor, a pool, daemons, two echoes."""
    context = multiprocessing.get_context("fork")
    with (
        concurrent.futures.ProcessPoolExecutor(daemons, mp_context=context) as executor,
        context.Pool(daemons) as pool,
    ):
        executor.submit(abs, 1).result()
        with mirai_py.daemons(daemons), echo_by_pynng() as raw, echo_by_nngsock() as ours:
            yield executor, pool, raw, ours


def measures(tasks, executor, pool, raw, ours):
    """What to measure: group, who, how."""
    mirai, call = mirai_py.mirai, mirai_py.Mirai.call
    wait = concurrent.futures.Future.result
    constant, changing = closure_over(3), closure_over_list([3])
    few = tasks // 10

    def rate(submit, wait_for, number=tasks):
        return lambda: per_second(number, all_of(submit, wait_for, number))

    def loaded(measured):
        def run():
            with busy_thread():
                return measured()

        return run

    def apply_async(i):
        return pool.apply_async(abs, (i,))

    def get(result):
        return result.get()

    latency = "us, one at a time"
    yield latency, "pynng round trip", lambda: one_at_a_time(raw)
    yield latency, "nngsock round trip", lambda: one_at_a_time(ours)
    yield latency, "ProcessPoolExecutor", lambda: one_at_a_time(lambda: executor.submit(abs, 1).result())
    yield latency, "Pool.apply", lambda: one_at_a_time(lambda: pool.apply(abs, (1,)))
    yield latency, "mirai", lambda: one_at_a_time(lambda: mirai(abs, 1).collect())

    together = "tasks/s, submitted then collected"
    yield together, "ProcessPoolExecutor", rate(lambda i: executor.submit(abs, i), wait, tasks // 4)
    yield together, "Pool.apply_async", rate(apply_async, get)
    yield together, "mirai", rate(lambda i: mirai(abs, i), call)
    yield together, "mirai, closure over immutables", rate(lambda i: mirai(constant, i), call)
    yield together, "mirai, closure over others", rate(lambda i: mirai(changing, i), call)

    busy = "tasks/s while a thread of the host is busy"
    yield busy, "ProcessPoolExecutor", loaded(rate(lambda i: executor.submit(abs, i), wait, few))
    yield busy, "mirai", loaded(rate(lambda i: mirai(abs, i), call, few))

    collected = "tasks/s in one event loop or without"
    yield collected, "mirai, collected", rate(lambda i: mirai(abs, i), call, AWAITED)
    yield collected, "mirai, awaited", lambda: per_second(AWAITED, lambda: asyncio.run(await_all(AWAITED)))

    started = "ms to start two"
    yield started, "python -c 'import pynng, cloudpickle'", lambda: 1000 * seconds(start_interpreters)
    yield started, "mirai", lambda: 1000 * start_daemons()

    yield "bytes of the host for a queued trivial task", "mirai", bytes_of_a_queued_task

    mapped = "elements/s of a map"
    yield mapped, "Pool.map, chunksize 1", lambda: per_second(tasks, lambda: pool.map(abs, range(tasks), 1))
    yield mapped, "Pool.map", lambda: per_second(tasks, lambda: pool.map(abs, range(tasks)))
    yield mapped, "mirai_map", lambda: per_second(tasks, lambda: mirai_py.mirai_map(range(tasks), abs).call())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--daemons", type=int, default=2)
    arguments = parser.parse_args()
    found = defaultdict(lambda: defaultdict(list))
    with contenders(arguments.daemons) as everybody:
        for number in range(arguments.rounds):
            for group, who, run in measures(arguments.tasks, *everybody):
                found[group][who].append(run())
            print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    report(found)


def report(found):
    for group, rows in found.items():
        medians = {who: statistics.median(values) for who, values in rows.items()}
        mine = next(value for who, value in medians.items() if who.startswith("mirai"))
        print(f"\n{group:<44}{'median':>12}{'mirai is':>12}")
        for who, value in medians.items():
            print(f"  {who:<42}{value:>12,.0f}{mine / value:>11.2f}x")


if __name__ == "__main__":
    main()
