"""One task for each element of something."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from mirai_py.callbacks import callbacks
from mirai_py.errors import MiraiError, MiraiMapError, MiraiTypeError, raised
from mirai_py.generic import T_co
from mirai_py.handles import Mirai, awaited
from mirai_py.loops import LoopWaker, end
from mirai_py.outcomes import Listed
from mirai_py.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

    from mirai_py.outcomes import Source

_log = logging.getLogger("mirai_py")
Handlers = tuple[Callable[[Any], object], Callable[[Any], object] | None]


class MiraiMap(Sequence[Mirai[T_co]]):
    """The mirais of a map, in the order of its elements.

    Attributes:
        names: the names of the elements, or None.

    Example:
        >>> with daemons(2):
        ...     mapped = mirai_map({"a": -1, "b": -2, "c": -3}, abs)
        ...     mapped["a"].result(), mapped[-1].result(), mapped.call()
        (1, 3, < mirai map [3/3] >)
    """

    def __init__(self, source: Source | Sequence[Mirai], names: list[str] | None) -> None:
        self._source: Source = Listed(source) if isinstance(source, Sequence) else source
        self.names = names

    def __len__(self) -> int:
        return len(self._source)

    @overload
    def __getitem__(self, index: int | str) -> Mirai[T_co]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mirai[T_co]]: ...
    def __getitem__(self, index: int | str | slice) -> Mirai[T_co] | list[Mirai[T_co]]:
        if isinstance(index, str):
            if self.names is None or index not in self.names:
                raise KeyError(f"the map has no element named {index!r}")
            index = self.names.index(index)
        if isinstance(index, slice):
            return [self._source.mirai(i) for i in range(len(self))[index]]
        if not -len(self) <= index < len(self):
            raise IndexError(f"the map has {len(self)} elements, none at {index!r}")
        return self._source.mirai(index % len(self))

    def __iter__(self) -> Iterator[Mirai[T_co]]:
        return map(self._source.mirai, range(len(self)))

    def __repr__(self) -> str:
        return f"< mirai map [{self._source.resolved()}/{len(self)}] >"

    def done(self) -> bool:
        """Whether all are resolved."""
        return self._source.resolved() == len(self)

    def call(self) -> Self:
        """Wait until all are resolved.

        Returns:
            This map.
        """
        self._source.wait()
        return self

    def cancel(self) -> list[bool]:
        """Stop all that is unresolved: see `stop_mirai`."""
        return self._source.stop()

    def collect(
        self, *, flat: bool = False, progress: bool | str | Mapping[str, Any] = False, stop: bool = False
    ) -> Any:
        """Wait for all and give their values, failures in place.

        Args:
            flat: join the values to one flat list: they must have one type; lists and tuples are joined one
                level deep, numpy arrays concatenated, None adds nothing.
            progress: a bar on stderr, with a name if it is a str.
            stop: stop the rest as soon as one fails, and raise.

        Returns:
            A list, or a dict where the elements have names.

        Raises:
            MiraiMapError: an element failed (with `stop` or `flat`), or the types differ (with `flat`).

        Example:
            >>> with daemons(2):
            ...     mirai_map(range(3), lambda x: x * x).collect()
            [0, 1, 4]
        """
        if not isinstance(progress, bool | str | Mapping):
            raise MiraiTypeError(f"`progress` must be True, False, a name or options, not {progress!r}")
        if progress:
            self._follow(stop=stop, progress=progress)
        elif stop or flat:
            self._follow(stop=True, progress=False)
        else:
            self.call()
        values = self._source.values()
        if flat:
            return _flattened(self, values)
        return values if self.names is None else dict(zip(self.names, values, strict=True))

    def _follow(self, *, stop: bool, progress: bool | str | Mapping[str, Any]) -> None:
        """Take note of each as it resolves, in time, not in order."""
        left = len(self)
        came: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        unwatch = self._source.watch(lambda first, end: came.put((first, end)))
        try:
            with progress_bar(left, progress) as advance:
                while left:
                    first, end = came.get()
                    left -= end - first
                    advance(end - first)
                    if stop and (index := self._source.failure_in(first, end)) is not None:
                        self.cancel()
                        raise self.failure(index)
        finally:
            unwatch()

    def failure(self, index: int) -> MiraiMapError:
        """The error that tells which element failed."""
        value = self[index].data
        error = MiraiMapError(index, None if self.names is None else self.names[index], value)
        error.__cause__ = value if isinstance(value, MiraiError) else None
        return error

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        loop = asyncio.get_running_loop()
        waker = LoopWaker.of(loop)
        over = loop.create_future()
        left = len(self)
        failed: int | None = None

        def came(first: int, until: int) -> None:
            nonlocal left, failed
            left -= until - first
            if failed is None:
                failed = self._source.failure_in(first, until)
            if not left or failed is not None:
                end(over)

        unwatch = self._source.watch(lambda first, until: waker.wake_for(partial(came, first, until))())
        try:
            if left:
                await over
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            unwatch()
        if failed is not None:
            awaited(self[failed].data)
        values = self._source.values()
        return values if self.names is None else dict(zip(self.names, values, strict=True))


def _flattened(mapped: MiraiMap, values: list[Any]) -> Any:
    values = [(i, v) for i, v in enumerate(values) if v is not None]
    kinds = {type(v) for _, v in values}
    if len(kinds) > 1:
        first = type(values[0][1])
        index, value = next((i, v) for i, v in values if type(v) is not first)
        name = None if mapped.names is None else mapped.names[index]
        raise MiraiMapError(
            index,
            name,
            f"its value is {type(value).__name__}, earlier ones are {first.__name__}: flat needs one type",
        )
    items = [v for _, v in values]
    if kinds and kinds <= {list, tuple}:
        return [x for item in items for x in item]
    if kinds and all(hasattr(item, "__array__") and getattr(item, "ndim", 0) for item in items):
        import numpy as np

        return np.concatenate(items)
    return items


class Form(Enum):
    """How an element becomes arguments."""

    ONE = "one"  # it is the first positional argument
    POSITIONAL = "positional"  # it is a tuple of them
    NAMED = "named"  # it is a tuple of values of keyword arguments


@dataclass(frozen=True, slots=True)
class Elements:
    """What a map goes over.

    Attributes:
        items: the elements.
        form: how each becomes arguments.
        columns: with NAMED the names of the keyword arguments.
        names: names of the elements, or None.
    """

    items: Iterable[Any]
    form: Form = Form.ONE
    columns: tuple[str, ...] = ()
    names: list[str] | None = None

    def calls(self) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Positional and keyword arguments of each call."""
        return (arguments(self.form, self.columns, item) for item in self.items)


def arguments(form: Form, columns: Sequence[str], item: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments that an element stands for."""
    if form is Form.ONE:
        return (item,), {}
    if form is Form.POSITIONAL:
        return item, {}
    return (), dict(zip(columns, item, strict=True))


def elements(x: Any) -> Elements:
    """The elements of what is mapped over.

    Raises:
        TypeError: `x` is a str, or nothing that can be iterated over.
    """
    if isinstance(x, str | bytes):
        raise MiraiTypeError(
            f"`x` is a {type(x).__name__}: to map over its characters give list(x), over one element [x]"
        )
    kind = type(x).__module__.partition(".")[0]
    if kind == "polars" and type(x).__name__ == "DataFrame":
        return Elements(x.iter_rows(), Form.NAMED, tuple(x.columns))
    if kind == "pandas" and type(x).__name__ == "DataFrame":
        names = list(x.index) if all(isinstance(i, str) for i in x.index) and len(x) else None
        rows = zip(*(x[c] for c in x.columns), strict=True)
        return Elements(rows, Form.NAMED, tuple(str(c) for c in x.columns), names)
    if kind == "numpy" and getattr(x, "ndim", 1) == 2:
        return Elements((tuple(row) for row in x), Form.POSITIONAL)
    if isinstance(x, Mapping):
        return Elements(x.values(), names=[str(name) for name in x])
    if not isinstance(x, Iterable):
        raise MiraiTypeError(f"`x` must be something to iterate over, not {type(x).__name__}")
    return Elements(x)


def handlers(promise: Any) -> Handlers:
    """The two functions of a promise.

    Raises:
        MiraiTypeError: they are none.
    """
    pair = tuple(promise) if isinstance(promise, list | tuple) else (promise, None)
    if len(pair) != 2 or not callable(pair[0]) or not (pair[1] is None or callable(pair[1])):
        raise MiraiTypeError(
            f"`_promise` must be a function, or the pair (on_fulfilled, on_rejected), not {promise!r}"
        )
    return pair


def tell(mirai: Mirai, handlers: Handlers) -> None:
    """Call on_fulfilled(value) or on_rejected(exception) once it is resolved.

    On the running event loop if this is called from one, else on a library thread.
    """
    fulfilled, rejected = handlers

    def settle() -> None:
        try:
            value = raised(mirai.data)
        except BaseException as error:
            if rejected is not None:
                rejected(error)
            return
        fulfilled(value)

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        mirai._on_wake(lambda: callbacks.put(settle))
    else:
        mirai._on_wake(lambda: callbacks.put(lambda: loop.call_soon_threadsafe(_logged, settle)))


def _logged(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        _log.exception("a callback of _promise failed")
