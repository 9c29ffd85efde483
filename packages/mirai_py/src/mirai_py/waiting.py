"""Wait for several mirais, stop them, and tell them from values."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from mirai_py.errors import MiraiTypeError
from mirai_py.handles import Mirai, bounded, wait
from nngsock import UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import TypeIs

    from mirai_py.generic import T
    from mirai_py.map import MiraiMap

    Stop = Callable[["Mirai"], bool]
    Wake = Callable[[], object]


def unresolved(x: Any) -> bool:
    """Whether a mirai, a value, or anything in a list of them is still to come. Never waits.

    Example:
        >>> unresolved(5)
        False
    """
    if isinstance(x, Mirai):
        return not x.done()
    if isinstance(x, dict):
        return any(unresolved(item) for item in x.values())
    if isinstance(x, list | tuple):
        return any(unresolved(item) for item in x)
    if is_mirai_map(x):
        return not x.done()
    return x is UNRESOLVED


def is_mirai_map(x: object) -> TypeIs[MiraiMap]:
    """Whether `x` is what `mirai_map` returned.

    Example:
        >>> with daemons(1):
        ...     is_mirai_map(mirai_map([1], abs)), is_mirai_map([1])
        (True, False)
    """
    from mirai_py.map import MiraiMap

    return isinstance(x, MiraiMap)


def is_mirai(x: object) -> TypeIs[Mirai]:
    """Whether `x` is a mirai; its value is not.

    Example:
        >>> with daemons(1):
        ...     m = mirai(abs, -1)
        ...     is_mirai(m), is_mirai(m.collect())
        (True, False)
    """
    return isinstance(x, Mirai)


def members(x: Any, name: str = "x") -> list[Mirai]:
    """The mirais of one, a list, a dict, or a map.

    Raises:
        TypeError: there is something else among them.
    """
    if isinstance(x, Mirai):
        return [x]
    if isinstance(x, dict):
        found = list(x.values())
    elif isinstance(x, list | tuple) or is_mirai_map(x):
        found = list(x)
    else:
        raise MiraiTypeError(
            f"`{name}` must be a mirai, a list or dict of them, or a mirai_map, not {type(x).__name__}"
        )
    for item in found:
        if not isinstance(item, Mirai):
            raise MiraiTypeError(f"`{name}` must hold nothing but mirais, no {type(item).__name__}")
    return found


def call_mirai(x: T) -> T:
    """Wait for a mirai, or all of a list, dict or map.

    Returns:
        The same object. Ctrl-C leaves it unresolved and usable.

    Example:
        >>> with daemons(1):
        ...     call_mirai(mirai(pow, 2, 3))
        < mirai [data] >
    """
    if is_mirai_map(x):
        x.call()  # without making its mirais
        return x
    for mirai in members(x):
        wait(mirai, None)
    return x


@overload
def stop_mirai(x: Mirai) -> bool: ...


@overload
def stop_mirai(x: Sequence[object] | dict[Any, Any]) -> list[bool]: ...


@overload
def stop_mirai(x: object) -> bool | list[bool]: ...


def stop_mirai(x: Any) -> bool | list[bool]:
    """Stop tasks: a waiting one is never run, a running one is interrupted. Their value is error 20 at once.

    Args:
        x: a mirai, or a list, dict or map of them, of which the newest is stopped first, so that no daemon is
            freed only to start one that is about to be stopped.

    Returns:
        True if it was waiting or running, False if it was resolved or nothing that can be stopped; a list of
        these for several.

    Example:
        >>> with daemons(1):
        ...     m = mirai("import time; time.sleep(60)")
        ...     stop_mirai(m), m.data
        (True, errorValue 20 | Operation canceled)
    """
    if isinstance(x, Mirai):
        return x.cancel()
    if is_mirai_map(x):
        return x.cancel()
    if isinstance(x, list | tuple | dict):
        items = list(x.values()) if isinstance(x, dict) else list(x)
        answers = [False] * len(items)
        mirais = [(item._key, place) for place, item in enumerate(items) if isinstance(item, Mirai)]
        for _, place in sorted(mirais, reverse=True):
            answers[place] = items[place].cancel()
        return answers
    return False


def wait_any(waiting: Sequence[Mirai], timeout: float | None = None) -> int | None:
    """Position of the first resolved mirai in list order, waiting for one; None after `timeout` seconds."""
    first = next((i for i, m in enumerate(waiting) if m.done()), None)
    if first is not None:
        return first
    lock = threading.Lock()
    lock.acquire()

    def wake() -> None:
        if lock.locked():
            with contextlib.suppress(RuntimeError):  # two mirais at the same instant
                lock.release()

    try:
        for mirai in waiting:
            mirai._on_wake(wake)
        lock.acquire(timeout=-1 if timeout is None else bounded(timeout))
    finally:
        for mirai in waiting:
            mirai._forget_wake(wake)
    return next((i for i, m in enumerate(waiting) if m.done()), None)


def as_completed(xs: Iterable[Mirai[T]], timeout: float | None = None) -> Iterator[Mirai[T]]:
    """Iterate over mirais as they resolve.

    Args:
        xs: mirais, or a map.
        timeout: seconds from the first `next()`; None for ever.

    Raises:
        TimeoutError: not all came in time.

    Example:
        >>> with daemons(1):
        ...     [m.data for m in as_completed([mirai(pow, 2, 3)])]
        [8]
    """
    waiting = members(xs if isinstance(xs, dict) or is_mirai_map(xs) else list(xs), "xs")
    for index in arrivals(waiting, timeout):
        yield waiting[index]


def arrivals(waiting: Sequence[Mirai], timeout: float | None = None) -> Iterator[int]:
    """Iterate over positions as their mirais resolve.

    Raises:
        TimeoutError: not all came within `timeout` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    wakes = [partial(arrived.put, index) for index in range(len(waiting))]
    try:
        for mirai, wake in zip(waiting, wakes, strict=True):
            mirai._on_wake(wake)
        for _ in waiting:
            yield arrived.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError(f"not all mirais were resolved within {timeout} s") from None
    finally:
        for mirai, wake in zip(waiting, wakes, strict=True):
            mirai._forget_wake(wake)
