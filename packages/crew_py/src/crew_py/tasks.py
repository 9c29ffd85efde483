"""The uncollected tasks of a controller, in the order in which they were pushed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from crew_py.errors import CrewValueError

if TYPE_CHECKING:
    from collections.abc import Generator

    from crew_py.monad import Command

__all__ = ("CrewTask", "Task", "TaskTable")


class CrewTask(Protocol):
    """What `push` returns: a mirai, or its like from the sequential controller."""

    @property
    def data(self) -> Any:
        """The record of the task as a dict, or an error value, once it is resolved."""

    def done(self) -> bool:
        """Whether it is resolved."""

    def call(self) -> CrewTask:
        """Wait for it."""

    def collect(self) -> Any:
        """Wait for it, and give its `data`."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for it, and give its `data`, or raise what an error value stands for."""

    def __await__(self) -> Generator[Any, None, Any]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """What the controller remembers of a task, for rows of tasks that never came back."""

    name: str
    handle: CrewTask
    command: Command
    arguments: tuple[str, ...]
    seed: int | None
    algorithm: str | None
    index: int


class TaskTable:
    """Tasks by name, and which of them are known to be resolved.

    Looking for resolved tasks costs a pass over the pending ones, so it is done when results are asked for,
    not when tasks are pushed or taken.
    """

    def __init__(self) -> None:
        self.handles: dict[str, CrewTask] = {}
        self._tasks: dict[str, Task] = {}
        self._pending: dict[str, CrewTask] = {}
        self._resolved: deque[str] = deque()
        self._pushed = 0

    def __len__(self) -> int:
        return len(self.handles)

    def __contains__(self, name: str) -> bool:
        return name in self.handles

    @property
    def resolved(self) -> tuple[str, ...]:
        """Names of the tasks known to be resolved, oldest first."""
        return tuple(self._resolved)

    def check_free(self, name: str) -> None:
        """Refuse a name that is taken.

        Raises:
            CrewValueError: a task of that name is uncollected.
        """
        if name in self.handles:
            raise CrewValueError(
                f"a task named {name!r} is uncollected: take its result by pop() or collect() first, "
                "then the name is free again"
            )

    def add(
        self,
        name: str,
        handle: CrewTask,
        command: Command,
        arguments: tuple[str, ...],
        seed: int | None,
        algorithm: str | None,
    ) -> None:
        """Note a task that was just pushed."""
        self._tasks[name] = Task(name, handle, command, arguments, seed, algorithm, self._pushed)
        self._pushed += 1
        self.handles[name] = self._pending[name] = handle

    def look(self) -> None:
        """Find out which of the pending tasks are resolved."""
        self._note([name for name, handle in self._pending.items() if handle.done()])

    def any_resolved(self) -> bool:
        """Whether a task is resolved; looks no further than to the first one."""
        return bool(self._resolved) or any(handle.done() for handle in self._pending.values())

    def all_resolved(self) -> bool:
        """Whether no task is pending; looks no further than to the first one that is."""
        found = []
        for name, handle in self._pending.items():
            if not handle.done():
                break
            found.append(name)
        self._note(found)
        return not self._pending

    def count_resolved(self) -> int:
        """How many tasks are resolved."""
        return len(self._resolved) + sum(handle.done() for handle in list(self._pending.values()))

    def _note(self, names: list[str]) -> None:
        for name in names:
            del self._pending[name]
        self._resolved.extend(names)

    def oldest(self) -> str | None:
        """The resolved task that was pushed first among those found at the last look."""
        if not self._resolved:
            self.look()
        return self._resolved[0] if self._resolved else None

    def in_order(self) -> list[str]:
        """All resolved tasks in the order of pushing."""
        self.look()
        self._resolved = deque(sorted(self._resolved, key=lambda name: self._tasks[name].index))
        return list(self._resolved)

    def get(self, name: str) -> Task:
        """A task by its name."""
        return self._tasks[name]

    def take(self, name: str) -> Task:
        """Forget a resolved task."""
        if self._resolved[0] == name:
            self._resolved.popleft()
        else:
            self._resolved.remove(name)
        del self.handles[name]
        return self._tasks.pop(name)
