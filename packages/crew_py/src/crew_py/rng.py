"""Random numbers of a task that was pushed with a seed."""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crew_py import validation
from crew_py.errors import CrewError, CrewTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ("ALGORITHMS", "check_seed", "crew_rng", "seeded")

ALGORITHMS: Final = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


@dataclass(frozen=True, slots=True)
class _Seeding:
    seed: int | None
    algorithm: str


_current: ContextVar[_Seeding | None] = ContextVar("crew_py_seeding", default=None)


def check_seed(seed: int | None, algorithm: str | None) -> None:
    """Check the types of the two; an unknown algorithm is the task's own error.

    Raises:
        CrewTypeError: `seed` is no whole number, or `algorithm` no string.
    """
    if seed is not None:
        validation.whole("seed", seed, at_least=-(2**63), at_most=2**63 - 1)
    if algorithm is not None and not isinstance(algorithm, str):
        raise CrewTypeError(f"`algorithm` must be a string or None, got {algorithm!r}")


@contextmanager
def seeded(seed: int | None, algorithm: str | None) -> Iterator[None]:
    """Seed `random`, numpy's legacy generator and `crew_rng`, and put everything back afterwards.

    Without a seed the process's own stream is used, and advances.
    """
    if algorithm is not None:
        validation.one_of("algorithm", algorithm, ALGORITHMS)
    token = _current.set(
        None if seed is None and algorithm is None else _Seeding(seed, algorithm or "MT19937")
    )
    before = random.getstate() if seed is not None else None
    numpy = sys.modules.get("numpy") if seed is not None else None
    numpy_before = numpy.random.get_state() if numpy is not None else None
    try:
        if seed is not None:
            # Python takes the absolute value of a seed and numpy refuses a negative one: -5 must not be 5.
            random.seed(seed % 2**64)
            if numpy is not None:
                numpy.random.seed(seed % 2**32)
        yield
    finally:
        _current.reset(token)
        if before is not None:
            random.setstate(before)
        if numpy is not None:
            numpy.random.set_state(numpy_before)


def crew_rng() -> np.random.Generator:
    """Make the numpy generator that belongs to the `seed` and `algorithm` of the running task.

    Returns:
        A new generator at the start of its stream; of fresh entropy in a task without seed.

    Raises:
        CrewError: numpy is not installed.

    Example:
        >>> import crew_py
        >>> controller = crew_py.crew_controller_sequential()
        >>> task = controller.push(lambda: crew_py.crew_rng().integers(10), seed=1, algorithm="PCG64")
    """
    try:
        import numpy as np
    except ImportError as error:
        raise CrewError("crew_rng() needs numpy: pip install numpy, where the workers run") from error
    seeding = _current.get()
    if seeding is None:
        return np.random.default_rng()
    seed = None if seeding.seed is None else seeding.seed % 2**64
    return np.random.Generator(getattr(np.random, seeding.algorithm)(seed))
