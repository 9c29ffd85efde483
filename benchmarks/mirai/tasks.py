"""What a task costs: alone, among many, while the host is busy, awaited, waiting; and a daemon, to start."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pynng
from rounds import Bar, measure, ratio, report, seconds

import mirai_py
import nngsock

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from peers import Peer

AWAITED = 10_000
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


@contextmanager
def echo_by_pynng() -> Iterator[Callable[[], object]]:
    """A round trip, as bare as pynng makes it."""
    url = f"abstract://bench-{os.getpid()}-pynng"
    with pynng.Pair1(listen=url) as socket:
        peer = subprocess.Popen([sys.executable, "-c", ECHO_PYNNG, url])

        def trip() -> None:
            socket.send(b"x" * 100)
            socket.recv()

        trip()
        yield trip
        socket.send(b"end")
        peer.wait()


@contextmanager
def echo_by_nngsock() -> Iterator[Callable[[], object]]:
    """The same by nngsock."""
    url = f"abstract://bench-{os.getpid()}-nngsock"
    with nngsock.socket("pair1", listen=url) as socket:
        peer = subprocess.Popen([sys.executable, "-c", ECHO_NNGSOCK, url])

        def trip() -> None:
            nngsock.send(socket, b"x" * 100, mode="raw", block=True)
            nngsock.recv(socket, mode="raw", block=True)

        trip()
        yield trip
        nngsock.send(socket, b"end", mode="raw", block=True)
        peer.wait()


@contextmanager
def busy_thread() -> Iterator[None]:
    """Another thread of the host runs pure Python all the while."""
    stop = False

    def spin() -> None:
        while not stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


def alone(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """A trivial task, one at a time."""

    def median(call: Callable[[], object], number: int) -> Callable[[], float]:
        def run() -> float:
            for _ in range(number // 10):
                call()
            return statistics.median(seconds(call) for _ in range(number))

        return run

    def one(peer: Peer) -> Callable[[], float]:
        return median(lambda: peer.value(peer.submit(abs, -1)), min(500, peer.tasks // 10))

    with echo_by_pynng() as theirs, echo_by_nngsock() as ours:
        trips = {"a pynng round trip": median(theirs, 500), "an nngsock round trip": median(ours, 500)}
        tasks = {peer.name: one(peer) for peer in peers.values() if peer.submit is not None}
        found = measure(trips | tasks, options.rounds)
    report("a trivial task, one at a time", "µs", found, "mirai", scale=1e6)
    mine = found["mirai"]
    return [
        Bar("to ProcessPoolExecutor", ratio(mine, found["ProcessPoolExecutor"]), 1, at_most=True),
        Bar("to a pynng round trip", ratio(mine, found["a pynng round trip"]), 2, at_most=True),
    ]


def rate(peer: Peer, f: Callable[[int], object], number: int) -> float:
    """Tasks a second, submitted and then collected."""

    def run() -> None:
        for each in [peer.submit(f, i) for i in range(number)]:
            peer.value(each)

    return number / seconds(run)


def closure_over(k: int) -> Callable[[int], int]:
    """A function that refers to something that cannot change."""
    return lambda x: x + k


def closure_over_list(k: list[int]) -> Callable[[int], int]:
    """A function that refers to something that can."""
    return lambda x: x + k[0]


def together(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Many trivial tasks."""
    mirai = peers["mirai"]
    variants = {
        peer.name: lambda peer=peer: rate(peer, abs, peer.tasks)
        for peer in peers.values()
        if peer.submit is not None
    }
    constant, changing = closure_over(3), closure_over_list([3])
    variants["mirai, a closure over immutable values"] = lambda: rate(mirai, constant, mirai.tasks)
    variants["mirai, a closure over others"] = lambda: rate(mirai, changing, mirai.tasks)
    found = measure(variants, options.rounds)
    report("20,000 trivial tasks, submitted then collected", "tasks/s", found, "mirai", digits=0)
    mine = found["mirai"]
    return [
        Bar("to ProcessPoolExecutor", ratio(mine, found["ProcessPoolExecutor"]), 4),
        Bar("to Pool.apply_async", ratio(mine, found["multiprocessing.Pool"]), 1.5),
        Bar("over immutable values", ratio(found["mirai, a closure over immutable values"], mine), 0.8),
        Bar("over others", ratio(found["mirai, a closure over others"], mine), 0.4),
    ]


def while_busy(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Many trivial tasks, while NNG's callbacks wait for the interpreter."""

    def loaded(peer: Peer) -> Callable[[], float]:
        def run() -> float:
            with busy_thread():
                return rate(peer, abs, min(1000, peer.tasks // 5))

        return run

    variants = {peer.name: loaded(peer) for peer in peers.values() if peer.submit is not None}
    found = measure(variants, options.rounds)
    report("the same while a thread of the host is busy", "tasks/s", found, "mirai", digits=0)
    return [Bar("to ProcessPoolExecutor", ratio(found["mirai"], found["ProcessPoolExecutor"]), 2)]


def awaited(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Mirais that are awaited one after the other in one event loop."""
    mirai = peers["mirai"]

    async def all_of_them() -> None:
        for each in [mirai_py.mirai(abs, i) for i in range(AWAITED)]:
            await each

    variants = {
        "collected": lambda: rate(mirai, abs, AWAITED),
        "awaited": lambda: AWAITED / seconds(lambda: asyncio.run(all_of_them())),
    }
    found = measure(variants, options.rounds)
    report("10,000 mirais in one event loop, or without", "tasks/s", found, "collected", digits=0)
    return [Bar("awaited, to collected", ratio(found["awaited"], found["collected"]), 0.8)]


def starting(_: dict[str, Peer], options: Namespace) -> list[Bar]:
    """How long two daemons take until they are ready."""

    def interpreters() -> None:
        command = [sys.executable, "-c", "import pynng, cloudpickle"]
        for process in [subprocess.Popen(command) for _ in range(2)]:
            process.wait()

    def daemons() -> float:
        spent = seconds(lambda: mirai_py.daemons(2, compute="starting"))
        mirai_py.daemons(0, compute="starting")
        return spent

    variants = {"two imports of pynng, cloudpickle": lambda: seconds(interpreters), "daemons(2)": daemons}
    found = measure(variants, max(options.rounds, 5))
    imports = "two imports of pynng, cloudpickle"
    report("until two are ready", "ms", found, "daemons(2)", scale=1e3, digits=0)
    return [Bar("to the imports", ratio(found["daemons(2)"], found[imports]), 2.5, at_most=True)]


def queued(_: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Memory of tasks that wait, of a host of its own, whose heap is fresh."""

    def grown(submit: str) -> float:
        source = QUEUE.format(submit=submit)
        return float(subprocess.check_output([sys.executable, "-c", source, "100000"]))

    variants = {
        "a task": lambda: grown("[mirai_py.mirai(abs, i) for i in range(number)]"),
        "an element of a map": lambda: grown("mirai_py.mirai_map(range(number), abs)"),
    }
    found = measure(variants, min(options.rounds, 3))
    report("memory of the host for what waits", "bytes", found, "a task", digits=0)
    return [Bar("bytes for a queued trivial task", statistics.median(found["a task"]), 1024, at_most=True)]
