"""A chunk of a map, at the daemon: elements are run one after the other, values go back many at a time.

What an element costs besides its own time is a microsecond: function and constant arguments are read once
where that cannot be told from reading them for each, and a daemon is cleaned up after elements that took
long, and at the end.
"""

from __future__ import annotations

import dis
import pickle
import threading
import types
from collections import deque
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from mirai_py import codes, frames, pages, serial
from mirai_py.bodies import is_shared, leased
from mirai_py.errors import describe
from mirai_py.evaluate import in_task, user_frames
from mirai_py.frames import Status
from mirai_py.interrupt import leave_child
from mirai_py.map import Form, arguments
from mirai_py.pages import PLAIN
from mirai_py.streams import Stream, seed_generators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mirai_py.evaluate import Evaluator
    from mirai_py.frames import Parts
    from mirai_py.record import Record
    from mirai_py.shm import Told

# After an element that took longer than this the daemon is cleaned up at once.
LONG_SECONDS = 0.001
# Values that took longer than this outlive their process while they wait.
KEEP_SECONDS = 0.000_1
# Values that are older than this do not wait for the rest of their chunk.
FLUSH_SECONDS = 0.005
# Names by which a function reaches its own globals other than by STORE_GLOBAL.
_REFLECTIVE = frozenset({"globals", "vars", "exec", "eval", "_getframe", "currentframe"})


class Constants(NamedTuple):
    """What the elements of a map have in common besides the function.

    Attributes:
        behind: positional arguments after the element.
        named: keyword arguments.
        names: names visible to the function.
        form: how an element becomes arguments.
        columns: names of what it consists of, if it is a row of named values.
        stream: that of the first element of the map, where each draws from a stream of its own.
    """

    behind: tuple[Any, ...] = ()
    named: Mapping[str, Any] = {}
    names: Mapping[str, Any] = {}
    form: str = Form.ONE.value
    columns: tuple[str, ...] = ()
    stream: tuple[int, int] | None = None

    @property
    def are_plain(self) -> bool:
        """Whether no element can see what another one did to them."""
        return pages.are_plain([*self.behind, *self.named.values(), *self.names.values()])


class _Packed(NamedTuple):
    """A value that was packed at once, or a failure."""

    status: int
    parts: Parts


class Running:
    """A chunk on its way through a daemon.

    Elements are taken from the left by the thread that runs them, from the right by the one that gives them
    back, so that each has one owner.
    """

    def __init__(self, chunk: frames.Chunk, told: Told) -> None:
        items = [item for page in chunk.pages for item in pages.items_of(page)]
        if chunk.flags & frames.SHARED:
            items = [_leased(item, told) for item in items]
        self.base = chunk.base
        self.first = chunk.first
        self.keys = chunk.keys
        self.end = chunk.first + chunk.number
        self.todo: deque[Any] = deque(islice(items, chunk.skip, chunk.skip + chunk.number))
        self._values: list[Any] = []
        self._sent = self._kept = 0
        # When the last value came, and the last of those that were sent.
        self._now = self._then = 0.0
        self._lock = threading.Lock()

    def give_back(self, first: int, end: int) -> tuple[int, int]:
        """Take out what is not begun of these elements; gives the ids of what it was."""
        before = self.end
        if first <= before <= end:
            while self.end > first:
                try:
                    self.todo.pop()
                except IndexError:
                    break
                self.end -= 1
        return self.end, before

    def drop(self) -> None:
        """Nobody wants it any more."""
        self.todo.clear()
        with self._lock:
            self._sent = len(self._values)

    def flush(self, send: Callable[[Parts], object]) -> None:
        """Send the values that have not been sent; from any thread, and in their order."""
        with self._lock:
            values = self._values[self._sent :]
            if values:
                first, now = self.first + self._sent, self._now
                seconds, self._then = now - self._then, now
                self._sent += len(values)
                packed = [value for value in values if type(value) is _Packed]
                shared = any(value.status == Status.SHARED for value in packed)
                flags = frames.SHARED if shared else 0
                send(frames.piece(first, len(values), seconds, _page_of(values), flags))

    def _keep(self, record: Record) -> bool:
        values = self._values[self._kept :]
        first = self.first + self._kept
        self._kept += len(values)
        return record.keep_piece(first, len(values), b"".join(_page_of(values)))

    def run(
        self,
        evaluator: Evaluator,
        record: Record | None,
        limit: float,
        send: Callable[[Parts], object],
    ) -> int:
        """Run the elements, at most `limit`, and no more than the record has room for; gives how many.

        Args:
            evaluator: where they run.
            record: what outlives this process if it dies: which element was begun, values that are not sent.
            limit: the most to run.
            send: sends the values of a chunk that takes long, before its end.
        """
        calls = _Calls(evaluator, *self.keys, self.base)
        evaluator.look_around()
        with in_task("map"):
            try:
                return evaluator.apart(self._run, calls, evaluator, record, limit, send)
            finally:
                evaluator.clean()

    def _run(
        self,
        calls: _Calls,
        evaluator: Evaluator,
        record: Record | None,
        limit: float,
        send: Callable[[Parts], object],
    ) -> int:
        todo, values, interrupt = self.todo, self._values, evaluator.interrupt
        started = [0] if record is None else record.cell
        number, last = self.first, self.first + limit
        before = self._then = perf_counter()
        at_once = False
        due, late = before + KEEP_SECONDS, before + FLUSH_SECONDS
        while number < last:
            try:
                item = todo.popleft()
            except IndexError:
                break
            started[0] = number
            try:
                call = calls.steady or calls.next(number)
                if type(item) is memoryview:
                    item = calls.read(item)
                try:
                    interrupt.running = number
                    if interrupt.any_unwanted and interrupt.unwanted(number):
                        raise KeyboardInterrupt
                    value = call(item)
                finally:
                    interrupt.running = None
                    if interrupt.forked:
                        leave_child()
                if type(value) not in PLAIN and not pages.is_plain(value):
                    value = _Packed(*evaluator.pack(value))
                    at_once = value.status == Status.SHARED
            except KeyboardInterrupt:
                interrupt.running = None  # it may have come just before that was done
                value = _Packed(Status.INTERRUPT, [])
            except BaseException as error:
                value = _Packed(Status.ERROR, [describe(error, user_frames(error))])
            number += 1
            now = perf_counter()
            if now - before > LONG_SECONDS:
                evaluator.clean()
            self._now = now
            values.append(value)
            before = now
            if at_once:  # were this process to end, the value would be gone: it must not wait
                at_once = False
                self.flush(send)
                self._kept = len(values)
            elif now > due and todo:
                due = now + KEEP_SECONDS
                if record is not None and not self._keep(record):
                    break
                if now > late:
                    late = now + FLUSH_SECONDS
                    self.flush(send)
        return number - self.first


def _leased(item: Any, told: Told) -> Any:
    if type(item) is not memoryview or not is_shared(item):
        return item
    return memoryview(leased(item, told))


def _page_of(values: list[Any]) -> Parts:
    if _Packed not in set(map(type, values)):
        return [pickle.dumps(values, 5)]
    return pages.table([v if type(v) is _Packed else (Status.OK, [pickle.dumps(v, 5)]) for v in values])


class _Calls:
    """The function of a chunk with its constant arguments, as new for each element.

    Attributes:
        steady: the call of one element, if elements cannot tell whether it is a new one.
    """

    def __init__(self, evaluator: Evaluator, function: bytes, constants: bytes, base: int) -> None:
        self._evaluator = evaluator
        self._function = function
        self._constants = constants
        self._base = base
        self.steady: Callable[[Any], Any] | None = None

    def next(self, number: int) -> Callable[[Any], Any]:
        """The call of the element with this id.

        Raises:
            Exception: whatever the function or the arguments raise when they cannot be read.
        """
        constants = self._evaluator.complete(self._read_constants)
        function = self._evaluator.complete(lambda: self._evaluator.code(self._function))
        call = self._bound(function, constants)
        if constants.stream is not None:
            entropy, counter = constants.stream
            seed_generators(Stream(entropy, counter + number - self._base))
        elif self._is_steady(function) and constants.are_plain:
            self.steady = call
        return call

    def _read_constants(self) -> Constants:
        body = memoryview(self._evaluator.cache.body(self._constants))
        behind, named, extras = serial.loads(body[1:])
        names = extras.get("globals", {})
        return Constants(behind, named, names, extras["form"], extras["columns"], extras.get("stream"))

    def _is_steady(self, function: Any) -> bool:
        kind = self._evaluator.cache.body(self._function)[:1]
        if kind in (codes.REFERENCE, codes.SHARED):
            return True
        return kind == codes.STEADY and not _reaches_globals(function.__code__)

    def _bound(self, function: Any, constants: Constants) -> Callable[[Any], Any]:
        behind, named, names, form, columns, _ = constants
        self._evaluator.show_names(names, (function, *behind, *named.values()))
        if not callable(function):
            raise TypeError(f"a map calls a function, not {type(function).__name__}")
        if form == Form.ONE.value:
            if not behind and not named:
                return function  # type: ignore[no-any-return]
            return lambda item: function(item, *behind, **named)

        def call(item: Any) -> Any:
            args, kwargs = arguments(Form(form), columns, item)
            return function(*args, *behind, **{**named, **kwargs})

        return call

    def read(self, item: memoryview) -> Any:
        """An element that was packed by itself."""
        value = self._evaluator.complete(lambda: serial.loads(item))
        self._evaluator.show_names({}, (value,))
        return value


def _reaches_globals(code: types.CodeType) -> bool:
    """Whether a function may change its globals."""
    if not _REFLECTIVE.isdisjoint(code.co_names):
        return True
    if any(i.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"} for i in dis.get_instructions(code)):
        return True
    return any(_reaches_globals(c) for c in code.co_consts if isinstance(c, types.CodeType))
