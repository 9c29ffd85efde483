"""Hand calls to the daemons: one, or one on each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from mirai_py import serial
from mirai_py.arguments import flag, is_number, whole_number
from mirai_py.codes import Code, Once, code_of
from mirai_py.ephemeral import submit_ephemeral
from mirai_py.errors import MiraiTypeError, MiraiValueError, is_mirai_error
from mirai_py.frames import Parts, TaskFlag
from mirai_py.lifetime import check_process
from mirai_py.map import MiraiMap
from mirai_py.profiles import Profile, find_profile, require_profile

if TYPE_CHECKING:
    from mirai_py.custom import Custom
    from mirai_py.generic import T
    from mirai_py.handles import Mirai

_log = logging.getLogger("mirai_py")
# Held while the next stream is looked at, and taken if the task is.
seeding = threading.Lock()
_MISSING: Any = object()


@overload
def mirai(
    expr: Callable[..., T] | Once[Callable[..., T]],
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai[T]: ...
@overload
def mirai(
    expr: str,
    /,
    *,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai: ...
def mirai(
    expr: Callable[..., Any] | Once | str = _MISSING,
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai:
    """Evaluate a call in another process and return at once.

    Args:
        expr: a callable, called as `expr(*args, **kwargs)`; or source text, whose last expression is the
            value and which sees the keyword arguments as names.
        args: positional arguments (callables only).
        _args: more keyword arguments, for example `locals()`.
        _globals: names visible to the task's code and to the functions that it carries, in this task only.
        _timeout: milliseconds from now after which the value is error 5 and the task is interrupted.
        _compute: compute profile; None is the current one. Where no daemons are set, the task gets a process
            of its own.
        kwargs: keyword arguments.

    Returns:
        A mirai, which resolves by itself.

    Raises:
        MiraiSerializationError: the function or an argument cannot be sent; nothing was.
        TypeError, ValueError: an argument has the wrong type or value.

    Example:
        >>> with daemons(1):
        ...     mirai("x + y", x=1, y=2).collect()
        3
    """
    submitted = _submit(expr, args, kwargs, _args, _globals, _timeout, _compute, wait=True)
    assert submitted is not None
    return submitted


@overload
def try_mirai(
    expr: Callable[..., T] | Once[Callable[..., T]],
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai[T] | None: ...
@overload
def try_mirai(
    expr: str,
    /,
    *,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai | None: ...
def try_mirai(
    expr: Callable[..., Any] | Once | str = _MISSING,
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> Mirai | None:
    """As `mirai`, but never wait for room in the queue: give None, at once, where `mirai` would.

    Args:
        expr: as in `mirai`, like all others.
        args: positional arguments.
        _args: more keyword arguments.
        _globals: names visible to the task.
        _timeout: milliseconds.
        _compute: compute profile; None is the current one.
        kwargs: keyword arguments.

    Returns:
        A mirai; None if `daemons(memory=)` bounds the queue and it is full.

    Raises:
        MiraiSerializationError: the function or an argument cannot be sent; nothing was.
        TypeError, ValueError: an argument has the wrong type or value.

    Example:
        >>> with daemons(url=local_url(), memory=0.1):  # nobody takes anything from this queue yet
        ...     try_mirai(len, bytes(200_000)), try_mirai(abs, -1)
        (< mirai [] >, None)
    """
    return _submit(expr, args, kwargs, _args, _globals, _timeout, _compute, wait=False)


def _submit(
    expr: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    more: Mapping[str, Any] | None,
    names: Mapping[str, Any] | None,
    timeout: float | None,
    compute: str | None,
    *,
    wait: bool,
) -> Mirai | None:
    call = _checked_call(expr, args)
    named = merged(kwargs, more)
    extras = extras_of(names)
    seconds = seconds_of(timeout)
    profile = find_profile(compute)
    if profile is None:
        return submit_ephemeral(*packed_call(call, args, named, extras), timeout=seconds)
    return submit_call(profile, call, args, named, extras, seconds, wait=wait)


def submit_call(
    profile: Profile,
    call: Callable[..., Any] | str | Once,
    args: tuple[Any, ...],
    named: Mapping[str, Any],
    extras: dict[str, Any] | None = None,
    seconds: float | None = None,
    *,
    flags: int = TaskFlag.NONE,
    wait: bool = True,
) -> Mirai | None:
    """Submit one call to the daemons of a profile.

    Args:
        profile: the profile.
        call: what to call.
        args: its positional arguments.
        named: its keyword arguments.
        extras: what goes beside them: names visible to the task.
        seconds: its timeout.
        flags: what is special about it.
        wait: wait for room where the queue is full.

    Returns:
        None if there is no room and `wait` is false.

    Raises:
        MiraiSerializationError: the function or an argument cannot be sent; nothing was.
    """
    check_process()  # a profile that was looked up before a fork is not to be used after it
    if profile.tracing is None:
        return _submit_call(profile, call, args, named, extras, seconds, flags=flags, wait=wait)
    with profile.tracing.call() as span:
        extras = {**(extras or {}), "otel": span.carrier}
        mirai = _submit_call(profile, call, args, named, extras, seconds, flags=flags, wait=wait)
        span.follow(mirai)
    return mirai


def _submit_call(
    profile: Profile,
    call: Callable[..., Any] | str | Once,
    args: tuple[Any, ...],
    named: Mapping[str, Any],
    extras: dict[str, Any] | None,
    seconds: float | None,
    *,
    flags: int,
    wait: bool,
) -> Mirai | None:
    engine = profile.engine
    if not wait and engine.room.full:
        return None
    packed = None if profile.streams.fixed else packed_call(call, args, named, extras, profile.custom)
    while True:
        if wait:
            engine.await_room()
        if packed is None:
            submitted = _submit_seeded(profile, call, args, named, extras, seconds, flags)
        else:
            submitted = engine.submit(*packed, timeout=seconds, flags=flags)
        if submitted is not None or not wait:
            return submitted


def _submit_seeded(
    profile: Profile,
    call: Any,
    args: tuple[Any, ...],
    named: Mapping[str, Any],
    extras: dict[str, Any] | None,
    seconds: float | None,
    flags: int,
) -> Mirai | None:
    """The stream goes on only if the task was taken, so that the numbers depend on nothing else."""
    with seeding:
        stream = profile.streams.peek()
        packed = packed_call(call, args, named, {**(extras or {}), "stream": stream}, profile.custom)
        submitted = profile.engine.submit(*packed, timeout=seconds, flags=flags)
        if submitted is not None:
            profile.streams.take()
    return submitted


@overload
def everywhere(
    expr: Callable[..., T] | Once[Callable[..., T]],
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _min: int = 1,
    _persist: bool = False,
    _compute: str | None = None,
    **kwargs: Any,
) -> MiraiMap[T]: ...
@overload
def everywhere(
    expr: str,
    /,
    *,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _min: int = 1,
    _persist: bool = False,
    _compute: str | None = None,
    **kwargs: Any,
) -> MiraiMap: ...
def everywhere(
    expr: Callable[..., Any] | Once | str,
    /,
    *args: Any,
    _args: Mapping[str, Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _min: int = 1,
    _persist: bool = False,
    _compute: str | None = None,
    **kwargs: Any,
) -> MiraiMap:
    """Evaluate a call once on each daemon that is connected; what it sets up lasts.

    Tasks submitted later start on no daemon before this has run there. Source text makes the names that it
    assigns, and the keyword arguments, visible to all later tasks; a callable does so with `_globals` and
    with what it assigns by `global`. `everywhere("", a=1)` only makes `a` visible.

    Args:
        expr: a callable or source text.
        args: positional arguments (callables only).
        _args: more keyword arguments.
        _globals: names that last.
        _min: least number of daemons to run it, counting ones that connect later.
        _persist: every daemon that connects later runs it too, before its first task.
        _compute: compute profile; None is the current one.
        kwargs: keyword arguments.

    Returns:
        A map with one mirai for each daemon.

    Raises:
        DaemonsNotSetError: no daemons are set.

    Example:
        >>> with daemons(2):
        ...     _ = everywhere("import math; tau = 2 * math.pi")
        ...     mirai("round(tau, 2)").collect()
        6.28
    """
    call = _checked_call(expr, args)
    at_least = whole_number("_min", _min, 1)
    flag("_persist", _persist)
    profile = require_profile(_compute)
    codes, body = packed_call(call, args, merged(kwargs, _args), extras_of(_globals), profile.custom)
    replay = _log_failure if _persist else None
    if not profile.dispatcher:
        at_least = max(at_least, profile.n)
    return MiraiMap(profile.engine.everywhere(codes, body, at_least, replay), None)


def _log_failure(replayed: Mirai) -> None:
    if is_mirai_error(replayed.data):
        _log.warning("everywhere() failed on a daemon that connected later: %s", replayed.data.traceback)


def _checked_call(expr: Any, args: tuple[Any, ...]) -> Any:
    if expr is _MISSING or expr is None:
        raise MiraiTypeError("missing expression: give a function or source text to evaluate")
    if isinstance(expr, str):
        if args:
            raise MiraiTypeError("source text takes no positional arguments; name them: mirai('x + 1', x=2)")
        return expr
    if not callable(expr) and not isinstance(expr, Once):
        raise MiraiTypeError(f"a function or source text is evaluated, not {type(expr).__name__}")
    return expr


def merged(kwargs: dict[str, Any], more: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keyword arguments, and those that were given as a mapping."""
    if more is None:
        return kwargs
    if not isinstance(more, Mapping):
        raise MiraiTypeError(f"`_args` must be a mapping of names to values, not {type(more).__name__}")
    _check_names("_args", more)
    return {**kwargs, **more}


def extras_of(names: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What goes beside the arguments of a call: names visible to its code."""
    if names is None:
        return None
    if not isinstance(names, Mapping):
        raise MiraiTypeError(f"`_globals` must be a mapping of names to values, not {type(names).__name__}")
    _check_names("_globals", names)
    return {"globals": dict(names)}


def _check_names(argument: str, names: Mapping[str, Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise MiraiValueError(f"the keys of `{argument}` must be str, and {name!r} is not")


def seconds_of(timeout: Any) -> float | None:
    """A timeout in milliseconds as seconds."""
    if timeout is None:
        return None
    if not is_number(timeout):
        raise MiraiTypeError(f"`_timeout` must be a number of milliseconds, not {timeout!r}")
    if not timeout >= 0:
        raise MiraiValueError(f"`_timeout` in milliseconds must be zero or greater, not {timeout!r}")
    return float(timeout) / 1000


def packed_call(
    call: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    extras: dict[str, Any] | None = None,
    custom: Custom | None = None,
) -> tuple[tuple[Code, ...], Parts]:
    """The codes of a call, and its arguments as bytes.

    Args:
        call: what to call.
        args: its positional arguments.
        kwargs: its keyword arguments.
        extras: what goes beside them.
        custom: how objects of some classes travel.

    Raises:
        MiraiSerializationError: the function or an argument cannot be sent.
    """
    once: list[Code] = []
    body = serial.dump_call(args, kwargs, extras, once, custom)
    return (code_of(call, custom), *once), body
