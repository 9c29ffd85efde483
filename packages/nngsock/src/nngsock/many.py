"""Functions over one or many Aios: wait, collect, stop, race."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from nngsock.aio import Aio, RecvAio
from nngsock.errors import UNRESOLVED, NngsockError
from nngsock.sync import acquire

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nngsock.outcome import Outcome
    from nngsock.sync import ConditionVariable

__all__ = (
    "as_completed",
    "call_aio",
    "call_aio_",
    "collect_aio",
    "collect_aio_",
    "count_unresolved",
    "is_aio",
    "pipe_id",
    "race_aio",
    "stop_aio",
    "stop_request",
    "unresolved",
)

T = TypeVar("T")


def is_aio(x: object) -> TypeIs[Aio]:
    """Whether x is an Aio.

    Example:
        >>> nngsock.is_aio(nngsock.recv_aio(nngsock.socket("pair"))), nngsock.is_aio(0)
        (True, False)
    """
    return isinstance(x, Aio)


def _members(x: object) -> Iterable[Any]:
    """The elements of a list, tuple or dict; x itself otherwise."""
    if isinstance(x, Mapping):
        return x.values()
    return x if isinstance(x, list | tuple) else (x,)


def call_aio(x: T) -> T:
    """Wait until an Aio, or each Aio in a list or dict, is resolved.

    Args:
        x: The Aio or Aios; anything else is returned untouched.

    Returns:
        The same object.

    Example:
        >>> aio = nngsock.recv_aio(nngsock.socket("pair"), timeout=10)
        >>> nngsock.call_aio(aio) is aio, aio.data
        (True, errorValue 5 | Timed out)
    """
    for member in _members(x):
        if isinstance(member, Aio):
            member.call()
    return x


def collect_aio(x: Any) -> Any:
    """Wait until an Aio, or each Aio in a list or dict, is resolved.

    Args:
        x: An Aio, a list or tuple of Aios, or a dict with Aios as values.

    Returns:
        The value, a list of values, or a dict of values.

    Raises:
        TypeError: Something is not an Aio.

    Example:
        >>> sockets = {"one": nngsock.socket("pair"), "two": nngsock.socket("pair")}
        >>> nngsock.collect_aio({name: nngsock.recv_aio(s, timeout=10) for name, s in sockets.items()})
        {'one': errorValue 5 | Timed out, 'two': errorValue 5 | Timed out}
    """
    for member in _members(x):
        if not isinstance(member, Aio):
            raise TypeError(f"object is not an Aio or list of Aios: {member!r}")
    if isinstance(x, Mapping):
        return {key: aio.collect() for key, aio in x.items()}
    return x.collect() if isinstance(x, Aio) else [aio.collect() for aio in x]


def stop_aio(x: object) -> None:
    """Stop an Aio or a list of Aios, and return when they are over.

    Those that are resolved keep their value; whatever is not an Aio is ignored.

    Args:
        x: The Aio or Aios.

    Example:
        >>> aio = nngsock.recv_aio(nngsock.socket("pair"))
        >>> nngsock.stop_aio(aio)
        >>> aio.data
        errorValue 20 | Operation canceled
    """
    members = [member for member in _members(x) if isinstance(member, Aio)]
    for member in members:
        member.operation.cancel()
    for member in members:
        member.cancel()


def stop_request(x: object) -> bool | list[bool]:
    """Stop an Aio or a list of Aios.

    Returns:
        False, or a list of False: True is for systems that also stop the peer's work.

    Example:
        >>> s = nngsock.socket("req", listen="inproc://stop_request")
        >>> aio = nngsock.request(nngsock.context(s), "question")
        >>> nngsock.stop_request(aio), aio.data
        (False, errorValue 20 | Operation canceled)
    """
    stop_aio(x)
    return [False for _ in x] if isinstance(x, list | tuple) else False


def unresolved(x: object) -> bool:
    """Whether an Aio, any Aio in a list, or a value is unresolved; never waits.

    Args:
        x: An Aio, a list or dict of Aios, `UNRESOLVED`, or anything else, which counts as resolved.

    Example:
        >>> aio = nngsock.recv_aio(nngsock.socket("pair"), timeout=10)
        >>> nngsock.unresolved(aio), nngsock.unresolved([aio.collect(), "value"])
        (True, False)
    """
    return any(_is_unresolved(member) for member in _members(x))


def count_unresolved(x: object) -> int:
    """The number of unresolved Aios in a list or dict; never waits.

    Example:
        >>> s = nngsock.socket("pair")
        >>> nngsock.count_unresolved([nngsock.recv_aio(s), nngsock.recv_aio(s), "value"])
        2
    """
    return sum(_is_unresolved(member) for member in _members(x))


def _is_unresolved(x: object) -> bool:
    return x is UNRESOLVED or (isinstance(x, Aio) and not x.done())


def pipe_id(x: RecvAio) -> int:
    """The pipe that a resolved receive came through; 0 if it failed.

    Raises:
        NngsockError: It is unresolved.
        TypeError: It is not a RecvAio.

    Example:
        >>> a, b = nngsock.socket("pair", listen="inproc://pipe"), nngsock.socket("pair", dial="inproc://pipe")
        >>> aio = nngsock.recv_aio(b)
        >>> nngsock.send(a, "hello", block=True), aio.collect(), nngsock.pipe_id(aio) > 0
        (0, 'hello', True)
    """
    if not isinstance(x, RecvAio):
        raise TypeError(f"`x` is not a valid RecvAio: {x!r}")
    if not x.done():
        raise NngsockError("the aio is unresolved and has no pipe yet: wait for it with call()")
    return x.pipe


def race_aio(x: Sequence[Any], cv: ConditionVariable | None = None) -> int | None:
    """Wait until one of several Aios is resolved.

    Args:
        x: A list of Aios.
        cv: Waiting ends when this is flagged; none of its signals is taken.

    Returns:
        The 0-based position of the first in the list that is resolved. None if there is no Aio in x, or
        if `cv` is flagged.

    Example:
        >>> s = nngsock.socket("pair")
        >>> nngsock.race_aio([nngsock.recv_aio(s), nngsock.recv_aio(s, timeout=10)])
        1
    """
    aios = (
        [(i, aio) for i, aio in enumerate(x) if isinstance(aio, Aio)] if isinstance(x, list | tuple) else []
    )
    if not aios:
        return None
    event = threading.Lock()
    event.acquire()
    wake = partial(_release, event)
    end_watch = _nothing if cv is None else cv.watch(wake)
    watched: list[Outcome] = []
    try:
        for _, aio in aios:
            if aio.operation.when_done(wake):
                watched.append(aio.operation)
        while True:
            if cv is not None and cv.flagged:
                return None
            for i, aio in aios:
                if aio.done():
                    return i
            acquire(event)
    finally:
        end_watch()
        for operation in watched:
            operation.forget(wake)


def _nothing() -> None:
    pass


def _release(lock: threading.Lock) -> None:
    try:
        lock.release()
    except RuntimeError:  # released already, by another one that was faster
        return


def as_completed(xs: Iterable[Aio], timeout: float | None = None) -> Iterator[Aio]:
    """Give Aios in the order in which they are resolved.

    Args:
        xs: The Aios.
        timeout: In **seconds**, for all together; None waits for ever.

    Yields:
        Each Aio, once.

    Raises:
        TimeoutError: Not all are resolved in that time.

    Example:
        >>> s = nngsock.socket("pair")
        >>> slow, fast = nngsock.recv_aio(s, timeout=500), nngsock.recv_aio(s, timeout=10)
        >>> [aio is fast for aio in nngsock.as_completed([slow, fast])]
        [True, False]
    """
    deadline: Final = None if timeout is None else time.monotonic() + timeout
    done: queue.SimpleQueue[Aio] = queue.SimpleQueue()
    aios = list(xs)
    for aio in aios:
        if not isinstance(aio, Aio):
            _not_an_aio(aio)
        put = partial(done.put, aio)
        if not aio.operation.when_done(put):
            put()
    for left in range(len(aios), 0, -1):
        try:
            yield done.get(timeout=None if deadline is None else max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise TimeoutError(f"{left} of {len(aios)} not resolved within {timeout} s") from None


def _not_an_aio(x: object) -> NoReturn:
    raise TypeError(f"object is not an Aio or list of Aios: {x!r}")


# Every wait can be interrupted here, so the original's second forms are the first.
call_aio_ = call_aio
collect_aio_ = collect_aio
