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
from collections import OrderedDict, deque
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from mirai_py import frames, handshake
from mirai_py.codes import KEY_SIZE
from mirai_py.errors import CANCELED, CONNECTION_RESET, TIMED_OUT
from mirai_py.frames import Kind, Parts, TaskFlag
from mirai_py.guard import Guard
from mirai_py.handles import Mirai
from mirai_py.peers import Barrier, Counts, Peer, PeerState, Replay, Task
from mirai_py.room import Room
from mirai_py.timer import timer
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mirai_py.codes import Code
    from mirai_py.peers import LocalProcess
    from mirai_py.streams import Streams

_log = logging.getLogger("mirai_py")

# A batch is as many short tasks as take about this long, so that what follows is not held up.
BATCH_SECONDS = 0.003
# What a task costs besides its own time; keeps batches of trivial tasks at a few hundred.
TASK_OVERHEAD_SECONDS = 0.000_012
# Tasks that take longer than this travel alone.
SHORT_SECONDS = 0.001
# A batch that is silent for this long while a daemon is idle gives back what it has not begun.
RECALL_SECONDS = 0.005
HANDSHAKE_SECONDS = 10.0
# Bodies of more bytes than this travel alone: copying them together would cost more than a message.
MAX_BATCHED_BYTES = 1 << 15
# A result up to this size is copied out of its message, a larger one keeps it until it is read.
COPIED_BYTES = 1 << 15
REFUSAL_SECONDS = 1.0
_MAX_ESTIMATES = 4096
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
        max_batch: the most tasks in one message.
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
        max_batch: int = 1024,
        memory: float | None = None,
    ) -> None:
        self._send = send
        self._cut = cut
        self._token = token
        self._streams = streams
        self._settings = settings
        self._local = local
        self._on_change = on_change
        self._max_batch = max_batch
        self.on_resolved: Callable[[int], None] | None = None
        self.room = Room(memory)
        self._lock = Guard()
        self._peers: dict[int, Peer] = {}
        self._idle: OrderedDict[int, Peer] = OrderedDict()
        self._queue: deque[Task | Barrier] = deque()
        self._tasks: dict[int, Task] = {}
        self._awaiting = 0
        self._executing = 0
        self._completed = 0
        self._connected = 0
        self._cumulative = 0
        self._closed = False
        self._recall_set = False
        self._replays: list[Replay] = []
        # Seconds that tasks with this code take, lately; decides what travels together.
        self._seconds: OrderedDict[bytes, float] = OrderedDict()

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
        mirai = Mirai(self.stop)
        task = self._task(mirai, codes, body, flags)
        with self._lock:
            if self._closed:
                mirai._store_value(ErrorValue(CONNECTION_RESET))
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

    def submit_all(
        self,
        calls: Iterable[tuple[tuple[Code, ...], Parts]],
        *,
        timeout: float | None = None,
        flags: int = TaskFlag.NONE,
    ) -> list[Mirai]:
        """Queue many tasks in one step, whatever room there is."""
        tasks = [self._task(Mirai(self.stop), codes, body, flags) for codes, body in calls]
        with self._lock:
            if self._closed:
                return _all_reset(tasks)
            self._tasks.update((task.id, task) for task in tasks)
            self._enqueue(tasks)
            self._awaiting += len(tasks)
            self.room.add(sum(task.size for task in tasks))
            self._pump()
            self.room.note_peak()
        if timeout is not None:
            for task in tasks:
                self._set_timeout(task.mirai, timeout)
        return [task.mirai for task in tasks]

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
            tasks = [self._task(Mirai(self.stop), codes, body, TaskFlag.EVERYWHERE) for _ in range(number)]
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
                task.body = []
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
                {"pid": p.who.pid, "host": p.who.host, "state": p.state.value, "tasks": len(p.running)}
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
            for peer in self._peers.values():
                if peer.patience is not None:
                    peer.patience.cancel()
            self._tasks.clear()
            self._queue.clear()
            self._peers.clear()
            self._idle.clear()
            self._awaiting = self._executing = self._connected = 0
            self.room.used = 0
            self.room.wake()
            mirais = _all_reset(tasks)
        self._announce(mirais)

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
        elif kind == Kind.ACK:
            with self._lock:
                peer.control_sent = False
                self._control(peer)
        elif kind == Kind.RETURNED:
            self._returned(peer, frames.parse_ids(frame, count))
        elif kind == Kind.NEED:
            self._deliver_codes(peer, frames.parse_need(frame, count))
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
        with self._lock:
            if self._closed:
                return
            peer.who = who
            peer.local = local
            stream = None if self._streams.fixed else self._streams.take()
            settings = self._settings | {"stream": stream}
            self._send(peer.pipe, handshake.init(self._token, nonce, pickle.dumps(settings, 5)))
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
                task = self._task(Mirai(self.stop), replay.codes, replay.body, TaskFlag.EVERYWHERE)
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
        resolved = []
        rows = frames.parse_results(frame, count)
        with self._lock:
            peer.heard = monotonic()
            for number, status, seconds, body in rows:
                task = peer.running.pop(number, None)
                if task is None:
                    continue
                self._executing -= 1
                self._forget(task)
                self._learn(task.codes[0].key, seconds)
                if not task.mirai.done():
                    task.mirai._store(status, body if len(body) > COPIED_BYTES else bytes(body))
                    resolved.append(task.mirai)
            if leaving:
                self._depart(peer)
            elif not peer.running and peer.state is PeerState.BUSY:
                self._make_idle(peer)
                self._pump()
            elif not peer.running and peer.state is PeerState.LEAVING:
                self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])
        self._announce(resolved)

    def _announce(self, resolved: Sequence[Mirai]) -> None:
        """Wake who waits for these; last of all, for they compete with this thread for the interpreter."""
        if resolved and self.on_resolved is not None:
            self.on_resolved(len(resolved))
        for mirai in resolved:
            mirai._wake()

    def _learn(self, key: bytes, seconds: float) -> None:
        before = self._seconds.get(key)
        self._seconds[key] = seconds if before is None else 0.8 * before + 0.2 * seconds
        self._seconds.move_to_end(key)
        if len(self._seconds) > _MAX_ESTIMATES:
            self._seconds.popitem(last=False)

    def _returned(self, peer: Peer, numbers: Sequence[int]) -> None:
        """Tasks come back that were not begun: they are the next ones."""
        with self._lock:
            peer.recalled = False
            tasks = [t for n in numbers if (t := peer.running.pop(n, None)) is not None]
            self._executing -= len(tasks)
            resolved = self._put_back(tasks)
            if peer.state is PeerState.LEAVING and not peer.running:
                self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])
            elif peer.state is PeerState.BUSY and not peer.running:
                self._make_idle(peer)
            self._pump()
        self._announce(resolved)

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
                task.mirai._store_value(ErrorValue(CONNECTION_RESET))
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
        if not peer.running:
            self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])

    def _deliver_codes(self, peer: Peer, keys: Sequence[bytes]) -> None:
        with self._lock:
            held = {c.key: c.body for task in peer.running.values() for c in task.codes}
            self._queue_control(peer, frames.codes([(k, held[k]) for k in keys if k in held]))

    def lost(self, pipe: int) -> None:
        """A pipe is gone, and all its messages have been handled."""
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
            orphans = self._leave_barriers(peer)
            self._pump()
        self._announce(orphans)
        if tasks:
            self._conclude(peer, tasks)
        self._on_change()

    def _leave_barriers(self, peer: Peer) -> list[Mirai]:
        """Members of an `everywhere` that nobody will serve, now that this daemon is gone."""
        orphans = []
        for barrier in [i for i in self._queue if isinstance(i, Barrier)]:
            if peer in barrier.waited_for and peer not in barrier.served and barrier.members:
                task = barrier.members[-1]
                self._awaiting -= 1
                self._forget(task)
                task.mirai._store_value(ErrorValue(CONNECTION_RESET))
                orphans.append(task.mirai)
                self._leave_barrier(barrier, task)
            barrier.waited_for.discard(peer)
        return orphans

    def _leave_barrier(self, barrier: Barrier, task: Task) -> None:
        """Take a task out of its barrier; one that is empty holds up nothing."""
        barrier.members.remove(task)
        if not barrier.members:
            self._queue.remove(barrier)

    def _conclude(self, peer: Peer, tasks: list[Task]) -> None:
        """Tell what became of the tasks of a lost daemon, with its exit code if it is one of ours."""
        assert peer.who is not None
        detail = {"pid": peer.who.pid, "host": peer.who.host}
        local = peer.local
        if local is None:
            self._settle(tasks, len(tasks), {}, detail)
            return

        def ended(end: dict[str, Any]) -> None:
            if end:
                begun = len(tasks) if self.binds else _begun(tasks, local.started())
                self._settle(tasks, begun, local.finished(), detail | end)
            else:  # a process that is lost but lives may still begin what it holds
                self._settle(tasks, len(tasks), {}, detail)

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
                    task.mirai._store_value(ErrorValue(CONNECTION_RESET, detail))
                resolved.append(task.mirai)
            self._pump()
        self._announce(resolved)
        self._on_change()  # what waits may have nobody left to wait for

    # -- who gets what next, under the lock

    def _pump(self) -> None:
        """Hand out work for as long as there is some and a daemon is idle.

        The one that was busy last comes first: its caches are warm, and the others may leave if it suffices.
        """
        blocked: list[Peer] = []
        while self._queue and self._idle:
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

    def _take(self, peer: Peer, queue: deque[Task | Barrier] | deque[Task], sharers: int) -> list[Task]:
        """The next task, with as many short ones behind it as fit; empty if there is none for this daemon."""
        batch: list[Task] = []
        taken = 0
        budget, share = BATCH_SECONDS, 1
        while queue and len(batch) < share:
            item = queue[0]
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
        return self._seconds.get(task.codes[0].key, inf)

    def _assign(self, peer: Peer, batch: list[Task]) -> None:
        new: dict[bytes, bytes] = {}
        entries = []
        for task in batch:
            task.peer = peer
            peer.running[task.id] = task
            for code in task.codes:
                if peer.lacks(code):
                    new[code.key] = code.body
            entries.append((task.id, task.flags, task.body))
        self._executing += len(batch)
        peer.state = PeerState.BUSY
        peer.heard = monotonic()
        self._send(peer.pipe, frames.tasks(entries, list(new.items())))

    def _consider_recall(self) -> None:
        """A daemon is idle and the queue empty: look later whether a batch elsewhere should be shared."""
        if self._recall_set or not any(len(p.running) > 1 and not p.recalled for p in self._peers.values()):
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
                if len(peer.running) > 1 and not peer.recalled and peer.heard <= silent_since:
                    peer.recalled = True
                    self._queue_control(peer, frames.ids(Kind.RECALL, list(peer.running)[1:]))
            self._consider_recall()

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


def _begun(tasks: Sequence[Task], started: int) -> int:
    """How many of these tasks, in the order in which they were sent, the daemon had started."""
    return next((i + 1 for i, task in enumerate(tasks) if task.id == started), 0)


def _all_reset(tasks: Sequence[Task]) -> list[Mirai]:
    """Resolve tasks to error 19, for a profile that is no more."""
    for task in tasks:
        task.mirai._store_value(ErrorValue(CONNECTION_RESET))
    return [task.mirai for task in tasks]
