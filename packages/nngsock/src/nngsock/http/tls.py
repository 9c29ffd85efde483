"""The TLS configuration of either side as Python's ssl wants it."""

from __future__ import annotations

import ssl
import weakref
from typing import Final, Literal

from nngsock.errors import ECRYPTO, exception_for
from nngsock.tls import TlsConfig

__all__ = ("client_context", "server_context")

# Reading the certificates anew for each request would take longer than many a request.
_contexts: Final[weakref.WeakKeyDictionary[TlsConfig, ssl.SSLContext]] = weakref.WeakKeyDictionary()


def client_context(tls: object) -> ssl.SSLContext | Literal[False]:
    """What a client trusts; False, which validates nothing, for None."""
    return False if tls is None else _context(tls, "client")


def server_context(tls: object) -> ssl.SSLContext:
    """A server's certificate and key."""
    return _context(tls, "server")


def _context(tls: object, mode: str) -> ssl.SSLContext:
    if not isinstance(tls, TlsConfig):
        raise TypeError(f"`tls` is not a valid TLS Configuration: {tls!r}")
    if tls.mode != mode:
        raise ValueError(f"`tls` must be the configuration of a {mode}: tls_config({mode}=...), not {tls!r}")
    context = _contexts.get(tls)
    if context is None:
        try:
            context = _contexts[tls] = tls.ssl_context()
        except ssl.SSLError as error:
            raise exception_for(ECRYPTO, str(error)) from error
    return context
