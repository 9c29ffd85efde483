"""Values that many tasks share: sent once, or in memory once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirai_py.bodies import Reference, body_of, share_view
from mirai_py.codes import Once
from mirai_py.profiles import serial_in_force
from mirai_py.serial import pickled, unsendable

if TYPE_CHECKING:
    from mirai_py.generic import T


def once(obj: T, *, fresh: bool = True) -> Once[T]:
    """Wrap a value that many tasks share, so that it is pickled once and sent to each daemon once.

    It may stand anywhere in the arguments, `_args` or `_globals` of a task; the task sees the value itself.

    Args:
        obj: any value that can be pickled, given the `serial` configuration of the current profile (while
            that is not set: what was told to `register_serial`).
        fresh: True gives each task its own unpickled copy; False gives all tasks of a daemon the same
            object, which they must not change (large read-only constants).

    Returns:
        A wrapper with `.value`.

    Raises:
        MiraiSerializationError: the value cannot be pickled.

    Example:
        >>> table = once({"a": 1})
        >>> with daemons(1):
        ...     mirai(lambda t, k: t[k], table, "a").collect()
        1
    """
    if type(obj) is Once:
        return obj  # type: ignore[return-value]  # wrapped twice is wrapped once
    return Once(obj, fresh=fresh, custom=serial_in_force())


def share(x: T) -> T:
    """Put the buffers of an object into shared memory once, for any number of tasks.

    The object can be used as before, but not changed in place: arrays that it holds are read-only here. Tasks
    that get it, or parts of it, or return it, send a reference; they may write to their arrays, which changes
    what no one else sees. Daemons that share no memory with this process get the bytes. The memory is freed
    with its last user.

    Args:
        x: an object with large buffers, such as a numpy array or a container of them. What has none is given
            back as it is, and so is everything where shared memory is not to be had.

    Returns:
        An equal object whose buffers are shared.

    Raises:
        MiraiSerializationError: `x` cannot be pickled.

    Example:
        >>> table = share({"x": bytes(10)})  # too small to matter
        >>> with daemons(2):
        ...     mirai_map(range(3), lambda i, t: len(t["x"]) + i, t=table).collect()
        [10, 11, 12]
    """
    try:
        stream, offered = pickled(x, None, None)
    except Exception as error:
        raise unsendable([("`x`", x)], error, None) from error
    if not offered.taken:
        return x
    (body,) = body_of(stream, offered, share=True, least=1)[:1]
    return share_view(body) if isinstance(body, Reference) else x
