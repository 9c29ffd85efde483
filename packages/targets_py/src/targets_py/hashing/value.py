"""Hashes of values: equal values hash equal in every process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets_py.errors import TarError

if TYPE_CHECKING:
    from targets_py.hashing.code import Code


class UnhashableValueError(TarError, TypeError):
    """A value holds something that has no canonical form, such as a lock or an open file."""


def hash_value(value: Any, code: Code | None = None) -> str:
    """Hash a value by what it is, not by how it lies in memory.

    Args:
        value: Any object.
        code: Hashes functions and classes inside the value; None: those of the working directory's project.

    Returns:
        16 hexadecimal digits.

    Raises:
        UnhashableValueError: Some part of it has no canonical form.

    Example:
        >>> hash_value({"a", "b"}) == hash_value({"b", "a"})
        True
    """
    raise NotImplementedError
