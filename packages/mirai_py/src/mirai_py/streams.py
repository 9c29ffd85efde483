"""Random streams: one for each daemon, or with a seed one for each task, whatever runs where.

A stream is a pair (entropy, counter), as in numpy's `SeedSequence.spawn`. The generators of a process are
seeded with a digest of it; numpy is neither needed nor imported.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import secrets
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stream(NamedTuple):
    """One random stream."""

    entropy: int
    counter: int

    def seed(self) -> int:
        """A seed of 256 bits."""
        text = f"mirai_py stream {self.entropy} {self.counter}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")


class Streams:
    """Hands out streams one after the other, to any thread."""

    def __init__(self, seed: int | None) -> None:
        self.fixed = seed is not None
        self._lock = threading.Lock()
        self._next = Stream(secrets.randbits(128) if seed is None else seed, 0)

    def peek(self) -> Stream:
        """The stream that `take` gives next."""
        return self._next

    def ahead(self) -> Iterator[Stream]:
        """The streams that `take` gives next, without taking them."""
        first = self._next
        return (first._replace(counter=counter) for counter in itertools.count(first.counter))

    def skip(self, number: int) -> None:
        """Take this many."""
        with self._lock:
            self._next = self._next._replace(counter=self._next.counter + number)

    def give_back(self, first: Stream, number: int) -> None:
        """Undo that this many were taken from `first` on, unless others were taken since."""
        with self._lock:
            if self._next == first._replace(counter=first.counter + number):
                self._next = first

    def take(self) -> Stream:
        """The current stream; the next call gives another."""
        with self._lock:
            stream = self._next
            self._next = stream._replace(counter=stream.counter + 1)
        return stream


def seed_generators(stream: Stream) -> None:
    """Seed `random`, and numpy's legacy generator if numpy is there, or as soon as it is imported."""
    seed = stream.seed()
    random.seed(seed)
    if "numpy" in sys.modules:
        _seed_numpy(seed)
    else:
        _waiting[:] = [seed]
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)


def _seed_numpy(seed: int) -> None:
    words = [seed >> shift & 0xFFFFFFFF for shift in range(0, 256, 32)]
    sys.modules["numpy"].random.seed(words)


@contextmanager
def kept_generators() -> Iterator[None]:
    """Put the generators of this process back as they were, whatever is drawn or seeded inside."""
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = None if numpy is None else numpy.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        if numpy_state is not None:
            sys.modules["numpy"].random.set_state(numpy_state)
        elif "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


_waiting: list[int] = []


class _SeedNumpyOnImport:
    """Seeds numpy's generator when a task is the first of its process to import numpy."""

    def find_spec(self, name: str, *_: object) -> Any:
        if name != "numpy":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            if _waiting:
                _seed_numpy(_waiting[-1])

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_finder: Any = _SeedNumpyOnImport()
