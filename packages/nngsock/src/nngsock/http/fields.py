"""Header fields and methods: what may be written into a message without changing its meaning."""

from __future__ import annotations

import re
from typing import Final

__all__ = ("check_field", "is_token")

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_token(x: object) -> bool:
    """Whether x can be a method or the name of a header."""
    return isinstance(x, str) and _TOKEN.fullmatch(x) is not None


def check_field(where: str, name: object, value: object) -> None:
    """Raise unless these can be a header; the message begins with where they come from."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"{where}: a header's name and value must be str, not {name!r} and {value!r}")
    if not is_token(name) or _CONTROL.search(value):
        raise ValueError(
            f"{where}: a header must be one line, with a name of letters, not {name!r}: {value!r}"
        )
