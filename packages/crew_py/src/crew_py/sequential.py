"""A controller that runs each task at once, in this process: for debugging, or without workers."""

# ruff: noqa: ARG002 - the arguments are those of every controller

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mirai_py
from crew_py import waiting
from crew_py.client import CrewClient
from crew_py.controller import CrewController
from crew_py.evaluation import crew_eval
from crew_py.launcher import CrewLauncher

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator, Sequence

    from crew_py.monad import Command, Monad

__all__ = (
    "CrewControllerSequential",
    "ResolvedTask",
    "crew_class_controller_sequential",
    "crew_controller_sequential",
)


@dataclass(frozen=True, slots=True)
class ResolvedTask:
    """What `push` of the sequential controller returns: like a mirai that is resolved.

    Attributes:
        data: the record of the task.
    """

    data: Monad

    def done(self) -> bool:
        """True."""
        return True

    def call(self) -> ResolvedTask:
        """This object: there is nothing to wait for."""
        return self

    def collect(self) -> Monad:
        """The record of the task."""
        return self.data

    def result(self, timeout: float | None = None) -> Monad:
        """The record of the task."""
        return self.data

    def __await__(self) -> Generator[Any, None, Monad]:
        yield from ()
        return self.data

    def __repr__(self) -> str:
        return "< resolved task [data] >"


class CrewControllerSequential(CrewController):
    """Run each task in this process when it is pushed. It has the methods of every controller.

    `seconds_timeout` has no effect, nothing is ever unresolved, and `pdb` works in the task.

    Args:
        reset_globals: whether to undo after each task what it assigned in `__main__`.
        reset_packages: whether to restore `sys.path`.
        reset_options: whether to restore `os.environ`, the working directory and the warning filters.
        garbage_collection: whether to collect garbage after each task.

    Example:
        >>> controller = crew_controller_sequential()
        >>> controller.push(lambda x: 2 * x, data={"x": 21}, name="task").data["result"]
        42
        >>> controller.collect()["name"].to_list()
        ['task']
    """

    def __init__(
        self,
        reset_globals: bool = True,
        reset_packages: bool = False,
        reset_options: bool = False,
        garbage_collection: bool = False,
    ) -> None:
        super().__init__(
            client=CrewClient(host="127.0.0.1"),
            launcher=CrewLauncher(name="sequential"),
            reset_globals=reset_globals,
            reset_packages=reset_packages,
            reset_options=reset_options,
            garbage_collection=garbage_collection,
        )

    def _open(self) -> None:
        self._client.set_started()

    def _shared(self, command: Command, suspect: str | None = None) -> Any:
        return command

    def _submit(
        self, command: Any, name: str, data: dict[str, Any], settings: dict[str, Any], limit: float | None
    ) -> ResolvedTask:
        names = settings.pop("globals", None) or {}
        monad = crew_eval(_plain(command), name, _unwrapped(data), _unwrapped(names), **settings)
        monad["controller"] = self.name
        return ResolvedTask(monad)

    def synced(self, controllers: Any = None) -> bool:
        """True."""
        return True

    def resolved(self, controllers: Any = None) -> int:
        """How many tasks were pushed since the start."""
        return self._pushed or 0

    def unresolved(self, controllers: Any = None) -> int:
        """0."""
        return 0

    def saturated(self, ahead: float = 1, controller: Any = None) -> bool:
        """False."""
        return False

    def launch(self, n: int = 1, controllers: Any = None) -> None:
        """Do nothing but start."""
        self.start()

    def scale(self, throttle: bool = True, controllers: Any = None) -> bool:
        """False."""
        return False

    def autoscale(self, loop: asyncio.AbstractEventLoop | None = None, controllers: Any = None) -> None:
        """Do nothing."""

    def descale(self, controllers: Any = None) -> None:
        """Do nothing."""

    def cancel(self, names: Sequence[str] | str = (), all: bool = False, controllers: Any = None) -> None:  # noqa: A002 - the original's name
        """Do nothing: all tasks have run."""

    def wait(
        self,
        mode: str = "all",
        seconds_timeout: float = math.inf,
        scale: bool = True,
        throttle: bool = True,
        verbose: bool = False,
        controllers: Any = None,
    ) -> bool:
        """True."""
        waiting.check(mode, seconds_timeout)
        return True

    def push_backlog(self, name: str, controller: Any = None) -> None:
        """Do nothing: this controller is never saturated."""

    def pop_backlog(self, ahead: float = 1, controllers: Any = None) -> list[str]:
        """[]."""
        return []


def _plain(value: Any) -> Any:
    """A value that was wrapped for travel."""
    return value.value if isinstance(value, mirai_py.Once) else value


def _unwrapped(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


crew_controller_sequential = CrewControllerSequential
crew_class_controller_sequential = CrewControllerSequential
