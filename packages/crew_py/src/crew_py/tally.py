"""What a controller has done since its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crew_py.monad import Monad

__all__ = ("Tally",)


@dataclass(slots=True)
class Tally:
    """Counts of taken results; tasks = success + error + crash + cancel.

    Attributes:
        controller: name of the controller.
        seconds: run time of all tasks that told one.
        warning: tasks that had warnings.
    """

    controller: str
    seconds: float = 0.0
    tasks: int = 0
    success: int = 0
    error: int = 0
    crash: int = 0
    cancel: int = 0
    warning: int = 0

    def add(self, monad: Monad) -> None:
        """Count one result."""
        self.tasks += 1
        self.seconds += monad["seconds"] or 0.0
        if monad["warnings"] is not None:
            self.warning += 1
        match monad["status"]:
            case "success":
                self.success += 1
            case "error":
                self.error += 1
            case "crash":
                self.crash += 1
            case "cancel":
                self.cancel += 1
