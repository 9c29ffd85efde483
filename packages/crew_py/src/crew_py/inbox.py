"""Results on their way from resolved tasks to the user: counted, in order, crashes noted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from crew_py.errors import CrewCrashError
from crew_py.outcomes import conclude, describe_crash, is_crash
from crew_py.tally import Tally
from crew_py.tasks import TaskTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from crew_py.monad import Monad

__all__ = ("Inbox", "crash_error")

SECONDS_TO_END: Final = 0.5


class Inbox:
    """The uncollected tasks, the crash counts and the totals of one session of a controller.

    Args:
        controller: its name.
        crashes_max: a task that crashed more often in a row is final.
        find_worker: the launcher's handle of a process id, or None.
    """

    def __init__(self, controller: str, crashes_max: float, find_worker: Callable[[int], Any]) -> None:
        self.table = TaskTable()
        self.tally = Tally(controller)
        self._controller = controller
        self._crashes_max = crashes_max
        self._crashes: Counter[str] = Counter()
        self._find_worker = find_worker

    def clear(self) -> None:
        """Forget all but the totals."""
        self.table = TaskTable()
        self._crashes.clear()

    def crashes(self, name: str) -> int:
        """How often a task has crashed in a row."""
        return self._crashes[name]

    def take_oldest(self) -> Monad | None:
        """The record of the resolved task that was pushed first; None if there is none."""
        name = self.table.oldest()
        return None if name is None else self._take(name)

    def take_all(self) -> list[Monad]:
        """The records of all resolved tasks in the order of pushing."""
        return [self._take(name) for name in self.table.in_order()]

    def take_offender(self) -> Monad | None:
        """The record of the first resolved task that has now crashed too often; None if there is none."""
        for name in self.table.in_order():
            if is_crash(self.table.get(name).handle.data) and self._crashes[name] >= self._crashes_max:
                return self._take(name)
        return None

    def _take(self, name: str) -> Monad:
        task = self.table.take(name)
        value = task.handle.data
        monad = conclude(task, value, self._controller)
        if is_crash(value):
            self._note_crash(monad, value)
        else:
            del self._crashes[name]
        self.tally.add(monad)
        return monad

    def _note_crash(self, monad: Monad, value: Any) -> None:
        name = monad["name"]
        self._crashes[name] += 1
        worker = self._find_worker((value.detail or {}).get("pid") or 0)
        if hasattr(worker, "join"):
            worker.join(SECONDS_TO_END)  # its connection may end a moment before the process
        monad["trace"] = describe_crash(value, worker)
        monad["crashes"] = self._crashes[name]
        monad["final"] = self._crashes[name] > self._crashes_max
        monad["log"] = getattr(worker, "log", None)


def crash_error(monad: Monad, crashes_max: float) -> CrewCrashError:
    """The exception for a task that crashed too often."""
    name, crashes, controller = monad["name"], monad["crashes"], monad["controller"]
    text = (
        f"task {name!r} of controller {controller!r} crashed its worker {crashes} time(s) in a row "
        f"(crashes_max = {crashes_max:g}). A crash is the end of the whole process: too little memory, "
        "a fault in native code, or a signal. Keep the workers' logs by options_local (or the options "
        "of your platform) and look at their last lines, or give the task a `backup` controller"
    )
    if monad["trace"]:
        text += f"; {monad['trace']}"
    return CrewCrashError(text, name=name, crashes=crashes, log=monad["log"])
