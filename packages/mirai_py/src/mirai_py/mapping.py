"""Hand a call for each element of something to the daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from mirai_py import serial
from mirai_py.codes import CONSTANTS, Code, Once, code_of
from mirai_py.dispatcher import Dispatcher
from mirai_py.errors import MiraiTypeError
from mirai_py.frames import Parts, TaskFlag
from mirai_py.map import Elements, MiraiMap, elements, handlers, tell
from mirai_py.pages import packed
from mirai_py.profiles import Profile, require_profile
from mirai_py.submit import extras_of, merged, packed_call, seconds_of, seeding, submit_call
from mirai_py.waiting import stop_mirai

if TYPE_CHECKING:
    from mirai_py.custom import Custom
    from mirai_py.generic import T
    from mirai_py.handles import Mirai
    from mirai_py.outcomes import Outcomes
    from mirai_py.spans import Call

Promise = Callable[[Any], object] | tuple[Callable[[Any], object], Callable[[Any], object]]


def mirai_map(
    x: Any,
    f: Callable[..., T] | Once[Callable[..., T]],
    /,
    *,
    _args: Mapping[str, Any] | Sequence[Any] | None = None,
    _globals: Mapping[str, Any] | None = None,
    _promise: Promise | None = None,
    _timeout: float | None = None,
    _compute: str | None = None,
    **kwargs: Any,
) -> MiraiMap[T]:
    """Evaluate a function for each element of something, in parallel.

    Args:
        x: what to map over. The values of a dict, whose keys become names; the rows of a data frame, passed
            by column name; the rows of a 2-d array, passed by position; the elements of anything else.
        f: the function.
        _args: constant arguments: a mapping of keywords, or a sequence of positionals behind the element.
        _globals: as in `mirai`.
        _promise: called with each value as it comes; or a pair, the second called with each exception.
        _timeout: milliseconds for each element, from now.
        _compute: compute profile; None is the current one.
        kwargs: constant keyword arguments.

    Returns:
        A map: `.collect()` gives the values in order.

    Raises:
        DaemonsNotSetError: no daemons are set.
        TypeError: `f` is no function, or `x` nothing to map over.

    Example:
        >>> with daemons(2):
        ...     mirai_map({"a": 1, "b": 2}, lambda x: x + 1).collect()
        {'a': 2, 'b': 3}
    """
    call = _map_call(f, _args, kwargs)
    promised = None if _promise is None else handlers(_promise)
    goes_over = elements(x)
    profile = require_profile(_compute)
    extras, seconds = extras_of(_globals), seconds_of(_timeout)
    source: Outcomes | list[Mirai]
    engine, tracing = profile.engine, profile.tracing
    bounded = engine.room.capacity is not None
    if isinstance(engine, Dispatcher) and not (engine.binds or bounded or tracing):
        source = _submit_chunked(profile, engine, call, goes_over, extras, seconds)
    else:
        source = []
        submit = _submit_each if bounded else _submit_packed
        with nullcontext() if tracing is None else tracing.mapping(source):
            submit(source, profile, call, goes_over, extras, seconds)
    mapped = MiraiMap(source, goes_over.names)
    if promised is not None:
        for each in mapped:
            tell(each, promised)
    return mapped


@dataclass(frozen=True, slots=True)
class _MapCall:
    """What the calls of a map have in common."""

    f: Callable[..., Any] | Once
    behind: tuple[Any, ...]
    named: dict[str, Any]

    def rows(self, goes_over: Elements) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The arguments of each call, taken from the input one by one."""
        return ((args + self.behind, {**self.named, **named}) for args, named in goes_over.calls())


def _map_call(f: Any, more: Mapping[str, Any] | Sequence[Any] | None, kwargs: dict[str, Any]) -> _MapCall:
    if not callable(f) and not isinstance(f, Once):
        raise MiraiTypeError(f"`f` must be a function or other callable, not {type(f).__name__}")
    if isinstance(more, str) or not isinstance(more, Mapping | Sequence | None):
        raise MiraiTypeError(f"`_args` must be a mapping or a sequence, not {type(more).__name__}")
    behind = () if more is None or isinstance(more, Mapping) else tuple(more)
    return _MapCall(f, behind, merged(kwargs, more if isinstance(more, Mapping) else None))


def rows_of(
    x: Any, f: Any, more: Mapping[str, Any] | Sequence[Any] | None, kwargs: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call that a map makes, taken from `x` one by one.

    Raises:
        TypeError: `f` is no function, or `x` nothing to map over.
    """
    return _map_call(f, more, kwargs).rows(elements(x))


def _submit_chunked(
    profile: Profile,
    engine: Dispatcher,
    call: _MapCall,
    goes_over: Elements,
    extras: dict[str, Any] | None,
    seconds: float | None,
) -> Outcomes:
    """Pack the elements many to a page; the daemons get as many at a time as suit."""
    once: list[Code] = []
    custom = profile.custom
    pages = list(packed(goes_over.items, partial(_dump_element, once, custom)))
    common = {**(extras or {}), "form": goes_over.form.value, "columns": goes_over.columns}
    if not profile.streams.fixed:
        return engine.submit_map(_codes_of(call, common, once, custom), pages, timeout=seconds)
    with seeding:  # the streams go on only if all can be sent
        codes = _codes_of(call, common | {"stream": profile.streams.peek()}, once, custom)
        profile.streams.skip(sum(page.count for page in pages))
        return engine.submit_map(codes, pages, timeout=seconds)


def _dump_element(once: list[Code], custom: Custom | None, index: int, item: Any) -> Parts:
    more: list[Code] = []
    try:
        parts = serial.dumps(item, more, custom)
    except Exception as error:
        raise serial.unsendable([(f"element {index}", item)], error, custom) from error
    once += more
    return parts


def _codes_of(
    call: _MapCall, common: dict[str, Any], once: list[Code], custom: Custom | None
) -> tuple[Code, ...]:
    """The function, what its calls have in common, and the `once` objects of all."""
    more: list[Code] = []
    body = serial.dump_call(call.behind, call.named, common, more, custom)
    distinct = {code.key: code for code in (*once, *more)}
    return (code_of(call.f, custom), Code.of_parts(CONSTANTS, body, "constants"), *distinct.values())


def _submit_each(
    mirais: list[Mirai],
    profile: Profile,
    call: _MapCall,
    goes_over: Elements,
    extras: dict[str, Any] | None,
    seconds: float | None,
) -> None:
    """Take from the input no faster than there is room in the queue; add to `mirais`."""
    first = profile.streams.peek()
    try:
        for args, named in call.rows(goes_over):
            submitted = submit_call(profile, call.f, args, named, extras, seconds, flags=TaskFlag.MAP)
            assert submitted is not None
            mirais.append(submitted)
    except BaseException:  # nobody will have these: an element failed to pickle, or it is Ctrl-C
        stop_mirai(mirais)
        if profile.streams.fixed:
            profile.streams.give_back(first, len(mirais))
        raise


def _submit_packed(
    mirais: list[Mirai],
    profile: Profile,
    call: _MapCall,
    goes_over: Elements,
    extras: dict[str, Any] | None,
    seconds: float | None,
) -> None:
    """Submit a call for each element once all could be packed; add to `mirais`."""
    with ExitStack() as stack:
        spans: list[Call] = []

        def beside() -> Iterator[dict[str, Any] | None]:
            while profile.tracing is not None:
                spans.append(stack.enter_context(profile.tracing.call()))
                yield {**(extras or {}), "otel": spans[-1].carrier}
            yield from repeat(extras)

        for packed in _calls(profile, call, goes_over, beside()):
            mirai = profile.engine.submit(*packed, timeout=seconds, flags=TaskFlag.MAP)
            assert mirai is not None  # there is no bound
            mirais.append(mirai)
        for mirai, span in zip(mirais, spans, strict=False):
            span.follow(mirai)


def _calls(
    profile: Profile, call: _MapCall, goes_over: Elements, beside: Iterator[dict[str, Any] | None]
) -> list[tuple[tuple[Code, ...], Parts]]:
    rows = call.rows(goes_over)
    custom = profile.custom
    if not profile.streams.fixed:
        found = zip(rows, beside, strict=False)
        return [packed_call(call.f, args, named, extras, custom) for (args, named), extras in found]
    with seeding:  # the streams go on only if all can be sent
        seeded = zip(rows, profile.streams.ahead(), beside, strict=False)
        calls = [
            packed_call(call.f, args, named, {**(extras or {}), "stream": stream}, custom)
            for (args, named), stream, extras in seeded
        ]
        profile.streams.skip(len(calls))
    return calls
