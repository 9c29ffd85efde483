"""Versions, clocks and random numbers."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

from nngsock._native import nng, text
from nngsock.endpoints import Endpoint
from nngsock.pipes import Monitor
from nngsock.sockets import Context, Socket

__all__ = ("is_nano", "mclock", "msleep", "nng_version", "random")


def is_nano(x: object) -> bool:
    """Whether x is a Socket, Context, Dialer, Listener, Monitor, Stream, Nano, Server or its connection.

    Example:
        >>> nngsock.is_nano(nngsock.socket("pair")), nngsock.is_nano("pair")
        (True, False)
    """
    if isinstance(x, Socket | Context | Endpoint | Monitor):
        return True
    # Nothing is an object of a module that was not imported yet.
    for module, kind in (("nngsock.nanoobject", "Nano"), ("nngsock.bytestream", "Stream")):
        if module in sys.modules and isinstance(x, getattr(sys.modules[module], kind)):
            return True
    http: Any = sys.modules.get("nngsock.http")
    return http is not None and isinstance(x, http.Server | http.WsConnection | http.StreamConnection)


def nng_version() -> tuple[str, str]:
    """The versions of NNG and of its TLS library.

    Example:
        >>> nng, tls = nng_version()
    """
    return text(nng.version()), text(nng.tls_engine_description())


def random(n: int = 1, convert: bool = True) -> str | bytes:
    """Random bytes from the operating system's source for secrets.

    Args:
        n: How many, 1 to 1024.
        convert: As a str of 2n hexadecimal digits, else as bytes.

    Raises:
        ValueError: `n` is out of range.

    Example:
        >>> len(random(8)), len(random(8, convert=False))
        (16, 8)
    """
    if isinstance(n, bool) or not isinstance(n, int | float):
        raise TypeError(f"`n` must be a whole number, not {n!r}")
    if not 1 <= n <= 1024:
        raise ValueError(f"`n` must be between 1 and 1024, not {n!r}")
    data = os.urandom(int(n))
    return data.hex() if convert else data


def mclock() -> float:
    """Milliseconds on a clock that never goes back; only differences have a meaning.

    Example:
        >>> begun = mclock()
        >>> msleep(10)
        >>> 10 <= mclock() - begun
        True
    """
    return time.monotonic() * 1000


def msleep(time_: float) -> None:
    """Sleep.

    Args:
        time_: Milliseconds; up to 0 returns at once.

    Example:
        >>> msleep(10)
    """
    if isinstance(time_, bool) or not isinstance(time_, int | float) or math.isnan(time_):
        raise TypeError(f"`time_` must be a number of milliseconds, not {time_!r}")
    if time_ > 0:
        time.sleep(time_ / 1000)
