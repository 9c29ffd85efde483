"""TLS: who to trust and who to be, for sockets, streams and HTTP alike."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from nngsock._native import ffi, lib, life, new, nng
from nngsock.errors import ECRYPTO, ENOENT, EPERM, ESYSERR, check, exception_for

if TYPE_CHECKING:
    import ssl

__all__ = ("Pem", "TlsConfig", "tls_config")

Pem: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_AUTH_MODES: Final = {
    "none": lib.NNG_TLS_AUTH_MODE_NONE,
    "optional": lib.NNG_TLS_AUTH_MODE_OPTIONAL,
    "required": lib.NNG_TLS_AUTH_MODE_REQUIRED,
}
_MODES: Final = {"client": lib.NNG_TLS_MODE_CLIENT, "server": lib.NNG_TLS_MODE_SERVER}
_BEGIN: Final = "-----BEGIN "
_BEGIN_CRL: Final = "-----BEGIN X509 CRL-----"


@dataclass(frozen=True, slots=True, repr=False)
class _Trust:
    """Whose certificates are accepted.

    Attributes:
        ca: The authorities' certificates in PEM.
        crl: Their list of revoked certificates in PEM; None for none.
    """

    ca: str
    crl: str | None


@dataclass(frozen=True, slots=True, repr=False)
class _Identity:
    """Who one is.

    Attributes:
        certificate: One's own certificate, then those that lead to the authority, in PEM.
        key: Its private key in PEM.
        password: What the key is encrypted with; None for not.
    """

    certificate: str
    key: str
    password: str | None


class TlsConfig:
    """Who to trust and who to be. Made by `tls_config`; good for any number of connections and hosts.

    Attributes:
        mode: "client" or "server": who dials is the client.
        auth: What a peer's certificate must be: "required", "optional" or "none" (it is not looked at).
    """

    __slots__ = ("__weakref__", "_handles", "_identity", "_lock", "_trust", "auth", "mode")

    def __init__(self, mode: str, auth: str, trust: _Trust | None, identity: _Identity | None) -> None:
        self.mode = mode
        self.auth = auth
        self._trust = trust
        self._identity = identity
        self._lock = threading.Lock()
        self._handles: dict[str, Any] = {}
        self.handle_for("")  # what is wrong with it shows here and now

    def __repr__(self) -> str:
        return f"< TLS {self.mode} config | auth mode: {self.auth} >"

    def handle_for(self, host: str) -> Any:
        """NNG's configuration for connections to a host, whose name the peer's certificate must carry.

        One for each host, since NNG keeps the first name that one is used with.

        Args:
            host: Name or address; "" for a listener.
        """
        with self._lock:
            if host not in self._handles:
                self._handles[host] = self._build(host)
            return self._handles[host]

    def _build(self, host: str) -> Any:
        out = new("nng_tls_config **")
        life.started = True
        check(nng.tls_config_alloc(out, _MODES[self.mode]))
        handle = ffi.gc(out[0], _free)
        # A client that does not look at the certificate at all would report it as verified.
        auth = "optional" if self.mode == "client" and self.auth == "none" else self.auth
        check(nng.tls_config_auth_mode(handle, _AUTH_MODES[auth]))
        if self._trust is not None:
            crl = ffi.NULL if self._trust.crl is None else _c_text(self._trust.crl)
            check(
                nng.tls_config_ca_chain(handle, _c_text(self._trust.ca), crl),
                "the authority's certificates, or the list of revoked ones, are no PEM",
            )
        if (own := self._identity) is not None:
            password = ffi.NULL if own.password is None else _c_text(own.password)
            check(
                nng.tls_config_own_cert(handle, _c_text(own.certificate), _c_text(own.key), password),
                "certificate and private key are no PEM, or `pass_` is not the key's password",
            )
        if host:
            check(nng.tls_config_server_name(handle, host.encode()))
        return handle

    def ssl_context(self) -> ssl.SSLContext:
        """The same for Python's `ssl`, as the HTTP functions and asyncio use it.

        Unlike NNG's, Python's clients want the host in a certificate's subjectAltName; its common name
        does not do for an address.

        Returns:
            A new context.

        Raises:
            ssl.SSLError: Certificate and key do not belong together.

        Example:
            >>> tls_config().ssl_context().verify_mode.name
            'CERT_NONE'
        """
        import ssl
        import tempfile

        client = self.mode == "client"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
        if client:
            # To Python, a client's CERT_OPTIONAL is CERT_REQUIRED; to NNG, it is a check without consequence.
            context.check_hostname = self.auth == "required"
            context.verify_mode = ssl.CERT_REQUIRED if self.auth == "required" else ssl.CERT_NONE
        elif self._trust is not None:
            context.verify_mode = ssl.CERT_REQUIRED if self.auth == "required" else ssl.CERT_OPTIONAL
        with tempfile.TemporaryDirectory(prefix="nngsock-") as folder:  # readable by its owner alone
            if self._trust is not None:
                context.load_verify_locations(_file(folder, "ca", self._trust.ca, self._trust.crl))
                if self._trust.crl is not None:
                    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            if (own := self._identity) is not None:
                files = _file(folder, "certificate", own.certificate), _file(folder, "key", own.key)
                # A key without password must not ask for one on the terminal if it is encrypted after all.
                context.load_cert_chain(*files, password=own.password or "")
        return context


def _free(handle: Any) -> None:
    if not life.halted:
        lib.nng_tls_config_free(handle)


def _c_text(text: str) -> bytes:
    if "\0" in text:
        raise exception_for(ECRYPTO, "a PEM text or password holds a NUL")
    return text.encode("utf-8", "surrogateescape")


def _file(folder: str, name: str, *texts: str | None) -> str:
    from pathlib import Path

    path = Path(folder, name)
    path.write_bytes(b"\n".join(_c_text(text) for text in texts if text))
    return str(path)


def tls_config(
    client: Pem | None = None,
    server: Pem | None = None,
    pass_: str | Callable[[], str] | None = None,
    auth: bool | None = None,
    *,
    identity: Pem | None = None,
    ca: Pem | None = None,
) -> TlsConfig:
    """Say who to trust and who to be, for connections with tls+tcp:// and wss://.

    With neither `client` nor `server` it is for a client that trusts anybody: encryption without
    authentication.

    Args:
        client: For a client: the certificates of the authorities that it trusts, for a self-signed server
            that server's own. A str or path is a file in PEM, which may hold a list of revoked
            certificates too. A pair is two PEM texts: the certificates, and the list or "".
        server: For a server: its certificate (with those that lead to the authority) and its private key. A
            str or path is a file with both in PEM, a pair is two PEM texts (or paths).
        pass_: The password of the private key, or a function that returns it and is called once.
        auth: Whether the peer must have a certificate that is trusted. None is True for a client and for a
            server with `ca`, False for any other server. False: what the peer has makes no difference, but
            `pipe_info` tells whether it was verified.
        identity: For a client: its own certificate and private key, given as for `server`.
        ca: For a server: the authorities whose certificates its clients must have, given as for `client`.

    Returns:
        The configuration, to be given as `tls`.

    Raises:
        NngError: 26 what should be PEM is not, or the password is wrong; 12 there is no such file.
        TypeError: An argument is of the wrong kind.
        ValueError: The arguments contradict each other.

    Example:
        >>> tls_config()
        < TLS client config | auth mode: none >
    """
    if client is not None and server is not None:
        raise ValueError("`client` and `server` are for one side each: make two configurations")
    if auth is not None and not isinstance(auth, bool):
        raise TypeError(f"`auth` must be True, False or None, not {auth!r}")
    if server is None:
        if ca is not None:
            raise ValueError("`ca` is for a server, whose certificate is missing; a client has `client`")
        trust = None if client is None else _trust("client", client)
        own = None if identity is None else _identity("identity", identity, pass_)
        return TlsConfig("client", _auth_mode(True if auth is None else auth, trust), trust, own)
    if identity is not None:
        raise ValueError("`identity` is for a client; a server has `server`")
    trust = None if ca is None else _trust("ca", ca)
    if auth and trust is None:
        raise ValueError("`auth` True on a server needs `ca`: whose certificates the clients must have")
    own = _identity("server", server, pass_)
    return TlsConfig("server", _auth_mode(auth is not False, trust), trust, own)


def _auth_mode(auth: bool, trust: _Trust | None) -> str:
    if trust is None:
        return "none"
    return "required" if auth else "optional"


def _trust(name: str, value: Pem) -> _Trust:
    if isinstance(value, str | os.PathLike):
        text = _read(value)
        return _Trust(text, text if _BEGIN_CRL in text else None)
    ca, crl = _pair(name, value)
    return _Trust(ca, crl or None)


def _identity(name: str, value: Pem, pass_: str | Callable[[], str] | None) -> _Identity:
    password = pass_() if callable(pass_) else pass_
    if password is not None and not isinstance(password, str):
        raise TypeError(
            f"`pass_` must be a str or a function that returns one, not {type(password).__name__}"
        )
    if isinstance(value, str | os.PathLike):
        text = _read(value)
        return _Identity(text, text, password)
    return _Identity(*_pair(name, value), password)


def _pair(name: str, value: Sequence[str | os.PathLike[str]]) -> tuple[str, str]:
    items = list(value) if isinstance(value, list | tuple) else []
    if len(items) != 2 or not all(isinstance(item, str | os.PathLike) for item in items):
        raise TypeError(f"`{name}` must be the path of a PEM file or a pair of PEM texts")
    first, second = (item if isinstance(item, str) else _read(item) for item in items)
    return first, second


def _read(file: str | os.PathLike[str]) -> str:
    if isinstance(file, str) and _BEGIN in file:
        return file  # no path looks like that
    from pathlib import Path

    path = Path(file).expanduser()
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise exception_for(ENOENT, f"there is no file {str(path)!r}") from None
    except OSError as error:
        code = EPERM if error.errno in {errno.EACCES, errno.EPERM} else ESYSERR + (error.errno or 0)
        raise exception_for(code, f"the file {str(path)!r} cannot be read") from error
