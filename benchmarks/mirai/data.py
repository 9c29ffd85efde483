"""Large values: there and back, and in the memory of several daemons at once."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np
from rounds import Bar, measure, ratio, report, seconds

import mirai_py

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from peers import Peer

MEGABYTES = 80
TOO_SLOW = ("parsl",)  # which sends it through files and sockets, for seconds
MEMORY = """
import re, pathlib
def memory():
    text = pathlib.Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Pss: +(\\d+) kB", text, re.M)[1]) * 1024
held = []
"""


identity = np.asarray  # gives back the array itself, and all can import it


def there_and_back(peers: dict[str, Peer], options: Namespace) -> list[Bar]:
    """An array to a worker and back."""
    array = np.random.default_rng(1).random(MEGABYTES * 1_000_000 // 8)

    def two_copies() -> None:
        first = np.empty_like(array)
        first[:] = array
        second = np.empty_like(array)
        second[:] = first

    def median(call: Callable[[], object]) -> Callable[[], float]:
        """The time of one among ten in a row, so that the system has memory at hand for all alike."""
        return lambda: statistics.median(seconds(call) for _ in range(10))

    def sent(peer: Peer, value: object) -> Callable[[], float]:
        if peer.submit is None:
            return median(lambda: peer.map(identity, [value]))
        return median(lambda: peer.value(peer.submit(identity, value)))

    mirai = peers["mirai"]
    shared = mirai_py.share(array)
    copies = "two memcpy into fresh memory"
    variants = {copies: median(two_copies)}
    variants |= {peer.name: sent(peer, array) for peer in peers.values() if peer.name not in TOO_SLOW}
    variants["mirai, and all of it is read"] = median(
        lambda: mirai.value(mirai.submit(identity, array)).sum()
    )
    variants["mirai, of an array that is shared already"] = sent(mirai, shared)
    found = measure(variants, max(1, options.rounds // 2))
    report(f"{MEGABYTES} MB there and back", "ms", found, "mirai", scale=1e3)
    return [Bar("to the two copies", ratio(found["mirai"], found[copies]), 3, at_most=True)]


def held_at_once(_: dict[str, Peer], __: Namespace) -> list[Bar]:
    """How much memory four daemons need for one array that all have read."""
    size = MEGABYTES * 1_000_000

    def read(x: np.ndarray) -> int:
        before = memory()  # noqa: F821 - a name of the daemon
        float(x.sum())
        held.append(x)  # noqa: F821 - likewise
        return memory() - before  # noqa: F821

    with mirai_py.daemons(4, compute="holding"):
        mirai_py.everywhere(MEMORY, _compute="holding").call()
        array = mirai_py.share(np.ones(size // 8))
        mirai_py.everywhere(read, array, _compute="holding").call()
        # Each is charged its share of what it has in common with others, once all have read.
        whole = sum(mirai_py.everywhere("memory()", _compute="holding").collect())
        mirai_py.everywhere("held.clear()", _compute="holding").call()
        without = sum(mirai_py.everywhere("memory()", _compute="holding").collect())
    print("\none array, read by four daemons")
    return [Bar("memory of the daemons for it, to its size", (whole - without) / size, 1.5, at_most=True)]
