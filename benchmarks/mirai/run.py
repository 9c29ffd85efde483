"""mirai_py beside the others of its field, with two workers each: every bar in one run.

    python benchmarks/mirai/run.py [--rounds 5] [--workers 2] [--only alone together ...]

Peers that are not installed are left out. Those that keep the machine busy while they wait (dask.distributed,
ray, parsl) come after the others, in the same tables once more.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what all benchmarks have in common

import data
import maps
import peers
import tasks

OF_ALL = {
    "alone": tasks.alone,
    "together": tasks.together,
    "busy": tasks.while_busy,
    "map": maps.trivial,
    "data": data.there_and_back,
}
OF_OURS = {
    "awaited": tasks.awaited,
    "makespan": maps.uneven,
    "held": data.held_at_once,
    "start": tasks.starting,
    "queued": tasks.queued,
}
TABLES = OF_ALL | OF_OURS


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), metavar="TABLE")
    options = parser.parse_args()
    with ExitStack() as stack:
        found = peers.running(peers.QUIET, options.workers, stack)
        for name in options.only:
            for bar in TABLES[name](found, options):
                print(bar)
    with ExitStack() as stack:
        found = peers.running(peers.RESTLESS, options.workers, stack)
        for name in options.only:
            if name in OF_ALL:
                OF_ALL[name](found, options)


if __name__ == "__main__":
    main()
