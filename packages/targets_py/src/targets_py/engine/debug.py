"""Stopping before the command of a target, to look around with the debugger."""

from __future__ import annotations

import bdb
import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from targets_py.definition.commands import Command

_HINTS = """\
Stopped before the command of {name}. Its upstream values are variables here.
  p <name>  shows a variable; any Python can be typed.
  c         goes on: the command runs, and so does the rest of the pipeline.
  q         ends the pipeline; what was built is recorded."""


def can_debug() -> bool:
    """Whether somebody sits at a terminal of this process."""
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is no stdin, or it is closed
        return False


def stop_before(name: str, command: Command, values: Mapping[str, Any], namespace: Mapping[str, Any]) -> None:
    """Print the command and hints, and call `breakpoint()` among the command's globals and inputs."""
    source = command.value if command.kind == "source" else _source_of(command.value)
    print(f"{source.rstrip()}\n{_HINTS.format(name=name)}", file=sys.stderr)  # noqa: T201 - to the user
    scope = {**namespace, **values}
    frame = compile("breakpoint()", f"<command of {name}>", "exec")  # in which these are the names
    try:
        exec(frame, scope)  # noqa: S102
    except bdb.BdbQuit:
        raise KeyboardInterrupt from None


def _source_of(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return repr(value)
