"""Look at a compute profile: what its daemons do, and what programs that start daemons need to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirai_py.direct import Direct
from mirai_py.handshake import TOKEN_VARIABLE
from mirai_py.profiles import DEFAULT, find_profile

if TYPE_CHECKING:
    from mirai_py.cluster import MiraiCluster
    from mirai_py.streams import Stream


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
