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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


SEED_BITS = 63


class Stream(NamedTuple):
    """One random stream."""

    entropy: int
    counter: int

    def seed(self, purpose: str = "") -> int:
        """A seed of 256 bits; another one for each purpose."""
        text = f"mirai_py stream {self.entropy} {self.counter}{purpose}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")


def is_stream(value: Any) -> bool:
    """Whether a value may be the `rs` of a daemon: a stream, the same from JSON, or None."""
    if isinstance(value, list | tuple):
        return len(value) == 2 and all(isinstance(number, int) for number in value)
    return value is None


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


class Drawing:
    """What `task_rng` and `task_seed` draw from.

    Args:
        stream: the stream.
        fixed: it is that of one task; else it goes on from task to task.
    """

    __slots__ = ("_fixed", "_rng", "_stream")

    def __init__(self, stream: Stream, *, fixed: bool) -> None:
        self._stream = stream
        self._fixed = fixed
        self._rng: random.Random | None = None

    def rng(self) -> random.Random:
        """A generator, the same one each time."""
        if self._rng is None:
            self._rng = random.Random(self._stream.seed(" task_rng"))  # noqa: S311 - statistics, no secrets
        return self._rng

    def seed(self) -> int:
        """A seed of 63 bits: that of the task, or a new one where the stream goes on."""
        if self._fixed:
            return self._stream.seed(" task_seed") >> (256 - SEED_BITS)
        return self.rng().getrandbits(SEED_BITS)


@dataclass(slots=True)
class _Present:
    """What is drawn from in this process; it runs one task at a time."""

    drawing: Drawing | None = None


_present = _Present()


def task_rng() -> random.Random:
    """A random generator for the current task, which nobody else draws from.

    With `daemons(seed=)` it gives each task the same numbers, whatever runs where; without, it goes on from
    task to task of its daemon.

    Returns:
        The same generator for as long as the task runs.

    Example:
        >>> with daemons(2, seed=1):
        ...     a = mirai_map(range(3), lambda _: task_rng().random()).collect()
        >>> with daemons(1, seed=1):
        ...     a == mirai_map(range(3), lambda _: task_rng().random()).collect()
        True
    """
    return _drawing().rng()


def task_seed() -> int:
    """A seed for other generators in the current task, for example `numpy.random.default_rng(task_seed())`.

    Returns:
        0 to 2**63 - 1. With `daemons(seed=)` the one of this task, the same at each call; without, a new one
        at each call.

    Example:
        >>> with daemons(sync=True, seed=1):
        ...     mirai(task_seed).data == mirai(task_seed).data
        False
    """
    return _drawing().seed()


def _drawing() -> Drawing:
    if _present.drawing is None:
        _present.drawing = Drawing(Stream(secrets.randbits(128), 0), fixed=False)
    return _present.drawing


class own_drawing:  # noqa: N801 - used as a function, but one made for each task must cost little
    """Forget at the end what a task inside drew from."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _present.drawing

    def __exit__(self, *_: object) -> None:
        _present.drawing = self._before


def seed_daemon(stream: Stream) -> None:
    """Seed the generators of a daemon, whose tasks draw from one stream, each going on where one ended."""
    seed_generators(stream)
    _present.drawing = Drawing(stream, fixed=False)


def seed_generators(stream: Stream) -> None:
    """Seed `random`, and numpy's legacy generator if numpy is there, or as soon as it is imported.

    Args:
        stream: that of the task that begins.
    """
    seed = stream.seed()
    _present.drawing = Drawing(stream, fixed=True)
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
        with own_drawing():
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
