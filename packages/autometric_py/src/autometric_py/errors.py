"""What this layer raises: everything derives from `AutometricError`."""

from __future__ import annotations


class AutometricError(Exception):
    """A failure of this layer; the operating system's error, if any, is its cause."""


class AutometricValueError(AutometricError, ValueError):
    """An argument has a value that cannot be used."""


class AutometricTypeError(AutometricError, TypeError):
    """An argument is of a type that cannot be used."""


class AutometricMissingError(AutometricError, FileNotFoundError):
    """No log exists at any of the paths given."""
