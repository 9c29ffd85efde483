"""Encryption of what travels between a controller and its workers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import mirai_py
from crew_py import validation
from crew_py.errors import CrewError, CrewValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("CrewTls", "crew_class_tls", "crew_tls")

MODES: Final = ("none", "automatic", "custom")
_KEY: Final = re.compile(
    r"\s*-----BEGIN (?P<kind>(?:ENCRYPTED )?PRIVATE KEY)-----\n.+\n-----END (?P=kind)-----\s*", re.DOTALL
)
_CERTIFICATE: Final = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----\n.+\n-----END CERTIFICATE-----\s*", re.DOTALL
)


class CrewTls:
    """How a controller encrypts: not, with a certificate of its own making, or with yours.

    Args:
        mode: "none", "automatic" (a self-signed certificate for each start), or "custom".
        key: path of the private key in PEM; custom only.
        password: of the key, or None; custom only.
        certificates: paths of the certificates in PEM, the controller's own first, then those that
            lead to the authority; custom only.
        validate: whether to read and check the files now.

    Raises:
        CrewError: the arguments contradict each other, or a file is not what it should be.

    Example:
        >>> crew_tls(mode="automatic").url("192.0.2.2", 5700)
        'tls+tcp://192.0.2.2:5700'
    """

    def __init__(
        self,
        mode: str = "none",
        key: str | None = None,
        password: str | None = None,
        certificates: Sequence[str] | None = None,
        validate: bool = True,
    ) -> None:
        self._mode = mode
        self._key = key
        self._password = password
        self._certificates = None if certificates is None else validation.texts("certificates", certificates)
        self.validate(test=validation.flag("validate", validate))

    @property
    def mode(self) -> str:
        """One of "none", "automatic", "custom"."""
        return self._mode

    @property
    def key(self) -> str | None:
        """Path of the private key."""
        return self._key

    @property
    def password(self) -> str | None:
        """Password of the private key."""
        return self._password

    @property
    def certificates(self) -> tuple[str, ...] | None:
        """Paths of the certificates."""
        return self._certificates

    def validate(self, test: bool = True) -> None:
        """Check the fields.

        Args:
            test: whether to read the files too.

        Raises:
            CrewError: a field, or a file (it is named), is wrong.
        """
        validation.one_of("mode", self._mode, MODES)
        if self._mode != "custom":
            for name in ("key", "password", "certificates"):
                if getattr(self, name) is not None:
                    raise CrewValueError(
                        f"`{name}` must be None unless mode is 'custom' (it is {self._mode!r})"
                    )
            return
        if self._key is None or not self._certificates:
            raise CrewValueError("mode 'custom' needs `key` and `certificates`: paths of PEM files")
        validation.text("key", self._key)
        if self._password is not None:
            validation.text("password", self._password)
        if test:
            _read(self._key, _KEY, "a private key")
            for path in self._certificates:
                _read(path, _CERTIFICATE, "a certificate")

    def client(self) -> tuple[str, str] | None:
        """What the controller's side needs.

        Returns:
            (chain of certificates, private key) as text, or None unless mode is "custom".
        """
        if self._mode != "custom":
            return None
        assert self._key is not None
        return self._chain(), _read(self._key, _KEY, "a private key")

    def worker(self, profile: str) -> tuple[str, str] | None:
        """What a worker needs to trust the controller.

        Args:
            profile: the compute profile, whose certificate it is in mode "automatic".

        Returns:
            (certificates as text, ""), or None in mode "none".
        """
        if self._mode == "none":
            return None
        if self._mode == "custom":
            return self._chain(), ""
        found: tuple[str, str] | None = mirai_py.nextget("tls", compute=profile)
        return found

    def url(self, host: str, port: int | None) -> str:
        """The address to listen on.

        Args:
            host: host name or address.
            port: TCP port; None or 0 for any free one.

        Returns:
            A URL.
        """
        scheme = "tcp" if self._mode == "none" else "tls+tcp"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or 0}"

    def _chain(self) -> str:
        return "".join(_read(path, _CERTIFICATE, "a certificate") for path in self._certificates or ())

    def __repr__(self) -> str:
        if self._mode != "custom":
            return f"crew_tls(mode={self._mode!r})"
        secret = None if self._password is None else "***"
        return (
            f"crew_tls(mode='custom', key={self._key!r}, password={secret!r}, "
            f"certificates={self._certificates!r})"
        )


def _read(path: str, pattern: re.Pattern[str], what: str) -> str:
    try:
        content = Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CrewError(f"cannot read {what} from {path!r}: {error}") from error
    if not content.strip():
        raise CrewError(f"the file {path!r} is empty; it should hold {what} in PEM")
    if not pattern.fullmatch(content):
        raise CrewError(f"the file {path!r} must hold {what} in PEM, from its BEGIN line to its END line")
    return content if content.endswith("\n") else f"{content}\n"


crew_tls = CrewTls
crew_class_tls = CrewTls
