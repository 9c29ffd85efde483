"""The TLS configuration of either side as Python's ssl wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl

__all__ = ("client_context", "server_context")


def client_context(tls: object) -> ssl.SSLContext | Literal[False]:
    """What a client trusts; False, which validates nothing, for None."""
    if tls is None:
        return False
    raise TypeError(f"`tls` is not a valid TLS Configuration: {tls!r}")


def server_context(tls: object) -> ssl.SSLContext:
    """A server's certificate and key."""
    raise TypeError(f"`tls` is not a valid TLS Configuration: {tls!r}")
