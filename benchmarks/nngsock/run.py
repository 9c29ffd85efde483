"""nngsock beside raw pynng, over ipc between two processes: every bar in one run."""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pynng
from pynng import ffi, lib

import nngsock

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what all benchmarks have in common

from rounds import Bar, measure, ratio, report

PAYLOAD = b"x" * 100
SMALL = len(PAYLOAD)
BIG = 100_000_000
IN_FLIGHT = 64

# The other processes. The echo is made of bare calls of libnng, so that it is the same, and as fast as can
# be, for all; the sources send as many messages of one size as they are asked for, each by its own library.
ECHO = """
import sys
import pynng
from pynng import ffi, lib

socket = pynng.Pair1(dial=sys.argv[1]).socket
message = ffi.new("nng_msg **")
while lib.nng_recvmsg(socket, message, 0) == 0:
    lib.nng_sendmsg(socket, message[0], 0)
"""
PYNNG_SOURCE = """
import struct, sys
import pynng

socket = pynng.Pair1(dial=sys.argv[1])
while True:
    n, size = struct.unpack("<QQ", socket.recv())
    data = bytes(size)
    for _ in range(n):
        socket.send(data)
"""
NNGSOCK_SOURCE = """
import struct, sys
import nngsock

socket = nngsock.socket("pair1", dial=sys.argv[1])
while True:
    n, size = struct.unpack("<QQ", nngsock.recv(socket, mode="raw", block=True))
    data, done = bytes(size), nngsock.cv()

    def again(aio):
        global left
        left -= 1
        if left >= 0:
            nngsock.send_aio(socket, data, mode="raw").add_done_callback(again, inline=True)
        else:
            done.signal()

    started = min(n, 64)
    left = n - started
    for _ in range(started):
        nngsock.send_aio(socket, data, mode="raw").add_done_callback(again, inline=True)
    for _ in range(started):
        done.wait()
"""


def order(n, size):
    """The message that asks the other process for n messages of this size."""
    return n.to_bytes(8, "little") + size.to_bytes(8, "little")


class Bare:
    """The calls of libnng that a blocking round trip needs, and nothing else."""

    def __init__(self, url):
        self.socket = pynng.Pair1(listen=url)

    def round_trips(self, n):
        handle, out = self.socket.socket, ffi.new("nng_msg **")
        for _ in range(n):
            lib.nng_msg_alloc(out, len(PAYLOAD))
            ffi.memmove(lib.nng_msg_body(out[0]), PAYLOAD, len(PAYLOAD))
            lib.nng_sendmsg(handle, out[0], 0)
            lib.nng_recvmsg(handle, out, 0)
            received = ffi.buffer(lib.nng_msg_body(out[0]), lib.nng_msg_len(out[0]))[:]
            lib.nng_msg_free(out[0])
        return received


class Pynng:
    def __init__(self, url):
        self.socket = pynng.Pair1(listen=url)

    def round_trips(self, n):
        for _ in range(n):
            self.socket.send(PAYLOAD)
            received = self.socket.recv()
        return received

    async def awaited(self, n):
        for _ in range(n):
            await self.socket.asend(PAYLOAD)
            received = await self.socket.arecv()
        return received

    def receive(self, n, size=SMALL):
        self.socket.send(order(n, size))
        for _ in range(n):
            received = self.socket.recv()
        return received

    async def receive_awaited(self, n):
        await self.socket.asend(order(n, SMALL))
        for _ in range(n):
            received = await self.socket.arecv()
        return received


class Ours:
    def __init__(self, url):
        self.socket = nngsock.socket("pair1", listen=url)

    def round_trips(self, n):
        send, recv, socket = nngsock.send, nngsock.recv, self.socket
        for _ in range(n):
            send(socket, PAYLOAD, mode="raw", block=True)
            received = recv(socket, mode="raw", block=True)
        return received

    async def awaited(self, n):
        send_aio, recv_aio, socket = nngsock.send_aio, nngsock.recv_aio, self.socket
        for _ in range(n):
            await send_aio(socket, PAYLOAD, mode="raw")
            received = await recv_aio(socket, mode="raw")
        return received

    def receive(self, n, size=SMALL, mode="raw"):
        recv, socket = nngsock.recv, self.socket
        nngsock.send(socket, order(n, size), mode="raw", block=True)
        for _ in range(n):
            received = recv(socket, mode=mode, block=True)
        return received

    async def receive_awaited(self, n):
        recv_aio, socket = nngsock.recv_aio, self.socket
        await nngsock.send_aio(socket, order(n, SMALL), mode="raw")
        for _ in range(n):
            received = await recv_aio(socket, mode="raw")
        return received

    def receive_in_flight(self, n):
        """So many receives under way at a time, each asked for again by the callback of the one before."""
        recv_aio, socket = nngsock.recv_aio, self.socket
        done = nngsock.cv()
        left = n - IN_FLIGHT
        received = None

        def again(aio):
            nonlocal left, received
            received = aio.data
            if left > 0:
                left -= 1
                recv_aio(socket, mode="raw").add_done_callback(again, inline=True)
            elif (left := left - 1) == -IN_FLIGHT:
                done.signal()

        nngsock.send(socket, order(n, SMALL), mode="raw", block=True)
        for _ in range(IN_FLIGHT):
            recv_aio(socket, mode="raw").add_done_callback(again, inline=True)
        done.wait()
        return received


def import_times(rounds):
    """Seconds of processor time that importing pynng, and nngsock with it, takes in fresh interpreters."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = {"pynng": [], "nngsock": []}
    for _ in range(rounds + 1):
        for name, found in times.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", f"import {name}"], check=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {name: found[1:] for name, found in times.items()}  # the first round may compile


def in_turns(variants, rounds):
    """Seconds per operation of each variant in each round; (function, operations in a round) by name."""

    def each(name, run, n):
        def measured():
            start = time.perf_counter()
            received = run(n)
            spent = time.perf_counter() - start
            if len(received) not in {len(PAYLOAD), BIG}:
                raise AssertionError(f"{name} received {len(received)} bytes")
            return spent / n

        return measured

    for run, n in variants.values():
        run(min(n, 2 * IN_FLIGHT))
    return measure({name: each(name, *variant) for name, variant in variants.items()}, rounds)


def round_trips(bare, theirs, ours, run, options):
    times = in_turns(
        {
            "pynng send, recv": (theirs.round_trips, options.trips),
            "pynng asend, arecv": (lambda n: run(theirs.awaited(n)), options.trips),
            "nngsock send, recv": (ours.round_trips, options.trips),
            "nngsock await": (lambda n: run(ours.awaited(n)), options.trips),
            "bare calls of libnng": (bare.round_trips, options.trips),
        },
        options.rounds,
    )
    report("round trip of 100 bytes", "µs", times, "pynng send, recv", scale=1e6)
    ours_blocking, ours_awaited = times["nngsock send, recv"], times["nngsock await"]
    print(Bar("blocking, to pynng's", ratio(ours_blocking, times["pynng send, recv"]), 1.10, at_most=True))
    print(Bar("awaited, to blocking", ratio(ours_awaited, ours_blocking), 1.40, at_most=True))
    print(Bar("awaited, to pynng's", ratio(ours_awaited, times["pynng asend, arecv"]), 1.00, at_most=True))


def one_way(theirs, ours, run, options):
    n = options.messages
    times = in_turns(
        {
            "pynng recv": (theirs.receive, n),
            "pynng arecv": (lambda n: run(theirs.receive_awaited(n)), n),
            "nngsock recv": (ours.receive, n),
            "nngsock await one by one": (lambda n: run(ours.receive_awaited(n)), n),
            f"nngsock {IN_FLIGHT} in flight": (ours.receive_in_flight, n),
        },
        options.rounds,
    )
    report("one way, 100 bytes, time per message", "µs", times, "pynng recv", scale=1e6)
    in_flight = times[f"nngsock {IN_FLIGHT} in flight"]
    print(Bar("messages/s in flight, to pynng's recv", ratio(times["pynng recv"], in_flight), 1.5))
    print(Bar("messages/s in flight, to pynng's arecv", ratio(times["pynng arecv"], in_flight), 3))
    awaited = times["nngsock await one by one"]
    print(Bar("messages/s awaited, to pynng's arecv", ratio(times["pynng arecv"], awaited), 1.5))


def big_messages(theirs, ours, options):
    times = in_turns(
        {
            "pynng recv": (lambda n: theirs.receive(n, BIG), 1),
            "nngsock recv, buffer": (lambda n: ours.receive(n, BIG, "buffer"), 1),
            "nngsock recv, raw": (lambda n: ours.receive(n, BIG), 1),
        },
        max(options.rounds // 2, 3),
    )
    report("100 MB", "ms", times, "pynng recv", scale=1e3)
    buffer = ratio(times["nngsock recv, buffer"], times["pynng recv"])
    print(Bar("buffer, to pynng's", buffer, 0.8, at_most=True))


def imports(options):
    times = import_times(options.rounds)
    report("import, processor time", "ms", times, "pynng", scale=1e3)
    more = statistics.median(x - y for x, y in zip(times["nngsock"], times["pynng"], strict=True))
    print(Bar("ms more than pynng", more * 1e3, 20, at_most=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--trips", type=int, default=100, help="round trips in each round")
    parser.add_argument("--messages", type=int, default=2_000, help="one-way messages in each round")
    options = parser.parse_args()
    loop = asyncio.new_event_loop()
    peers = []
    with tempfile.TemporaryDirectory() as folder:

        def connected(kind, code):
            url = f"ipc://{folder}/{len(peers)}"
            side = kind(url)
            peers.append(subprocess.Popen([sys.executable, "-c", code, url]))
            return side

        try:
            sides = [connected(kind, ECHO) for kind in (Bare, Pynng, Ours)]
            round_trips(*sides, loop.run_until_complete, options)
            sources = [connected(Pynng, PYNNG_SOURCE), connected(Ours, NNGSOCK_SOURCE)]
            one_way(*sources, loop.run_until_complete, options)
            big_messages(*sources, options)
            imports(options)
        finally:
            for peer in peers:
                peer.kill()
                peer.wait()
    for side in (*sides, *sources):
        side.socket.close()
    loop.close()


if __name__ == "__main__":
    main()
