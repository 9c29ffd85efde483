"""Upstream values: references that say where a value is, and the loader that follows them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from targets_py.engine.branching import Slices, aggregate, split
from targets_py.errors import TarRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from targets_py.storage.records import Paths
    from targets_py.storage.store import Store

NULL = "null"  # format of a record whose value is None because the target failed with error="null"


@dataclass(frozen=True, slots=True)
class Stored:
    """The value of a stem or branch."""

    name: str
    format: str
    path: Paths | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """The value of a pattern: that of all its branches together."""

    name: str
    iteration: str
    parts: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of the value of a stem."""

    stem: Stored
    iteration: str
    position: int


@dataclass(frozen=True, slots=True)
class Given:
    """A value that travels with the task."""

    value: Any


Reference = Stored | Whole | Slice | Given


class Lazy:
    """What a parameter gets with retrieval="none": nothing was loaded, and any use of it says so.

    Args:
        name: Name of the upstream target.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<value of {self._name}, not loaded>"

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        self._refuse()

    def _refuse(self, *_: Any) -> Any:
        raise TarRunError(f'the value of {self._name} was not loaded: retrieval is "none"')

    __call__ = __iter__ = __len__ = __getitem__ = __contains__ = __bool__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __int__ = __float__ = __index__ = __lt__ = __le__ = __gt__ = __ge__ = __array__ = _refuse


class Loader:
    """Follows references.

    A value that stays in memory is copied for each use, so that no target sees what another one did to it.

    Args:
        store: Where values lie.
        persistent: Names of the targets whose values stay in memory.
    """

    def __init__(self, store: Store, persistent: Container[str] = ()) -> None:
        self._store = store
        self._persistent = persistent
        self._values: dict[str, Any] = {}
        self._slices: dict[str, Slices] = {}

    def load(self, reference: Reference) -> Any:
        """The value that a reference stands for, the caller's to change."""
        if isinstance(reference, Given):
            return reference.value
        if isinstance(reference, Stored):
            return self._load(reference.name, lambda: self._read(reference))
        if isinstance(reference, Whole):
            return self._load(reference.name, lambda: self._aggregate(reference))
        return self._slice(reference)

    def _load(self, name: str, read: Callable[[], Any]) -> Any:
        if name not in self._persistent:
            return read()
        if name not in self._values:
            self._values[name] = read()
        return copy_value(self._values[name], read)

    def _read(self, reference: Stored) -> Any:
        if reference.format == NULL:
            return None
        return self._store.read_object(reference.name, reference.format, reference.path)

    def _aggregate(self, reference: Whole) -> Any:
        return aggregate([self._read(part) for part in reference.parts], reference.iteration)

    def _slice(self, reference: Slice) -> Any:
        name = reference.stem.name
        if name not in self._persistent:
            return split(self._read(reference.stem), reference.iteration, name)[reference.position]
        if name not in self._slices:
            if name not in self._values:
                self._values[name] = self._read(reference.stem)
            self._slices[name] = split(self._values[name], reference.iteration, name)
        slices = self._slices[name]
        return copy_value(
            slices[reference.position],
            lambda: split(self._read(reference.stem), reference.iteration, name)[reference.position],
        )


_IMMUTABLE = frozenset({int, float, complex, bool, str, bytes, type(None), range})


def copy_value(value: Any, again: Callable[[], Any]) -> Any:
    """A copy that may be changed without harm to the original.

    Args:
        value: The original.
        again: Makes the value anew, where copying is not possible.
    """
    if type(value) in _IMMUTABLE or type(value).__module__.startswith("polars."):
        return value
    try:
        return pickle.loads(pickle.dumps(value, protocol=5))
    except Exception:
        return again()
