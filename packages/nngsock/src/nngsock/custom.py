"""Custom serialisation: objects of chosen classes travel as what functions of the user make of them.

In a pickle such an object stands as `restore(index, data)`, where the index is its class's place in the
configuration: the receiver looks the function up in its own configuration, and none comes over the wire.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nngsock.errors import NngsockError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer

__all__ = ("SerialConfig", "configured_dumps", "restore", "serial_config")

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]
# What pickle writes itself without asking anybody.
BUILT_IN: Final = (
    type(None), bool, int, float, str, bytes, bytearray, pickle.PickleBuffer,
    list, tuple, dict, set, frozenset,
)  # fmt: skip

_reading: ContextVar[SerialConfig | None] = ContextVar("nngsock_reading", default=None)


@dataclass(frozen=True, slots=True, repr=False)
class SerialConfig:
    """How objects of some classes are serialised. Made by `serial_config`, for the option "serial".

    Code that pickles for itself applies it with `reduce`, in the `reducer_override` of its own pickler, and
    reads with `loads`. It can be pickled if its functions and classes can.

    Attributes:
        classes: The classes, or their names as "module.Class".
        sfuncs: For each class, what makes bytes of an object.
        ufuncs: For each class, what makes an object of those bytes.
    """

    classes: tuple[type | str, ...]
    sfuncs: tuple[Callable[[Any], Buffer], ...]
    ufuncs: tuple[Callable[[bytes], Any], ...]

    def __repr__(self) -> str:
        return f"< serialConfig | {', '.join(map(_name_of, self.classes))} >"

    def reduce(self, obj: object) -> Reduced | Any:
        """What `pickle.Pickler.reducer_override` is to return for an object.

        Args:
            obj: Any object.

        Returns:
            The object as a call for pickle to write; `NotImplemented` if its class is not configured.

        Raises:
            NngsockError: The function for its class returned something else than bytes.

        Example:
            >>> import io, pickle
            >>> config = nngsock.serial_config(complex, lambda z: b'%r' % z, lambda b: complex(b.decode()))
            >>> class Pickler(pickle.Pickler):
            ...     def reducer_override(self, obj):
            ...         return config.reduce(obj)
            >>> Pickler(file := io.BytesIO(), protocol=5).dump([1j])
            >>> config.loads(file.getvalue())
            [1j]
        """
        kind = type(obj)
        for index, entry in enumerate(self.classes):
            known = _find(entry) if isinstance(entry, str) else entry
            if known is not None and issubclass(kind, known):
                return restore, (index, _as_buffer(self.sfuncs[index](obj), entry))
        return NotImplemented

    def loads(self, data: Buffer, *, buffers: Iterable[Any] | None = None) -> Any:
        """Unpickle what a pickler with `reduce` has written under the same configuration.

        Unpickling runs code that the sender chose: use it only on what comes from peers you trust.

        Args:
            data: The pickle.
            buffers: The buffers that were left beside it, as for `pickle.loads`.

        Raises:
            NngsockError: The data was written under another configuration.
        """
        token = _reading.set(self)
        try:
            return pickle.loads(data, buffers=() if buffers is None else buffers)
        finally:
            _reading.reset(token)


def serial_config(
    class_: type | str | Sequence[type | str],
    sfunc: Callable[[Any], Buffer] | Sequence[Callable[[Any], Buffer]],
    ufunc: Callable[[bytes], Any] | Sequence[Callable[[bytes], Any]],
) -> SerialConfig:
    """Say how objects of some classes are serialised, where pickle cannot do it or does it badly.

    Set it as the option "serial" of a socket (its contexts follow), on both sides of a connection. It applies
    to objects at any depth, and to those of subclasses; of several entries the first that matches counts.

    Args:
        class_: A class, "module.Class" (which need not be imported yet), or a list of these.
        sfunc: What makes bytes of an object; for a list of classes a list of the same length.
        ufunc: What makes an object of those bytes; for a list of classes a list of the same length.

    Returns:
        The configuration.

    Raises:
        ValueError: The three have not the same length; a class is one that pickle always writes itself.
        TypeError: A class or a function is something else.

    Example:
        >>> from pathlib import PurePosixPath as Path
        >>> config = nngsock.serial_config(Path, lambda p: str(p).encode(), lambda b: Path(b.decode()))
        >>> with (
        ...     nngsock.socket("pair", listen="inproc://config") as a,
        ...     nngsock.socket("pair", dial="inproc://config") as b,
        ... ):
        ...     _ = a.set_opt("serial", config), b.set_opt("serial", config)
        ...     _ = nngsock.send(a, {"home": Path("/root")}, block=True)
        ...     nngsock.recv(b, block=True)
        {'home': PurePosixPath('/root')}
    """
    classes = _listed(class_)
    sfuncs, ufuncs = _functions("sfunc", sfunc), _functions("ufunc", ufunc)
    if not len(classes) == len(sfuncs) == len(ufuncs):
        raise ValueError(
            f"`class_`, `sfunc` and `ufunc` must all be the same length, "
            f"not {len(classes)}, {len(sfuncs)} and {len(ufuncs)}"
        )
    for entry in classes:
        _check_class(entry)
    return SerialConfig(classes, sfuncs, ufuncs)


def restore(index: int, data: bytes | Buffer) -> Any:
    """Rebuild an object; pickles name this function.

    Args:
        index: The place of its class in the configuration.
        data: What the sender's function made of it.

    Raises:
        NngsockError: This side has no such entry.
    """
    config = _reading.get()
    if config is None or not 0 <= index < len(config.ufuncs):
        raise NngsockError(
            f"it was written with entry {index} of a serial_config, which this side does not have: "
            "set the same configuration as option 'serial' here"
        )
    return config.ufuncs[index](data if type(data) is bytes else bytes(data))


def configured_dumps(
    config: SerialConfig, base: type[pickle.Pickler] = pickle.Pickler
) -> Callable[..., bytes]:
    """A function like `pickle.dumps` that applies the configuration.

    Args:
        config: The configuration.
        base: The pickler for what is not configured.
    """
    otherwise = getattr(base, "reducer_override", None)

    class Pickler(base):  # type: ignore[misc,valid-type]  # any pickler
        def reducer_override(self, obj: Any) -> Any:
            reduced = config.reduce(obj)
            return otherwise(self, obj) if reduced is NotImplemented and otherwise else reduced

    def dumps(obj: Any, *, protocol: int, buffer_callback: Callable[[Any], Any]) -> bytes:
        file = io.BytesIO()
        Pickler(file, protocol=protocol, buffer_callback=buffer_callback).dump(obj)
        return file.getvalue()

    return dumps


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _functions(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    functions = _listed(value)
    for function in functions:
        if not callable(function):
            raise TypeError(f"`{name}` must be a function or list of functions, not {function!r}")
    return functions


def _check_class(entry: object) -> None:
    if isinstance(entry, str):
        if not all(part.isidentifier() for part in entry.split(".")) or "." not in entry:
            raise ValueError(f"`class_` must be a class or its name as 'module.Class', not {entry!r}")
    elif not isinstance(entry, type):
        raise TypeError(f"`class_` must be a class, 'module.Class' or a list of these, not {entry!r}")
    if entry in BUILT_IN:
        raise ValueError(
            f"`class_` cannot be {_name_of(entry)}, which pickle writes itself: configure a class of your own"
        )


def _name_of(entry: type | str) -> str:
    return entry if isinstance(entry, str) else entry.__name__


def _find(name: str) -> type | None:
    """The class of that name as it is now, if its module has been imported: else no object is of it."""
    module, _, attribute = name.rpartition(".")
    while module:
        if module in sys.modules:
            found: Any = sys.modules[module]
            for part in attribute.split("."):
                found = getattr(found, part, None)
            return found if isinstance(found, type) else None
        module, _, outer = module.rpartition(".")
        attribute = f"{outer}.{attribute}"
    return None


def _as_buffer(data: Any, entry: type | str) -> pickle.PickleBuffer:
    try:
        return pickle.PickleBuffer(memoryview(data).cast("B"))
    except TypeError:
        raise NngsockError(
            f"Serialization function for `{_name_of(entry)}` did not return bytes, but {type(data).__name__}"
        ) from None
