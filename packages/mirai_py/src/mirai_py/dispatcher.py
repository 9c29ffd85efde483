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
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Any

from mirai_py import frames, handshake
from mirai_py.codes import KEY_SIZE
from mirai_py.errors import CANCELED, CONNECTION_RESET, TIMED_OUT
from mirai_py.frames import Kind, Parts, TaskFlag
from mirai_py.handles import Mirai
from mirai_py.timer import Alarm, timer
from nngsock import ErrorValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mirai_py.codes import Code
    from mirai_py.handshake import Identity
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
_MAX_ESTIMATES = 4096
_EVERYWHERE_PATIENCE_SECONDS = 10.0


class PeerState(Enum):
    """Where a daemon is in its life, as the host sees it."""

    GREETING = "greeting"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"


@dataclass(slots=True, eq=False)
class Task:
    """A call that was submitted."""

    mirai: Mirai
    id: int
    codes: tuple[Code, ...]
    body: Parts
    size: int
    flags: int = TaskFlag.NONE
    peer: Peer | None = None
    begun: bool = False


@dataclass(slots=True, eq=False)
class Peer:
    """A daemon that is connected."""

    pipe: int
    nonce: bytes
    state: PeerState = PeerState.GREETING
    who: Identity | None = None
    running: dict[int, Task] = field(default_factory=dict)
    known: set[bytes] = field(default_factory=set)
    heard: float = 0.0
    controls: deque[Parts] = field(default_factory=deque)
    cancels: list[int] = field(default_factory=list)
    control_sent: bool = False
    recalled: bool = False
    ordered_out: bool = False
    patience: Alarm | None = None
    started: Callable[[], int] | None = None


@dataclass(slots=True, eq=False)
class Barrier:
    """The tasks of one `everywhere`: one for each daemon, before anything behind them is begun."""

    members: deque[Task]
    waited_for: set[Peer]
    served: set[Peer] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the tasks and daemons of a profile are."""

    connections: int
    cumulative: int
    awaiting: int
    executing: int
    completed: int


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """What the launcher knows of a daemon on this machine.

    Attributes:
        started: reads the id of the task that the daemon started last.
        when_ended: calls back with exit code or signal once the process is gone.
    """

    started: Callable[[], int]
    when_ended: Callable[[Callable[[dict[str, Any]], None]], None]


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
    """

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
        self._lock = threading.Lock()
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
    ) -> Mirai:
        """Queue a task, or hand it to an idle daemon.

        Args:
            codes: the code to call, then the codes of `once` objects.
            body: pickled arguments.
            timeout: seconds until it resolves to error 5.
            flags: what is special about it.
        """
        mirai = Mirai(self.stop)
        task = self._task(mirai, codes, body, flags)
        with self._lock:
            if self._closed:
                mirai._resolve_value(ErrorValue(CONNECTION_RESET))
                return mirai
            self._tasks[task.id] = task
            self._queue.append(task)
            self._awaiting += 1
            if self._idle:
                self._pump()
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
        """Queue many tasks in one step."""
        tasks = [self._task(Mirai(self.stop), codes, body, flags) for codes, body in calls]
        with self._lock:
            if self._closed:
                for task in tasks:
                    task.mirai._resolve_value(ErrorValue(CONNECTION_RESET))
                return [task.mirai for task in tasks]
            self._tasks.update((task.id, task) for task in tasks)
            self._queue.extend(tasks)
            self._awaiting += len(tasks)
            self._pump()
        if timeout is not None:
            for task in tasks:
                self._set_timeout(task.mirai, timeout)
        return [task.mirai for task in tasks]

    def everywhere(self, codes: tuple[Code, ...], body: Parts, at_least: int) -> list[Mirai]:
        """Queue one task for each daemon, as a barrier."""
        with self._lock:
            connected = {p for p in self._peers.values() if p.state in (PeerState.IDLE, PeerState.BUSY)}
            number = max(at_least, len(connected), 1)
            tasks = [self._task(Mirai(self.stop), codes, body, TaskFlag.EVERYWHERE) for _ in range(number)]
            if self._closed:
                for task in tasks:
                    task.mirai._resolve_value(ErrorValue(CONNECTION_RESET))
                return [task.mirai for task in tasks]
            barrier = Barrier(deque(tasks), connected)
            self._tasks.update((task.id, task) for task in tasks)
            self._queue.append(barrier)
            self._awaiting += number
            self._pump()
        timer.after(_EVERYWHERE_PATIENCE_SECONDS, lambda: self._warn_of(barrier, number))
        return [task.mirai for task in tasks]

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

    def _end_early(self, mirai: Mirai, value: ErrorValue) -> bool:
        with self._lock:
            task = self._tasks.get(mirai._key)
            if task is None or mirai.done():
                return False
            mirai._resolve_value(value)
            if task.peer is not None:
                task.peer.cancels.append(task.id)
                self._control(task.peer)
            else:
                # Its place in the queue is passed over when its turn comes.
                self._forget(task)
                self._awaiting -= 1
                task.body = []
        self._notify(1)
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
                self._send(peer.pipe, [frames.head(Kind.EXIT)])

    def _send_away(self, peer: Peer) -> None:
        peer.state = PeerState.LEAVING
        self._idle.pop(peer.pipe, None)
        self._queue_control(peer, [frames.head(Kind.EXIT)])

    def close(self) -> None:
        """Resolve everything that is unresolved to error 19; nothing is sent any more."""
        with self._lock:
            self._closed = True
            tasks = [task for task in self._tasks.values() if not task.mirai.done()]
            self._tasks.clear()
            self._queue.clear()
            self._peers.clear()
            self._idle.clear()
            self._awaiting = self._executing = self._connected = 0
        for task in tasks:
            task.mirai._resolve_value(ErrorValue(CONNECTION_RESET))
        self._notify(len(tasks))

    def _notify(self, number: int) -> None:
        if number and self.on_resolved is not None:
            self.on_resolved(number)

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
        except (frames.FrameError, ValueError, OverflowError, LookupError) as error:
            _log.warning("cut off a peer that sent what is no frame: %s", error)
            self._cut(pipe)

    def _handle(self, peer: Peer, frame: memoryview) -> None:
        kind, flags, count = frames.parse_head(frame)
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
        if refusal:
            _log.warning("refused a daemon: %s", refusal)
            self._send(peer.pipe, frames.text(Kind.REFUSE, refusal))
            timer.after(1.0, lambda: self._cut(peer.pipe))
            return
        assert who is not None
        same_machine = bool(who.boot) and who.boot == handshake.boot_id()
        local = self._local(who.pid) if same_machine else None
        with self._lock:
            if self._closed:
                return
            peer.who = who
            peer.started = None if local is None else local.started
            stream = None if self._streams.fixed else self._streams.take()
            settings = self._settings | {"stream": stream}
            self._send(peer.pipe, handshake.init(self._token, nonce, pickle.dumps(settings, 5)))
            if peer.patience is not None:
                peer.patience.cancel()
            self._connected += 1
            self._cumulative += 1
            self._make_idle(peer)
            self._pump()
        self._on_change()

    def _make_idle(self, peer: Peer) -> None:
        if peer.ordered_out:
            self._send_away(peer)
            return
        peer.state = PeerState.IDLE
        self._idle[peer.pipe] = peer

    def _finished(self, peer: Peer, frame: memoryview, leaving: int, count: int) -> None:
        resolved = 0
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
                    task.mirai._resolve(status, bytes(body) if len(body) < MAX_BATCHED_BYTES else body)
                    resolved += 1
            if leaving:
                self._depart(peer)
            elif not peer.running and peer.state is PeerState.BUSY:
                self._make_idle(peer)
                self._pump()
            elif not peer.running and peer.state is PeerState.LEAVING:
                self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])
        self._notify(resolved)

    def _learn(self, key: bytes, seconds: float) -> None:
        before = self._seconds.get(key)
        self._seconds[key] = seconds if before is None else 0.8 * before + 0.2 * seconds
        if len(self._seconds) > _MAX_ESTIMATES:
            self._seconds.popitem(last=False)

    def _returned(self, peer: Peer, numbers: Sequence[int]) -> None:
        """Tasks come back that were not begun: they are the next ones."""
        with self._lock:
            peer.recalled = False
            tasks = [t for n in numbers if (t := peer.running.pop(n, None)) is not None]
            self._executing -= len(tasks)
            self._requeue(tasks)
            if peer.state is PeerState.LEAVING and not peer.running:
                self._queue_control(peer, [frames.head(Kind.LEAVE_OK)])
            elif peer.state is PeerState.BUSY and not peer.running:
                self._make_idle(peer)
            self._pump()

    def _requeue(self, tasks: Sequence[Task]) -> None:
        for task in reversed(tasks):
            task.peer = None
            if task.mirai.done():
                self._forget(task)
                continue
            self._queue.appendleft(task)
            self._awaiting += 1

    def _leaving(self, peer: Peer) -> None:
        with self._lock:
            self._depart(peer)

    def _depart(self, peer: Peer) -> None:
        """A daemon goes: it gets no task any more, and may close once it has none."""
        peer.state = PeerState.LEAVING
        self._idle.pop(peer.pipe, None)
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
            tasks = list(peer.running.values())
            peer.running.clear()
            orphans = self._leave_barriers(peer)
            self._pump()
        for task in orphans:
            task.mirai._resolve_value(ErrorValue(CONNECTION_RESET))
        self._notify(len(orphans))
        if tasks:
            self._conclude(peer, tasks)
        self._on_change()

    def _leave_barriers(self, peer: Peer) -> list[Task]:
        """Members of an `everywhere` that nobody will serve, now that this daemon is gone."""
        orphans = []
        for item in [i for i in self._queue if isinstance(i, Barrier)]:
            if peer in item.waited_for and peer not in item.served and item.members:
                task = item.members.pop()
                self._awaiting -= 1
                self._forget(task)
                orphans.append(task)
                if not item.members:
                    self._queue.remove(item)
            item.waited_for.discard(peer)
        return orphans

    def _conclude(self, peer: Peer, tasks: list[Task]) -> None:
        """Tell what became of the tasks of a lost daemon, with its exit code if it is one of ours."""
        assert peer.who is not None
        detail = {"pid": peer.who.pid, "host": peer.who.host}
        local = self._local(peer.who.pid) if peer.started is not None else None
        if local is None:
            self._settle(tasks, len(tasks), detail)
            return
        begun = _begun(tasks, local.started())
        local.when_ended(lambda end: self._settle(tasks, begun, detail | end))

    def _settle(self, tasks: list[Task], begun: int, detail: dict[str, Any]) -> None:
        """The first `begun` tasks may have run: error 19. The others provably never started."""
        resolved = 0
        with self._lock:
            if self._closed:
                return
            self._executing -= len(tasks)
            for task in tasks[:begun]:
                self._forget(task)
                if not task.mirai.done():
                    task.mirai._resolve_value(ErrorValue(CONNECTION_RESET, detail))
                    resolved += 1
            self._requeue(tasks[begun:])
            self._pump()
        self._notify(resolved)

    # -- who gets what next, under the lock

    def _pump(self) -> None:
        """Hand out work for as long as there is some and a daemon is idle."""
        blocked: list[Peer] = []
        while self._queue and self._idle:
            _, peer = self._idle.popitem(last=False)
            batch = self._take(peer)
            if batch:
                self._assign(peer, batch)
            elif self._queue:
                blocked.append(peer)
            else:
                self._idle[peer.pipe] = peer
        for peer in blocked:
            self._idle[peer.pipe] = peer
        if self._idle and not self._queue:
            self._consider_recall()

    def _take(self, peer: Peer) -> list[Task]:
        """The next task, with as many short ones behind it as fit; empty if there is none for this daemon."""
        queue = self._queue
        batch: list[Task] = []
        budget, share = BATCH_SECONDS, 0
        while queue:
            item = queue[0]
            if isinstance(item, Barrier):
                if not batch:
                    self._take_from_barrier(item, peer, batch)
                break
            if item.mirai.done():
                queue.popleft()
                continue
            if batch:
                expected = self._seconds.get(item.codes[0].key)
                if expected is None or expected > SHORT_SECONDS or item.size > MAX_BATCHED_BYTES:
                    break
                budget -= expected + TASK_OVERHEAD_SECONDS
                if budget < 0 or len(batch) >= share:
                    break
            else:
                expected = self._seconds.get(item.codes[0].key)
                alone = expected is None or expected > SHORT_SECONDS or item.size > MAX_BATCHED_BYTES
                share = 1 if alone else min(self._max_batch, -(-len(queue) // max(1, self._connected)))
            queue.popleft()
            batch.append(item)
            if len(batch) >= share:
                break
        self._awaiting -= len(batch)
        return batch

    def _take_from_barrier(self, barrier: Barrier, peer: Peer, batch: list[Task]) -> None:
        if peer in barrier.served:
            return
        barrier.served.add(peer)
        while barrier.members and not batch:
            task = barrier.members.popleft()
            if not task.mirai.done():
                batch.append(task)
        if not barrier.members:
            self._queue.popleft()

    def _assign(self, peer: Peer, batch: list[Task]) -> None:
        new: dict[bytes, bytes] = {}
        entries = []
        for task in batch:
            task.peer = peer
            peer.running[task.id] = task
            for code in task.codes:
                if code.key not in peer.known:
                    peer.known.add(code.key)
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
