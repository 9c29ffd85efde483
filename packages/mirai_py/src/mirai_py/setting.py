"""Set and reset the daemons of a compute profile, and say which profile is the current one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager, nullcontext
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

from mirai_py.addresses import local_url, warn_of_plain
from mirai_py.arguments import flag, is_number, whole_number
from mirai_py.custom import custom_of
from mirai_py.dispatch.room import MEGABYTE
from mirai_py.encryption import encryption_of
from mirai_py.errors import (
    MiraiException,
    MiraiTypeError,
    MiraiValueError,
)
from mirai_py.evaluate import in_map, is_traced
from mirai_py.handshake import new_token
from mirai_py.inline import Inline
from mirai_py.launchers import RemoteConfig
from mirai_py.lifetime import check_process
from mirai_py.options import check_daemon_args, threads_of
from mirai_py.profiles import (
    Profile,
    current,
    discard,
    find_profile,
    profile_name,
    register,
    require_profile,
    reset,
)
from mirai_py.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirai_py.spans import Tracing
    from nngsock import SerialConfig

_UNSET: Any = object()


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
        self._current: AbstractContextManager[None] = nullcontext()

    def __bool__(self) -> bool:
        return self._active

    def __repr__(self) -> str:
        return f"< daemons [{self.compute}: {'set' if daemons_set(self.compute) else 'not set'}] >"

    def __enter__(self) -> Self:
        self._current = current(self.compute)
        self._current.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._current.__exit__(None, None, None)
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
        threads_of(threads),
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
        register(profile)
        if sync:
            return
        if remote is not None:
            remote.launch(number, profile.target({}))
        elif address is None:
            profile.wait_for(profile.launch(number, {}))
    except BaseException:
        discard(profile)
        raise


def _tracing_of(profile: Profile) -> Tracing | None:
    if not is_traced():
        return None
    from mirai_py.spans import Tracing

    return Tracing(profile.url or "sync", profile.name, dispatcher=profile.has_dispatcher)


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


def _memory_of(memory: Any) -> float | None:
    if memory is None:
        return None
    if not is_number(memory):
        raise MiraiTypeError(f"`memory` must be a number of MB or None, not {memory!r}")
    return memory * MEGABYTE if 0 < memory < math.inf else None


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
    with current(compute):
        yield


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
