"""A worker: dials the host, runs what it is sent, in the main thread, until it is told or time to leave."""

from __future__ import annotations

import logging
import math
import os
import pickle
import queue
import secrets
import signal
import sys
import threading
import time
from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import nngsock
from mirai_py import codes, frames, handshake, shm
from mirai_py.bodies import is_shared, leased
from mirai_py.chunks import FLUSH_SECONDS, Running
from mirai_py.custom import Custom
from mirai_py.descriptors import port_of
from mirai_py.encryption import trust_of
from mirai_py.errors import MiraiException, MiraiTypeError
from mirai_py.evaluate import Evaluator, is_traced
from mirai_py.frames import Kind, Result, Status, TaskFlag
from mirai_py.inheritance import inheritance
from mirai_py.interrupt import Interrupt
from mirai_py.liveness import keep_alive
from mirai_py.options import check_options
from mirai_py.process import name_process, opened_output, redirect_output
from mirai_py.streams import Stream, seed_daemon
from mirai_py.timer import timer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from mirai_py.frames import Parts
    from mirai_py.lane import Lane

_log = logging.getLogger("mirai_py")

Entry = tuple[int, int, memoryview]  # id, flags and body of a task

ENDED = 0  # the connection ended, or the host ordered it
IDLE = 1
WALL = 2
TASKS = 3
HANDSHAKE_SECONDS = 10.0
# An idle limit shorter than the time to get a first task must not make workers come and go.
FIRST_TASK_SECONDS = 5.0
LEAVE_SECONDS = 1.0
LENT_LEAVE_SECONDS = 30.0
KILL_SECONDS = 2.0
# So many frames may be under way to the host before the daemon waits for it.
SEND_BUFFER = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """When a daemon leaves by itself. Times in seconds."""

    idle: float = math.inf
    wall: float = math.inf
    tasks: float = math.inf
    timer_start: int = 0


class _Wake:
    """What the receiving thread tells the main thread."""

    WORK = "work"
    LOST = "lost"
    EXIT = "exit"
    LEAVE_OK = "leave ok"


@dataclass(slots=True)
class _State:
    """What the receiving and the main thread share.

    Attributes:
        pending: tasks of the present connection that were not begun; a new deque for each connection.
        chunk: the chunk of a map that waits or runs.
    """

    pending: deque[Entry | Running] = field(default_factory=deque)
    chunk: Running | None = None
    wakes: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    lock: threading.Lock = field(default_factory=threading.Lock)
    leaving: bool = False
    nonce: bytes = b""
    settings: dict[str, Any] | None = None
    refused: str = ""
    connected: threading.Event = field(default_factory=threading.Event)
    code_came: threading.Event = field(default_factory=threading.Event)


def daemon(
    url: str,
    dispatcher: bool = True,
    *,
    asyncdial: bool = False,
    autoexit: bool | None = True,
    cleanup: bool = True,
    output: bool | str | os.PathLike[str] = False,
    idletime: float = math.inf,
    walltime: float = math.inf,
    maxtasks: float = math.inf,
    timerstart: int = 0,
    tlscert: Any = None,
    rs: tuple[int, int] | None = None,
) -> int:
    """Be a daemon: dial the host at `url` and run its tasks in this thread until the end.

    Args:
        url: where the host listens.
        dispatcher: as the host's; both forms speak the same protocol.
        asyncdial: False raises at once if nobody listens; True dials for ever.
        autoexit: True ends this process when the host is gone, even in the middle of a task; None lets the
            running task finish first; False stays and dials again.
        cleanup: put names, environment, working directory and the like back after each task.
        output: False sends stdout and stderr to the null device; True leaves them; a path, in which `{pid}`
            is replaced, is appended to.
        idletime: milliseconds without a task after which to leave; not before the first task or 5 s.
        walltime: milliseconds after which to leave; a running task ends first.
        maxtasks: number of tasks after which to leave.
        timerstart: number of tasks after which the two clocks start.
        tlscert: for a `url` of tls+tcp:// or wss://, by which certificates the host is known, as
            `nextget("tls")` gives them: a file in PEM, or the pair (certificates, "").
        rs: a random stream, as `nextstream()` gives it.

    Returns:
        Why it ended: 0 the connection ended or the host ordered it, 1 idle, 2 walltime, 3 maxtasks.

    Raises:
        nngsock.NngError: 6 nobody listens at `url`; 26 the host's certificate is not trusted.
        MiraiException: the host refused this daemon, or does not know the token.
        TypeError, ValueError: an argument has the wrong type or value.

    Example:
        >>> import subprocess
        >>> with daemons(url=local_url()):
        ...     source = f"import mirai_py; raise SystemExit(mirai_py.daemon({nextget('url')!r}, maxtasks=1))"
        ...     environment = {**os.environ, **nextget("env")}
        ...     process = subprocess.Popen([sys.executable, "-c", source], env=environment)
        ...     mirai(abs, -1).collect(), process.wait()
        (1, 3)
    """
    check_options(
        {
            "dispatcher": dispatcher,
            "asyncdial": asyncdial,
            "autoexit": autoexit,
            "cleanup": cleanup,
            "output": output,
            "idletime": idletime,
            "walltime": walltime,
            "maxtasks": maxtasks,
            "timerstart": timerstart,
            "tlscert": tlscert,
            "rs": rs,
        }
    )
    if not isinstance(url, str):
        raise MiraiTypeError(f"`url` must be a str, where the host listens, not {url!r}")
    limits = Limits(idletime / 1000, walltime / 1000, maxtasks, timerstart)
    trust = trust_of(url, tlscert)
    with opened_output(output) as target:
        worker = _Worker(url, trust, limits, autoexit=autoexit, cleanup=cleanup, output=target, stream=rs)
        return worker.serve(asyncdial=asyncdial)


class _Worker:
    """The daemon of this process."""

    def __init__(
        self,
        url: str,
        trust: nngsock.TlsConfig | None,
        limits: Limits,
        *,
        autoexit: bool | None,
        cleanup: bool,
        output: int | None,
        stream: tuple[int, int] | None,
    ) -> None:
        self._url = url
        self._trust = trust
        self._limits = limits
        self._autoexit = autoexit
        self._output = output
        self._stream = stream
        self._local = inheritance()
        self._token = os.environ.pop(handshake.TOKEN_VARIABLE, "")
        self._state = _State()
        self._settings: dict[str, Any] | None = None
        self._socket = nngsock.socket("pair1")
        self._interrupt = Interrupt()
        self._cache = codes.current_cache
        namespace = sys.modules["__main__"].__dict__
        self._evaluator = Evaluator(
            self._cache, namespace, cleanup=cleanup, interrupt=self._interrupt, fetch=self._fetch
        )
        self._record = self._local.open_record()
        self._lane = self._local.open_lane()
        self._by_lane = False
        self._done: list[Result] = []
        self._done_lock = threading.Lock()
        self._flush_set = False
        self._count = 0
        self._wall_end = math.inf

    # -- life

    def serve(self, *, asyncdial: bool) -> int:
        """Connect, work, leave."""
        if self._autoexit:
            self._local.die_with_host()
        nngsock.set_opt(self._socket, "send-buffer", SEND_BUFFER)
        nngsock.on_pipe(self._socket, self._on_pipe)
        self._inbox = nngsock.inbox(self._socket, self._received)
        before = name_process("mirai-daemon")
        try:
            start = True if asyncdial else None
            nngsock.dial(self._socket, self._url, tls=self._trust, autostart=start, fail="error")
            self._wait_for_host(None if asyncdial else HANDSHAKE_SECONDS)
            self._interrupt.install(self._url)
            self._settle()
            if self._lane is not None:
                self._inbox.watch(self._lane.descriptor, partial(self._hear, self._lane))
            with self._traced():
                return self._work()
        finally:
            self._interrupt.uninstall()
            nngsock.close(self._socket)
            name_process(before)

    def _traced(self) -> AbstractContextManager[object]:
        """Spans tell when this daemon came and went, if OpenTelemetry is used here from the start."""
        if not is_traced():
            return nullcontext()
        from mirai_py.spans import connected

        return connected(self._url)

    def _wait_for_host(self, seconds: float | None) -> None:
        if not self._state.connected.wait(seconds):
            raise MiraiException(
                f"no mirai_py host answers at {self._url}: nothing came within {seconds:.0f} s"
            )
        if self._state.refused:
            raise MiraiException(f"the host at {self._url} refused this daemon: {self._state.refused}")

    def _settle(self) -> None:
        """What the host's INIT asks for, before the first task."""
        if self._local.path:
            sys.path[:] = self._local.path
        settings = self._take_settings()
        stream = self._stream or settings.get("stream")
        if stream is not None:
            seed_daemon(Stream(*stream))
        if self._output is not None:
            redirect_output(self._output)

    def _take_settings(self) -> dict[str, Any]:
        """What the present host asks for, and the next one may ask anew."""
        settings = self._settings = self._state.settings
        assert settings is not None
        packed = settings.get("serial")
        self._evaluator.custom = None if packed is None else Custom.unpacked(packed)
        return settings

    def _work(self) -> int:
        limits = self._limits
        started = last = time.monotonic()
        while True:
            counting = self._count >= limits.timer_start
            self._wall_end = started + limits.wall if counting else math.inf
            until = self._deadline(started, last) if counting else math.inf
            try:
                wake = self._next_wake(until)
            except queue.Empty:
                reason = WALL if time.monotonic() >= self._wall_end else IDLE
                if self._leave(reason):
                    return reason
                continue
            if wake in (_Wake.LOST, _Wake.EXIT):
                return ENDED
            if self._settings is not self._state.settings:
                self._take_settings()
            limit = self._run_pending()
            if limit is not None:
                return limit
            last = time.monotonic()
            if not counting and self._count >= limits.timer_start:
                started = last

    def _next_wake(self, until: float) -> str:
        """What the receiving thread has to tell, which meanwhile is this one.

        Raises:
            queue.Empty: nothing came until then.
        """
        wakes, inbox = self._state.wakes, self._inbox
        if wakes.empty() and inbox.take_over():
            try:
                while wakes.empty() and inbox.handle(_left(until)):
                    pass
            finally:
                inbox.give_back()
        return wakes.get(timeout=_left(until))

    def _tell(self, wake: str) -> None:
        self._state.wakes.put(wake)
        self._inbox.knock()

    def _deadline(self, started: float, last: float) -> float:
        idle = last + self._limits.idle
        if not self._count:
            idle = max(idle, started + FIRST_TASK_SECONDS)
        return min(idle, started + self._limits.wall)

    def _leave(self, code: int) -> bool:
        """Leave in agreement with the host, so that no task is lost on the way; False if work came first."""
        state = self._state
        with state.lock:
            if state.pending:
                return False
            state.leaving = True
        self._post([frames.head(Kind.LEAVE, code)])
        self._await_leave_ok()
        return True

    def _await_leave_ok(self) -> None:
        # Values that the host has not taken from here would be gone.
        seconds = LENT_LEAVE_SECONDS if len(self._evaluator.lent) else LEAVE_SECONDS
        until = time.monotonic() + seconds
        with suppress(queue.Empty):
            while self._next_wake(until) == _Wake.WORK:
                pass

    # -- tasks, on the main thread

    def _run_pending(self) -> int | None:
        """Run all that was sent, up to a limit; gives which one."""
        pending = self._state.pending
        while True:
            try:
                entry = pending.popleft()
            except IndexError:
                break
            if isinstance(entry, Running):
                self._run_chunk(entry)
            else:
                self._run_task(pending, *entry)
            del entry  # an idle daemon holds nothing of the host's memory
            limit = self._limit()
            if limit is not None:
                self._finish(limit)
                return limit
        self._flush()
        return None

    def _limit(self) -> int | None:
        """Which limit is reached: of tasks or of time. However much there is to do, it is not exceeded."""
        if self._count >= self._limits.tasks:
            return TASKS
        if self._wall_end < math.inf and time.monotonic() >= self._wall_end:
            return WALL
        return None

    def _run_task(self, pending: deque[Entry | Running], task: int, flags: int, body: memoryview) -> None:
        result = self._run(task, flags, body)
        with self._done_lock:
            if self._state.pending is pending:  # else its host is gone, and the next has ids of its own
                self._done.append(result)
        if pending:
            self._hold_back(result)
        self._count += 1

    def _run(self, task: int, flags: int, body: memoryview) -> Result:
        if self._record is not None:
            self._record.begin(task)
        parts: Parts = []
        status = Status.CANCELED
        begun = time.perf_counter()
        if not self._interrupt.unwanted(task):
            status, parts = self._evaluator.run(task, flags, body)
        return Result(task, status, time.perf_counter() - begun, parts)

    def _run_chunk(self, chunk: Running) -> None:
        """Run elements of a map, up to the limit of tasks."""
        self._flush_soon()
        left = self._limits.tasks - self._count
        self._count += chunk.run(self._evaluator, self._record, left, self._send)
        if self._count >= self._limits.tasks:
            return
        rest = chunk.give_back(chunk.first, chunk.end)
        with self._state.lock:
            # The host may have all values by now, and have sent the next chunk.
            if self._state.chunk is chunk:
                self._state.chunk = None
        chunk.flush(self._send)
        if rest[0] < rest[1]:
            self._send(frames.ranges(Kind.RETURNED, [rest]))

    def _hold_back(self, result: Result) -> None:
        """Let a result wait for the others of its batch; not for long, and where it outlives this process."""
        if result.status == Status.SHARED:
            self._flush()  # were this process to end, its memory would be gone
        elif self._record is not None and not self._record.keep(result):
            # No room: what is left is begun when the host has these, and has said so by sending it again.
            self._give_back({e[0] for e in list(self._state.pending) if not isinstance(e, Running)})
        else:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_set:
            self._flush_set = True
            timer.after(FLUSH_SECONDS, self._flush_late)

    def _flush(self, flags: int = 0) -> None:
        with self._done_lock:
            done, self._done = self._done, []
        if done or flags:
            self._send(frames.results(done, flags))

    def _flush_late(self) -> None:
        """Finished results must not wait for a slow member of their batch."""
        self._flush_set = False
        with self._done_lock:
            done, self._done = self._done, []
        if done:
            self._post(frames.results(done))
        chunk = self._state.chunk
        if chunk is not None:
            chunk.flush(self._post)
            self._flush_soon()

    def _finish(self, reason: int) -> None:
        """The last task is done: give back what waits here, and leave with the last results."""
        with self._state.lock:
            self._state.leaving = True
            rest = [entry[0] for entry in self._state.pending if not isinstance(entry, Running)]
            self._state.pending.clear()
            chunk, self._state.chunk = self._state.chunk, None
        if rest:
            self._send(frames.ids(Kind.RETURNED, rest))
        if chunk is not None:
            self._send(frames.ranges(Kind.RETURNED, [chunk.give_back(chunk.first, chunk.end)]))
            chunk.flush(self._send)
        self._flush(flags=reason)
        self._await_leave_ok()

    def _fetch(self, key: bytes) -> None:
        """Get a code that was dropped from the cache."""
        self._state.code_came.clear()
        self._post(frames.need([key]))
        if not self._state.code_came.wait(HANDSHAKE_SECONDS):
            raise codes.MissingCodeError(key)

    def _send(self, parts: Parts) -> None:
        """Send and wait until it is on its way: a slow host slows its daemons down."""
        if not (self._by_lane and self._lane is not None and self._lane.send(parts)):
            nngsock.send(self._socket, parts, mode="parts", block=True)

    def _post(self, parts: Parts) -> None:
        """Send without waiting."""
        nngsock.send_aio(self._socket, parts, mode="parts")

    # -- messages, on the receiving thread

    def _received(self, frame: memoryview, _pipe: int) -> None:
        self._handle_or_log(frame, by_lane=False)

    def _hear(self, lane: Lane) -> None:
        """Handle what came on the lane; at its end the connection tells what to do."""
        frame = lane.receive()
        if frame:
            self._handle_or_log(frame, by_lane=True)
        elif frame is not None:
            self._inbox.unwatch(lane.descriptor)

    def _handle_or_log(self, frame: memoryview, *, by_lane: bool) -> None:
        try:
            self._handle(frame, by_lane=by_lane)
        except Exception:
            _log.exception("a message of the host could not be handled")

    def _handle(self, frame: memoryview, *, by_lane: bool) -> None:
        kind, flags, count = frames.parse_head(frame)
        state = self._state
        if kind == Kind.TASK:
            self._by_lane = by_lane  # results go where tasks come from
            self._accept(*frames.parse_tasks(frame, count))
            return
        if kind == Kind.CHUNK:
            self._by_lane = by_lane
            self._accept_chunk(frames.parse_chunk(frame, count, flags))
            return
        if kind == Kind.CHALLENGE:
            state.nonce = secrets.token_bytes(handshake.NONCE_SIZE)
            me = replace(handshake.identity(), memory=shm.own_probe())
            self._post(handshake.hello(self._token, frame, state.nonce, me))
            return
        if kind == Kind.INIT:
            self._initialised(frame)
            return
        if kind == Kind.REFUSE:
            state.refused = bytes(frame[frames.HEADER_SIZE :]).decode(errors="replace")
            state.connected.set()
            return
        self._post([frames.head(Kind.ACK)])
        if kind == Kind.CANCEL and flags == frames.RANGES:
            self._cancel_spans(frames.parse_ranges(frame, count))
        elif kind == Kind.CANCEL:
            for task in frames.parse_ids(frame, count):
                self._interrupt(task)
        elif kind == Kind.RECALL and flags == frames.RANGES:
            self._give_back_elements(*frames.parse_ranges(frame, count)[0])
        elif kind == Kind.RECALL:
            self._give_back(set(frames.parse_ids(frame, count)))
        elif kind == Kind.CODE:
            self._add_codes(frames.parse_codes(frame, count))
            state.code_came.set()
        elif kind == Kind.RELEASED:
            for number, times in frames.parse_ranges(frame, count):
                self._evaluator.lent.take_back(number, times)
        elif kind == Kind.LEAVE_OK:
            self._tell(_Wake.LEAVE_OK)
        elif kind == Kind.EXIT:
            self._tell(_Wake.EXIT)

    def _accept(self, new_codes: Iterable[tuple[bytes, bytes]], entries: Sequence[Entry]) -> None:
        self._add_codes(new_codes)
        unreadable = not self._evaluator.shares and any(flags & TaskFlag.SHARED for _, flags, _ in entries)
        if unreadable or not self._enter([self._leased(*entry) for entry in entries]):
            self._post(frames.ids(Kind.RETURNED, [task for task, _, _ in entries]))

    def _accept_chunk(self, chunk: frames.Chunk) -> None:
        self._add_codes(chunk.codes)
        unreadable = not self._evaluator.shares and chunk.flags & frames.SHARED
        if unreadable or not self._enter([Running(chunk, self._told)]):
            self._post(frames.ranges(Kind.RETURNED, [(chunk.first, chunk.first + chunk.number)]))

    def _leased(self, task: int, flags: int, body: memoryview) -> Entry:
        """A task, with what it needs of the host's memory for as long as it is used."""
        if flags & TaskFlag.SHARED:
            body = memoryview(leased(body, self._told, head=codes.KEY_SIZE))
        return task, flags, body

    def _told(self, number: int, times: int) -> None:
        """Memory of the host is not used any more."""
        with suppress(nngsock.NngError):  # the host is gone
            self._post(frames.ranges(Kind.RELEASED, [(number, times)]))

    def _add_codes(self, new_codes: Iterable[tuple[bytes, bytes]]) -> None:
        for key, body in new_codes:
            if not is_shared(memoryview(body)[1:]):
                self._cache.add(key, body)
            elif self._evaluator.shares:  # else it is asked for, and comes as bytes
                self._cache.add(key, leased(body, self._told, head=1))

    def _enter(self, entries: Sequence[Entry | Running]) -> bool:
        """Hand work to the main thread; False if this daemon is leaving."""
        state = self._state
        with state.lock:
            if state.leaving:
                return False
            # The host sends tasks when those before are done: what else was cancelled by now is past.
            self._interrupt.forget_all_but(e[0] for e in entries if not isinstance(e, Running))
            if self._record is not None:
                self._record.clear()
            state.chunk = next((e for e in entries if isinstance(e, Running)), None)
            state.pending.extend(entries)
            self._tell(_Wake.WORK)
            return True

    def _cancel_spans(self, spans: Iterable[tuple[int, int]]) -> None:
        for first, end in spans:
            self._interrupt.refuse(range(first, end))
            running = self._interrupt.running
            if running is not None and first <= running < end:
                self._interrupt(running)

    def _give_back_elements(self, first: int, end: int) -> None:
        """Return elements of a map that are not begun, behind the values that are ready."""
        chunk = self._state.chunk
        back = (first, first) if chunk is None else chunk.give_back(first, end)
        self._flush_late()
        self._post(frames.ranges(Kind.RETURNED, [back]))

    def _give_back(self, wanted: set[int]) -> None:
        """Return tasks that are not begun, the newest first, and results that are ready."""
        pending = self._state.pending
        kept: list[Entry | Running] = []
        returned: list[Entry] = []
        while True:
            try:
                entry = pending.pop()
            except IndexError:
                break
            if not isinstance(entry, Running) and entry[0] in wanted:
                returned.append(entry)
            else:
                kept.append(entry)
        if kept:
            pending.extendleft(kept)
            self._tell(_Wake.WORK)  # the main thread may have found nothing meanwhile
        self._flush_late()
        self._post(frames.ids(Kind.RETURNED, [entry[0] for entry in reversed(returned)]))

    def _initialised(self, frame: memoryview) -> None:
        settings = handshake.check_init(frame, self._token, self._state.nonce)
        if settings is None:
            self._state.refused = f"it does not know the token in {handshake.TOKEN_VARIABLE}"
        else:
            self._state.settings = pickle.loads(settings)
            if (port := port_of(self._url)) is not None:
                keep_alive(port)
            self._agree_on_memory(self._state.settings.get("memory", ""))
        self._state.connected.set()

    def _agree_on_memory(self, probe: str) -> None:
        """The host can read the memory of this process, if it gives its own probe; see about the reverse."""
        self._evaluator.shares = bool(probe) and shm.can_read(probe)
        if probe and not self._evaluator.shares:
            self._post([frames.head(Kind.UNSHARED)])

    def _on_pipe(self, event: str, _pipe: int) -> None:
        if event == "remove":
            self._disconnected()

    def _disconnected(self) -> None:
        """The host counts what was not begun as its own again: it must not begin here."""
        state = self._state
        if self._lane is not None:
            self._inbox.unwatch(self._lane.descriptor)
            self._lane = None
            self._local.close_lane()
        with self._done_lock:
            state.pending.clear()
            state.pending = deque()
            self._done = []
            if state.chunk is not None:
                state.chunk.drop()
                state.chunk = None
        self._evaluator.lent.clear()
        if self._autoexit is False:
            return
        self._interrupt.end()
        if not state.connected.is_set():
            state.refused = state.refused or "the connection ended during the introduction"
            state.connected.set()
        if self._autoexit and self._interrupt.running is not None:
            timer.after(KILL_SECONDS, lambda: os.kill(os.getpid(), signal.SIGKILL))
            os.kill(os.getpid(), signal.SIGTERM)
        self._tell(_Wake.LOST)


def _left(until: float) -> float | None:
    """Seconds until then; None for ever."""
    return None if until == math.inf else max(0.0, until - time.monotonic())
