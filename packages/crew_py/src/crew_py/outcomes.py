"""From the value of a mirai to a record: also for tasks that crashed, timed out, or were cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mirai_py
import nngsock
from crew_py.monad import FIELDS, Monad, describe_command, printable, shorten
from crew_py.roster import last_words

if TYPE_CHECKING:
    from crew_py.tasks import Task

__all__ = ("CRASHED", "conclude", "describe_crash", "is_crash")

CRASHED: Final = 19
CANCELED: Final = 20


def is_crash(value: Any) -> bool:
    """Whether the worker was lost while it ran the task."""
    return isinstance(value, nngsock.ErrorValue) and value == CRASHED


def conclude(task: Task, value: Any, controller: str) -> Monad:
    """The record of a resolved task."""
    if type(value) is dict:
        return value
    if isinstance(value, nngsock.ErrorValue):
        status = {CRASHED: "crash", CANCELED: "cancel"}.get(int(value), "error")
        return _failed(task, controller, status, int(value), nngsock.nng_error(value))
    if isinstance(value, mirai_py.MiraiError):
        text = shorten(printable(value.message) or value.condition_class[0])
        return _failed(
            task, controller, "error", -1, text, shorten(printable(value.traceback), keep_end=True)
        )
    return _failed(task, controller, "error", -1, f"the task was interrupted: {printable(value)}")


def _failed(
    task: Task, controller: str, status: str, code: int, error: str, trace: str | None = None
) -> Monad:
    command = describe_command(task.command, task.arguments)
    known = (task.name, command, None, status, error, code, trace, None, None)
    values = (*known, task.seed, task.algorithm, controller)
    return dict(zip(FIELDS, values, strict=True))


def describe_crash(value: Any, worker: Any) -> str | None:
    """What is known of a lost worker: its process, how it ended, its last output.

    Args:
        value: the error value, whose `detail` names the process.
        worker: the launcher's handle of that process, or None.

    Returns:
        Text, or None.
    """
    if worker is not None:
        return last_words(worker) or None
    detail = getattr(value, "detail", None) or {}
    known = ", ".join(f"{name} {found}" for name, found in detail.items() if found is not None)
    return f"worker: {known}" if known else None
