"""The only import of pynng: libnng, guarded against use in a forked child.

NNG aborts the process when a child made by `fork` calls it after its parent has. Hence two names: `nng`
holds every function of the library for calls that a user's call leads to, and refuses them in such a
child; `lib` is the library itself, for NNG's own threads (there are none in a child) and for the few
functions that are harmless there.
"""

from __future__ import annotations

import atexit
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pynng.nng
from pynng import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("NONBLOCK", "end", "ffi", "lib", "life", "new", "nng", "strerror", "text")

NONBLOCK: int = lib.NNG_FLAG_NONBLOCK
new = ffi.new

if (
    os.environ.get("NNGSOCK_THREADS") == "small"
):  # 6 threads in place of 12 on a small machine, more on others
    for _kind, _count in {"TASK": 2, "EXPIRE": 1, "POLLER": 1, "RESOLVER": 1}.items():
        lib.nng_init_set_parameter(getattr(lib, f"NNG_INIT_NUM_{_kind}_THREADS"), _count)


class Life:
    """What has become of the library in this process.

    Attributes:
        started: A socket has been opened, so NNG's threads run.
        closing: The interpreter is on its way out: nothing new starts and no user's function runs.
        forked: This process is a child forked from one in which `started` was true.
        halted: `closing` or `forked`, one look for the hot path.
    """

    __slots__ = ("closing", "forked", "halted", "started")

    def __init__(self) -> None:
        self.started = self.closing = self.forked = self.halted = False

    def close(self) -> None:
        """Enter the state in which the interpreter is on its way out."""
        self.closing = self.halted = True


life = Life()
nng: Any = SimpleNamespace(
    **{name.removeprefix("nng_"): getattr(lib, name) for name in dir(lib) if name.startswith("nng_")}
)


def refuse(*_args: object) -> NoReturn:
    """Stand in for every function of the library in a forked child."""
    from nngsock.errors import NngsockError

    raise NngsockError(
        "nngsock cannot be used after fork: start this process with multiprocessing's 'spawn' or "
        "'forkserver' method, or with subprocess"
    )


def _after_fork_in_child() -> None:
    if not life.started:
        return  # the library has no state yet: this process may be the one that starts it
    life.forked = life.halted = True
    for name in vars(nng):
        setattr(nng, name, refuse)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


# pynng ends the library as the interpreter exits. That waits for ever in a forked child, and aborts the
# process when a connection is being made in that moment (NNG stops its timers before its callbacks).
# All that it is for is that no callback comes into a dead interpreter: `completion` sees to that.
atexit.unregister(pynng.nng._pynng_atexit)  # noqa: SLF001


def end() -> None:
    """End what runs in the library as the interpreter exits.

    Only sockets of pynng itself can be open now: closed, they call nobody any more. The library as a whole is
    ended if pynng alone has used it.
    """
    if not life.started:
        lib.nng_fini()
        return
    for number in _open_sockets():
        lib.nng_close(new("nng_socket *", {"id": number})[0])


def _open_sockets() -> list[int]:
    """The numbers of all sockets that are open in this process; none if the library keeps no statistics."""
    root = new("nng_stat **")
    if lib.nng_stats_get(root):
        return []
    try:
        return [lib.nng_stat_value(_child(s, "id")) for s in _children(root[0]) if _name(s) == "socket"]
    finally:
        lib.nng_stats_free(root[0])


def _children(scope: Any) -> Iterator[Any]:
    child = lib.nng_stat_child(scope)
    while child:
        yield child
        child = lib.nng_stat_next(child)


def _child(scope: Any, name: str) -> Any:
    return next(child for child in _children(scope) if _name(child) == name)


def _name(child: Any) -> str:
    return text(lib.nng_stat_name(child))


def text(pointer: Any) -> str:
    """The Python string of a `char *`."""
    return str(ffi.string(pointer).decode("utf-8", "surrogateescape"))


def strerror(code: int) -> str:
    """What NNG says about an error number."""
    return text(lib.nng_strerror(code))
