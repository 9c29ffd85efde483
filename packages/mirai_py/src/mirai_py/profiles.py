"""Compute profiles: a name, a URL on which the host listens, a dispatcher, and the daemons started here."""

from __future__ import annotations

import atexit
import math
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Self

import nngsock
from mirai_py.addresses import dialable, warn_of_plain
from mirai_py.arguments import flag, is_number, whole_number
from mirai_py.custom import custom_of
from mirai_py.direct import Direct
from mirai_py.dispatch.peers import LocalProcess
from mirai_py.dispatch.room import MEGABYTE
from mirai_py.dispatcher import Dispatcher
from mirai_py.encryption import Encryption, encryption_of
from mirai_py.errors import (
    DaemonsNotSetError,
    MiraiException,
    MiraiLaunchError,
    MiraiTypeError,
    MiraiValueError,
)
from mirai_py.evaluate import in_map, is_traced
from mirai_py.handshake import TOKEN_VARIABLE, new_token
from mirai_py.host import Host
from mirai_py.inline import Inline
from mirai_py.launch import LocalDaemon, start_local, start_process
from mirai_py.launchers import RemoteConfig, Target
from mirai_py.lifetime import check_process, claim_process, is_forked
from mirai_py.streams import Stream, Streams
from mirai_py.worker import OPTIONS, check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirai_py.cluster import MiraiCluster
    from mirai_py.custom import Custom
    from mirai_py.spans import Tracing
    from nngsock import SerialConfig

DEFAULT = "default"
NOTE_SECONDS = 10.0
# How long daemons get to leave by themselves when their host closes.
LEAVE_SECONDS = 0.3
_UNSET: Any = object()

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


class Daemons:
    """What `daemons()` returns: true if it set some; a context manager that resets them at the end.

    Attributes:
        compute: name of the profile.

    Example:
        >>> with daemons(1, compute="gpu") as pool:  # the current profile in this block
        ...     print(bool(pool), pool)
        True < daemons [gpu: set] >
        >>> print(pool)
        < daemons [gpu: not set] >
    """

    def __init__(self, compute: str, *, active: bool) -> None:
        self.compute = compute
        self._active = active
        self._token: Any = None

    def __bool__(self) -> bool:
        return self._active

    def __repr__(self) -> str:
        return f"< daemons [{self.compute}: {'set' if daemons_set(self.compute) else 'not set'}] >"

    def __enter__(self) -> Self:
        self._token = _current.set(self.compute)
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
        reset(self.compute)


def daemons(
    n: int | None = _UNSET,
    url: str | Sequence[str] | dict[str, str] | None = None,
    remote: RemoteConfig | None = None,
    dispatcher: bool = True,
    *,
    sync: bool = False,
    seed: int | None = None,
    memory: float | None = None,
    batch: int | None = None,
    serial: SerialConfig | None = None,
    tls: Any = None,
    pass_: Any = None,
    compute: str | None = None,
    threads: int | None = 1,
    **daemon_args: Any,
) -> Daemons:
    """Set up the daemons of a compute profile, replacing those that it has.

    Args:
        n: number of daemons to start on this machine; returns when all are connected. 0 resets the profile:
            what is unresolved resolves to error 19, the daemons go. None does the same, and orders even those
            to leave that were started with `autoexit=False`.
        url: where to listen for daemons that are started elsewhere, for example "tls+tcp://0.0.0.0:0"; of
            several (`host_url()`) the first. Port 0 takes a free one: see `status()`.
        remote: how to start `n` daemons elsewhere that dial `url`, as `remote_config()` and its like give it.
            They are not waited for.
        dispatcher: one queue for all daemons, at no cost. False binds each task to a daemon when it is
            submitted, in turn and whatever that daemon is doing: such a task is not cancelled, and lost with
            its daemon. Only for programs that count on this.
        sync: evaluate in this process, at once, for debugging.
        seed: makes the random numbers of each task reproducible, whatever runs where.
        memory: bound of the queue in MB (1 MB = 1e6 bytes): once what waits has reached it, `mirai` waits
            for room and `try_mirai` gives None. None, zero, negative or not finite: no bound.
        batch: most tasks in one message; None adapts, 1 never puts two together.
        serial: how objects of own types travel: what `serial_config` makes. None takes what
            `register_serial` has collected.
        tls: for a `url` of tls+tcp:// or wss://, the host's certificate (and those that lead to the
            authority) and private key: a file with both in PEM, or the pair of these texts. None makes both
            for this call; the key never leaves this process, launch commands carry the certificate.
        pass_: password of the key, better a function that returns it.
        compute: name of the profile; None is the current one.
        threads: BLAS and OpenMP threads of daemons started here, where the environment does not say.
        daemon_args: options of `daemon()`.

    Returns:
        True-ish if daemons are set, false-ish if they were reset; a context manager.

    Raises:
        TypeError, ValueError: an argument has the wrong type or value.
        MiraiLaunchError: a daemon could not be started, or ended before it was connected. The profile is
            left unset.
        nngsock.NngError: cannot listen at `url`, or with these certificates.

    Example:
        >>> with daemons(2):
        ...     mirai(pow, 2, 5).collect()
        32
    """
    check_process()
    name = profile_name(compute)
    if n is _UNSET and url is None and not sync:
        raise MiraiTypeError("`n` is missing: give a number of daemons, 0 to reset, or `url` to listen on")
    flag("sync", sync)
    number = 0 if n is _UNSET or n is None else whole_number("n", n)
    address = None if sync else _address_of(url)
    _check_remote(remote, n, address, sync=sync)
    flag("dispatcher", dispatcher)
    check_daemon_args(daemon_args)
    if number == 0 and address is None and not sync:
        reset(name, order=n is None)
        return Daemons(name, active=False)
    if number and not sync and address is None and in_map():
        raise MiraiException("cannot create local daemons from within mirai map")
    profile = Profile(
        name,
        number if address is None else 1,
        new_token(),
        Streams(_seed_of(seed)),
        daemon_args,
        _threads_of(threads),
        _batch_of(batch),
        _memory_of(memory) if dispatcher else None,
        dispatcher,
        None if sync else encryption_of(address or "", tls, pass_),
        None if sync else custom_of(serial),
    )
    reset(name)
    _set_up(profile, address, number, sync=sync, remote=remote)
    return Daemons(name, active=True)


def _check_remote(remote: Any, n: Any, address: str | None, *, sync: bool) -> None:
    if remote is None or sync:
        return
    if not isinstance(remote, RemoteConfig):
        raise MiraiTypeError(f"`remote` must come from remote_config() or its like, not {remote!r}")
    if address is None:
        raise MiraiValueError("`remote` needs a `url` that daemons can dial, as of host_url(tls=True)")
    if n is _UNSET:
        raise MiraiTypeError("`n` is missing: give the number of daemons to start by `remote`")


def _set_up(
    profile: Profile, address: str | None, number: int, *, sync: bool, remote: RemoteConfig | None
) -> None:
    try:
        if sync:
            profile.engine = Inline(profile.streams)
        else:
            profile.listen(address or local_url())
            warn_of_plain(profile.url)
        profile.tracing = _tracing_of(profile)
        _register(profile)
        if sync:
            return
        if remote is not None:
            remote.launch(number, profile.target({}))
        elif address is None:
            profile.wait_for(profile.launch(number, {}))
    except BaseException:
        with _changing:
            if _profiles.get(profile.name) is profile:
                del _profiles[profile.name]
        profile.close()
        raise


def _tracing_of(profile: Profile) -> Tracing | None:
    if not is_traced():
        return None
    from mirai_py.spans import Tracing

    return Tracing(profile.url or "sync", profile.name, dispatcher=profile.has_dispatcher)


def _register(profile: Profile) -> None:
    """Make a profile the one of its name; one that another thread has set meanwhile gives way."""
    with _changing:
        before = _profiles.get(profile.name)
        _profiles[profile.name] = profile
    if before is not None:
        before.close()


def _address_of(url: Any) -> str | None:
    if url is None:
        return None
    several = list(url.values()) if isinstance(url, Mapping) else url
    first = several[0] if isinstance(several, list | tuple) and several else several
    if not isinstance(first, str):
        raise MiraiTypeError(f"`url` must be of type character (a str, or a list of them), not {url!r}")
    if not all(first.partition("://")):
        raise MiraiValueError(f"`url` must be an address such as 'tcp://127.0.0.1:0', not {first!r}")
    return first


def _seed_of(seed: Any) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise MiraiTypeError(f"`seed` must be a whole number or None, not {seed!r}")
    return int(seed)


def _batch_of(batch: Any) -> int | None:
    return None if batch is None else whole_number("batch", batch, 1)


def _threads_of(threads: Any) -> int | None:
    return None if threads is None else whole_number("threads", threads, 1)


def _memory_of(memory: Any) -> float | None:
    if memory is None:
        return None
    if not is_number(memory):
        raise MiraiTypeError(f"`memory` must be a number of MB or None, not {memory!r}")
    return memory * MEGABYTE if 0 < memory < math.inf else None


def check_daemon_args(given: dict[str, Any]) -> None:
    """See that these are options of a daemon, and make sense.

    Raises:
        TypeError, ValueError: naming the one that is not or does not.
    """
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        known = ", ".join(OPTIONS)
        raise MiraiTypeError(f"unknown argument {unknown[0]!r}; options of a daemon are: {known}")
    check_options(given)


def launch_local(
    n: int = 1, *, compute: str | None = None, threads: int | None = _UNSET, **daemon_args: Any
) -> int:
    """Start more daemons on this machine, without waiting for them.

    Args:
        n: how many.
        compute: the profile; None is the current one.
        threads: as in `daemons`.
        daemon_args: options of `daemon()`; they replace those of `daemons()`.

    Returns:
        `n`.

    Raises:
        DaemonsNotSetError: the profile is not set.

    Example:
        >>> with daemons(url=local_url()):
        ...     m = mirai(abs, -1)  # waits for a daemon
        ...     _ = launch_local(1)
        ...     m.collect()
        1
    """
    profile = require_profile(compute, "daemons must be set to use launchers: ")
    check_daemon_args(daemon_args)
    number = whole_number("n", n)
    extra = {} if threads is _UNSET else {"threads": _threads_of(threads)}
    profile.launch(number, {**daemon_args, **extra})
    return number


def launch_process(
    command: Sequence[str],
    *,
    compute: str | None = None,
    env: Mapping[str, str] | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> LocalDaemon:
    """Start a program of your own that becomes a daemon of this machine, without waiting for it to connect.

    For programs that prepare something, then call `daemon()` with the address of the profile. Such a daemon
    is as those of `launch_local`: should it die, the host knows which task it had begun, so that only that
    one is lost; it ends when the host ends, however that happens and whatever it is doing; and it is seen
    out when the profile is reset. It runs in a session of its own, with nothing on stdin.

    Args:
        command: the program and its arguments. The process that is started must itself become the daemon: of
            one that starts another (and waits for it) no more is known than of a daemon elsewhere.
        compute: the profile; None is the current one.
        env: its environment; None is this process's. The token of the profile is added.
        stdout: where its output goes: a file, a descriptor, `subprocess.DEVNULL`, or None for where that of
            this process goes.
        stderr: likewise.

    Returns:
        A handle: `pid`, `returncode` (None while it runs), `wait(timeout)`, `signal(number)`,
        `when_ended(call)`.

    Raises:
        DaemonsNotSetError: the profile is not set.
        MiraiLaunchError: the program cannot be started.
        TypeError: `command` is no sequence of strings.

    Example:
        >>> with daemons(url=local_url()):
        ...     url = nextget("url")
        ...     source = f"import mirai_py; answer = 42; mirai_py.daemon({url!r})"
        ...     _ = launch_process([sys.executable, "-c", source])
        ...     mirai("answer").collect()
        42
    """
    if isinstance(command, str) or not command or not all(isinstance(word, str) for word in command):
        raise MiraiTypeError(f"`command` must be a sequence of strings, the program first, not {command!r}")
    profile = require_profile(compute, "daemons must be set to use launchers: ")
    if isinstance(profile.engine, Inline):
        raise MiraiException("daemons cannot be launched for synchronous compute profiles")
    environment = os.environ if env is None else env
    return profile.adopt(
        partial(start_process, list(command), profile.token, environment, stdout=stdout, stderr=stderr)
    )


def stop_daemons(n: int = 1, compute: str | None = None) -> int:
    """Order daemons to leave, idle ones first, busy ones after their task.

    Returns:
        How many were ordered.

    Example:
        >>> with daemons(2):
        ...     stop_daemons(1)
        1
    """
    profile = require_profile(compute)
    return profile.engine.dismiss(whole_number("n", n))


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


def daemons_set(compute: str | None = None) -> bool:
    """Whether daemons are set for a profile.

    Example:
        >>> daemons_set("nothing of this name")
        False
    """
    return find_profile(compute) is not None


def require_daemons(compute: str | None = None) -> bool:
    """See that daemons are set.

    Returns:
        True.

    Raises:
        DaemonsNotSetError: they are not; the message has a line that can be pasted.

    Example:
        >>> require_daemons("gpu")
        Traceback (most recent call last):
        mirai_py.errors.DaemonsNotSetError: No daemons set for the 'gpu' compute profile.
          Use mirai_py.daemons(4, compute='gpu') to set them.
    """
    require_profile(compute)
    return True


@contextmanager
def with_daemons(compute: str) -> Iterator[None]:
    """Make a profile the current one for a block or, as a decorator, a function.

    Raises:
        DaemonsNotSetError: it is not set.

    Example:
        >>> _ = daemons(1, compute="gpu")
        >>> with with_daemons("gpu"):
        ...     mirai(abs, -1).collect()
        1
        >>> daemons(0, compute="gpu")
        < daemons [gpu: not set] >
    """
    require_profile(compute)
    token = _current.set(compute)
    try:
        yield
    finally:
        _current.reset(token)


def local_daemons(compute: str, stack: ExitStack | AsyncExitStack) -> None:
    """Make a profile the current one until the stack closes.

    Raises:
        DaemonsNotSetError: it is not set.

    Example:
        >>> import contextlib
        >>> with daemons(1, compute="gpu"), contextlib.ExitStack() as stack:
        ...     local_daemons("gpu", stack)
        ...     mirai(abs, -1).collect()
        1
    """
    if not isinstance(stack, ExitStack | AsyncExitStack):
        raise MiraiTypeError(f"`stack` must be a contextlib.ExitStack, not {stack!r}")
    stack.enter_context(with_daemons(compute))


def info(compute: str | None = None) -> dict[str, int | None] | None:
    """Counts of daemons and tasks; None if the profile is not set.

    Returns:
        connections, cumulative (all daemons that ever connected), awaiting, executing, completed; without
        dispatcher, only the first is known, the others are None.

    Example:
        >>> with daemons(2):
        ...     info()
        {'connections': 2, 'cumulative': 2, 'awaiting': 0, 'executing': 0, 'completed': 0}
    """
    profile = find_profile(compute)
    if profile is None:
        return None
    counts = profile.engine.info()
    known = ("connections",) if isinstance(profile.engine, Direct) else counts.__slots__
    return {name: getattr(counts, name) if name in known else None for name in counts.__slots__}


def status(compute: str | MiraiCluster | None = None) -> dict[str, Any]:
    """What a person wants to see of a profile: connections, URL, where the tasks are, what they take.

    Programs use `info()`: values may be added here.

    Args:
        compute: the profile, or a cluster; None is the current profile.

    Returns:
        connections; daemons, the URL with its real port; mirai: awaiting, executing, completed; memory: used,
        peak and capacity of the queue in MB, capacity None without a bound.

    Example:
        >>> status("nothing of this name")
        {'connections': 0, 'daemons': 0}
    """
    name: Any = getattr(compute, "id", compute)
    profile = find_profile(name)
    if profile is None:
        return {"connections": 0, "daemons": 0}
    counts = profile.engine.info()
    if isinstance(profile.engine, Direct):
        return {"connections": counts.connections, "daemons": profile.url}
    return {
        "connections": counts.connections,
        "daemons": profile.url,
        "mirai": {
            "awaiting": counts.awaiting,
            "executing": counts.executing,
            "completed": counts.completed,
        },
        "memory": profile.engine.room.report(),
    }


def nextget(x: str, compute: str = DEFAULT) -> Any:
    """One thing about a profile, for programs that start daemons themselves.

    Args:
        x: "n" (daemons asked for), "url", "dispatcher", "tls" (the pair by which a daemon knows this
            host, for its `tlscert`), "env" (variables that a daemon must be started
            with), "stream", "cv" (a condition variable signalled once for each resolved mirai).
        compute: the profile.

    Returns:
        None if there is none, or the profile is not set.

    Example:
        >>> with daemons(url="tcp://127.0.0.1:0") as d:
        ...     list(nextget("env"))
        ['MIRAI_PY_TOKEN']
    """
    profile = find_profile(compute)
    if profile is None:
        return None
    if x == "n":
        return profile.n or 1
    if x == "url":
        return profile.url
    if x == "dispatcher":
        return profile.has_dispatcher
    if x == "tls":
        return None if profile.encryption is None else profile.encryption.daemon
    if x == "stream":
        return profile.streams.peek()
    if x == "env":
        return {TOKEN_VARIABLE: profile.token}
    if x == "cv":
        return profile.cv()
    return None


def nextstream(compute: str = DEFAULT) -> Stream | None:
    """The next random stream of a profile, which goes on to another; None if it is not set.

    Example:
        >>> with daemons(url=local_url(), seed=7):
        ...     nextstream(), nextstream()  # as `rs=` of `daemon()`
        (Stream(entropy=7, counter=0), Stream(entropy=7, counter=1))
    """
    profile = find_profile(compute)
    return None if profile is None else profile.streams.take()


def nextcode(xc: int) -> str:
    """Why a daemon ended, in words.

    Example:
        >>> nextcode(1)
        '1 | Daemon idletime limit reached'
    """
    reasons = {
        0: "connection terminated",
        1: "idletime limit reached",
        2: "walltime limit reached",
        3: "task limit reached",
    }
    return f"{xc} | Daemon {reasons.get(xc, 'unknown')}"


def local_url(tcp: bool = False, port: int = 0) -> str:
    """A URL on which only this machine can reach the host; a new one at each call.

    Args:
        tcp: on a TCP port of 127.0.0.1 instead of a local socket.
        port: that port; 0 takes a free one.

    Example:
        >>> local_url(tcp=True)
        'tcp://127.0.0.1:0'
    """
    if tcp:
        return f"tcp://127.0.0.1:{port}"
    head = {"linux": "abstract://", "win32": "ipc://"}.get(sys.platform, f"ipc://{tempfile.gettempdir()}/")
    return head + secrets.token_hex(12)
