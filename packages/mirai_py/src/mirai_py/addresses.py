"""URLs on the network: which to listen on, and which to dial."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
import sys
import tempfile
from urllib.parse import urlsplit

import nngsock
from mirai_py.arguments import flag, port_number

_log = logging.getLogger("mirai_py")

NETWORK_SCHEMES = ("tcp", "tcp4", "tcp6", "tls+tcp", "tls+tcp4", "tls+tcp6", "ws", "wss")
_warned = False
_WILDCARDS = ("", "*", "0.0.0.0", "::")  # noqa: S104 - to tell them, not to listen there


def host_url(tls: bool = False, port: int = 0) -> dict[str, str]:
    """URLs on which daemons of other machines can reach this host, by network interface.

    Args:
        tls: encrypted, scheme tls+tcp.
        port: to listen on, which must be open to the daemons; 0 takes a free one.

    Returns:
        A URL for each interface, or one with the host name if there is no address. `daemons(url=)` takes
        the first.

    Example:
        >>> all(url.startswith("tls+tcp://") for url in host_url(tls=True).values())
        True
    """
    port_number("port", port)
    scheme = "tls+tcp" if flag("tls", tls) else "tcp"
    return {name: f"{scheme}://{address}:{port}" for name, address in _own_addresses().items()}


def _own_addresses() -> dict[str, str]:
    name = socket.gethostname()
    return nngsock.ip_addr() or {name: name}


def is_network(url: str) -> bool:
    """Whether a URL is one of TCP or WebSocket."""
    return url.partition("://")[0] in NETWORK_SCHEMES


def is_encrypted(url: str) -> bool:
    """Whether what travels on a URL is encrypted."""
    return url.startswith(("tls+", "wss:"))


def dialable(url: str) -> str:
    """The URL to dial a listener's URL by: an address of this machine in place of all of them.

    Example:
        >>> dialable("tcp://127.0.0.1:5555")
        'tcp://127.0.0.1:5555'
    """
    if not is_network(url):
        return url
    parts = urlsplit(url)
    if (parts.hostname or "") not in _WILDCARDS:
        return url
    address = next(iter(_own_addresses().values()))
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{address}{port}{parts.path}"


def names_of(url: str) -> list[str]:
    """The names and addresses that a listener's URL may be dialed by, the one of `dialable` first."""
    host = urlsplit(url).hostname or ""
    if host not in _WILDCARDS:
        return [host]
    return list(dict.fromkeys([*_own_addresses().values(), socket.gethostname(), "localhost", "127.0.0.1"]))


def warn_of_plain(url: str) -> None:
    """Warn, once in a process, of tasks that travel readable for everybody on the way."""
    if is_network(url) and not is_encrypted(url) and not _is_loopback(urlsplit(url).hostname or ""):
        global _warned
        if not _warned:
            _log.warning(
                "what travels on %s is not encrypted: tls+tcp:// makes a key and certificate by itself", url
            )
        _warned = True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_url(tcp: bool = False, port: int = 0) -> str:
    """A URL on which only this machine can reach the host; a new one at each call.

    Args:
        tcp: on a TCP port of 127.0.0.1 instead of a local socket.
        port: that port; 0 takes a free one.

    Example:
        >>> local_url(tcp=True)
        'tcp://127.0.0.1:0'
    """
    port_number("port", port)
    if flag("tcp", tcp):
        return f"tcp://127.0.0.1:{port}"
    head = {"linux": "abstract://", "win32": "ipc://"}.get(sys.platform, f"ipc://{tempfile.gettempdir()}/")
    return head + secrets.token_hex(12)
