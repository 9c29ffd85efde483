"""A map that is read as it goes: over any input, also an endless one, with a bounded number under way."""

from __future__ import annotations

import queue
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from mirai_py.arguments import flag, whole_number
from mirai_py.errors import raised
from mirai_py.frames import TaskFlag
from mirai_py.mapping import rows_of
from mirai_py.profiles import Profile, require_profile
from mirai_py.submit import extras_of, seconds_of, submit_call
from mirai_py.waiting import stop_mirai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirai_py.codes import Once
    from mirai_py.generic import T
    from mirai_py.handles import Mirai

    Submit = Callable[[], Mirai | None]

PER_DAEMON = 4


def mirai_imap(
    x: Any,
    f: Callable[..., T] | Once[Callable[..., T]],
    /,
    *,
    _window: int | None = None,
    _ordered: bool = True,
    _args: Mapping[str, Any] | Sequence[Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Iterator[T]:
    """Evaluate a function for each element of something, and give the values as they are asked for.

    Nothing is taken from the input before the first value is asked for, and never more than the window ahead
    of what was read: so the input may be endless.

    Args:
        x: what to map over: see `mirai_map`.
        f: the function.
        _window: most elements under way; None is four for each daemon that is connected.
        _ordered: give the values in the order of the input; False gives each as it comes.
        _args: constant arguments: a mapping of keywords, or a sequence of positionals behind the element.
        _globals: as in `mirai`.
        _timeout: milliseconds for each element, from when it is taken.
        _compute: compute profile; None is the current one.
        kwargs: constant keyword arguments.

    Returns:
        An iterator. It raises what an element raised, in its place, as `Mirai.result` does. Then, and when it
        is closed or dropped, what is under way is stopped.

    Raises:
        DaemonsNotSetError: no daemons are set.
        TypeError, ValueError: an argument has the wrong type or value.

    Example:
        >>> import itertools
        >>> with daemons(2):
        ...     squares = mirai_imap(itertools.count(), lambda x: x * x)
        ...     list(itertools.takewhile(lambda x: x < 50, squares))
        [0, 1, 4, 9, 16, 25, 36, 49]
    """
    if _window is not None:
        _window = whole_number("_window", _window, 1)
    flag("_ordered", _ordered)
    rows = rows_of(x, f, _args, kwargs)
    profile = require_profile(_compute)
    extras, seconds = extras_of(_globals), seconds_of(_timeout)

    def submit() -> Mirai | None:
        row = next(rows, None)
        if row is None:
            return None
        return submit_call(profile, f, *row, extras, seconds, flags=TaskFlag.MAP)

    return _in_order(profile, submit, _window) if _ordered else _as_they_come(profile, submit, _window)


def _room(profile: Profile, window: int | None, taken: int) -> int:
    """How many more may be taken."""
    if window is None:
        window = PER_DAEMON * max(1, profile.engine.info().connections)
    return window - taken


def _in_order(profile: Profile, submit: Submit, window: int | None) -> Iterator[Any]:
    under_way: deque[Mirai] = deque()

    def fill() -> None:
        for _ in range(_room(profile, window, len(under_way))):
            mirai = submit()
            if mirai is None:
                return
            under_way.append(mirai)

    try:
        fill()
        while under_way:
            # The next are on their way before this one is read: its reader may take its time.
            mirai = under_way[0].call()
            under_way.popleft()
            fill()
            yield raised(mirai.data)
    finally:
        stop_mirai(list(under_way))


def _as_they_come(profile: Profile, submit: Submit, window: int | None) -> Iterator[Any]:
    # In the order in which they were submitted.
    under_way: dict[Mirai, None] = {}
    arrived: queue.SimpleQueue[Mirai] = queue.SimpleQueue()

    def fill() -> None:
        for _ in range(_room(profile, window, len(under_way))):
            mirai = submit()
            if mirai is None:
                return
            under_way[mirai] = None
            mirai._on_wake(partial(arrived.put, mirai))

    try:
        fill()
        while under_way:
            mirai = arrived.get()
            del under_way[mirai]
            fill()
            yield raised(mirai.data)
    finally:
        stop_mirai(list(under_way))
