"""Where tasks and daemons are: the state that all parts of the dispatcher share, under one lock."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirai_py.dispatch.pace import Pace
from mirai_py.dispatch.peers import Counts, Span
from mirai_py.errors import CONNECTION_RESET, DAEMON_LEFT
from mirai_py.frames import TaskFlag
from mirai_py.guard import Guard
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.dispatch.peers import Barrier, Mapped, Peer, Task
    from mirai_py.dispatch.room import Room
    from mirai_py.handles import Mirai
    from mirai_py.outcomes import Outcomes

    Waiting = deque[Task | Barrier | Span]


@dataclass(slots=True, eq=False)
class Board:
    """Queue, daemons and counts of one compute profile.

    Attributes:
        room: how much waits, and how much may.
        lock: guards all that follows.
        peers: the daemons by their pipes, and who has yet to prove to be one.
        idle: those of them that have nothing to do, the one that was busy last at the end.
        queue: what waits, in order.
        tasks: those that are unresolved, or run although they are resolved, by id.
        maps: those of which elements are unresolved.
        pace: how long tasks take.
        awaiting: how many tasks and elements wait.
        executing: how many daemons have been given.
        completed: how many have ended.
        connected: how many daemons there are.
        cumulative: how many there ever were.
        closed: there will be no more.
        on_resolved: called, not under the lock, with the number of mirais that were resolved.
    """

    room: Room
    lock: Guard = field(default_factory=Guard)
    peers: dict[int, Peer] = field(default_factory=dict)
    idle: OrderedDict[int, Peer] = field(default_factory=OrderedDict)
    queue: Waiting = field(default_factory=deque)
    tasks: dict[int, Task] = field(default_factory=dict)
    maps: set[Mapped] = field(default_factory=set)
    pace: Pace = field(default_factory=Pace)
    awaiting: int = 0
    executing: int = 0
    completed: int = 0
    connected: int = 0
    cumulative: int = 0
    closed: bool = False
    on_resolved: Callable[[int], None] | None = None

    def counts(self) -> Counts:
        """Where tasks and daemons are now."""
        with self.lock:
            return Counts(self.connected, self.cumulative, self.awaiting, self.executing, self.completed)

    def forget(self, task: Task) -> None:
        """A task has ended."""
        self.tasks.pop(task.id, None)
        self.completed += 1

    def forget_maps(self) -> None:
        """Keep no map that is resolved."""
        self.maps = {mapped for mapped in self.maps if not mapped.outcomes.over.done()}

    def announce(self, resolved: Sequence[Mirai]) -> None:
        """Wake who waits for these; last of all, for they compete with this thread for the interpreter."""
        if resolved and self.on_resolved is not None:
            self.on_resolved(len(resolved))
        for mirai in resolved:
            mirai._wake()

    def announce_elements(self, outcomes: Outcomes, number: int) -> None:
        """The same for a map, so many elements of which were resolved."""
        if number and self.on_resolved is not None:
            self.on_resolved(number)
        outcomes.announce()

    def put_back(self, tasks: Sequence[Task]) -> list[Mirai]:
        """Put tasks that were not begun at the head of the queue; give the mirais that this resolves.

        What `everywhere` meant for a daemon that goes is for no other one.
        """
        resolved = []
        for task in reversed(tasks):
            task.peer = None
            if task.mirai.done():
                self.forget(task)
            elif task.flags & TaskFlag.EVERYWHERE:
                self.forget(task)
                task.mirai._store_value(ErrorValue(CONNECTION_RESET, DAEMON_LEFT))
                resolved.append(task.mirai)
            else:
                self.queue.appendleft(task)
                self.awaiting += 1
                self.room.add(task.size)
        return resolved

    def put_back_elements(self, span: Span) -> None:
        """Put elements that were not begun at the head of the queue."""
        waiting = span.mapped.outcomes.open_in(span.first, span.end)
        self.executing -= len(span)
        self.completed += len(span) - waiting
        if not waiting:
            return
        self.awaiting += waiting
        self.room.add(span.size)
        head = self.queue[0] if self.queue else None
        if isinstance(head, Span) and head.mapped is span.mapped and head.first == span.end:
            head.first = span.first
        else:
            self.queue.appendleft(span)

    def leave_barrier(self, barrier: Barrier, task: Task) -> None:
        """Take a task out of its barrier; one that is empty holds up nothing."""
        barrier.members.remove(task)
        if not barrier.members:
            self.queue.remove(barrier)
