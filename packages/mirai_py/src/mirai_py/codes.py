"""Code travels once: functions and `once` objects by content hash, bodies only to daemons that lack them.

A code is its kind (one byte) and its bytes. The host remembers the code of a function for as long as the
function lives and nothing that it refers to can have changed; a daemon remembers codes in a bounded cache and
asks again for what it dropped.
"""

from __future__ import annotations

import dis
import hashlib
import io
import pickle
import sys
import threading
import types
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any, Generic

from mirai_py import byvalue
from mirai_py.bodies import Offered, Reference, body_of, inlined, loads
from mirai_py.byvalue import importable
from mirai_py.errors import MiraiSerializationError
from mirai_py.generic import T_co
from mirai_py.oversize import warn_of_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirai_py.custom import Custom
    from mirai_py.frames import Parts

REFERENCE = b"R"  # found by import: one object serves all tasks
VALUE = b"V"  # sent by value: rebuilt for each task, so that its globals are fresh
STEADY = b"T"  # the same, of immutable parts only: a copy with globals of its own is as good as a new one
SOURCE = b"S"  # text, compiled once
FRESH = b"F"  # a `once` object that each task gets anew
SHARED = b"P"  # a `once` object that all tasks of a daemon share
CONSTANTS = b"C"  # what the elements of a map have in common besides the function
KEY_SIZE = 16


@dataclass(frozen=True, slots=True)
class Code:
    """Bytes that travel once, and their hash."""

    key: bytes
    body: bytes
    name: str = field(compare=False)

    @classmethod
    def of(cls, kind: bytes, content: bytes, name: str) -> Code:
        """Make a code of its kind and content."""
        body = content.behind(kind) if isinstance(content, Reference) else kind + content
        return cls(hashlib.blake2b(body, digest_size=KEY_SIZE).digest(), body, name)

    @classmethod
    def of_parts(cls, kind: bytes, parts: Parts, name: str) -> Code:
        """Make a code of its kind and a body in parts."""
        content = parts[0] if isinstance(parts[0], Reference) else b"".join(parts)
        return cls.of(kind, content, name)

    def inlined(self) -> bytes:
        """Its bytes for a daemon that cannot read the memory of this process."""
        if not isinstance(self.body, Reference):
            return self.body
        return b"".join([self.body[:1], *inlined(memoryview(self.body)[1:])])


class Once(Generic[T_co]):
    """A value that is pickled once and sent to each daemon at most once; see `once`.

    Attributes:
        value: the value itself.

    Example:
        >>> table = once({"a": 1})
        >>> table.value
        {'a': 1}
    """

    __slots__ = ("_codes", "fresh", "value")

    def __init__(self, value: T_co, *, fresh: bool, custom: Custom | None = None) -> None:
        self.value = value
        self.fresh = fresh
        self._codes: dict[bytes | None, Code] = {}
        self.code_for(custom)

    @property
    def code(self) -> Code:
        """Its bytes, as they were when it was made."""
        return next(iter(self._codes.values()))

    def code_for(self, custom: Custom | None) -> Code:
        """Its bytes for daemons that know this configuration; made now if they were made for another.

        Raises:
            MiraiSerializationError: the value cannot be pickled.
        """
        key = None if custom is None else custom.key
        if key not in self._codes:
            self._codes[key] = self._pickled(custom)
        return self._codes[key]

    def _pickled(self, custom: Custom | None) -> Code:
        name = type(self.value).__qualname__
        stream, offered = io.BytesIO(), Offered()
        pickler = byvalue.Pickler(stream, 5, buffer_callback=offered)
        pickler.custom = custom
        try:
            pickler.dump(self.value)
        except Exception as error:
            raise MiraiSerializationError(
                f"`obj` of type {name} cannot be sent to a daemon: {error}"
            ) from error
        content = body_of(stream.getvalue(), offered, share=True)
        return Code.of_parts(FRESH if self.fresh else SHARED, content, name)

    def __repr__(self) -> str:
        return f"< once [{type(self.value).__name__}, {len(self.code.body)} bytes] >"

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled by anything but a mirai, it travels as the value itself.
        return loads, (self.code.inlined()[1:],)


def code_of(call: Callable[..., Any] | str | Once, custom: Custom | None = None) -> Code:
    """The code of a callable or of source text.

    Args:
        call: what to call.
        custom: how objects of some classes travel that a function refers to.

    Raises:
        MiraiSerializationError: the callable cannot be pickled.
    """
    if isinstance(call, str):
        return Code.of(SOURCE, call.encode("utf-8", "surrogatepass"), "source")
    if isinstance(call, Once):
        return call.code_for(custom)
    remembered = _remembered.get(id(call))
    if remembered is not None and remembered.still_holds(call, custom):
        return remembered.code
    return _make(call, custom)


@dataclass(slots=True)
class _Remembered:
    """The code of one function object and what it was made from."""

    function: weakref.ref[Any]
    code: Code
    state: _State | None
    parts: _Parts | None

    def still_holds(self, call: object, custom: Custom | None) -> bool:
        if self.function() is not call:
            return False
        if self.state is None:
            return True
        assert isinstance(call, types.FunctionType)
        if self.parts is not None:
            return self.parts.are_those_of(call)
        return self.state.is_that_of(call, custom)


@dataclass(slots=True)
class _Parts:
    """All that a steady function is made of: immutable, so that it is the same while they are."""

    code: types.CodeType
    defaults: tuple[Any, ...] | None
    names: tuple[str, ...]
    globals: list[Any]
    cells: list[Any]

    @classmethod
    def of(cls, function: types.FunctionType) -> _Parts:
        code, names = function.__code__, _names(function.__code__)
        found = [function.__globals__.get(name, _ABSENT) for name in names]
        return cls(code, function.__defaults__, names, found, _contents(function))

    def are_those_of(self, function: types.FunctionType) -> bool:
        return (
            function.__code__ is self.code
            and function.__defaults__ is self.defaults
            and not function.__kwdefaults__
            and not function.__dict__
            and all(map(is_, map(function.__globals__.get, self.names, repeat(_ABSENT)), self.globals))
            and (not self.cells or all(map(is_, _contents(function), self.cells)))
        )


@dataclass(slots=True)
class _State:
    """What the pickle of a function depends on.

    Attributes:
        items: what cannot change in place, compared by identity and kept alive here. Functions are not among
            them, only their parts: a remembered function must not keep itself alive.
        snapshot: a pickle of what can, compared by its bytes.
    """

    items: list[Any] = field(default_factory=list)
    snapshot: bytes = b""

    @classmethod
    def of(cls, function: types.FunctionType, custom: Custom | None) -> _State | None:
        """The state; None if it cannot be told from the outside whether it is still the same."""
        state, changing = cls(), list[Any]()
        if not _collect(function, state.items, changing, set(), 0):
            return None
        if changing:
            snapshot = _snapshot(changing) if custom is None else None
            if snapshot is None:
                return None
            state.snapshot = snapshot
        return state

    def is_that_of(self, function: types.FunctionType, custom: Custom | None) -> bool:
        """Whether a function is still in it."""
        now = _State.of(function, custom)
        return (
            now is not None
            and now.snapshot == self.snapshot
            and len(now.items) == len(self.items)
            and all(map(is_, now.items, self.items))
        )


class _OfBuiltins(pickle.Pickler):
    """Pickles nothing but builtin containers of builtin scalars: what else there is may hide its state."""

    def reducer_override(self, _obj: Any) -> Any:
        raise pickle.PicklingError


def _snapshot(values: list[Any]) -> bytes | None:
    """The bytes of values that can change, if they are simple and small."""
    stream = io.BytesIO()
    try:
        _OfBuiltins(stream, 5).dump(values)
    except (pickle.PicklingError, RecursionError, RuntimeError):  # the last: changed by another thread
        return None
    return stream.getvalue() if stream.tell() <= _MAX_SNAPSHOT else None


def _contents(function: types.FunctionType) -> list[Any]:
    """What the cells of a closure hold, themselves where they are empty."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            found.append(cell)
    return found


_ABSENT: Any = object()
_remembered: dict[int, _Remembered] = {}
_IMMUTABLE = frozenset({int, float, complex, str, bytes, bool, type(None), type(Ellipsis), types.ModuleType})
_MAX_DEPTH = 20
# What is larger is pickled anew each time, instead of being compared each time and kept twice.
_MAX_SNAPSHOT = 1 << 16


def _make(call: Any, custom: Custom | None) -> Code:
    name = getattr(call, "__qualname__", type(call).__qualname__)
    by_reference = isinstance(call, types.FunctionType | types.BuiltinFunctionType | type) and importable(
        call
    )
    function = call if isinstance(call, types.FunctionType) and not by_reference else None
    state = None if function is None else _State.of(function, custom)
    try:
        content = pickle.dumps(call, 5) if by_reference else byvalue.dumps(call, custom)
    except Exception as error:
        raise MiraiSerializationError(
            f"the function {name!r} cannot be sent to a daemon: {error}. It, its default values or what it "
            "refers to holds something that cannot be pickled; pass that as an argument made inside the task"
        ) from error
    if by_reference:
        code = Code.of(REFERENCE, content, name)
        _remember(call, code, None)
        return code
    warn_of_size(call, name, len(content))
    # Looked at again, since another thread may have changed something meanwhile.
    if function is None or state is None or not state.is_that_of(function, custom):
        return Code.of(VALUE, content, name)
    steady = not state.snapshot and _is_steady(function, state.items)
    code = Code.of(STEADY if steady else VALUE, content, name)
    _remember(function, code, state, _Parts.of(function) if steady else None)
    return code


def _is_steady(function: types.FunctionType, items: Sequence[Any]) -> bool:
    """Whether calls leave a trace in nothing but its globals: it refers to no function, writes no cell."""
    codes = sum(type(item) is types.CodeType for item in items)
    return codes == 1 and function not in _globals_of(function) and not _writes_cells(function.__code__)


def _globals_of(function: types.FunctionType) -> list[Any]:
    table = function.__globals__
    return [table[name] for name in _names(function.__code__) if name in table]


def _writes_cells(code: types.CodeType) -> bool:
    written = {i.argval for i in dis.get_instructions(code) if i.opname in {"STORE_DEREF", "DELETE_DEREF"}}
    nested = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return not written.isdisjoint(code.co_freevars) or any(map(_writes_cells, nested))


def renewed(template: types.FunctionType) -> types.FunctionType:
    """A copy of a steady function with globals of its own."""
    fresh = types.FunctionType(
        template.__code__,
        dict(template.__globals__),
        template.__name__,
        template.__defaults__,
        template.__closure__,
    )
    fresh.__qualname__ = template.__qualname__
    fresh.__module__ = template.__module__
    return fresh


def _remember(call: Any, code: Code, state: _State | None, parts: _Parts | None = None) -> None:
    key = id(call)
    try:
        reference = weakref.ref(call, lambda _: _remembered.pop(key, None))
    except TypeError:  # builtin functions of some types
        return
    _remembered[key] = _Remembered(reference, code, state, parts)


def _collect(
    function: types.FunctionType, state: list[Any], changing: list[Any], seen: set[int], depth: int
) -> bool:
    """Add what a function consists of to the state, or to what can change; False if neither is possible."""
    if id(function) in seen:
        return True
    seen.add(id(function))
    if function.__dict__ or function.__kwdefaults__ or depth > _MAX_DEPTH:
        return False
    state.append(function.__code__)
    values: list[Any] = list(function.__defaults__ or ())
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # an empty cell: still being defined
            return False
    values += _globals_of(function)
    state.append(len(values))
    changing += [value for value in values if not _constant(value, state, changing, seen, depth)]
    return True


def _constant(value: Any, state: list[Any], changing: list[Any], seen: set[int], depth: int) -> bool:
    """Add what a value is to the state; False if it could change unnoticed."""
    kind = type(value)
    if kind in _IMMUTABLE:
        state.append(value)
        return True
    if kind is tuple:
        state.append(len(value))
        return depth < _MAX_DEPTH and all(_constant(item, state, changing, seen, depth + 1) for item in value)
    if isinstance(value, types.BuiltinFunctionType):
        state.append(value)
        return value.__self__ is None or isinstance(value.__self__, types.ModuleType)
    if (kind is types.FunctionType or isinstance(value, type)) and importable(value):
        state += [sys.intern(value.__module__), sys.intern(value.__qualname__)]
        return True
    return kind is types.FunctionType and _collect(value, state, changing, seen, depth + 1)


_names_of: dict[types.CodeType, tuple[str, ...]] = {}


def _names(code: types.CodeType) -> tuple[str, ...]:
    """Names that a code object and those nested in it may look up as globals."""
    known = _names_of.get(code)
    if known is None:
        found = dict.fromkeys(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                found.update(dict.fromkeys(_names(constant)))
        known = tuple(found)
        if len(_names_of) > 10_000:
            _names_of.clear()
        _names_of[code] = known
    return known


class MissingCodeError(LookupError):
    """A code is not in the cache; it can be asked for by its `.key`."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"no code {key.hex()} here")
        self.key = key


class CodeCache:
    """What a daemon keeps of codes: the most recently used, up to a number and a size in bytes."""

    def __init__(self, max_items: int = 10_000, max_bytes: int = 1 << 28) -> None:
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()
        self._objects: dict[bytes, Any] = {}
        self._size = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def add(self, key: bytes, body: bytes) -> None:
        """Keep a code; the oldest ones give way, never this one."""
        with self._lock:
            if key in self._bodies:
                return
            self._bodies[key] = body
            self._size += _size(body)
            while len(self._bodies) > 1 and (
                len(self._bodies) > self._max_items or self._size > self._max_bytes
            ):
                old, dropped = self._bodies.popitem(last=False)
                self._objects.pop(old, None)
                self._size -= _size(dropped)

    def __contains__(self, key: bytes) -> bool:
        return key in self._bodies

    def body(self, key: bytes) -> bytes:
        """The bytes of a code.

        Raises:
            MissingCodeError: it is not here.
        """
        bodies = self._bodies
        try:
            bodies.move_to_end(key)
            return bodies[key]
        except KeyError:  # not there, or just given up by another thread
            raise MissingCodeError(key) from None

    def shared(self, key: bytes, make: Callable[[bytes], Any]) -> Any:
        """The one object made of a code, made now if it is not there."""
        if key not in self._objects:
            self._objects[key] = make(self.body(key)[1:])
        return self._objects[key]


def _size(body: bytes) -> int:
    return len(body) + (body.weight if isinstance(body, Reference) else 0)


# The cache of the daemon in this process: `load_once` is called by pickle and has no other way to it.
current_cache = CodeCache()


def load_once(key: bytes, fresh: bool) -> Any:
    """Rebuild a `once` object at the daemon; called by pickle."""
    if fresh:
        return loads(memoryview(current_cache.body(key))[1:])
    return current_cache.shared(key, loads)
