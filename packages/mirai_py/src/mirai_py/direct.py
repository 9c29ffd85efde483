"""No dispatcher: each task belongs to a daemon from the moment it is submitted.

The engine of `daemons(dispatcher=False)`, as in the original: tasks go round-robin to the daemons that are
connected, whatever these are doing. What is bound to a daemon is neither cancelled nor given to another one
when that daemon is lost. The socket, the frames and the handshake are the dispatcher's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from mirai_py.dispatch.peers import Barrier, Peer, PeerState, Replay, Task
from mirai_py.dispatch.schedule import Schedule
from mirai_py.dispatcher import Dispatcher
from mirai_py.frames import TaskFlag
from mirai_py.handles import Mirai

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.codes import Code
    from mirai_py.frames import Parts
    from nngsock import ErrorValue


class RoundRobin(Schedule):
    """Binds each task to the daemon whose turn it is; what comes before any daemon waits in the queue.

    Attributes:
        turn: how many tasks were bound since the round began.
    """

    binds = True
    turn = 0

    def takers(self) -> list[Peer]:
        """The daemons that are given tasks."""
        return [
            peer
            for peer in self._board.peers.values()
            if peer.state in (PeerState.IDLE, PeerState.BUSY) and not peer.ordered_out
        ]

    def enqueue(self, tasks: Sequence[Task]) -> None:
        """Bind tasks, if there is a daemon."""
        takers = self.takers()
        if not takers:
            self._board.queue.extend(tasks)
        for task in tasks if takers else ():
            takers[self.turn % len(takers)].bound.append(task)
            self.turn += 1

    def release_bound(self, peer: Peer) -> None:
        """Bind to others what was bound to a daemon that leaves."""
        tasks = list(peer.bound)
        peer.bound.clear()
        self.enqueue(tasks)

    def pump(self) -> None:
        """Bind what waits, and hand the idle daemons what is theirs."""
        board = self._board
        if board.queue and self.takers():
            waiting = [task for task in board.queue if isinstance(task, Task)]
            board.queue.clear()
            self.enqueue(waiting)
        for peer in [peer for peer in board.idle.values() if peer.bound]:
            del board.idle[peer.pipe]
            self.assign(peer, self._take(peer, peer.bound, 1))


class Direct(Dispatcher):
    """A queue for each daemon of one compute profile."""

    _scheduling: ClassVar[type[Schedule]] = RoundRobin
    _schedule: RoundRobin

    def everywhere(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        at_least: int,
        replay: Callable[[Mirai], object] | None = None,
    ) -> list[Mirai]:
        """Bind one task to each daemon, and go on round-robin if `at_least` is more."""
        with self._board.lock:
            number = max(at_least, len(self._schedule.takers()), 1)
            tasks = [
                self._task(Mirai(self.stop, self.inbox), codes, body, TaskFlag.EVERYWHERE)
                for _ in range(number)
            ]
            if replay is not None:
                self._replays.append(Replay(codes, body, Barrier(deque(), set()), replay))
            self._board.tasks.update((task.id, task) for task in tasks)
            self._board.awaiting += number
            self._schedule.turn = 0
            self._schedule.enqueue(tasks)
            self._schedule.pump()
        return [task.mirai for task in tasks]

    def _end_early(self, mirai: Mirai, value: ErrorValue, *, only_waiting: bool = False) -> bool:
        """Its value is this; once bound it runs all the same, and was not stopped."""
        board = self._board
        with board.lock:
            task = board.tasks.get(mirai._key)
            if task is None or mirai.done():
                return False
            is_free = task in board.queue
            if only_waiting and not is_free:
                return False
            mirai._store_value(value)
            if is_free:
                board.queue.remove(task)
                board.awaiting -= 1
                board.forget(task)
        board.announce([mirai])
        return is_free
