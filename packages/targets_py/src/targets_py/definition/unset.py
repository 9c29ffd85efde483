"""The value of an argument that was not given, where None means something."""

from __future__ import annotations

from enum import Enum


class Unset(Enum):
    """Type of `UNSET`, so that annotations can name it."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
