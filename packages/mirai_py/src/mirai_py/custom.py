"""Own types on the wire: objects of chosen classes travel as what functions of the user make of them.

A pickle names the configuration that it was written under, by its hash, and each side keeps those that it has
been given: whoever reads needs not know where a pickle comes from.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirai_py import byvalue
from mirai_py.errors import MiraiException, MiraiSerializationError, MiraiTypeError
from nngsock import SerialConfig, serial_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_known: dict[bytes, SerialConfig] = {}
_unreadable: dict[bytes, Exception] = {}
_registering = threading.Lock()
_registered: SerialConfig | None = None


@dataclass(frozen=True, slots=True)
class Custom:
    """A configuration that both sides of a connection know by its key.

    Attributes:
        key: hash of `packed`.
        packed: the configuration for the other side.
    """

    key: bytes
    packed: bytes
    config: SerialConfig

    @classmethod
    def of(cls, config: SerialConfig, dumps: Callable[[object], bytes]) -> Custom:
        """Make a configuration known here.

        Args:
            config: the configuration.
            dumps: pickles it, functions of scripts by value.
        """
        packed = dumps(config)
        key = _key_of(packed)
        _known[key] = config
        return cls(key, packed, config)

    @classmethod
    def unpacked(cls, packed: bytes) -> Custom | None:
        """Make a configuration known that came from the other side; None if it cannot be read here.

        That costs the objects that need it, and not the daemon.
        """
        try:
            config = pickle.loads(packed)
        except Exception as error:
            _unreadable[_key_of(packed)] = error
            return None
        return cls.of(config, lambda _: packed)

    def reduce(self, obj: object) -> Any:
        """What a pickler's `reducer_override` is to return; `NotImplemented` for other classes."""
        reduced = self.config.reduce(obj)
        return reduced if reduced is NotImplemented else (restore, (self.key, *reduced[1]))


def _key_of(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=16).digest()


def restore(key: bytes, index: int, data: Any) -> Any:
    """Rebuild an object; called by pickle."""
    config = _known.get(key)
    if config is None:
        why = _unreadable.get(key)
        told = f"cannot be read here: {type(why).__name__}: {why}" if why else "is not known here"
        raise MiraiException(f"an object came serialised by a serial_config that {told}") from why
    return config.ufuncs[index](bytes(data))


def register_serial(
    class_: type | str | Sequence[type | str],
    sfunc: Callable[[Any], bytes] | Sequence[Callable[[Any], bytes]],
    ufunc: Callable[[bytes], Any] | Sequence[Callable[[bytes], Any]],
) -> None:
    """Say how objects of some classes travel, for every later `daemons()` that is given no `serial=`.

    Args:
        class_: a class, its name as "module.Class", or a list of these. The later registration of one wins.
        sfunc: makes bytes of an object; a list for a list of classes.
        ufunc: makes an object of these bytes; likewise.

    Raises:
        ValueError: lists of different lengths; a class that pickle always writes itself.
        TypeError: something else than classes and functions.

    Example:
        >>> from fractions import Fraction
        >>> register_serial(Fraction, lambda f: str(f).encode(), lambda b: Fraction(b.decode()))
        >>> with daemons(1):
        ...     mirai(lambda f: f / 2, Fraction(1, 3)).collect()
        Fraction(1, 6)
    """
    global _registered
    new = serial_config(class_, sfunc, ufunc)
    with _registering:
        _registered = new if _registered is None else _merged(new, _registered)


def _merged(new: SerialConfig, old: SerialConfig) -> SerialConfig:
    """Both, where the first entry that fits an object counts."""
    kept = [i for i, entry in enumerate(old.classes) if entry not in new.classes]
    return SerialConfig(
        (*new.classes, *(old.classes[i] for i in kept)),
        (*new.sfuncs, *(old.sfuncs[i] for i in kept)),
        (*new.ufuncs, *(old.ufuncs[i] for i in kept)),
    )


def custom_of(serial: Any) -> Custom | None:
    """The configuration for `daemons()`: the one that was given, or what was registered.

    Raises:
        TypeError: it is no configuration.
        MiraiSerializationError: its functions cannot be sent to daemons.
    """
    if serial is None:
        serial = _registered
    if serial is None:
        return None
    if not isinstance(serial, SerialConfig):
        raise MiraiTypeError(f"`serial` must be what serial_config() makes, not {serial!r}")
    try:
        return Custom.of(serial, byvalue.dumps)
    except Exception as error:
        raise MiraiSerializationError(f"the functions of {serial!r} cannot be sent: {error}") from error
