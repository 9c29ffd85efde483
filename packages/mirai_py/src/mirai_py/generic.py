"""The type variable of what arrives later: `Mirai[int]` is the mirai of a task that returns an int."""

from __future__ import annotations

import typing
from typing import Any

if typing.TYPE_CHECKING:
    from typing_extensions import TypeVar

    # With a default, so that a plain `Mirai` is one of anything under strict checking too.
    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    T_co = typing.TypeVar("T_co", covariant=True)

T = typing.TypeVar("T")
