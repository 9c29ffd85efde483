"""No dispatcher: each task belongs to a daemon from the moment it is submitted.

The engine of `daemons(dispatcher=False)`, as in the original: tasks go round-robin to the daemons that are
connected, whatever these are doing. What is bound to a daemon is neither cancelled nor given to another one
when that daemon is lost. The socket, the frames and the handshake are the dispatcher's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mirai_py.dispatcher import Dispatcher
from mirai_py.frames import TaskFlag
from mirai_py.handles import Mirai
from mirai_py.peers import Barrier, Peer, PeerState, Replay, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.codes import Code
    from mirai_py.frames import Parts
    from nngsock import ErrorValue


class Direct(Dispatcher):
    """A queue for each daemon of one compute profile; what comes before any daemon waits in the base's."""

    binds = True
    _turn = 0

    def everywhere(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        at_least: int,
        replay: Callable[[Mirai], object] | None = None,
    ) -> list[Mirai]:
        """Bind one task to each daemon, and go on round-robin if `at_least` is more."""
        with self._lock:
            number = max(at_least, len(self._takers()), 1)
            tasks = [
                self._task(Mirai(self.stop, self.inbox), codes, body, TaskFlag.EVERYWHERE)
                for _ in range(number)
            ]
            if replay is not None:
                self._replays.append(Replay(codes, body, Barrier(deque(), set()), replay))
            self._tasks.update((task.id, task) for task in tasks)
            self._awaiting += number
            self._turn = 0
            self._enqueue(tasks)
            self._pump()
        return [task.mirai for task in tasks]

    def _takers(self) -> list[Peer]:
        return [
            peer
            for peer in self._peers.values()
            if peer.state in (PeerState.IDLE, PeerState.BUSY) and not peer.ordered_out
        ]

    def _enqueue(self, tasks: Sequence[Task]) -> None:
        takers = self._takers()
        if not takers:
            self._queue.extend(tasks)
        for task in tasks if takers else ():
            takers[self._turn % len(takers)].bound.append(task)
            self._turn += 1

    def _release_bound(self, peer: Peer) -> None:
        tasks = list(peer.bound)
        peer.bound.clear()
        self._enqueue(tasks)

    def _end_early(self, mirai: Mirai, value: ErrorValue, *, only_waiting: bool = False) -> bool:
        """Its value is this; once bound it runs all the same, and was not stopped."""
        with self._lock:
            task = self._tasks.get(mirai._key)
            if task is None or mirai.done():
                return False
            is_free = task in self._queue
            if only_waiting and not is_free:
                return False
            mirai._store_value(value)
            if is_free:
                self._queue.remove(task)
                self._awaiting -= 1
                self._forget(task)
        self._announce([mirai])
        return is_free

    def _pump(self) -> None:
        if self._queue and self._takers():
            waiting = [task for task in self._queue if isinstance(task, Task)]
            self._queue.clear()
            self._enqueue(waiting)
        for peer in [peer for peer in self._idle.values() if peer.bound]:
            del self._idle[peer.pipe]
            self._assign(peer, self._take(peer, peer.bound, 1))
