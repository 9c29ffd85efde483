"""The dispatcher: one queue, the daemons that are connected, and who runs what.

It lives in the host process and has no thread: the thread that submits a task hands it to an idle daemon,
and the thread on which a result arrives hands that daemon the next ones. One lock guards the state; no user
code and no pickling happens under it. It knows nothing of sockets: it is given a way to send to a pipe and to
cut one.

A task that has been started is never run a second time. When a daemon dies, each of its tasks is either
finished, or resolved to error 19, or goes back to the head of the queue if it provably never started.

Here is what others call; `dispatch/` holds what it is made of.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from mirai_py import frames
from mirai_py.bodies import Reference
from mirai_py.codes import KEY_SIZE
from mirai_py.dispatch.admission import Admission
from mirai_py.dispatch.board import Board
from mirai_py.dispatch.controls import Controls
from mirai_py.dispatch.losses import Losses
from mirai_py.dispatch.peers import Barrier, Counts, Mapped, Peer, PeerState, Replay, Span, Task
from mirai_py.dispatch.results import Results
from mirai_py.dispatch.room import Room
from mirai_py.dispatch.schedule import MAX_BATCHED_BYTES, Schedule
from mirai_py.errors import CANCELED, CONNECTION_RESET, RESET, TIMED_OUT
from mirai_py.frames import Kind, Parts, TaskFlag
from mirai_py.handles import Mirai
from mirai_py.liveness import MAX_MISSED
from mirai_py.outcomes import Outcomes
from mirai_py.timer import timer
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.codes import Code
    from mirai_py.dispatch.peers import LocalProcess
    from mirai_py.lane import Lane
    from mirai_py.pages import Page
    from mirai_py.streams import Streams
    from nngsock import Inbox

_log = logging.getLogger("mirai_py")

_EVERYWHERE_PATIENCE_SECONDS = 10.0


class Dispatcher:
    """Queue and daemons of one compute profile.

    Args:
        send: sends parts to a pipe, without waiting.
        cut: closes a pipe.
        token: what daemons must know.
        streams: hands out random streams.
        settings: what INIT tells a daemon besides its stream.
        local: finds the local process of a daemon by its pid, None if it is not one of ours.
        on_change: called (not under the lock) when a daemon joined or left.
        max_batch: the most tasks in one message; None for as many as suit.
        memory: bytes of waiting tasks from which on no more are let in; None for no bound.

    Attributes:
        room: how much waits, and how much may.
        inbox: what receives for this profile, once its socket is open.
    """

    _scheduling: ClassVar[type[Schedule]] = Schedule

    def __init__(
        self,
        *,
        send: Callable[[int, Parts], None],
        cut: Callable[[int], None],
        token: str,
        streams: Streams,
        settings: dict[str, Any],
        local: Callable[[int], LocalProcess | None],
        on_change: Callable[[], None],
        max_batch: int | None = None,
        memory: float | None = None,
    ) -> None:
        self.room = Room(memory)
        self.inbox: Inbox | None = None
        self._board = board = Board(self.room)
        self._controls = controls = Controls(send)
        self._schedule = schedule = self._scheduling(board, controls, send, max_batch)
        self._results = Results(board, controls, schedule)
        self._losses = Losses(board, schedule, on_change)
        self._admission = Admission(board, send, cut, token, streams, settings, local, self._welcome)
        self._cut = cut
        self._on_change = on_change
        self._replays: list[Replay] = []

    @property
    def binds(self) -> bool:
        """Whether a task belongs to its daemon: see `direct.py`."""
        return self._schedule.binds

    def watch_resolved(self, on_resolved: Callable[[int], None]) -> None:
        """Have this called, not under the lock, with the number of mirais that were resolved."""
        self._board.on_resolved = on_resolved

    # -- tasks, from any thread

    def submit(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        *,
        timeout: float | None = None,
        flags: int = TaskFlag.NONE,
    ) -> Mirai | None:
        """Queue a task, or hand it to an idle daemon.

        Args:
            codes: the code to call, then the codes of `once` objects.
            body: pickled arguments.
            timeout: seconds until it resolves to error 5.
            flags: what is special about it.

        Returns:
            None if the queue is full: see `await_room`.
        """
        mirai = Mirai(self.stop, self.inbox)
        task = self._task(mirai, codes, body, flags)
        board = self._board
        with board.lock:
            if board.closed:
                mirai._store_value(ErrorValue(CONNECTION_RESET, RESET))
                return mirai
            if self.room.full:
                return None
            board.tasks[task.id] = task
            self._schedule.enqueue([task])
            board.awaiting += 1
            self.room.add(task.size)
            if board.idle:
                self._schedule.pump()
            self.room.note_peak()
        if timeout is not None:
            self._set_timeout(mirai, timeout)
        return mirai

    def submit_map(
        self, codes: tuple[Code, ...], elements: list[Page], *, timeout: float | None = None
    ) -> Outcomes:
        """Queue the elements of a map in one step, whatever room there is.

        Args:
            codes: the function, the constant arguments, then the codes of `once` objects.
            elements: the elements, packed.
            timeout: seconds until each that is unresolved resolves to error 5.
        """
        outcomes = Outcomes(sum(page.count for page in elements), self._stop_elements)
        mapped = Mapped.of(outcomes, codes, elements)
        everything = Span(mapped, 0, len(outcomes))
        with self._board.lock:
            if self._board.closed:
                outcomes.settle(0, len(outcomes), ErrorValue(CONNECTION_RESET, RESET))
                return outcomes
            if elements:
                self._board.maps.add(mapped)
                self._board.queue.append(everything)
                self._board.awaiting += len(everything)
                self.room.add(everything.size)
                self._schedule.pump()
                self.room.note_peak()
        if timeout is not None:
            value = ErrorValue(TIMED_OUT, {"timeout": round(timeout * 1000)})
            alarm = timer.after(timeout, lambda: self._end_elements(outcomes, 0, len(outcomes), value))
            outcomes.over._on_wake(alarm.cancel)
        return outcomes

    def _stop_elements(self, outcomes: Outcomes, first: int, end: int) -> list[bool]:
        return self._end_elements(outcomes, first, end, ErrorValue(CANCELED))

    def _end_elements(self, outcomes: Outcomes, first: int, end: int, value: ErrorValue) -> list[bool]:
        """Resolve elements, see that they do not start, or are interrupted; for each whether it was open."""
        with self._board.lock:
            answers = outcomes.open_flags(first, end)
            under_way = 0
            for peer in self._board.peers.values():
                if peer.chunk is not None and peer.chunk.mapped.outcomes is outcomes:
                    under_way += self._cancel_in(peer, peer.chunk, first, end)
            number = outcomes.settle(first, end, value)
            self._board.awaiting -= number - under_way
            self._board.completed += number - under_way
            if outcomes.over.done():
                self._drop_waiting(outcomes)
        self._board.announce_elements(outcomes, number)
        return answers

    def _cancel_in(self, peer: Peer, chunk: Span, first: int, end: int) -> int:
        """Have a daemon cancel what it has of these elements; gives how many are open."""
        first, end = max(first, chunk.first), min(end, chunk.end)
        number = chunk.mapped.outcomes.open_in(first, end) if first < end else 0
        if number:
            peer.cancelled_spans.append(Span(chunk.mapped, first, end).ids)
            self._controls.flush(peer)
        return number

    def _drop_waiting(self, outcomes: Outcomes) -> None:
        """Take the rest of a map that is resolved out of the queue."""
        for item in [i for i in self._board.queue if isinstance(i, Span) and i.mapped.outcomes is outcomes]:
            self._board.queue.remove(item)
            self.room.remove(item.size)
        self._board.forget_maps()

    def await_room(self) -> None:
        """Wait until the queue takes one more task, or is closed."""
        while self.room.full:
            with self._board.lock:
                if not self.room.full or self._board.closed:
                    return
                lock = self.room.wait_lock()
            lock.acquire()

    def everywhere(
        self,
        codes: tuple[Code, ...],
        body: Parts,
        at_least: int,
        replay: Callable[[Mirai], object] | None = None,
    ) -> list[Mirai]:
        """Queue one task for each daemon, as a barrier.

        Args:
            codes: the code to call, then the codes of `once` objects.
            body: pickled arguments.
            at_least: least number of daemons, counting ones that connect later.
            replay: if given, every daemon that connects later runs it too, before anything else, and this is
                called, on the library's thread for callbacks, with the mirai of that.
        """
        with self._board.lock:
            connected = {p for p in self._board.peers.values() if p.state in (PeerState.IDLE, PeerState.BUSY)}
            number = max(at_least, len(connected), 1)
            tasks = [
                self._task(Mirai(self.stop, self.inbox), codes, body, TaskFlag.EVERYWHERE)
                for _ in range(number)
            ]
            if self._board.closed:
                return _all_reset(tasks)
            barrier = Barrier(deque(tasks), connected)
            for task in tasks:
                task.barrier = barrier
            if replay is not None:
                self._replays.append(Replay(codes, body, barrier, replay))
            self._board.tasks.update((task.id, task) for task in tasks)
            self._board.queue.append(barrier)
            self._board.awaiting += number
            self._schedule.pump()
        timer.after(_EVERYWHERE_PATIENCE_SECONDS, lambda: self._warn_of(barrier, number))
        return [task.mirai for task in tasks]

    def _task(self, mirai: Mirai, codes: tuple[Code, ...], body: Parts, flags: int = TaskFlag.NONE) -> Task:
        size = KEY_SIZE + sum(map(len, body))
        if isinstance(body[0], Reference):
            shared = body[0]
            size += shared.weight
            return Task(mirai, mirai._key, codes, [codes[0].key, shared], size, flags, shared.holders)
        whole: Parts = [codes[0].key, *body] if size > MAX_BATCHED_BYTES else [codes[0].key + b"".join(body)]
        return Task(mirai, mirai._key, codes, whole, size, flags)

    def _set_timeout(self, mirai: Mirai, seconds: float) -> None:
        value = ErrorValue(TIMED_OUT, {"timeout": round(seconds * 1000)})
        alarm = timer.after(seconds, lambda: self._end_early(mirai, value))
        mirai._on_wake(alarm.cancel)

    def stop(self, mirai: Mirai) -> bool:
        """Resolve a mirai to error 20 and see that its task does not start, or is interrupted."""
        return self._end_early(mirai, ErrorValue(CANCELED))

    def withdraw(self, mirai: Mirai) -> bool:
        """As `stop`, but leave a task alone that a daemon has been given."""
        return self._end_early(mirai, ErrorValue(CANCELED), only_waiting=True)

    def info(self) -> Counts:
        """Where tasks and daemons are now."""
        return self._board.counts()

    def executes(self, mirai: Mirai) -> bool:
        """Whether a daemon has been given this task."""
        task = self._board.tasks.get(mirai._key)
        return task is not None and task.peer is not None

    def _end_early(self, mirai: Mirai, value: ErrorValue, *, only_waiting: bool = False) -> bool:
        with self._board.lock:
            task = self._board.tasks.get(mirai._key)
            if task is None or mirai.done() or (only_waiting and task.peer is not None):
                return False
            mirai._store_value(value)
            if task.peer is not None:
                task.peer.cancels.append(task.id)
                self._controls.flush(task.peer)
            else:
                self._board.awaiting -= 1
                self._board.forget(task)
                # Its place in the queue is passed over when its turn comes.
                task.body, task.holders = [], ()
                if task.barrier is None:
                    self.room.remove(task.size)
                else:
                    self._board.leave_barrier(task.barrier, task)
                    self._schedule.pump()
        self._board.announce([mirai])
        return True

    def daemons(self) -> list[dict[str, Any]]:
        """Pid, host and state of each connected daemon."""
        with self._board.lock:
            return [
                {"pid": p.who.pid, "host": p.who.host, "state": p.state.value, "tasks": p.load}
                for p in self._board.peers.values()
                if p.who is not None and p.state is not PeerState.GREETING
            ]

    def dismiss(self, number: int) -> int:
        """Order daemons to leave, idle ones first, busy ones after what they run; returns how many."""
        with self._board.lock:
            staying = [p for p in self._board.peers.values() if not p.ordered_out and p.who is not None]
            staying.sort(key=lambda p: p.state is not PeerState.IDLE)
            chosen = staying[:number]
            for peer in chosen:
                peer.ordered_out = True
                if peer.state is PeerState.IDLE:
                    self._schedule.send_away(peer)
        return len(chosen)

    def order_all_out(self) -> None:
        """Order every daemon to leave now."""
        with self._board.lock:
            for peer in self._board.peers.values():
                if peer.who is not None:
                    self._controls.order(peer, [frames.head(Kind.EXIT)])

    def close(self) -> None:
        """Resolve everything that is unresolved to error 19; nothing is sent any more."""
        with self._board.lock:
            self._board.closed = True
            tasks = [task for task in self._board.tasks.values() if not task.mirai.done()]
            maps = [mapped.outcomes for mapped in self._board.maps]
            for peer in self._board.peers.values():
                if peer.patience is not None:
                    peer.patience.cancel()
            self._board.tasks.clear()
            self._board.maps.clear()
            self._board.queue.clear()
            self._board.peers.clear()
            self._board.idle.clear()
            self._board.awaiting = self._board.executing = self._board.connected = 0
            self.room.used = 0
            self.room.wake()
            mirais = _all_reset(tasks)
            numbers = [each.settle(0, len(each), ErrorValue(CONNECTION_RESET, RESET)) for each in maps]
        self._board.announce(mirais)
        for each, number in zip(maps, numbers, strict=True):
            self._board.announce_elements(each, number)

    # -- daemons, on the receiving thread

    def joined(self, pipe: int) -> None:
        """A pipe was opened."""
        self._admission.challenge(pipe)

    def received(self, pipe: int, frame: memoryview) -> None:
        """A message came from a pipe."""
        peer = self._board.peers.get(pipe)
        if peer is None:
            return
        peer.missed = 0
        try:
            self._handle(peer, frame)
        except (ValueError, LookupError, struct.error) as error:
            _log.warning("cut off a peer that sent what is no frame: %s", error)
            self._cut(pipe)

    def _handle(self, peer: Peer, frame: memoryview) -> None:
        kind, flags, count = frames.parse_head(frame)
        if peer.state is PeerState.REFUSED:
            return
        if peer.who is None:
            if kind != Kind.HELLO:
                raise frames.FrameError(f"it started with a frame of type {kind} instead of an introduction")
            if self._admission.greet(peer, frame):
                self._on_change()
        elif kind == Kind.RESULT:
            self._results.finished(peer, frame, flags, count)
        elif kind == Kind.PIECE:
            self._results.finished_elements(peer, frame, count, shared=bool(flags & frames.SHARED))
        elif kind == Kind.ACK:
            with self._board.lock:
                self._controls.acknowledged(peer)
        elif kind == Kind.RETURNED:
            if flags == frames.RANGES:
                self._results.returned_elements(peer, *frames.parse_ranges(frame, count)[0])
            else:
                self._results.returned(peer, frames.parse_ids(frame, count))
        elif kind == Kind.NEED:
            self._deliver_codes(peer, frames.parse_need(frame, count))
        elif kind == Kind.RELEASED:
            for number, times in frames.parse_ranges(frame, count):
                peer.lent.take_back(number, times)
        elif kind == Kind.UNSHARED:
            peer.shares = False
        elif kind == Kind.LEAVE:
            self._leaving(peer)
        else:
            raise frames.FrameError(f"a daemon does not send frames of type {kind}")

    def _welcome(self, peer: Peer) -> None:
        """A daemon was let in, under the lock."""
        if peer.lane is not None and self.inbox is not None:
            self.inbox.watch(peer.lane.descriptor, partial(self._hear, peer, peer.lane))
        if self._replays:
            self._schedule.assign(peer, self._replayed(peer))
        else:
            self._schedule.make_idle(peer)
            self._schedule.pump()

    def beat(self) -> bool:
        """Ask idle daemons that are silent for a sign of life, and cut off those that gave none.

        A busy one may be deaf while its task holds the interpreter: it is lost with its connection alone.

        Returns:
            Whether there are daemons.
        """
        silent = []
        with self._board.lock:
            for peer in self._board.idle.values():
                peer.missed += 1
                if peer.missed == 1:
                    self._controls.order(peer, [frames.head(Kind.PING)])
                elif peer.missed >= MAX_MISSED:
                    silent.append(peer)
            any_left = bool(self._board.peers)
        for peer in silent:
            assert peer.who is not None
            _log.warning("cut off the idle daemon %d on %s, which is silent", peer.who.pid, peer.who.host)
            self._cut(peer.pipe)
        return any_left

    def _replayed(self, peer: Peer) -> list[Task]:
        """What `everywhere` asked of daemons that were yet to come; one that waits for them gets its due."""
        tasks = []
        for replay in self._replays:
            if replay.barrier.members:
                task = replay.barrier.members[0]
                replay.barrier.served.add(peer)
                self._board.leave_barrier(replay.barrier, task)
                self._board.awaiting -= 1
            else:
                task = self._task(
                    Mirai(self.stop, self.inbox), replay.codes, replay.body, TaskFlag.EVERYWHERE
                )
                task.mirai.add_done_callback(replay.watch)
                self._board.tasks[task.id] = task
            tasks.append(task)
        return tasks

    def _leaving(self, peer: Peer) -> None:
        with self._board.lock:
            self._schedule.depart(peer)

    def _deliver_codes(self, peer: Peer, keys: Sequence[bytes]) -> None:
        with self._board.lock:
            held = {c.key: c for task in peer.running.values() for c in task.codes}
            if peer.chunk is not None:
                held |= {c.key: c for c in peer.chunk.mapped.codes}
            self._controls.order(peer, frames.codes([(k, peer.body_of(held[k])) for k in keys if k in held]))

    def _hear(self, peer: Peer, lane: Lane) -> bool:
        """Handle what came on a daemon's lane; False if there is nothing."""
        frame = lane.receive()
        if frame:
            self.received(peer.pipe, frame)
        elif frame is not None and self.inbox is not None:  # its end
            self.inbox.unwatch(lane.descriptor)
        return bool(frame)

    def _leave_lane(self, peer: Peer) -> None:
        """Handle what a daemon that is gone has left on its lane."""
        if peer.lane is None or self.inbox is None:
            return
        self.inbox.unwatch(peer.lane.descriptor)
        while self._hear(peer, peer.lane):
            pass

    def lost(self, pipe: int) -> None:
        """A pipe is gone, and all its messages have been handled."""
        if pipe in self._board.peers:
            self._leave_lane(self._board.peers[pipe])
        self._losses.lost(pipe)

    def _warn_of(self, barrier: Barrier, number: int) -> None:
        with self._board.lock:
            left = len(barrier.members)
            waits = bool(self._board.queue) and self._board.queue[0] is barrier
        if left and waits and not barrier.waited_for - barrier.served:
            _log.warning(
                "everywhere() waits for %d more daemon(s) to connect (of %d); tasks behind it wait too",
                left,
                number,
            )


def _all_reset(tasks: Sequence[Task]) -> list[Mirai]:
    """Resolve tasks to error 19, for a profile that is no more."""
    for task in tasks:
        task.mirai._store_value(ErrorValue(CONNECTION_RESET, RESET))
    return [task.mirai for task in tasks]
