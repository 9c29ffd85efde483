"""Statistics that NNG keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nngsock._native import ffi, lib, new, nng, text

if TYPE_CHECKING:
    from nngsock.endpoints import Endpoint
    from nngsock.sockets import Socket

__all__ = ("stat",)


def stat(x: Socket | Endpoint, name: str) -> int | str | None:
    """Read a statistic.

    Args:
        x: A socket, dialer or listener.
        name: For a socket: id, name, protocol, pipes, dialers, listeners, reject, tx_msgs, rx_msgs, tx_bytes,
            rx_bytes (tx counts attempts too). For a listener: id, socket, url, pipes, accept, reject. For a
            dialer: id, socket, url, pipes, connect, refused, reject. For both: disconnect, timeout, proto,
            auth (a certificate was not accepted), oom, canceled, other, which count failed attempts.

    Returns:
        The value; None if there is no such statistic, x is closed, or NNG was built without statistics.

    Example:
        >>> with nngsock.socket("pair", listen="inproc://stat") as s:
        ...     [nngsock.stat(s, name) for name in ("listeners", "protocol", "no such statistic")]
        [1, 'pair', None]
    """
    kind = getattr(x, "kind", None)
    if kind not in {"socket", "dialer", "listener"}:
        raise TypeError(f"`x` is not a valid Socket, Dialer or Listener: {x!r}")
    if x.state == "closed":
        return None
    root = new("nng_stat **")
    if nng.stats_get(root):
        return None
    try:
        scope = getattr(nng, f"stat_find_{kind}")(root[0], x.handle)
        return _value(_child(scope, name))
    finally:
        nng.stats_free(root[0])


def _child(scope: Any, name: str) -> Any:
    """The statistic of this name right below a scope; NULL if there is none."""
    if not scope:
        return ffi.NULL
    child = lib.nng_stat_child(scope)
    while child and text(lib.nng_stat_name(child)) != name:
        child = lib.nng_stat_next(child)
    return child


def _value(found: Any) -> int | str | None:
    if not found:
        return None
    kind = lib.nng_stat_type(found)
    if kind == lib.NNG_STAT_STRING:
        return text(lib.nng_stat_string(found))
    if kind == lib.NNG_STAT_BOOLEAN:
        return int(lib.nng_stat_bool(found))
    return None if kind == lib.NNG_STAT_SCOPE else int(lib.nng_stat_value(found))
