"""Random names of profiles, launchers, tasks and logs."""

from __future__ import annotations

import os

from crew_py import validation

__all__ = ("crew_random_name",)


def crew_random_name(n: int = 8) -> str:
    """Make a name that nothing else has.

    The randomness is the operating system's, so `random.seed` has no effect on it.

    Args:
        n: number of random bytes; the name has twice as many characters.

    Returns:
        Hexadecimal digits.

    Example:
        >>> len(crew_random_name(4))
        8
    """
    return os.urandom(validation.whole("n", n, at_least=1)).hex()
