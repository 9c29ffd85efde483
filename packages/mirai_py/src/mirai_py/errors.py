"""What can go wrong: exceptions that are raised, and values that stand for a failure.

A task never raises at the host by itself. Its mirai resolves to a *value*: a `MiraiError` (the code
raised), a `MiraiInterrupt` (it was interrupted), or an `ErrorValue` (5 timed out, 19 connection lost,
20 cancelled). `Mirai.result()` and `await` turn these values into the exceptions below.
"""

from __future__ import annotations

import concurrent.futures
import pickle
import traceback
from typing import TYPE_CHECKING, Any

from nngsock import ErrorValue

if TYPE_CHECKING:
    from typing_extensions import TypeIs

TIMED_OUT = 5
CONNECTION_RESET = 19
CANCELED = 20
# Why a connection is lost, where it is not for the end of a process.
RESET = {"reason": "the daemons were reset"}
DAEMON_LEFT = {"reason": "its daemon left before its turn"}


class MiraiException(Exception):  # noqa: N818 - the family's name; its members end in Error
    """Base of all exceptions of this package."""


class MiraiTypeError(MiraiException, TypeError):
    """An argument is of the wrong type."""


class MiraiValueError(MiraiException, ValueError):
    """An argument has a value that makes no sense."""


class DaemonsNotSetError(MiraiException, RuntimeError):
    """No daemons are set for the compute profile that was asked for."""


class MiraiSerializationError(MiraiException, TypeError):
    """An argument, function or result cannot be sent to another process."""


class MiraiLaunchError(MiraiException, RuntimeError):
    """A daemon could not be started, or ended before it had connected."""


class MissingExtraError(MiraiException, ImportError):
    """A package is not installed that this feature needs."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'this needs {package}, which is not installed: pip install "mirai-nng[{extra}]"')


class MiraiTimeoutError(MiraiException, TimeoutError):
    """The task did not finish within its `_timeout`."""


class MiraiConnectionError(MiraiException, ConnectionResetError):
    """The daemon that ran the task is gone, or the daemons were reset.

    Attributes:
        detail: what is known: "task" (its id), "call" (the function), "pid" and "host" of the daemon,
            "exit_code" or "signal", "ms" since the task began; or "reason".
    """

    def __init__(self, message: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.detail = detail


class MiraiInterruptedError(MiraiException):
    """The task was interrupted at the daemon."""


class MiraiMapError(MiraiException):
    """An element of a map failed.

    Attributes:
        index: its position, from 0.
        name: its name if the input had names, or None.
        cause: the value that stands for its failure, or why it could not be joined to the others.

    Example:
        >>> with daemons(1):
        ...     try:
        ...         mirai_map({"a": 1, "b": 0}, lambda x: 1 / x).collect(stop=True)
        ...     except MiraiMapError as error:
        ...         print(error)
        element 1 ('b') of the map failed: ZeroDivisionError: division by zero
    """

    def __init__(self, index: int, name: str | None, cause: object) -> None:
        where = f"element {index}" if name is None else f"element {index} ({name!r})"
        super().__init__(f"{where} of the map failed: {cause}")
        self.index = index
        self.name = name
        self.cause = cause


class MiraiError(MiraiException):
    """The exception of a task, as a value.

    Attributes:
        message: `str()` of the original exception.
        condition_class: names along its class hierarchy, most specific first.
        call: name of the innermost function of the user, or None.
        stack_trace: `traceback.FrameSummary` objects of the user's frames, outermost first.
        traceback: the same as text.
        exception: the original exception where it could be rebuilt here, else None.
        raw: bytes that could not be read at the host, or None.

    Attributes of the original exception can be read on it too, for example `error.errno`.

    Example:
        >>> with daemons(1):
        ...     error = mirai("open('/no/such/file')").collect()
        >>> error.condition_class[:2], error.errno
        (('FileNotFoundError', 'OSError'), 2)
    """

    def __init__(
        self,
        message: str,
        condition_class: tuple[str, ...] = ("Exception", "BaseException"),
        stack_trace: tuple[traceback.FrameSummary, ...] = (),
        exception: BaseException | None = None,
        attributes: dict[str, Any] | None = None,
        raw: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.condition_class = condition_class
        self.stack_trace = stack_trace
        self.exception = exception
        self.raw = raw
        self._attributes = attributes or {}
        self._notes: list[str] | None = None

    @property
    def call(self) -> str | None:
        """Name of the innermost function of the user."""
        return self.stack_trace[-1].name if self.stack_trace else None

    @property
    def traceback(self) -> str:
        """The remote traceback as text, in Python's own layout."""
        frames = "".join(traceback.format_list(list(self.stack_trace)))
        head = "Traceback (most recent call last, at the daemon):\n" if frames else ""
        notes = "".join(f"\n{note}" for note in self._attributes.get("__notes__") or ())
        return f"{head}{frames}{self._last_lines()}{notes}"

    def _last_lines(self) -> str:
        if not isinstance(self.exception, SyntaxError):
            return str(self)
        return "".join(traceback.format_exception_only(SyntaxError, self.exception)).rstrip()

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # made when it is asked for
        """What Python prints behind the message: the remote traceback, also where this is but a cause."""
        if self._notes is None:
            self._notes = [self.traceback] if self.stack_trace or self._attributes.get("__notes__") else []
        return self._notes

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__.get("_attributes", {})
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", name=name, obj=self)

    def __str__(self) -> str:
        return f"{self.condition_class[0]}: {self.message}" if self.message else self.condition_class[0]

    def __repr__(self) -> str:
        return f"miraiError {self}"

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.message, self.condition_class, self.stack_trace, None, self._attributes, self.raw)
        return (MiraiError, parts)


class MiraiInterrupt:
    """The value of a task that was interrupted at its daemon.

    Example:
        >>> with daemons(1):
        ...     mirai("raise KeyboardInterrupt").collect()
        MiraiInterrupt
    """

    def __repr__(self) -> str:
        return "MiraiInterrupt"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MiraiInterrupt)

    def __hash__(self) -> int:
        return hash(MiraiInterrupt)


def is_mirai_error(x: object) -> TypeIs[MiraiError]:
    """Whether `x` is the error of a task, as a value.

    Example:
        >>> is_mirai_error(5)
        False
    """
    return isinstance(x, MiraiError)


def is_mirai_interrupt(x: object) -> TypeIs[MiraiInterrupt]:
    """Whether `x` is the value of an interrupted task.

    Example:
        >>> with daemons(1):
        ...     is_mirai_interrupt(mirai("raise KeyboardInterrupt").collect())
        True
    """
    return isinstance(x, MiraiInterrupt)


def is_error_value(x: object) -> TypeIs[MiraiError | MiraiInterrupt | ErrorValue]:
    """Whether `x` stands for any failure: an error, an interrupt, or an `ErrorValue`.

    Example:
        >>> is_error_value(None)
        False
    """
    return isinstance(x, MiraiError | MiraiInterrupt | ErrorValue)


def describe(exception: BaseException, frames: list[traceback.FrameSummary]) -> bytes:
    """Pack an exception so that one part that cannot be pickled costs only itself."""
    names = tuple(c.__name__ for c in type(exception).__mro__ if c is not object)
    attributes = {}
    for name, value in getattr(exception, "__dict__", {}).items():
        packed = _try_dumps(value)
        if packed is not None:
            attributes[name] = packed
    for name in ("errno", "strerror", "filename", "filename2"):
        if isinstance(exception, OSError) and name not in attributes:
            attributes[name] = pickle.dumps(getattr(exception, name))
    rows = [(f.filename, f.lineno, f.name, f.line) for f in frames]
    parts = (_text_of(exception), names, rows, _try_dumps(exception.with_traceback(None)), attributes)
    return pickle.dumps(parts, 5)


def rebuild(body: bytes | bytearray | memoryview) -> MiraiError:
    """Make the `MiraiError` of what `describe` packed."""
    message, names, rows, exception, attributes = pickle.loads(body)
    frames = tuple(traceback.FrameSummary(file, no, name, line=line) for file, no, name, line in rows)
    readable = {name: _try_loads(value) for name, value in attributes.items()}
    return MiraiError(message, names, frames, _try_loads(exception), readable)


def raised(value: Any) -> Any:
    """Return a value, or raise what it stands for if it stands for a failure.

    Raises:
        BaseException: the original exception of the task, with the `MiraiError` as its cause.
        MiraiTimeoutError: the task timed out.
        MiraiConnectionError: its daemon was lost.
        concurrent.futures.CancelledError: it was stopped.
        MiraiInterruptedError: it was interrupted.
    """
    if isinstance(value, MiraiError):
        if isinstance(value.exception, Exception):
            raise value.exception from value
        raise value
    if isinstance(value, MiraiInterrupt):
        raise MiraiInterruptedError("the task was interrupted at its daemon")
    if not isinstance(value, ErrorValue):
        return value
    detail = dict(value.detail or {})
    if value == TIMED_OUT:
        raise MiraiTimeoutError(f"the task timed out after {detail.get('timeout', '?')} ms")
    if value == CANCELED:
        raise concurrent.futures.CancelledError
    raise MiraiConnectionError(f"{value}{_in_words(detail)}", detail)


def _in_words(detail: dict[str, Any]) -> str:
    forms = {
        "reason": ", {}",
        "task": ", task {}",
        "call": " of {}",
        "pid": ", daemon pid {}",
        "host": " on {}",
        "exit_code": ", exit code {}",
        "signal": ", signal {}",
        "ms": ", {} ms after its start",
    }
    words = [form.format(detail[name]) for name, form in forms.items() if detail.get(name) is not None]
    return f" ({''.join(words).lstrip(', ')})" if words else ""


def _text_of(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:
        return f"<{type(exception).__name__} whose text cannot be made>"


def _try_dumps(value: object) -> bytes | None:
    from mirai_py import byvalue

    try:
        return byvalue.dumps(value)
    except Exception:
        return None


def _try_loads(packed: bytes | None) -> Any:
    """None for what cannot be rebuilt here: an exception whose class is missing or wants other arguments."""
    if packed is None:
        return None
    try:
        return pickle.loads(packed)
    except Exception:
        return None
