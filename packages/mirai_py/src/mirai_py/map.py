"""One task for each element of something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from mirai_py.errors import MiraiError, MiraiMapError, is_error_value, raised
from mirai_py.handles import LoopWaker, Mirai, _wait, arrivals, awaited, callbacks, end, stop_mirai
from mirai_py.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Generator

_log = logging.getLogger("mirai_py")


class MiraiMap(Sequence[Mirai]):
    """The mirais of a map, in the order of its elements.

    Attributes:
        names: the names of the elements, or None.
    """

    def __init__(self, mirais: list[Mirai], names: list[str] | None) -> None:
        self._mirais = mirais
        self.names = names

    def __len__(self) -> int:
        return len(self._mirais)

    @overload
    def __getitem__(self, index: int | str) -> Mirai: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mirai]: ...
    def __getitem__(self, index: int | str | slice) -> Mirai | list[Mirai]:
        if isinstance(index, str):
            if self.names is None or index not in self.names:
                raise KeyError(f"the map has no element named {index!r}")
            index = self.names.index(index)
        return self._mirais[index]

    def __iter__(self) -> Iterator[Mirai]:
        return iter(self._mirais)

    def __repr__(self) -> str:
        return f"< mirai map [{sum(m.done() for m in self._mirais)}/{len(self)}] >"

    def done(self) -> bool:
        """Whether all are resolved."""
        return all(m.done() for m in self._mirais)

    def call(self) -> MiraiMap:
        """Wait until all are resolved.

        Returns:
            This map.
        """
        for mirai in self._mirais:
            _wait(mirai, None)
        return self

    def cancel(self) -> list[bool]:
        """Stop all that is unresolved: see `stop_mirai`."""
        answers = stop_mirai(self._mirais)
        assert isinstance(answers, list)
        return answers

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
        if progress:
            self._follow(stop=stop, progress=progress)
        elif stop or flat:
            self._follow(stop=True, progress=False)
        else:
            self.call()
        values = [m.data for m in self._mirais]
        if flat:
            return _flattened(self, values)
        return values if self.names is None else dict(zip(self.names, values, strict=True))

    def _follow(self, *, stop: bool, progress: bool | str | Mapping[str, Any]) -> None:
        """Take note of each as it resolves, in time, not in order."""
        with progress_bar(len(self), progress) as advance:
            for index in arrivals(self._mirais):
                advance()
                if stop and is_error_value(self._mirais[index].data):
                    self.cancel()
                    raise self.failure(index)

    def failure(self, index: int) -> MiraiMapError:
        """The error that tells which element failed."""
        value = self._mirais[index].data
        error = MiraiMapError(index, None if self.names is None else self.names[index], value)
        error.__cause__ = value if isinstance(value, MiraiError) else None
        return error

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        loop = asyncio.get_running_loop()
        waker = LoopWaker.of(loop)
        over = loop.create_future()
        left = len(self._mirais)

        def came(mirai: Mirai) -> None:
            nonlocal left
            left -= 1
            if not left or is_error_value(mirai.data):
                end(over)

        for mirai in self._mirais:
            mirai._on_wake(waker.wake_for(partial(came, mirai)))
        try:
            if self._mirais:
                await over
        except asyncio.CancelledError:
            self.cancel()
            raise
        values = [awaited(m.data) for m in self._mirais if m.done()]
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


def elements(x: Any) -> tuple[Iterator[tuple[tuple[Any, ...], dict[str, Any]]], list[str] | None]:
    """The calls that a map makes of its input: arguments for each element, and the names of the elements.

    Raises:
        TypeError: `x` is a str, or nothing that can be iterated over.
    """
    if isinstance(x, str | bytes):
        raise TypeError(
            f"`x` is a {type(x).__name__}: to map over its characters give list(x), over one element [x]"
        )
    kind = type(x).__module__.partition(".")[0]
    if kind == "polars" and type(x).__name__ == "DataFrame":
        return (((), row) for row in x.iter_rows(named=True)), None
    if kind == "pandas" and type(x).__name__ == "DataFrame":
        columns = [str(c) for c in x.columns]
        rows = zip(*(x[c] for c in x.columns), strict=True)
        names = list(x.index) if all(isinstance(i, str) for i in x.index) and len(x) else None
        return (((), dict(zip(columns, row, strict=True))) for row in rows), names
    if kind == "numpy" and getattr(x, "ndim", 1) == 2:
        return ((tuple(row), {}) for row in x), None
    if isinstance(x, Mapping):
        return (((value,), {}) for value in x.values()), [str(name) for name in x]
    if not isinstance(x, Iterable):
        raise TypeError(f"`x` must be something to iterate over, not {type(x).__name__}")
    return (((value,), {}) for value in x), None


def tell(
    mirai: Mirai, promise: Callable[[Any], object] | tuple[Callable[[Any], object], Callable[[Any], object]]
) -> None:
    """Call on_fulfilled(value) or on_rejected(exception) once it is resolved.

    On the running event loop if this is called from one, else on a library thread.
    """
    fulfilled, rejected = promise if isinstance(promise, tuple) else (promise, None)

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
