"""How values become files and files become values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Format(Protocol):
    """A way to store a value in one file.

    Attributes:
        name: As users write it.
        lossy: What is read differs from what was written, so downstream targets get what is read, and the hash
            of the value is that of the file.
    """

    name: str
    lossy: bool

    def convert(self, value: Any) -> Any:
        """The value as this format keeps it: downstream targets see this one.

        Raises:
            TypeError: A value that this format cannot keep.
        """

    def write(self, path: Path, value: Any, options: Mapping[str, Any]) -> str | None:
        """Write a converted value; returns the hash of the file if it is known without reading it."""

    def read(self, path: Path) -> Any:
        """Read the value."""


def get_format(name: str) -> Format:
    """The format of that name; aliases are known.

    Raises:
        TarValidateError: There is none; the message lists those there are.
    """
    raise NotImplementedError


def format_names() -> tuple[str, ...]:
    """All names that `format=` takes, aliases included."""
    raise NotImplementedError


def resolve_auto(value: Any) -> str:
    """What format "auto" means for this value: "file" for existing paths, else "pickle"."""
    raise NotImplementedError
