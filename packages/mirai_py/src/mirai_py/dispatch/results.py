"""What comes back from daemons: results, values of maps, and what they have not begun."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from mirai_py import frames, pages
from mirai_py.bodies import leased
from mirai_py.dispatch.peers import Span
from mirai_py.errors import CONNECTION_RESET
from mirai_py.frames import Status
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirai_py.bodies import Reference
    from mirai_py.dispatch.board import Board
    from mirai_py.dispatch.controls import Controls
    from mirai_py.dispatch.peers import Peer
    from mirai_py.dispatch.schedule import Schedule
    from mirai_py.frames import Buffer
    from mirai_py.handles import Mirai
    from mirai_py.outcomes import Outcomes

# A result up to this size is copied out of its message, a larger one keeps it until it is read.
COPIED_BYTES = 1 << 15


class Results:
    """Resolves mirais with what their daemons send, on the receiving thread."""

    def __init__(self, board: Board, controls: Controls, schedule: Schedule) -> None:
        self._board = board
        self._controls = controls
        self._schedule = schedule

    def finished(self, peer: Peer, frame: memoryview, leaving: int, count: int) -> None:
        """Results of tasks."""
        rows = frames.parse_results(frame, count)
        with self._board.lock:
            peer.heard = monotonic()
            came: list[tuple[Mirai, int, Buffer | None]] = []
            for number, status, seconds, body in rows:
                value = self._leased(peer, body) if status == Status.SHARED else body
                task = peer.running.pop(number, None)
                if task is not None:
                    self._board.forget(task)
                    self._board.pace.learn(task.codes[0].key, seconds)
                    came.append((task.mirai, status, value))
            self._board.executing -= len(came)
            self._schedule.after_result(peer, leaving)  # so that the daemon goes on while these are stored
            resolved = [mirai for mirai, status, value in came if self._store(peer, mirai, status, value)]
        self._board.announce(resolved)

    def _store(self, peer: Peer, mirai: Mirai, status: int, value: Buffer | None) -> bool:
        """Resolve a mirai with what came from a daemon; False if it was resolved before."""
        if mirai.done():
            return False
        if value is None:
            mirai._store_value(_gone(peer))
        elif status == Status.SHARED:
            mirai._store(Status.OK, value)
        else:
            mirai._store(status, value if len(value) > COPIED_BYTES else bytes(value))
        return True

    def _leased(self, peer: Peer, body: memoryview) -> Reference | None:
        """A value in the memory of a daemon, for as long as it is used; None if that daemon is gone."""
        try:
            return leased(body, partial(self._release, peer.pipe), prepare=True)
        except OSError:
            return None

    def _release(self, pipe: int, number: int, times: int) -> None:
        """Memory of a daemon is not used any more."""
        with self._board.lock:
            peer = self._board.peers.get(pipe)
            if peer is not None:
                peer.released.append((number, times))
                self._controls.flush(peer)

    def finished_elements(self, peer: Peer, frame: memoryview, count: int, *, shared: bool) -> None:
        """Values of elements of a map."""
        first, seconds, page = frames.parse_piece(frame)
        with self._board.lock:
            peer.heard = monotonic()
            chunk = peer.chunk
            if chunk is None or first != chunk.ids[0] or not 0 < count <= len(chunk):
                raise frames.FrameError(f"values of {count} elements from {first} on were not asked for")
            outcomes, begin = chunk.mapped.outcomes, chunk.first
            chunk.first += count
            if not chunk:
                peer.chunk = None
            self._board.executing -= count
            self._board.completed += count
            self._board.pace.learn(chunk.key, seconds / count, count)
            if shared:
                number = self._store_shared(peer, outcomes, begin, page)
            else:
                kept = page if len(page) > COPIED_BYTES else bytes(page)
                number = outcomes.store(begin, begin + count, kept)
            if outcomes.over.done():
                self._board.maps.discard(chunk.mapped)
            self._schedule.after_result(peer, leaving=0)
        self._board.announce_elements(outcomes, number)

    def _store_shared(self, peer: Peer, outcomes: Outcomes, begin: int, page: memoryview) -> int:
        number = 0
        rows: list[tuple[int, Buffer]] = []
        for at, (status, body) in enumerate(pages.rows_of(page), begin):
            value: Buffer | None = self._leased(peer, body) if status == Status.SHARED else body
            if value is None:
                number += outcomes.settle(at, at + 1, _gone(peer))
            rows.append((Status.OK if status == Status.SHARED else status, value or b""))
        return number + outcomes.store(begin, begin + len(rows), page, rows)

    def returned(self, peer: Peer, numbers: Sequence[int]) -> None:
        """Tasks come back that were not begun: they are the next ones."""
        with self._board.lock:
            peer.recalled = False
            tasks = [t for n in numbers if (t := peer.running.pop(n, None)) is not None]
            self._board.executing -= len(tasks)
            resolved = self._board.put_back(tasks)
            self._schedule.after_return(peer)
        self._board.announce(resolved)

    def returned_elements(self, peer: Peer, first: int, end: int) -> None:
        """The end of a chunk comes back that was not begun."""
        with self._board.lock:
            peer.recalled = False
            chunk = peer.chunk
            if chunk is not None and chunk.ids[0] <= first < end == chunk.ids[1]:
                kept = first - chunk.ids[0]
                self._board.put_back_elements(Span(chunk.mapped, chunk.first + kept, chunk.end))
                chunk.end = chunk.first + kept
                if not chunk:
                    peer.chunk = None
            self._schedule.after_return(peer)


def _gone(peer: Peer) -> ErrorValue:
    """What becomes of a value whose daemon was gone before it could be taken from its memory."""
    assert peer.who is not None
    return ErrorValue(CONNECTION_RESET, {"pid": peer.who.pid, "host": peer.who.host})
