"""TLS between host and daemons: a key and certificate for each `daemons()` call, or the user's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nngsock
from mirai_py.addresses import is_encrypted, names_of
from mirai_py.errors import MiraiTypeError, MiraiValueError, MissingExtraError

File = str | os.PathLike[str]
Pem = File | Sequence[File]

NOT_TRUSTED = 26

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Encryption:
    """What each side of an encrypted connection needs.

    Attributes:
        host: certificate and key, for the listener.
        daemon: (certificates, ""), by which a daemon knows the host.
    """

    host: nngsock.TlsConfig
    daemon: tuple[str, str]


def encryption_of(url: str, tls: Pem | None, pass_: str | Callable[[], str] | None) -> Encryption | None:
    """The encryption of a host that is to listen on `url`; None if that is not encrypted.

    Args:
        url: its scheme says whether there is one.
        tls: a PEM file with certificate, then private key, or the pair of these texts; None makes a key and
            a certificate for it, which nobody else has.
        pass_: password of the key, or a function that returns it.

    Raises:
        MissingExtraError: to make a certificate takes the extra `tls`.
        TypeError, ValueError: `tls` is no such thing, or given for a URL without encryption.
        nngsock.NngError: a file, key or password is wrong.
    """
    if not is_encrypted(url):
        if tls is not None:
            where = url or "a socket of this machine"
            raise MiraiValueError(f"`tls` goes with a `url` of tls+tcp:// or wss://, not with {where}")
        return None
    if tls is not None:
        if not _is_pem(tls):
            raise MiraiTypeError(f"`tls` must be a PEM file or the pair (certificate, key), not {tls!r}")
        return Encryption(nngsock.tls_config(server=tls, pass_=pass_), (_certificates_of(tls), ""))
    try:
        made = nngsock.write_cert(cn=names_of(url))
    except ImportError as error:
        raise MissingExtraError("cryptography", "tls") from error
    return Encryption(nngsock.tls_config(server=made["server"]), made["client"])


def _is_pem(tls: Any) -> bool:
    if isinstance(tls, list | tuple):
        return len(tls) == 2 and all(isinstance(text, str | os.PathLike) for text in tls)
    return isinstance(tls, str | os.PathLike)


def _certificates_of(tls: Pem) -> str:
    first = tls if isinstance(tls, str | os.PathLike) else tls[0]
    if isinstance(first, str) and "-----BEGIN" in first:
        text = first
    else:
        text = Path(first).expanduser().read_text("utf-8", "replace")
    return "".join(f"{found}\n" for found in _CERTIFICATE.findall(text))


def trust_of(url: str, tlscert: Any) -> nngsock.TlsConfig | None:
    """How a daemon knows the host at `url`; None without encryption.

    Raises:
        ValueError: `tlscert` is given for a URL without encryption.
        nngsock.NngError: it is missing for one with, or cannot be read.
    """
    if is_encrypted(url):
        if tlscert is None:
            raise nngsock.NngError(NOT_TRUSTED, f"{url} needs `tlscert`, the host's certificate")
        return nngsock.tls_config(client=tlscert)
    if tlscert is not None:
        raise MiraiValueError(f"`tlscert` goes with a `url` of tls+tcp:// or wss://, not with {url}")
    return None


def is_trust(value: Any) -> bool:
    """Whether a value may be a `tlscert`: a path, a pair of texts, or None."""
    if isinstance(value, list | tuple):
        return len(value) == 2 and all(isinstance(text, str) for text in value)
    return value is None or isinstance(value, str | os.PathLike)
