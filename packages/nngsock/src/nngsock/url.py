"""Addresses, taken to pieces."""

from __future__ import annotations

from typing import Any, Final

from nngsock._native import new, nng, text
from nngsock.errors import EINVAL, exception_for

__all__ = ("is_websocket", "may_be_lost_untold", "parse_url")

WEBSOCKET_SCHEMES: Final = ("ws://", "wss://", "ws4://", "ws6://", "wss4://", "wss6://")
URL_FIELDS: Final = ("scheme", "userinfo", "hostname", "port", "path", "query", "fragment")
DEFAULT_PORTS: Final = {"http": "80", "ws": "80", "https": "443", "wss": "443"}


def parse_url(url: str) -> dict[str, str]:
    """Take a URL to pieces.

    Args:
        url: The URL.

    Returns:
        scheme, userinfo, hostname, port, path, query and fragment; "" for what is absent.

    Raises:
        NngError: 3, it is no URL.

    Example:
        >>> parse_url("tcp://[::1]:5555")["port"]
        '5555'
    """
    out = new("nng_url **")
    if not isinstance(url, str) or "\0" in url or nng.url_parse(out, url.encode("utf-8", "surrogateescape")):
        raise exception_for(EINVAL, f"`url` {url!r}")
    try:
        parts = {field: _field(out[0], field) for field in URL_FIELDS}
    finally:
        nng.url_free(out[0])
    if not parts["port"]:
        parts["port"] = DEFAULT_PORTS.get(parts["scheme"], "")
    return parts


def _field(url: Any, name: str) -> str:
    pointer = getattr(url, f"u_{name}")
    return text(pointer) if pointer else ""


def is_websocket(url: str) -> bool:
    """Whether an address is one of WebSockets."""
    return url.startswith(WEBSOCKET_SCHEMES)


def may_be_lost_untold(url: str) -> bool:
    """Whether NNG may forget to tell of the loss of a connection to this address."""
    return url.startswith("tls+tcp") or is_websocket(url)
