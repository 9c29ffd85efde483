"""The descriptors of NNG's connections, which it does not tell: they are looked up, on Linux."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCAL = frozenset({"abstract", "ipc", "unix", "inproc"})


def port_of(url: str) -> int | None:
    """The port of a URL on a network; None for a local socket.

    Example:
        >>> port_of("tls+tcp://10.0.0.1:5555"), port_of("ipc:///tmp/socket")
        (5555, None)
    """
    scheme, _, rest = url.partition("://")
    return None if scheme in _LOCAL else urlsplit(f"//{rest}").port


def connections(of_interest: Callable[[socket.socket], bool]) -> Iterator[tuple[int, socket.socket]]:
    """The stream sockets of this process that are of interest: their descriptors, and a socket of a copy."""
    if sys.platform != "linux":
        return
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names of descriptors
        # What is no socket, is not connected, or is closed meanwhile by another thread.
        with contextlib.suppress(OSError, IndexError), _borrowed(int(name)) as it:
            if it.type == socket.SOCK_STREAM and of_interest(it):
                yield int(name), it


def _borrowed(descriptor: int) -> socket.socket:
    """A socket object for a descriptor of somebody else: of a copy, so that closing it closes nothing.

    Raises:
        OSError: it is no socket, or gone.
    """
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def close_connections(url: str) -> None:
    """Close what listens at a URL or leads to it: in a forked child, which would keep it open too long."""
    found = [descriptor for descriptor, _ in connections(lambda it: _is_of(url, it))]
    for descriptor in found:
        os.close(descriptor)


def _is_of(url: str, connection: socket.socket) -> bool:
    if _is_at(url, connection.getsockname()):
        return True
    return _is_at(url, connection.getpeername())


def _is_at(url: str, address: object) -> bool:
    if isinstance(address, tuple):
        return bool(address[1] == port_of(url)) and _may_be(urlsplit(url).hostname, address[0])
    path = unquote(url.partition("://")[2])
    return address in (path, b"\0" + path.encode())


def _may_be(host: str | None, address: str) -> bool:
    import ipaddress  # most processes never fork

    try:
        named = ipaddress.ip_address(host or "")
    except ValueError:  # a name, or any address
        return True
    return named.is_unspecified or named == ipaddress.ip_address(address.partition("%")[0])
