"""Change the number of daemons on this machine while tasks run."""

from __future__ import annotations

import os
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from mirai_py.arguments import whole_number
from mirai_py.errors import (
    MiraiException,
    MiraiTypeError,
)
from mirai_py.inline import Inline
from mirai_py.launch import LocalDaemon, start_process
from mirai_py.options import check_daemon_args, threads_of
from mirai_py.profiles import require_profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_UNSET: Any = object()


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
    extra = {} if threads is _UNSET else {"threads": threads_of(threads)}
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
        >>> import sys
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
