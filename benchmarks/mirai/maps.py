"""Maps: over very many trivial elements, and over few long ones of different length."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from rounds import Bar, measure, ratio, report, seconds

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from peers import Peer

ELEMENTS = 1_000_000
CHUNKED = ("mirai", "multiprocessing.Pool", "mpire")  # who is quick enough for all of them


def trivial(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Elements a second, values included."""

    def rate(call: Callable[[range], object], number: int) -> Callable[[], float]:
        return lambda: number / seconds(lambda: call(range(number)))

    def of(peer: Peer) -> Callable[[], float]:
        number = ELEMENTS if peer.name in CHUNKED else peer.tasks
        return rate(lambda elements: peer.map(abs, elements), number)

    variants = {peer.name: of(peer) for peer in peers.values()}
    pool = peers["multiprocessing.Pool"].map
    variants["multiprocessing.Pool, chunksize=1"] = rate(lambda elements: pool(abs, elements, 1), 20_000)
    found = measure(variants, options.rounds)
    report("a map over 1,000,000 trivial elements", "elements/s", found, "mirai", digits=0)
    mine = found["mirai"]
    return [
        Bar("to Pool.map", ratio(mine, found["multiprocessing.Pool"]), 0.25),
        Bar("to Pool.map(chunksize=1)", ratio(mine, found["multiprocessing.Pool, chunksize=1"]), 5),
    ]


def uneven(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """Time of 200 elements of 20 to 200 ms, over what it must take at least."""
    draw = random.Random(3)
    naps = [draw.uniform(0.02, 0.2) for _ in range(200)]
    ideal = sum(naps) / options.workers
    some = [peers[name] for name in ("mirai", "ProcessPoolExecutor", "multiprocessing.Pool")]
    variants = {
        peer.name: lambda peer=peer: seconds(lambda: peer.map(time.sleep, naps)) / ideal for peer in some
    }
    found = measure(variants, max(1, options.rounds // 5))
    report("a map over 200 elements of 20 to 200 ms", "to the ideal", found, "mirai", digits=3)
    return [Bar("makespan, to the ideal", max(found["mirai"]), 1.05, at_most=True)]
