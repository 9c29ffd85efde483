"""The addresses of this machine's network interfaces."""

from __future__ import annotations

import ctypes
import socket
import sys
from typing import TYPE_CHECKING, Any

from nngsock.errors import ENOTSUP, exception_for

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("ip_addr",)


class _Interface(ctypes.Structure):
    """What `struct ifaddrs` begins with, alike on Linux and macOS."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def ip_addr() -> dict[str, str]:
    """The IPv4 address of each network interface of this machine, the loopback left out.

    Raises:
        NngError: 9, this system is not POSIX.

    Example:
        >>> all(address.count(".") == 3 for address in ip_addr().values())
        True
    """
    if sys.platform == "win32":
        raise exception_for(ENOTSUP, "ip_addr needs a POSIX system")
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Interface)()
    if libc.getifaddrs(ctypes.byref(first)):
        raise OSError(ctypes.get_errno(), "getifaddrs failed")
    try:
        return dict(_ipv4_addresses(first))
    finally:
        libc.freeifaddrs(first)


def _ipv4_addresses(interface: Any) -> Iterator[tuple[str, str]]:
    while interface:
        entry = interface.contents
        interface = entry.next
        if not entry.address:
            continue
        content = ctypes.string_at(entry.address, 2)
        family = content[1] if sys.platform == "darwin" else int.from_bytes(content, sys.byteorder)
        if family != socket.AF_INET:
            continue
        address = socket.inet_ntoa(ctypes.string_at(entry.address + 4, 4))
        if not address.startswith("127."):
            yield entry.name.decode(), address
