"""What benchmarks have in common: variants take turns, ratios are made within a round, bars are on ratios.

What else the machine does meets all variants of a round. So the median over rounds of the ratio within a
round is worth something, and a bar is on that; absolute figures are only there to give an idea.
"""

from __future__ import annotations

import importlib
import random
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

Figures = dict[str, list[float]]


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(variants: Mapping[str, Callable[[], float]], rounds: int) -> Figures:
    """The figure of each variant in each round, in which they take turns in random order."""
    found: Figures = {name: [] for name in variants}
    for _ in range(rounds):
        for name in random.sample(list(variants), len(variants)):
            found[name].append(variants[name]())
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def ratio(figures: Sequence[float], base: Sequence[float]) -> float:
    """The median over rounds of the ratio within a round."""
    return statistics.median(x / y for x, y in zip(figures, base, strict=True))


def report(title: str, unit: str, found: Figures, base: str, *, scale: float = 1, digits: int = 1) -> None:
    """Print a table: the median of each variant, and its ratio to one of them.

    Args:
        title: what was measured.
        unit: in what.
        found: the figures.
        base: the variant that the others are compared with.
        scale: what figures are multiplied by for the unit.
        digits: how many to show behind the point.
    """
    print(f"\n{title:<46}{unit:>14}{f'to {base}':>30}")
    for name, figures in found.items():
        median = statistics.median(figures) * scale
        print(f"{name:<46}{median:>14,.{digits}f}{ratio(figures, found[base]):>30.2f}")


@dataclass(frozen=True)
class Bar:
    """What a figure is to be: at least so much, or at most."""

    text: str
    value: float
    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        kept = self.value <= self.bound if self.at_most else self.value >= self.bound
        bound = f"{'at most' if self.at_most else 'at least'} {self.bound:g}"
        return f"  {'kept  ' if kept else 'MISSED'} {self.text}: {self.value:.2f} ({bound})"


def installed(name: str) -> ModuleType | None:
    """A package, if it is there: benchmarks show the peers that are."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
