"""Hashes of values: equal values hash equal in every process.

Pickles would not do: they differ with string interning, aliasing and the seed of str hashes. So a value is
walked: each container's hash is made of its children's, and a type without a rule of its own counts as its
class name and what `__reduce_ex__` returns.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import marshal
import types
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import xxhash

from targets_py.errors import TarError
from targets_py.hashing.digest import DIGITS

if TYPE_CHECKING:
    from targets_py.hashing.code import Code

Update: TypeAlias = Callable[[Any], None]  # takes bytes and buffers

_SCALARS = frozenset({int, float, complex, str, bytes, bool, type(None), type(...)})
_SEQUENCES = frozenset({list, tuple, set, frozenset})
# Version 2 of marshal has neither references nor interning flags, sorts sets and keeps the order of dicts. It
# writes any object with a buffer as bare bytes, so it may see exact builtins only.
_MARSHAL_VERSION = 2
_CODE_TYPES = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ModuleType,
    type(functools.lru_cache(lambda: None)),
)
_PLACEHOLDER = b"self"


class UnhashableValueError(TarError, TypeError):
    """A value holds something that has no canonical form, such as a lock or an open file."""


def hash_value(value: Any, code: Code | None = None) -> str:
    """Hash a value by what it is, not by how it lies in memory.

    Args:
        value: Any object.
        code: Hashes functions and classes inside the value; None: those of the working directory's project.

    Returns:
        16 hexadecimal digits.

    Raises:
        UnhashableValueError: Some part of it has no canonical form.

    Example:
        >>> hash_value({"a", "b"}) == hash_value({"b", "a"})
        True
    """
    if is_plain(value):
        data = _marshal(value)
        if data is not None:
            return str(xxhash.xxh3_128_hexdigest(data)[:DIGITS])
    return Walker(_CodeHashes(code), class_name).top(value)


def tar_hash(cls: type, parts: Callable[[Any], Any]) -> None:
    """Say what instances of a class are hashed by, where `__reduce_ex__` says too much or fails.

    Args:
        cls: The class; its subclasses follow.
        parts: Instance -> a value that is hashed in its place.

    Example:
        >>> class Model:
        ...     def __init__(self, weights):
        ...         self.weights, self.lock = weights, threading.Lock()
        >>> tar_hash(Model, lambda model: model.weights)
        >>> hash_value(Model([1, 2])) == hash_value(Model([1, 2]))
        True
    """
    _hooks[cls] = parts


_hooks: dict[type, Callable[[Any], Any]] = {}


def is_plain(value: Any) -> bool:
    """Whether a value is a builtin scalar or one builtin container of such, subclasses excluded."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind in _SEQUENCES:
        return _SCALARS.issuperset(map(type, value))
    if kind is dict:
        return _SCALARS.issuperset(map(type, value)) and _SCALARS.issuperset(map(type, value.values()))
    return False


def is_code(value: Any) -> bool:
    """Whether a value is a function, class or module, which are hashed by their code or name."""
    return isinstance(value, _CODE_TYPES)


def class_name(cls: type) -> bytes:
    """Name of a class as it counts."""
    return f"{package_of(cls.__module__)}:{cls.__qualname__}".encode()


def package_of(module: str) -> str:
    """The part of a module's name that counts: versions move things between modules, and into C ones."""
    return module.partition(".")[0].removeprefix("_")


def _marshal(value: Any) -> bytes | None:
    try:
        return marshal.dumps(value, _MARSHAL_VERSION)
    except ValueError:  # a str or bytes of more than 2 GiB
        return None


class _CodeHashes:
    """Hash of a function or class in a value; the project's code is only looked at if there is one."""

    def __init__(self, code: Code | None) -> None:
        self._code = code

    def __call__(self, value: Any) -> bytes:
        if self._code is None:
            from pathlib import Path

            from targets_py.hashing.code import Code

            self._code = Code({}, Path.cwd())
        return self._code.object_hash(value).encode()


class Walker:
    """Hashes one value after the other with the same rules.

    Args:
        refer: What stands for a function, class or module that is part of a value.
        refer_class: What stands for the class of an instance.
    """

    def __init__(self, refer: Callable[[Any], bytes], refer_class: Callable[[type], bytes]) -> None:
        self._refer = refer
        self._refer_class = refer_class
        self._known: dict[int, tuple[Any, bytes]] = {}  # keeps the objects, so that ids stay theirs
        self._above: dict[int, int] = {}  # id -> depth of the containers that are being walked
        self._lowest = 0
        self._classes: dict[type, bytes] = {}
        self._rules = dict(_RULES)  # by class; not shared: classes of scripts come and go

    def top(self, value: Any) -> str:
        """Hash of a whole value, 16 hexadecimal digits.

        Raises:
            UnhashableValueError: Some part of it has no canonical form.
        """
        state = xxhash.xxh3_128(b"value")
        try:
            self.add(state.update, value)
        except RecursionError:
            raise UnhashableValueError(
                f"a {type(value).__qualname__} is nested too deeply to be hashed"
            ) from None
        return str(state.hexdigest()[:DIGITS])

    def add(self, update: Update, value: Any) -> None:
        """Let a value count as a part of another."""
        if is_plain(value):
            data = _marshal(value)
            if data is not None:
                update(b"m%d:" % len(data))
                update(data)
                return
        update(b"d")
        update(self._digest(value))

    def add_text(self, update: Update, text: str) -> None:
        """Let a name count."""
        data = text.encode(errors="surrogatepass")
        update(b"t%d:" % len(data))
        update(data)

    def add_class(self, update: Update, cls: type) -> None:
        """Let the class of an instance count."""
        token = self._classes.get(cls)
        if token is None:
            name = self._refer_class(cls)
            token = self._classes[cls] = b"c%d:%s" % (len(name), name)
        update(token)

    def _digest(self, value: Any) -> bytes:
        key = id(value)
        known = self._known.get(key)
        if known is not None:
            return known[1]
        depth = self._above.get(key)
        if depth is not None:  # a cycle: how far up it goes says where it leads
            self._lowest = min(self._lowest, depth)
            return b"up%d." % (len(self._above) - depth)
        depth = self._above[key] = len(self._above)
        lowest, self._lowest = self._lowest, depth
        state = xxhash.xxh3_128()
        try:
            self._write(state.update, value)
        finally:
            del self._above[key]
        digest = bytes(state.digest())
        if self._lowest >= depth:  # what leads further up hashes differently in another place
            self._known[key] = (value, digest)
        self._lowest = min(lowest, self._lowest)
        return digest

    def _write(self, update: Update, value: Any) -> None:
        kind = type(value)
        rule = self._rules.get(kind)
        if rule is None:
            rule = self._rules[kind] = _find_rule(kind)
        rule(self, update, value)

    def write_code(self, update: Update, value: Any) -> None:
        """Rule for functions, classes and modules."""
        update(b"code:")
        update(self._refer(value))

    def write_object(self, update: Update, value: Any) -> None:
        """Rule for what has no other: class, and what it takes to make it anew."""
        cls = type(value)
        self.add_class(update, cls)
        for base in cls.__mro__ if _hooks else ():
            if base in _hooks:
                self.add(update, _hooks[base](value))
                return
        reduced = _reduce(value)
        if isinstance(reduced, str):
            self.add_text(update, reduced)
            return
        function, arguments, *rest = reduced
        if function is not cls and function is not copyreg.__newobj__:  # type: ignore[attr-defined]
            self.add(update, function)
        # The class was added by name: the code of its methods is no part of a value.
        self.add(update, tuple(_PLACEHOLDER if part is cls else part for part in arguments))
        state, items, pairs = (*rest, None, None, None)[:3]
        self.add(update, state)
        self.add(update, None if items is None else list(items))
        self.add(update, None if pairs is None else list(pairs))


def _reduce(value: Any) -> Any:
    reducer = copyreg.dispatch_table.get(type(value))
    try:
        return reducer(value) if reducer else value.__reduce_ex__(4)
    except RecursionError:
        raise
    except Exception as error:
        raise UnhashableValueError(f"a {type(value).__qualname__} has no canonical form: {error}") from error


Rule: TypeAlias = Callable[[Walker, Update, Any], None]


def _write_sequence(walker: Walker, update: Update, value: Any) -> None:
    update(b"%s%d:" % (type(value).__name__.encode(), len(value)))
    for item in value:
        walker.add(update, item)


def _write_dict(walker: Walker, update: Update, value: Any) -> None:
    update(b"dict%d:" % len(value))
    for key, item in value.items():
        walker.add(update, key)
        walker.add(update, item)


def _write_set(walker: Walker, update: Update, value: Any) -> None:
    update(b"set%d:" % len(value))
    walker.add_class(update, type(value))
    for item in sorted(_digest_of_item(walker, item) for item in value):
        update(item)
    if type(value) not in _SEQUENCES:
        walker.add(update, getattr(value, "__dict__", None))


def _digest_of_item(walker: Walker, item: Any) -> bytes:
    state = xxhash.xxh3_128()
    walker.add(state.update, item)
    return bytes(state.digest())


def _write_text(_walker: Walker, update: Update, value: str) -> None:
    update(b"str:")
    update(value.encode(errors="surrogatepass"))


def _write_bytes(_walker: Walker, update: Update, value: bytes | bytearray) -> None:
    update(type(value).__name__.encode() + b":")
    update(value)


def _write_method(walker: Walker, update: Update, value: types.MethodType) -> None:
    update(b"method:")
    walker.add(update, value.__func__)
    walker.add(update, value.__self__)


def _write_enum(walker: Walker, update: Update, value: enum.Enum) -> None:
    walker.add_class(update, type(value))
    walker.add(update, value.value)


def _write_path(walker: Walker, update: Update, value: PurePath) -> None:
    walker.add_class(update, type(value))
    walker.add_text(update, str(value))


_RULES: dict[type, Rule] = {
    list: _write_sequence,
    tuple: _write_sequence,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_set,
    str: _write_text,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    types.MethodType: _write_method,
}


def _find_rule(kind: type) -> Rule:
    from targets_py.hashing.arrays import find_array_rule

    if issubclass(kind, _CODE_TYPES):
        return Walker.write_code
    for base, rule in (
        (enum.Enum, _write_enum),
        (PurePath, _write_path),
        (set, _write_set),
        (frozenset, _write_set),
    ):
        if issubclass(kind, base):
            return rule
    return find_array_rule(kind) or Walker.write_object
