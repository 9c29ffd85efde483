"""What becomes of the work of a daemon that is gone.

Each task that it had is either finished, or resolved to error 19, or goes back to the head of the queue if it
provably never started.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from mirai_py.dispatch.peers import Barrier, Span
from mirai_py.errors import CONNECTION_RESET, DAEMON_LEFT
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirai_py.dispatch.board import Board
    from mirai_py.dispatch.peers import Peer, Task
    from mirai_py.dispatch.schedule import Schedule
    from mirai_py.handles import Mirai


class Losses:
    """Takes daemons off the board.

    Args:
        board: tasks and daemons.
        schedule: hands out what comes back.
        on_change: called, not under the lock, when a daemon left and when its tasks are concluded.
    """

    def __init__(self, board: Board, schedule: Schedule, on_change: Callable[[], None]) -> None:
        self._board = board
        self._schedule = schedule
        self._on_change = on_change

    def lost(self, pipe: int) -> None:
        """A pipe is gone, and all its messages have been handled."""
        with self._board.lock:
            peer = self._board.peers.pop(pipe, None)
            if peer is None:
                return
            if peer.patience is not None:
                peer.patience.cancel()
            self._board.idle.pop(pipe, None)
            if peer.who is not None:
                self._board.connected -= 1
            # What was bound to it shares the fate of what it runs.
            tasks = [*peer.running.values(), *peer.bound]
            self._board.awaiting -= len(peer.bound)
            self._board.executing += len(peer.bound)
            peer.running.clear()
            peer.bound.clear()
            chunk, peer.chunk = peer.chunk, None
            orphans = self._leave_barriers(peer)
            self._schedule.pump()
        self._board.announce(orphans)
        if tasks or chunk:
            self._conclude(peer, tasks, chunk)
        self._on_change()

    def _leave_barriers(self, peer: Peer) -> list[Mirai]:
        """Members of an `everywhere` that nobody will serve, now that this daemon is gone."""
        orphans = []
        for barrier in [i for i in self._board.queue if isinstance(i, Barrier)]:
            if peer in barrier.waited_for and peer not in barrier.served and barrier.members:
                task = barrier.members[-1]
                self._board.awaiting -= 1
                self._board.forget(task)
                task.mirai._store_value(ErrorValue(CONNECTION_RESET, DAEMON_LEFT))
                orphans.append(task.mirai)
                self._board.leave_barrier(barrier, task)
            barrier.waited_for.discard(peer)
        return orphans

    def _conclude(self, peer: Peer, tasks: list[Task], chunk: Span | None) -> None:
        """Tell what became of the tasks of a lost daemon, with its exit code if it is one of ours."""
        assert peer.who is not None
        ran = round((monotonic() - peer.heard) * 1000)
        detail = {"pid": peer.who.pid, "host": peer.who.host, "ms": ran}
        local = peer.local

        def ended(end: dict[str, Any]) -> None:
            # Without proof that it has ended with them unbegun, all may have begun or may yet begin.
            proof = local if end else None
            if tasks:
                begun = (
                    len(tasks) if proof is None or self._schedule.binds else _begun(tasks, proof.started())
                )
                self._settle(tasks, begun, {} if proof is None else proof.finished(), detail | end)
            if chunk:
                begun = len(chunk) if proof is None else proof.started() + 1 - chunk.ids[0]
                kept = [] if proof is None else proof.pieces()
                self._settle_elements(chunk, min(max(0, begun), len(chunk)), kept, detail | end)

        if local is None:
            ended({})
        else:
            local.when_ended(ended)

    def _settle(
        self,
        tasks: list[Task],
        begun: int,
        finished: Mapping[int, tuple[int, bytes]],
        detail: dict[str, Any],
    ) -> None:
        """The first `begun` tasks have run: error 19, unless they finished. The others never started."""
        with self._board.lock:
            if self._board.closed:
                return
            self._board.executing -= len(tasks)
            resolved = self._board.put_back(tasks[begun:])
            for task in tasks[:begun]:
                self._board.forget(task)
                if task.mirai.done():
                    continue
                if task.id in finished:
                    task.mirai._store(*finished[task.id])
                else:
                    what = {"task": task.mirai.id, "call": task.codes[0].name}
                    task.mirai._store_value(ErrorValue(CONNECTION_RESET, what | detail))
                resolved.append(task.mirai)
            self._schedule.pump()
        self._board.announce(resolved)
        self._on_change()  # what waits may have nobody left to wait for

    def _settle_elements(
        self, chunk: Span, begun: int, kept: Sequence[tuple[int, int, bytes]], detail: dict[str, Any]
    ) -> None:
        """The same for a chunk: of what had begun, some values may have been kept."""
        outcomes = chunk.mapped.outcomes
        between = chunk.first + begun
        with self._board.lock:
            if self._board.closed:
                return
            self._board.executing -= begun
            self._board.completed += begun
            number = 0
            for first, count, page in kept:
                begin = first - outcomes.first
                if chunk.first <= begin + count <= between:
                    number += outcomes.store(begin, begin + count, page)
            # The last ran; values of those before it were lost on their way.
            running = {"task": outcomes.first + between - 1, "call": chunk.mapped.codes[0].name}
            last = ErrorValue(CONNECTION_RESET, running | detail)
            number += outcomes.settle(max(chunk.first, between - 1), between, last)
            number += outcomes.settle(chunk.first, between, ErrorValue(CONNECTION_RESET, detail))
            self._board.put_back_elements(Span(chunk.mapped, between, chunk.end))
            self._board.forget_maps()
            self._schedule.pump()
        self._board.announce_elements(outcomes, number)


def _begun(tasks: Sequence[Task], started: int) -> int:
    """How many of these tasks, in the order in which they were sent, the daemon had started."""
    return next((i + 1 for i, task in enumerate(tasks) if task.id == started), 0)
