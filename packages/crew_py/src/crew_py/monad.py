"""The record of one task: the same fields whether it went well, failed, or never came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

__all__ = ("FIELDS", "Command", "Monad", "describe_command", "printable", "shorten")

FIELDS: Final = (
    "name",
    "command",
    "result",
    "status",
    "error",
    "code",
    "trace",
    "warnings",
    "seconds",
    "seed",
    "algorithm",
    "controller",
)
TEXT_LIMIT: Final = 2048
UNREADABLE: Final = "(crew_py: text encoding issue)"

Monad: TypeAlias = dict[str, Any]
Command: TypeAlias = Callable[..., Any] | str


def describe_command(command: Command, arguments: Iterable[str]) -> str:
    """A command as text: the source itself, or a call such as `f(x, y)`."""
    if isinstance(command, str):
        return printable(command)
    name = getattr(command, "__qualname__", None) or type(command).__qualname__
    return f"{name}({', '.join(arguments)})"


def printable(value: object) -> str:
    """The text of anything, which can be stored anywhere: never raises, no lone surrogates."""
    try:
        text = str(value)
        text.encode()
    except Exception:
        return UNREADABLE
    return text


def shorten(text: str, *, keep_end: bool = False) -> str:
    """At most 2048 characters of a text: its beginning, or its end."""
    return text[-TEXT_LIMIT:] if keep_end else text[:TEXT_LIMIT]
