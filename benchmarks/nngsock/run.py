"""Round trips between two processes over ipc: nngsock beside the bare calls of libnng and beside pynng.

Variants take turns in short rounds, in random order, so that what the machine does meanwhile meets all of
them; the ratio is the median over rounds of the ratio within a round.
"""

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time

import pynng
from pynng import ffi, lib

import nngsock

ECHO = """
import sys
import pynng
from pynng import ffi, lib

socket = pynng.Pair1(dial=sys.argv[1]).socket
message = ffi.new("nng_msg **")
while lib.nng_recvmsg(socket, message, 0) == 0:
    lib.nng_sendmsg(socket, message[0], 0)
"""
PAYLOAD = b"x" * 100
BASE = "libnng, blocking"


def echo_server(url):
    return subprocess.Popen([sys.executable, "-c", ECHO, url])


class Bare:
    """The calls of libnng that a blocking round trip needs, and nothing else."""

    def __init__(self, url):
        self.socket = pynng.Pair1(listen=url)
        self.message = ffi.new("nng_msg **")

    def round_trips(self, n):
        handle, out = self.socket.socket, self.message
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


class Ours:
    def __init__(self, url):
        self.socket = nngsock.socket("pair1", listen=url)

    def round_trips(self, n):
        send, recv, socket = nngsock.send, nngsock.recv, self.socket
        for _ in range(n):
            send(socket, PAYLOAD, mode="raw", block=True)
            received = recv(socket, mode="raw", block=True)
        return received

    def collected(self, n):
        send_aio, recv_aio, socket = nngsock.send_aio, nngsock.recv_aio, self.socket
        for _ in range(n):
            send_aio(socket, PAYLOAD, mode="raw")
            received = recv_aio(socket, mode="raw").collect()
        return received

    async def awaited(self, n):
        send_aio, recv_aio, socket = nngsock.send_aio, nngsock.recv_aio, self.socket
        for _ in range(n):
            await send_aio(socket, PAYLOAD, mode="raw")
            received = await recv_aio(socket, mode="raw")
        return received

    def in_flight(self, n, depth=64):
        """The same number of round trips, `depth` of them under way at a time, resubmitted in callbacks."""
        done = nngsock.cv()
        more = iter(range(n - depth))

        def again(aio):
            if aio.data != PAYLOAD:
                raise AssertionError(aio.data)
            done.signal()
            if next(more, None) is not None:
                start()

        def start():
            nngsock.recv_aio(self.socket, mode="raw").add_done_callback(again, inline=True)
            nngsock.send_aio(self.socket, PAYLOAD, mode="raw")

        for _ in range(depth):
            start()
        for _ in range(n):
            done.wait()
        return PAYLOAD


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--trips", type=int, default=400, help="round trips in each round")
    options = parser.parse_args()
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as folder:
        bare, theirs, ours = (
            kind(f"ipc://{folder}/{kind.__name__}") for kind in (Bare, Pynng, Ours)
        )  # fmt: skip
        servers = [echo_server(f"ipc://{folder}/{kind.__name__}") for kind in (Bare, Pynng, Ours)]
        variants = {
            BASE: bare.round_trips,
            "pynng send, recv": theirs.round_trips,
            "pynng asend, arecv": lambda n: loop.run_until_complete(theirs.awaited(n)),
            "nngsock send, recv": ours.round_trips,
            "nngsock send_aio, recv_aio, collect": ours.collected,
            "nngsock await": lambda n: loop.run_until_complete(ours.awaited(n)),
            "nngsock 64 in flight, callbacks": ours.in_flight,
        }
        try:
            times = measure(variants, options.rounds, options.trips)
        finally:
            for server in servers:
                server.kill()
                server.wait()
            theirs.socket.close()
            bare.socket.close()
            nngsock.close(ours.socket)
    report(times)


def measure(variants, rounds, trips):
    for run in variants.values():  # connect, warm up, and see that what is sent comes back
        if run(100) != PAYLOAD:
            raise AssertionError("the echo is not what was sent")
    times = {name: [] for name in variants}
    for _ in range(rounds):
        for name in random.sample(sorted(variants), len(variants)):
            start = time.perf_counter()
            variants[name](trips)
            times[name].append((time.perf_counter() - start) / trips * 1e6)
    return times


def report(times):
    print(f"{'round trip of 100 bytes, ipc':<38}{'µs, median':>12}{'to libnng':>12}")
    for name, found in times.items():
        print(f"{name:<38}{statistics.median(found):>12.1f}{ratio(found, times[BASE]):>12.2f}")
    awaited = ratio(times["nngsock await"], times["nngsock send, recv"])
    print(f"nngsock await to nngsock send, recv: {awaited:.2f}")


def ratio(found, base):
    return statistics.median(x / y for x, y in zip(found, base, strict=True))


if __name__ == "__main__":
    main()
