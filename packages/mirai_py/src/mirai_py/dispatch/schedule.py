"""Who gets what next.

First in, first out. Short tasks travel together, as many as take a few milliseconds; a long one travels
alone; what stands behind one that takes longer than it seemed comes back when a daemon is idle. The sizes
follow from what was measured: see `pace.py`.
"""

from __future__ import annotations

import sys
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from mirai_py import frames
from mirai_py.bodies import inlined
from mirai_py.dispatch.pace import BATCH_SECONDS, CHUNK_SECONDS, SHORT_SECONDS, TASK_OVERHEAD_SECONDS
from mirai_py.dispatch.peers import Barrier, PeerState, Span, Task
from mirai_py.frames import Kind, TaskFlag
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from mirai_py.dispatch.board import Board, Waiting
    from mirai_py.dispatch.controls import Controls
    from mirai_py.dispatch.peers import Peer
    from mirai_py.frames import Parts

# A batch that is silent for this long while a daemon is idle gives back what it has not begun.
RECALL_SECONDS = 0.005
# Bodies of more bytes than this travel alone: copying them together would cost more than a message.
MAX_BATCHED_BYTES = 1 << 15
MAX_CHUNK_BYTES = 1 << 20
MAX_BATCH = 1024


class Schedule:
    """Hands what waits to daemons that are idle. To be used under the lock of the board.

    Args:
        board: tasks and daemons.
        controls: tells daemons what to do besides tasks.
        send: sends parts to a pipe, without waiting.
        max_batch: the most tasks in one message; None for as many as suit.

    Attributes:
        binds: a task belongs to its daemon: see `direct.py`.
    """

    binds = False

    def __init__(
        self,
        board: Board,
        controls: Controls,
        send: Callable[[int, Parts], None],
        max_batch: int | None = None,
    ) -> None:
        self._board = board
        self._controls = controls
        self._send = send
        self._max_batch = max_batch or MAX_BATCH
        self._max_chunk = max_batch or sys.maxsize
        self._recall_set = False

    def pump(self) -> None:
        """Hand out work for as long as there is some and a daemon is idle.

        The one that was busy last comes first: its caches are warm, and the others may leave if it suffices.
        """
        blocked: list[Peer] = []
        while self._board.queue and self._board.idle:
            head = self._board.queue[0]
            if isinstance(head, Span):
                chunk = self._take_chunk(head)
                if chunk:
                    self._assign_chunk(self._board.idle.popitem()[1], chunk)
                continue
            _, peer = self._board.idle.popitem()
            batch = self._take(peer, self._board.queue, self._board.connected)
            if batch:
                self.assign(peer, batch)
            else:
                blocked.append(peer)
        for peer in blocked:
            self._board.idle[peer.pipe] = peer
        if self._board.idle and not self._board.queue:
            self._consider_recall()

    def enqueue(self, tasks: Sequence[Task]) -> None:
        """Put tasks at the end of the queue."""
        self._board.queue.extend(tasks)

    def release_bound(self, peer: Peer) -> None:
        """Give to others what was bound to a daemon that leaves."""

    def make_idle(self, peer: Peer) -> None:
        """A daemon has nothing to do."""
        if peer.ordered_out:
            self.send_away(peer)
            return
        peer.state = PeerState.IDLE
        self._board.idle[peer.pipe] = peer

    def send_away(self, peer: Peer) -> None:
        """Order a daemon out that has nothing to do."""
        peer.state = PeerState.LEAVING
        self._board.idle.pop(peer.pipe, None)
        self.release_bound(peer)
        self._controls.order(peer, [frames.head(Kind.EXIT)])

    def _take_chunk(self, waiting: Span) -> Span | None:
        """The next elements of what waits at the head of the queue; None if none is unresolved any more."""
        mapped, before = waiting.mapped, waiting.size
        first, end = mapped.outcomes.next_open(waiting.first, waiting.end)
        number = min(
            self._board.pace.chunk(waiting.key, waiting.end - first, self._board.connected), self._max_chunk
        )
        end = mapped.fitting(first, min(end, first + number), MAX_CHUNK_BYTES) if first < end else end
        waiting.first = end
        self._board.room.remove(before - waiting.size)
        if not waiting:
            self._board.queue.popleft()
        self._board.awaiting -= end - first
        return Span(mapped, first, end) if first < end else None

    def _assign_chunk(self, peer: Peer, chunk: Span) -> None:
        peer.chunk = chunk
        peer.state = PeerState.BUSY
        peer.heard = monotonic()
        self._board.executing += len(chunk)
        skip, found = chunk.mapped.cut(chunk.first, chunk.end)
        shared = [page for page in found if page.holders] if peer.shares else []
        for page in shared:
            peer.lent.lend(page.holders)
        bodies = [page.body if peer.shares else page.inlined() for page in found]
        function, constants, *_ = codes = chunk.mapped.codes
        new = list(peer.news_of(codes).items())
        keys = (function.key, constants.key)
        base, first = chunk.mapped.outcomes.first, chunk.ids[0]
        flags = frames.SHARED if shared else 0
        it = frames.Chunk(base, first, skip, len(chunk), keys, new, bodies, flags)
        self._send(peer.pipe, frames.chunk(it))

    def _take(self, peer: Peer, queue: Waiting | deque[Task], sharers: int) -> list[Task]:
        """The next task, with as many short ones behind it as fit; empty if there is none for this daemon."""
        batch: list[Task] = []
        taken = 0
        budget, share = BATCH_SECONDS, 1
        while queue and len(batch) < share:
            item = queue[0]
            if isinstance(item, Span):
                break
            if isinstance(item, Barrier):
                if not batch and peer not in item.served:
                    item.served.add(peer)
                    batch.append(item.members[0])
                    self._board.leave_barrier(item, item.members[0])
                break
            if item.mirai.done() and not self.binds:
                queue.popleft()
                continue
            expected = self._expected(item)
            if batch:
                budget -= expected + TASK_OVERHEAD_SECONDS
                if budget < 0:
                    break
            elif expected <= SHORT_SECONDS:
                share = min(self._max_batch, -(-len(queue) // max(1, sharers)))
            queue.popleft()
            batch.append(item)
            taken += item.size
        self._board.awaiting -= len(batch)
        self._board.room.remove(taken)
        return batch

    def _expected(self, task: Task) -> float:
        """Seconds that a task will probably take; for ever, if it is better sent alone."""
        if task.size > MAX_BATCHED_BYTES:
            return inf
        return self._board.pace.expected(task.codes[0].key)

    def assign(self, peer: Peer, batch: list[Task]) -> None:
        """Hand tasks to a daemon, with the codes that it does not have."""
        new: dict[bytes, bytes] = {}
        entries = []
        for task in batch:
            task.peer = peer
            peer.running[task.id] = task
            new |= peer.news_of(task.codes)
            entries.append((task.id, *self._readable(peer, task)))
        self._board.executing += len(batch)
        peer.state = PeerState.BUSY
        peer.heard = monotonic()
        parts = frames.tasks(entries, list(new.items()))
        # The lane wakes the daemon at once. A batch need not: this thread has more of them to make.
        if len(batch) > 1 or peer.lane is None or not peer.lane.send(parts):
            self._send(peer.pipe, parts)

    def _readable(self, peer: Peer, task: Task) -> tuple[int, Parts]:
        """Flags and body of a task for a daemon that can read the memory of this process, or not."""
        if not task.holders:
            return task.flags, task.body
        if not peer.shares:
            return task.flags, [task.body[0], *inlined(task.body[1])]
        peer.lent.lend(task.holders)
        return task.flags | TaskFlag.SHARED, task.body

    def _consider_recall(self) -> None:
        """A daemon is idle and the queue empty: look later whether a batch elsewhere should be shared."""
        if self._recall_set or not any(p.load > 1 and not p.recalled for p in self._board.peers.values()):
            return
        self._recall_set = True
        timer.after(RECALL_SECONDS, self._recall)

    def _recall(self) -> None:
        with self._board.lock:
            self._recall_set = False
            if self._board.closed or self._board.queue or not self._board.idle:
                return
            silent_since = monotonic() - RECALL_SECONDS
            for peer in self._board.peers.values():
                if (
                    peer.load > 1
                    and not peer.recalled
                    and (
                        peer.heard <= silent_since
                        or (peer.chunk is not None and self._takes_long(peer.chunk))
                    )
                ):
                    self._recall_from(peer)
            self._consider_recall()

    def _takes_long(self, chunk: Span) -> bool:
        """Whether a chunk whose results keep coming will do so for longer than it was made for."""
        return self._board.pace.expected(chunk.key) * len(chunk) > 2 * CHUNK_SECONDS

    def _recall_from(self, peer: Peer) -> None:
        peer.recalled = True
        if peer.chunk is not None:
            self._controls.order(peer, frames.ranges(Kind.RECALL, [peer.chunk.ids]))
        else:
            self._controls.order(peer, frames.ids(Kind.RECALL, list(peer.running)[1:]))

    def after_result(self, peer: Peer, leaving: int) -> None:
        """A daemon that has nothing left to do gets more, or may go."""
        if leaving:
            self.depart(peer)
        elif not peer.load and peer.state is PeerState.BUSY:
            self.make_idle(peer)
            self.pump()
        elif not peer.load and peer.state is PeerState.LEAVING:
            self._controls.order(peer, [frames.head(Kind.LEAVE_OK)])

    def after_return(self, peer: Peer) -> None:
        """A daemon has given back what it had not begun."""
        if peer.state is PeerState.LEAVING and not peer.load:
            self._controls.order(peer, [frames.head(Kind.LEAVE_OK)])
        elif peer.state is PeerState.BUSY and not peer.load:
            self.make_idle(peer)
        self.pump()

    def depart(self, peer: Peer) -> None:
        """A daemon goes: it gets no task any more, and may close once it has none."""
        peer.state = PeerState.LEAVING
        self._board.idle.pop(peer.pipe, None)
        self.release_bound(peer)
        if not peer.load:
            self._controls.order(peer, [frames.head(Kind.LEAVE_OK)])
