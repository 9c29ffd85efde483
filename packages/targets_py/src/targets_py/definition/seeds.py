"""Seeds: each target has its own, a function of its name and the seed option."""

from __future__ import annotations

import hashlib
import random
import sys
from typing import Any

from targets_py.definition.options import current_options
from targets_py.definition.unset import UNSET, Unset
from targets_py.errors import TarValidateError

_LOW_WORD = 0xFFFFFFFF


def tar_seed_create(name: str, global_seed: int | Unset | None = UNSET) -> int | None:
    """Derive a seed from a name.

    Args:
        name: Any text, for example a target's name.
        global_seed: An integer that shifts all seeds; not given: `tar_option_get("seed")`.

    Returns:
        An integer of 63 bits; None if the global seed is None.

    Raises:
        TarValidateError: A name that is no string.

    Example:
        >>> tar_seed_create("x", global_seed=0) == tar_seed_create("x", global_seed=0)
        True
    """
    if not isinstance(name, str):
        raise TarValidateError(f"tar_seed_create() takes a name as str, not {name!r}")
    base = current_options().seed if global_seed is UNSET else global_seed
    return None if base is None else derive_seed(name, base)


def derive_seed(name: str, base: int) -> int:
    """The seed of a name under a global seed."""
    data = f"{base}\0{name}".encode()
    return int.from_bytes(hashlib.shake_256(data).digest(8), "big") >> 1


def tar_seed_set(seed: int | None) -> None:
    """Seed the generators that a command may use: random, and numpy's and torch's if they are imported.

    Args:
        seed: Any integer >= 0; None does nothing.

    Raises:
        TarValidateError: A seed that is no integer >= 0.

    Example:
        >>> tar_seed_set(tar_seed_create("x", global_seed=0))
    """
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise TarValidateError(f"a seed must be an integer >= 0 or None, not {seed!r}")
    random.seed(seed)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed([seed & _LOW_WORD, (seed >> 32) & _LOW_WORD])
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def generator_states() -> tuple[Any, ...]:
    """The states of the generators that `tar_seed_set` may change, for `restore_generators`."""
    numpy_random = sys.modules.get("numpy.random")
    torch = sys.modules.get("torch")
    return (
        random.getstate(),
        None if numpy_random is None else numpy_random.get_state(),
        None if torch is None else torch.get_rng_state(),
    )


def restore_generators(states: tuple[Any, ...]) -> None:
    """Put the generators back to what `generator_states` returned."""
    plain, numpy_state, torch_state = states
    random.setstate(plain)
    if numpy_state is not None:
        sys.modules["numpy.random"].set_state(numpy_state)
    if torch_state is not None:
        sys.modules["torch"].set_rng_state(torch_state)
