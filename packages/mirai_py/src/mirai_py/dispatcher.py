"""The dispatcher: one queue, the daemons that are connected, and who runs what.

It lives in the host process and has no thread: the thread that submits a task hands it to an idle daemon,
and the thread on which a result arrives hands that daemon the next ones. One lock guards the state; no user
code and no pickling happens under it. It knows nothing of sockets: it is given a way to send to a pipe and to
cut one.

A task that has been started is never run a second time. When a daemon dies, each of its tasks is either
finished, or resolved to error 19, or goes back to the head of the queue if it provably never started.
"""

from __future__ import annotations

import logging
import pickle
import secrets
import struct
import sys
from collections import OrderedDict, deque
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from mirai_py import frames, handshake, pages, shm
from mirai_py.bodies import Reference, inlined, leased
from mirai_py.codes import KEY_SIZE
from mirai_py.errors import CANCELED, CONNECTION_RESET, DAEMON_LEFT, RESET, TIMED_OUT
from mirai_py.frames import Buffer, Kind, Parts, Status, TaskFlag
from mirai_py.guard import Guard
from mirai_py.handles import Mirai
from mirai_py.liveness import MAX_MISSED
from mirai_py.outcomes import Outcomes
from mirai_py.pace import BATCH_SECONDS, CHUNK_SECONDS, SHORT_SECONDS, TASK_OVERHEAD_SECONDS, Pace
from mirai_py.peers import Barrier, Counts, Mapped, Peer, PeerState, Replay, Span, Task
from mirai_py.room import Room
from mirai_py.timer import timer
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirai_py.codes import Code
    from mirai_py.lane import Lane
    from mirai_py.pages import Page
    from mirai_py.peers import LocalProcess
    from mirai_py.streams import Streams
    from nngsock import Inbox

    Waiting = deque[Task | Barrier | Span]

_log = logging.getLogger("mirai_py")

# A batch that is silent for this long while a daemon is idle gives back what it has not begun.
RECALL_SECONDS = 0.005
HANDSHAKE_SECONDS = 10.0
# Bodies of more bytes than this travel alone: copying them together would cost more than a message.
MAX_BATCHED_BYTES = 1 << 15
MAX_CHUNK_BYTES = 1 << 20
MAX_BATCH = 1024
# A result up to this size is copied out of its message, a larger one keeps it until it is read.
COPIED_BYTES = 1 << 15
REFUSAL_SECONDS = 1.0
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
        on_resolved: called (not under the lock) with the number of mirais that were resolved.
        max_batch: the most tasks in one message; None for as many as suit.
        memory: bytes of waiting tasks from which on no more are let in; None for no bound.

    Attributes:
        binds: a task belongs to its daemon: see `direct.py`.
    """

    binds = False

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
        self._send = send
        self._cut = cut
        self._token = token
        self._streams = streams
        self._settings = settings
        self._local = local
        self._on_change = on_change
        self._max_batch = max_batch or MAX_BATCH
        self._max_chunk = max_batch or sys.maxsize
        self.on_resolved: Callable[[int], None] | None = None
        self.room = Room(memory)
        self.inbox: Inbox | None = None
        self._lock = Guard()
        self._peers: dict[int, Peer] = {}
        self._idle: OrderedDict[int, Peer] = OrderedDict()
        self._queue: Waiting = deque()
        self._tasks: dict[int, Task] = {}
        self._maps: set[Mapped] = set()
        self._awaiting = 0
        self._executing = 0
        self._completed = 0
        self._connected = 0
        self._cumulative = 0
        self._closed = False
        self._recall_set = False
        self._replays: list[Replay] = []
        self._pace = Pace()

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
        with self._lock:
            if self._closed:
                mirai._store_value(ErrorValue(CONNECTION_RESET, RESET))
                return mirai
            if self.room.full:
                return None
            self._tasks[task.id] = task
            self._enqueue([task])
            self._awaiting += 1
            self.room.add(task.size)
            if self._idle:
                self._pump()
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
        with self._lock:
            if self._closed:
                outcomes.settle(0, len(outcomes), ErrorValue(CONNECTION_RESET, RESET))
                return outcomes
            if elements:
                self._maps.add(mapped)
                self._queue.append(everything)
                self._awaiting += len(everything)
                self.room.add(everything.size)
                self._pump()
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
        with self._lock:
            answers = outcomes.open_flags(first, end)
            under_way = 0
            for peer in self._peers.values():
                if peer.chunk is not None and peer.chunk.mapped.outcomes is outcomes:
                    under_way += self._cancel_in(peer, peer.chunk, first, end)
            number = outcomes.settle(first, end, value)
            self._awaiting -= number - under_way
            self._completed += number - under_way
            if outcomes.over.done():
                self._drop_waiting(outcomes)
        self._announce_elements(outcomes, number)
        return answers

    def _cancel_in(self, peer: Peer, chunk: Span, first: int, end: int) -> int:
        """Have a daemon cancel what it has of these elements; gives how many are open."""
        first, end = max(first, chunk.first), min(end, chunk.end)
        number = chunk.mapped.outcomes.open_in(first, end) if first < end else 0
        if number:
            peer.cancelled_spans.append(Span(chunk.mapped, first, end).ids)
            self._control(peer)
        return number

    def _drop_waiting(self, outcomes: Outcomes) -> None:
        """Take the rest of a map that is resolved out of the queue."""
        for item in [i for i in self._queue if isinstance(i, Span) and i.mapped.outcomes is outcomes]:
            self._queue.remove(item)
            self.room.remove(item.size)
        self._forget_maps()

    def _forget_maps(self) -> None:
        self._maps = {mapped for mapped in self._maps if not mapped.outcomes.over.done()}

    def _announce_elements(self, outcomes: Outcomes, number: int) -> None:
        if number and self.on_resolved is not None:
            self.on_resolved(number)
        outcomes.announce()

    def await_room(self) -> None:
        """Wait until the queue takes one more task, or is closed."""
        while self.room.full:
            with self._lock:
                if not self.room.full or self._closed:
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
        with self._lock:
            connected = {p for p in self._peers.values() if p.state in (PeerState.IDLE, PeerState.BUSY)}
            number = max(at_least, len(connected), 1)
            tasks = [
                self._task(Mirai(self.stop, self.inbox), codes, body, TaskFlag.EVERYWHERE)
                for _ in range(number)
            ]
            if self._closed:
                return _all_reset(tasks)
            barrier = Barrier(deque(tasks), connected)
            for task in tasks:
                task.barrier = barrier
            if replay is not None:
                self._replays.append(Replay(codes, body, barrier, replay))
            self._tasks.update((task.id, task) for task in tasks)
            self._queue.append(barrier)
            self._awaiting += number
            self._pump()
        timer.after(_EVERYWHERE_PATIENCE_SECONDS, lambda: self._warn_of(barrier, number))
        return [task.mirai for task in tasks]

    def _enqueue(self, tasks: Sequence[Task]) -> None:
        self._queue.extend(tasks)

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

    def executes(self, mirai: Mirai) -> bool:
        """Whether a daemon has been given this task."""
        task = self._tasks.get(mirai._key)
        return task is not None and task.peer is not None

    def _end_early(self, mirai: Mirai, value: ErrorValue, *, only_waiting: bool = False) -> bool:
        with self._lock:
            task = self._tasks.get(mirai._key)
            if task is None or mirai.done() or (only_waiting and task.peer is not None):
                return False
            mirai._store_value(value)
            if task.peer is not None:
                task.peer.cancels.append(task.id)
                self._control(task.peer)
            else:
                self._awaiting -= 1
                self._forget(task)
                # Its place in the queue is passed over when its turn comes.
                task.body, task.holders = [], ()
                if task.barrier is None:
                    self.room.remove(task.size)
                else:
                    self._leave_barrier(task.barrier, task)
                    self._pump()
        self._announce([mirai])
        return True

    def _forget(self, task: Task) -> None:
        self._tasks.pop(task.id, None)
        self._completed += 1

    def info(self) -> Counts:
        """Where tasks and daemons are now."""
        with self._lock:
            return Counts(self._connected, self._cumulative, self._awaiting, self._executing, self._completed)

    def daemons(self) -> list[dict[str, Any]]:
        """Pid, host and state of each connected daemon."""
        with self._lock:
            return [
                {"pid": p.who.pid, "host": p.who.host, "state": p.state.value, "tasks": p.load}
                for p in self._peers.values()
                if p.who is not None and p.state is not PeerState.GREETING
            ]

    def dismiss(self, number: int) -> int:
        """Order daemons to leave, idle ones first, busy ones after what they run; returns how many."""
        with self._lock:
            staying = [p for p in self._peers.values() if not p.ordered_out and p.who is not None]
            staying.sort(key=lambda p: p.state is not PeerState.IDLE)
            chosen = staying[:number]
            for peer in chosen:
                peer.ordered_out = True
                if peer.state is PeerState.IDLE:
                    self._send_away(peer)
        return len(chosen)

    def order_all_out(self) -> None:
        """Order every daemon to leave now."""
        with self._lock:
            for peer in self._peers.values():
                if peer.who is not None:
                    self._queue_control(peer, [frames.head(Kind.EXIT)])

    def _release_bound(self, peer: Peer) -> None:
        """Give to others what was bound to a daemon that leaves."""

    def _send_away(self, peer: Peer) -> None:
        peer.state = PeerState.LEAVING
        self._idle.pop(peer.pipe, None)
        self._release_bound(peer)
        self._queue_control(peer, [frames.head(Kind.EXIT)])

    def close(self) -> None:
        """Resolve everything that is unresolved to error 19; nothing is sent any more."""
        with self._lock:
            self._closed = True
            tasks = [task for task in self._tasks.values() if not task.mirai.done()]
            maps = [mapped.outcomes for mapped in self._maps]
            for peer in self._peers.values():
                if peer.patience is not None:
                    peer.patience.cancel()
            self._tasks.clear()
            self._maps.clear()
            self._queue.clear()
            self._peers.clear()
            self._idle.clear()
            self._awaiting = self._executing = self._connected = 0
            self.room.used = 0
            self.room.wake()
            mirais = _all_reset(tasks)
            numbers = [each.settle(0, len(each), ErrorValue(CONNECTION_RESET, RESET)) for each in maps]
        self._announce(mirais)
        for each, number in zip(maps, numbers, strict=True):
            self._announce_elements(each, number)

    # -- daemons, on the receiving thread

    def joined(self, pipe: int) -> None:
        """A pipe was opened: nothing is read from it before it has answered a challenge."""
        peer = Peer(pipe, secrets.token_bytes(handshake.NONCE_SIZE))
        peer.patience = timer.after(HANDSHAKE_SECONDS, lambda: self._cut_if_greeting(peer))
        with self._lock:
            if self._closed:
                return
            self._peers[pipe] = peer
            self._send(pipe, handshake.challenge(peer.nonce))

    def _cut_if_greeting(self, peer: Peer) -> None:
        if peer.state is PeerState.GREETING:
            _log.warning("cut off a peer that did not introduce itself within %.0f s", HANDSHAKE_SECONDS)
            self._cut(peer.pipe)

    def received(self, pipe: int, frame: memoryview) -> None:
        """A message came from a pipe."""
        peer = self._peers.get(pipe)
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
            self._greet(peer, frame)
        elif kind == Kind.RESULT:
            self._finished(peer, frame, flags, count)
        elif kind == Kind.PIECE:
            self._finished_elements(peer, frame, count, shared=bool(flags & frames.SHARED))
        elif kind == Kind.ACK:
            with self._lock:
                peer.control_sent = False
                self._control(peer)
        elif kind == Kind.RETURNED:
            if flags == frames.RANGES:
                self._returned_elements(peer, *frames.parse_ranges(frame, count)[0])
            else:
                self._returned(peer, frames.parse_ids(frame, count))
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

    def _greet(self, peer: Peer, frame: memoryview) -> None:
        who, nonce, refusal = handshake.check_hello(frame, self._token, peer.nonce)
        if who is None or refusal:
            _log.warning("refused a daemon: %s", refusal)
            peer.state = PeerState.REFUSED
            self._send(peer.pipe, frames.text(Kind.REFUSE, refusal))
            timer.after(REFUSAL_SECONDS, lambda: self._cut(peer.pipe))
            return
        same_machine = bool(who.boot) and who.boot == handshake.boot_id()
        local = self._local(who.pid) if same_machine else None
        shares = bool(who.memory) and shm.can_read(who.memory)
        with self._lock:
            if self._closed:
                return
            peer.who = who
            peer.local = local
            stream = None if self._streams.fixed else self._streams.take()
            peer.shares = shares
            memory = shm.own_probe() if shares else ""
            settings = self._settings | {"stream": stream, "memory": memory}
            self._send(peer.pipe, handshake.init(self._token, nonce, pickle.dumps(settings, 5)))
            if peer.lane is not None and self.inbox is not None:
                self.inbox.watch(peer.lane.descriptor, partial(self._hear, peer, peer.lane))
            if peer.patience is not None:
                peer.patience.cancel()
            self._connected += 1
            self._cumulative += 1
            if self._replays:
                self._assign(peer, self._replayed(peer))
            else:
                self._make_idle(peer)
                self._pump()
        self._on_change()

    def beat(self) -> bool:
        """Ask idle daemons that are silent for a sign of life, and cut off those that gave none.

        A busy one may be deaf while its task holds the interpreter: it is lost with its connection alone.

        Returns:
            Whether there are daemons.
        """
        silent = []
        with self._lock:
            for peer in self._idle.values():
                peer.missed += 1
                if peer.missed == 1:
                    self._queue_control(peer, [frames.head(Kind.PING)])
                elif peer.missed >= MAX_MISSED:
                    silent.append(peer)
            any_left = bool(self._peers)
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
                self._leave_barrier(replay.barrier, task)
                self._awaiting -= 1
            else:
                task = self._task(
                    Mirai(self.stop, self.inbox), replay.codes, replay.body, TaskFlag.EVERYWHERE
                )
                task.mirai.add_done_callback(replay.watch)
                self._tasks[task.id] = task
            tasks.append(task)
        return tasks

    def _make_idle(self, peer: Peer) -> None:
        if peer.ordered_out:
            self._send_away(peer)
            return
        peer.state = PeerState.IDLE
        self._idle[peer.pipe] = peer

    def _finished(self, peer: Peer, frame: memoryview, leaving: int, count: int) -> None:
        rows = frames.parse_results(frame, count)
        with self._lock:
            peer.heard = monotonic()
            came: list[tuple[Mirai, int, Buffer | None]] = []
            for number, status, seconds, body in rows:
                value = self._leased(peer, body) if status == Status.SHARED else body
                task = peer.running.pop(number, None)
                if task is not None:
                    self._forget(task)
                    self._pace.learn(task.codes[0].key, seconds)
                    came.append((task.mirai, status, value))
            self._executing -= len(came)
            self._after_result(peer, leaving)  # so that the daemon goes on while these are stored
            resolved = [mirai for mirai, status, value in came if self._store(peer, mirai, status, value)]
        self._announce(resolved)

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
        with self._lock:
            peer = self._peers.get(pipe)
            if peer is not None:
                peer.released.append((number, times))
                self._control(peer)

    def _finished_elements(self, peer: Peer, frame: memoryview, count: int, *, shared: bool) -> None:
        first, seconds, page = frames.parse_piece(frame)
        with self._lock:
            peer.heard = monotonic()
            chunk = peer.chunk
            if chunk is None or first != chunk.ids[0] or not 0 < count <= len(chunk):
                raise frames.FrameError(f"values of {count} elements from {first} on were not asked for")
            outcomes, begin = chunk.mapped.outcomes, chunk.first
            chunk.first += count
            if not chunk:
                peer.chunk = None
            self._executing -= count
            self._completed += count
            self._pace.learn(chunk.key, seconds / count, count)
            if shared:
                number = self._store_shared(peer, outcomes, begin, page)
            else:
                kept = page if len(page) > COPIED_BYTES else bytes(page)
                number = outcomes.store(begin, begin + count, kept)
            if outcomes.over.done():
                self._maps.discard(chunk.mapped)
            self._after_result(peer, leaving=0)
        self._announce_elements(outcomes, number)

    def _store_shared(self, peer: Peer, outcomes: Outcomes, begin: int, page: memoryview) -> int:
        number = 0
        rows: list[tuple[int, Buffer]] = []
        for at, (status, body) in enumerate(pages.rows_of(page), begin):
            value: Buffer | None = self._leased(peer, body) if status == Status.SHARED else body
            if value is None:
                number += outcomes.settle(at, at + 1, _gone(peer))
            rows.append((Status.OK if status == Status.SHARED else status, value or b""))
        return number + outcomes.store(begin, begin + len(rows), page, rows)

    def _after_result(self, peer: Peer, leaving: int) -> None:
        """A daemon that has nothing left to do gets more, or may go."""
        if leaving:
            self._depart(peer)
        elif not peer.load and peer.state is PeerState.BUSY:
            self._make_idle(peer)
            self._pump()
        elif not peer.load and peer.state is PeerState.LEAVING:
            self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])

    def _announce(self, resolved: Sequence[Mirai]) -> None:
        """Wake who waits for these; last of all, for they compete with this thread for the interpreter."""
        if resolved and self.on_resolved is not None:
            self.on_resolved(len(resolved))
        for mirai in resolved:
            mirai._wake()

    def _returned(self, peer: Peer, numbers: Sequence[int]) -> None:
        """Tasks come back that were not begun: they are the next ones."""
        with self._lock:
            peer.recalled = False
            tasks = [t for n in numbers if (t := peer.running.pop(n, None)) is not None]
            self._executing -= len(tasks)
            resolved = self._put_back(tasks)
            self._after_return(peer)
        self._announce(resolved)

    def _returned_elements(self, peer: Peer, first: int, end: int) -> None:
        """The end of a chunk comes back that was not begun."""
        with self._lock:
            peer.recalled = False
            chunk = peer.chunk
            if chunk is not None and chunk.ids[0] <= first < end == chunk.ids[1]:
                kept = first - chunk.ids[0]
                self._put_back_elements(Span(chunk.mapped, chunk.first + kept, chunk.end))
                chunk.end = chunk.first + kept
                if not chunk:
                    peer.chunk = None
            self._after_return(peer)

    def _after_return(self, peer: Peer) -> None:
        if peer.state is PeerState.LEAVING and not peer.load:
            self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])
        elif peer.state is PeerState.BUSY and not peer.load:
            self._make_idle(peer)
        self._pump()

    def _put_back_elements(self, span: Span) -> None:
        """Put elements that were not begun at the head of the queue."""
        waiting = span.mapped.outcomes.open_in(span.first, span.end)
        self._executing -= len(span)
        self._completed += len(span) - waiting
        if not waiting:
            return
        self._awaiting += waiting
        self.room.add(span.size)
        head = self._queue[0] if self._queue else None
        if isinstance(head, Span) and head.mapped is span.mapped and head.first == span.end:
            head.first = span.first
        else:
            self._queue.appendleft(span)

    def _put_back(self, tasks: Sequence[Task]) -> list[Mirai]:
        """Put tasks that were not begun at the head of the queue; give the mirais that this resolves.

        What `everywhere` meant for a daemon that goes is for no other one.
        """
        resolved = []
        for task in reversed(tasks):
            task.peer = None
            if task.mirai.done():
                self._forget(task)
            elif task.flags & TaskFlag.EVERYWHERE:
                self._forget(task)
                task.mirai._store_value(ErrorValue(CONNECTION_RESET, DAEMON_LEFT))
                resolved.append(task.mirai)
            else:
                self._queue.appendleft(task)
                self._awaiting += 1
                self.room.add(task.size)
        return resolved

    def _leaving(self, peer: Peer) -> None:
        with self._lock:
            self._depart(peer)

    def _depart(self, peer: Peer) -> None:
        """A daemon goes: it gets no task any more, and may close once it has none."""
        peer.state = PeerState.LEAVING
        self._idle.pop(peer.pipe, None)
        self._release_bound(peer)
        if not peer.load:
            self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])

    def _deliver_codes(self, peer: Peer, keys: Sequence[bytes]) -> None:
        with self._lock:
            held = {c.key: c for task in peer.running.values() for c in task.codes}
            if peer.chunk is not None:
                held |= {c.key: c for c in peer.chunk.mapped.codes}
            self._queue_control(peer, frames.codes([(k, peer.body_of(held[k])) for k in keys if k in held]))

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
        if pipe in self._peers:
            self._leave_lane(self._peers[pipe])
        with self._lock:
            peer = self._peers.pop(pipe, None)
            if peer is None:
                return
            if peer.patience is not None:
                peer.patience.cancel()
            self._idle.pop(pipe, None)
            if peer.who is not None:
                self._connected -= 1
            # What was bound to it shares the fate of what it runs.
            tasks = [*peer.running.values(), *peer.bound]
            self._awaiting -= len(peer.bound)
            self._executing += len(peer.bound)
            peer.running.clear()
            peer.bound.clear()
            chunk, peer.chunk = peer.chunk, None
            orphans = self._leave_barriers(peer)
            self._pump()
        self._announce(orphans)
        if tasks or chunk:
            self._conclude(peer, tasks, chunk)
        self._on_change()

    def _leave_barriers(self, peer: Peer) -> list[Mirai]:
        """Members of an `everywhere` that nobody will serve, now that this daemon is gone."""
        orphans = []
        for barrier in [i for i in self._queue if isinstance(i, Barrier)]:
            if peer in barrier.waited_for and peer not in barrier.served and barrier.members:
                task = barrier.members[-1]
                self._awaiting -= 1
                self._forget(task)
                task.mirai._store_value(ErrorValue(CONNECTION_RESET, DAEMON_LEFT))
                orphans.append(task.mirai)
                self._leave_barrier(barrier, task)
            barrier.waited_for.discard(peer)
        return orphans

    def _leave_barrier(self, barrier: Barrier, task: Task) -> None:
        """Take a task out of its barrier; one that is empty holds up nothing."""
        barrier.members.remove(task)
        if not barrier.members:
            self._queue.remove(barrier)

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
                begun = len(tasks) if proof is None or self.binds else _begun(tasks, proof.started())
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
        with self._lock:
            if self._closed:
                return
            self._executing -= len(tasks)
            resolved = self._put_back(tasks[begun:])
            for task in tasks[:begun]:
                self._forget(task)
                if task.mirai.done():
                    continue
                if task.id in finished:
                    task.mirai._store(*finished[task.id])
                else:
                    what = {"task": task.mirai.id, "call": task.codes[0].name}
                    task.mirai._store_value(ErrorValue(CONNECTION_RESET, what | detail))
                resolved.append(task.mirai)
            self._pump()
        self._announce(resolved)
        self._on_change()  # what waits may have nobody left to wait for

    def _settle_elements(
        self, chunk: Span, begun: int, kept: Sequence[tuple[int, int, bytes]], detail: dict[str, Any]
    ) -> None:
        """The same for a chunk: of what had begun, some values may have been kept."""
        outcomes = chunk.mapped.outcomes
        between = chunk.first + begun
        with self._lock:
            if self._closed:
                return
            self._executing -= begun
            self._completed += begun
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
            self._put_back_elements(Span(chunk.mapped, between, chunk.end))
            self._forget_maps()
            self._pump()
        self._announce_elements(outcomes, number)

    # -- who gets what next, under the lock

    def _pump(self) -> None:
        """Hand out work for as long as there is some and a daemon is idle.

        The one that was busy last comes first: its caches are warm, and the others may leave if it suffices.
        """
        blocked: list[Peer] = []
        while self._queue and self._idle:
            head = self._queue[0]
            if isinstance(head, Span):
                chunk = self._take_chunk(head)
                if chunk:
                    self._assign_chunk(self._idle.popitem()[1], chunk)
                continue
            _, peer = self._idle.popitem()
            batch = self._take(peer, self._queue, self._connected)
            if batch:
                self._assign(peer, batch)
            else:
                blocked.append(peer)
        for peer in blocked:
            self._idle[peer.pipe] = peer
        if self._idle and not self._queue:
            self._consider_recall()

    def _take_chunk(self, waiting: Span) -> Span | None:
        """The next elements of what waits at the head of the queue; None if none is unresolved any more."""
        mapped, before = waiting.mapped, waiting.size
        first, end = mapped.outcomes.next_open(waiting.first, waiting.end)
        number = min(self._pace.chunk(waiting.key, waiting.end - first, self._connected), self._max_chunk)
        end = mapped.fitting(first, min(end, first + number), MAX_CHUNK_BYTES) if first < end else end
        waiting.first = end
        self.room.remove(before - waiting.size)
        if not waiting:
            self._queue.popleft()
        self._awaiting -= end - first
        return Span(mapped, first, end) if first < end else None

    def _assign_chunk(self, peer: Peer, chunk: Span) -> None:
        peer.chunk = chunk
        peer.state = PeerState.BUSY
        peer.heard = monotonic()
        self._executing += len(chunk)
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
                    self._leave_barrier(item, item.members[0])
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
        self._awaiting -= len(batch)
        self.room.remove(taken)
        return batch

    def _expected(self, task: Task) -> float:
        """Seconds that a task will probably take; for ever, if it is better sent alone."""
        if task.size > MAX_BATCHED_BYTES:
            return inf
        return self._pace.expected(task.codes[0].key)

    def _assign(self, peer: Peer, batch: list[Task]) -> None:
        new: dict[bytes, bytes] = {}
        entries = []
        for task in batch:
            task.peer = peer
            peer.running[task.id] = task
            new |= peer.news_of(task.codes)
            entries.append((task.id, *self._readable(peer, task)))
        self._executing += len(batch)
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
        if self._recall_set or not any(p.load > 1 and not p.recalled for p in self._peers.values()):
            return
        self._recall_set = True
        timer.after(RECALL_SECONDS, self._recall)

    def _recall(self) -> None:
        with self._lock:
            self._recall_set = False
            if self._closed or self._queue or not self._idle:
                return
            silent_since = monotonic() - RECALL_SECONDS
            for peer in self._peers.values():
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
        return self._pace.expected(chunk.key) * len(chunk) > 2 * CHUNK_SECONDS

    def _recall_from(self, peer: Peer) -> None:
        peer.recalled = True
        if peer.chunk is not None:
            self._queue_control(peer, frames.ranges(Kind.RECALL, [peer.chunk.ids]))
        else:
            self._queue_control(peer, frames.ids(Kind.RECALL, list(peer.running)[1:]))

    def _queue_control(self, peer: Peer, parts: Parts) -> None:
        peer.controls.append(parts)
        self._control(peer)

    def _control(self, peer: Peer) -> None:
        """Send the next control frame, if none is unacknowledged; cancellations that waited go as one."""
        if peer.control_sent:
            return
        if peer.cancels:
            peer.controls.appendleft(frames.ids(Kind.CANCEL, peer.cancels))
            peer.cancels = []
        if peer.released:
            peer.controls.append(frames.ranges(Kind.RELEASED, peer.released))
            peer.released = []
        if peer.cancelled_spans:
            peer.controls.appendleft(frames.ranges(Kind.CANCEL, peer.cancelled_spans))
            peer.cancelled_spans = []
        if peer.controls:
            peer.control_sent = True
            self._send(peer.pipe, peer.controls.popleft())

    def _warn_of(self, barrier: Barrier, number: int) -> None:
        with self._lock:
            left = len(barrier.members)
            waits = bool(self._queue) and self._queue[0] is barrier
        if left and waits and not barrier.waited_for - barrier.served:
            _log.warning(
                "everywhere() waits for %d more daemon(s) to connect (of %d); tasks behind it wait too",
                left,
                number,
            )


def _gone(peer: Peer) -> ErrorValue:
    """What becomes of a value whose daemon was gone before it could be taken from its memory."""
    assert peer.who is not None
    return ErrorValue(CONNECTION_RESET, {"pid": peer.who.pid, "host": peer.who.host})


def _begun(tasks: Sequence[Task], started: int) -> int:
    """How many of these tasks, in the order in which they were sent, the daemon had started."""
    return next((i + 1 for i, task in enumerate(tasks) if task.id == started), 0)


def _all_reset(tasks: Sequence[Task]) -> list[Mirai]:
    """Resolve tasks to error 19, for a profile that is no more."""
    for task in tasks:
        task.mirai._store_value(ErrorValue(CONNECTION_RESET, RESET))
    return [task.mirai for task in tasks]
