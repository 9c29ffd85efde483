"""Failures: values for operations that fail, exceptions for wrong calls; and what is not resolved yet."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Final, Self

from nngsock._native import strerror

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeIs

__all__ = (
    "UNRESOLVED",
    "ErrorValue",
    "MissingExtraError",
    "NngError",
    "NngWarning",
    "NngsockError",
    "Unresolved",
    "exception_for",
    "is_error_value",
    "is_nul_byte",
    "nng_error",
)

# Numbers that the code compares with; the full table is libnng's.
EINVAL: Final = 3
EBUSY: Final = 4
ETIMEDOUT: Final = 5
ECONNREFUSED: Final = 6
ECLOSED: Final = 7
EAGAIN: Final = 8
ENOTSUP: Final = 9
EADDRINUSE: Final = 10
ESTATE: Final = 11
ENOENT: Final = 12
EPROTO: Final = 13
EUNREACHABLE: Final = 14
EADDRINVAL: Final = 15
EPERM: Final = 16
ECONNRESET: Final = 19
ECANCELED: Final = 20
ENOFILES: Final = 21
EWRITEONLY: Final = 25
ECRYPTO: Final = 26
EBADTYPE: Final = 30
ECONNSHUT: Final = 31
ESYSERR: Final = 0x10000000  # plus an errno


def nng_error(xc: int) -> str:
    """Describe an error number.

    Args:
        xc: The number, or an `ErrorValue`.

    Returns:
        The number and its meaning.

    Example:
        >>> nng_error(5)
        '5 | Timed out'
    """
    return f"{int(xc)} | {strerror(int(xc))}"


class ErrorValue(int):
    """An operation's failure as a value: an int that knows what it means.

    It compares and hashes as its number, and arithmetic gives a plain int.

    Args:
        code: The error number.
        detail: What is known beyond the number; takes no part in comparison.

    Example:
        >>> ErrorValue(5)
        errorValue 5 | Timed out
        >>> ErrorValue(5) == 5
        True
    """

    detail: Mapping[str, Any] | None

    def __new__(cls, code: int, detail: Mapping[str, Any] | None = None) -> Self:
        """Make it; see the class."""
        self = super().__new__(cls, code)
        self.detail = detail
        return self

    def __repr__(self) -> str:
        return f"errorValue {nng_error(self)}"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (int(self), self.detail)


class Unresolved:
    """The type of `UNRESOLVED`, the value of an operation that is still under way."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise TypeError("the value is unresolved and neither true nor false: use unresolved(x) to ask")

    def __repr__(self) -> str:
        return "unresolved"

    def __reduce__(self) -> str:
        return "UNRESOLVED"


UNRESOLVED: Final = Unresolved()


class NngsockError(Exception):
    """Base of every exception of this package."""


class MissingExtraError(NngsockError, ImportError):
    """A package is not installed; the message says which extra brings it."""


class NngError(NngsockError, OSError):
    """An error of NNG, raised.

    Attributes:
        code: The error number.
    """

    def __init__(self, code: int, remedy: str = "") -> None:
        super().__init__(nng_error(code) + (f": {remedy}" if remedy else ""))
        self.code = int(code)
        self._remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self._remedy)


class NngTimeoutError(NngError, TimeoutError):
    """Error 5: timed out."""


class NngRefusedError(NngError, ConnectionRefusedError):
    """Error 6: nobody listens there."""


class NngResetError(NngError, ConnectionResetError):
    """Error 19: the peer is gone."""


class NngPermissionError(NngError, PermissionError):
    """Error 16: not allowed."""


class NngCanceledError(NngError, concurrent.futures.CancelledError):
    """Error 20: the operation was stopped."""


class NngWarning(UserWarning):
    """Something went another way than asked, and the value that was returned says so."""


_CLASSES: Final[dict[int, type[NngError]]] = {
    ETIMEDOUT: NngTimeoutError,
    ECONNREFUSED: NngRefusedError,
    EPERM: NngPermissionError,
    ECONNRESET: NngResetError,
    ECANCELED: NngCanceledError,
}


def exception_for(code: int, remedy: str = "") -> NngError:
    """The exception for an error number, of the class that is also Python's own where there is one."""
    return _CLASSES.get(int(code), NngError)(code, remedy)


def check(code: int, remedy: str = "") -> None:
    """Raise unless the code is 0."""
    if code:
        raise exception_for(code, remedy)


def is_error_value(x: object) -> TypeIs[ErrorValue]:
    """Whether x is an `ErrorValue`.

    Example:
        >>> is_error_value(ErrorValue(5)), is_error_value(5)
        (True, False)
    """
    return isinstance(x, ErrorValue)


def is_nul_byte(x: object) -> bool:
    r"""Whether x is the single nul byte that `reply` answers with when its function failed.

    Example:
        >>> is_nul_byte(b"\0"), is_nul_byte("\0")
        (True, False)
    """
    return isinstance(x, bytes | bytearray | memoryview) and x == b"\0"
