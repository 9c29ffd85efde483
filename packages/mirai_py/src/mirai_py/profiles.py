"""Compute profiles: a name, a URL on which the host listens, a dispatcher, and the daemons started here."""

from __future__ import annotations

import atexit
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import nngsock
from mirai_py.addresses import dialable
from mirai_py.custom import custom_of
from mirai_py.direct import Direct
from mirai_py.dispatch.peers import LocalProcess
from mirai_py.dispatcher import Dispatcher
from mirai_py.errors import (
    DaemonsNotSetError,
    MiraiException,
    MiraiLaunchError,
    MiraiTypeError,
    MiraiValueError,
)
from mirai_py.host import Host
from mirai_py.inline import Inline
from mirai_py.launch import LocalDaemon, start_local
from mirai_py.launchers import Target
from mirai_py.lifetime import check_process, claim_process, is_forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirai_py.custom import Custom
    from mirai_py.encryption import Encryption
    from mirai_py.spans import Tracing
    from mirai_py.streams import Streams

DEFAULT = "default"
NOTE_SECONDS = 10.0
# How long daemons get to leave by themselves when their host closes.
LEAVE_SECONDS = 0.3

_profiles: dict[str, Profile] = {}
_changing = threading.Lock()
_current: ContextVar[str] = ContextVar("mirai_py_profile", default=DEFAULT)


@dataclass(eq=False)
class Profile:
    """One compute profile that is set."""

    name: str
    n: int
    token: str
    streams: Streams
    options: dict[str, Any]
    threads: int | None
    max_batch: int | None
    memory: float | None = None
    dispatcher: bool = True
    encryption: Encryption | None = None
    custom: Custom | None = None
    tracing: Tracing | None = None
    url: str = ""
    host: Host | None = None
    engine: Dispatcher | Inline = field(init=False)
    started: list[LocalDaemon] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    observers: list[Callable[[], object]] = field(default_factory=list)
    closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _cv: nngsock.ConditionVariable | None = None

    def listen(self, url: str) -> None:
        """Open the socket and the dispatcher."""
        claim_process()
        self.host = host = Host(url, None if self.encryption is None else self.encryption.host)
        engine = Dispatcher if self.dispatcher else Direct
        self.engine = engine(
            send=host.send,
            cut=host.cut,
            token=self.token,
            streams=self.streams,
            settings={} if self.custom is None else {"serial": self.custom.packed},
            local=self._local,
            on_change=self._notify,
            max_batch=self.max_batch,
            memory=self.memory,
        )
        self.url = host.start(self.engine)

    def target(self, options: dict[str, Any]) -> Target:
        """What daemons are to dial, wherever they are started."""
        if isinstance(self.engine, Inline):
            raise MiraiException("daemons cannot be launched for synchronous compute profiles")
        trust = {} if self.encryption is None else {"tlscert": self.encryption.daemon}
        merged = {**trust, **self.options, **options}
        if self.encryption is None and merged.get("tlscert") is not None:
            raise MiraiValueError(f"`tlscert` goes with a `url` of tls+tcp:// or wss://, not with {self.url}")
        return Target(dialable(self.url), self.token, merged, lambda: not self.closed)

    def _local(self, pid: int) -> LocalProcess | None:
        found = next((d for d in self.started if d.pid == pid), None)
        if found is None:
            return None
        return LocalProcess(found.started, found.finished, found.pieces, found.lane, found.when_ended)

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()
        for observer in self.observers:
            observer()

    @property
    def has_dispatcher(self) -> bool:
        """Whether one queue serves all daemons."""
        return isinstance(self.engine, Dispatcher) and not self.engine.binds

    def is_deserted(self) -> bool:
        """Whether no daemon is connected, and none that was started here can still be."""
        return not self.engine.info().connections and all(daemon.gone() for daemon in self.started)

    def launch(self, n: int, options: dict[str, Any]) -> list[LocalDaemon]:
        """Start `n` daemons here, without waiting for them."""
        threads = options.pop("threads", self.threads)
        target = self.target(options)
        start = partial(start_local, target.url, self.token, target.options, threads=threads)
        return [self.adopt(start) for _ in range(n)]

    def adopt(self, start: Callable[[], LocalDaemon]) -> LocalDaemon:
        """Start a daemon of this machine: known when it connects, gone when the profile is."""
        with self._lock:
            if self.closed:
                raise DaemonsNotSetError(f"the compute profile {self.name!r} was reset meanwhile")
            self._drop_ended()
            daemon = start()
            self.started.append(daemon)
        daemon.when_ended(lambda _: self._notify(), patience=None)
        return daemon

    def _drop_ended(self) -> None:
        for daemon in [d for d in self.started if d.gone()]:
            self.started.remove(daemon)
            daemon.release()

    def wait_for(self, new: Sequence[LocalDaemon]) -> None:
        """Wait until these are connected.

        Raises:
            MiraiLaunchError: one has ended before, with its exit code and last words.
            DaemonsNotSetError: another thread has reset this profile.
        """
        assert isinstance(self.engine, Dispatcher)
        wanted = {d.pid for d in new}
        begun = noted = monotonic()
        with self.changed:
            while True:
                connected = {d["pid"] for d in self.engine.daemons()}
                if self.closed:
                    raise DaemonsNotSetError(f"the compute profile {self.name!r} was reset meanwhile")
                for daemon in new:
                    if daemon.pid not in connected and daemon.gone():
                        raise MiraiLaunchError(_epitaph(daemon))
                if wanted <= connected:
                    return
                self.changed.wait(NOTE_SECONDS)
                if monotonic() - noted >= NOTE_SECONDS:
                    noted = monotonic()
                    elapsed = round(noted - begun)
                    sys.stderr.write(f"initial sync with daemon(s) [{elapsed} secs elapsed]\n")

    def close(self, *, order: bool = False) -> None:
        """Resolve what is unresolved to error 19, let the daemons go, and see out those of this machine."""
        if not hasattr(self, "engine"):
            return
        if isinstance(self.engine, Dispatcher) and order:
            self._order_out(self.engine)
        with self._lock:
            self.closed = True
            started, self.started = self.started, []
        self.engine.close()
        if self.host is not None:
            self.host.close()
        self._notify()
        deadline = monotonic() + LEAVE_SECONDS
        for daemon in started:
            daemon.see_out(max(0.0, deadline - monotonic()))
        if self.tracing is not None:
            self.tracing.reset()

    def _order_out(self, engine: Dispatcher) -> None:
        engine.order_all_out()
        deadline = monotonic() + LEAVE_SECONDS
        with self.changed:
            while engine.info().connections and (left := deadline - monotonic()) > 0:
                self.changed.wait(left)

    def cv(self) -> nngsock.ConditionVariable:
        """Signalled once for each mirai of this profile that is resolved."""
        with self._lock:
            if self._cv is None:
                cv = self._cv = nngsock.cv()

                def signal(number: int) -> None:
                    for _ in range(number):
                        cv.signal()

                self.engine.watch_resolved(signal)
            return self._cv


def _epitaph(daemon: LocalDaemon) -> str:
    end = daemon.end()
    how = f"exit code {end['exit_code']}" if "exit_code" in end else f"signal {end['signal']}"
    words = daemon.last_words()
    tail = f"; the last it wrote:\n{words}" if words else "; it wrote nothing to stderr"
    return f"a daemon (pid {daemon.pid}) ended with {how} before it was connected{tail}"


def register(profile: Profile) -> None:
    """Make a profile the one of its name; one that another thread has set meanwhile gives way."""
    with _changing:
        before = _profiles.get(profile.name)
        _profiles[profile.name] = profile
    if before is not None:
        before.close()


def discard(profile: Profile) -> None:
    """Close a profile that was not set up to its end."""
    with _changing:
        if _profiles.get(profile.name) is profile:
            del _profiles[profile.name]
    profile.close()


def reset(name: str, *, order: bool = False) -> None:
    """Forget a profile and let its daemons go; nothing happens if it is not set."""
    with _changing:
        profile = _profiles.pop(name, None)
    if profile is not None:
        profile.close(order=order)


@atexit.register
def _reset_all() -> None:
    if is_forked():
        return
    for name in list(_profiles):
        reset(name)


def profile_name(compute: Any) -> str:
    """The name that was given, or the current profile's."""
    if compute is None:
        return _current.get()
    if not isinstance(compute, str):
        raise MiraiTypeError(f"`compute` must be the name of a compute profile, not {compute!r}")
    return compute


@contextmanager
def current(name: str) -> Iterator[None]:
    """Make the profile of this name, set or not, the current one."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def find_profile(compute: str | None) -> Profile | None:
    """The profile, if it is set."""
    check_process()
    return _profiles.get(profile_name(compute))


def serial_in_force() -> Custom | None:
    """How objects of some classes travel: as the current profile says, or as it would if it were set now."""
    profile = _profiles.get(profile_name(None))
    return custom_of(None) if profile is None else profile.custom


def require_profile(compute: str | None, before: str = "") -> Profile:
    """The profile.

    Raises:
        DaemonsNotSetError: it is not set.
    """
    profile = find_profile(compute)
    if profile is None:
        name = profile_name(compute)
        argument = "" if name == DEFAULT else f", compute={name!r}"
        raise DaemonsNotSetError(
            f"{before}No daemons set for the {name!r} compute profile.\n"
            f"  Use mirai_py.daemons(4{argument}) to set them."
        )
    return profile
