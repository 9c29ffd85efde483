"""Options of sockets, contexts, dialers and listeners; subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from nngsock._native import ffi, new, nng, text
from nngsock.channel import Channel
from nngsock.custom import SerialConfig, serial_config
from nngsock.errors import EBADTYPE, ECLOSED, EINVAL, ENOTSUP, EWRITEONLY, check, exception_for
from nngsock.modes import encode_raw
from nngsock.serial import codec_for

if TYPE_CHECKING:
    from nngsock.endpoints import Endpoint
    from nngsock.sockets import _Transferring

__all__ = ("opt", "set_opt", "subscribe", "survey_time", "unsubscribe")

T = TypeVar("T")

# Each option's type: one call of NNG reads or writes it.
TYPES: Final = {
    "recv-timeout": "ms",
    "send-timeout": "ms",
    "reconnect-time-min": "ms",
    "reconnect-time-max": "ms",
    "req:resend-time": "ms",
    "req:resend-tick": "ms",
    "surveyor:survey-time": "ms",
    "recv-size-max": "size",
    "recv-buffer": "int",
    "send-buffer": "int",
    "recv-fd": "int",
    "send-fd": "int",
    "ttl-max": "int",
    "ipc:permissions": "int",
    "tcp-bound-port": "int",
    "sub:prefnew": "bool",
    "tcp-nodelay": "bool",
    "tcp-keepalive": "bool",
    "socket-name": "string",
    "url": "string",
    "ws:request-headers": "string",
    "ws:response-headers": "string",
    "ws:request-uri": "string",
}
_C_TYPES: Final = {
    "ms": "nng_duration *",
    "size": "size_t *",
    "int": "int *",
    "bool": "bool *",
    "string": "char **",
}
_RANGES: Final = {"ms": (-(2**31), 2**31 - 1), "int": (-(2**31), 2**31 - 1), "size": (0, 2**64 - 1)}
MAX_NAME_SIZE: Final = 63  # NNG writes a longer socket-name over its neighbours
TOPIC_OPTIONS: Final = ("sub:subscribe", "sub:unsubscribe")
CODEC_OPTIONS: Final = ("serializer", "serial")
ENDPOINTS: Final = ("dialer", "listener")
KINDS: Final = ("socket", "ctx", "stream", *ENDPOINTS)


def opt(x: Any, name: str, *value: Any) -> Any:
    """Read an option, or set it if a value is given.

    Args:
        x: A socket, context, dialer or listener.
        name: The option's name.
        *value: The value to set; see `set_opt`.

    Returns:
        The value; when setting, x.

    Raises:
        NngError: 9 the object has no such option, 7 it is closed.

    Example:
        >>> with nngsock.socket("pair") as s:
        ...     nngsock.opt(nngsock.set_opt(s, "recv-buffer", 8), "recv-buffer")
        8
    """
    if value:
        return set_opt(x, name, *value)
    _usable(x)
    if name == "serializer":
        return _channel(x, name).codec.name
    if name == "serial":
        raise exception_for(EWRITEONLY, "option 'serial'")
    if name == "tls-config":
        return _endpoint(x, name).tls
    kind = _type_of(name)
    out = new(_C_TYPES[kind])
    check(getattr(nng, f"{x.kind}_get_{kind}")(x.handle, name.encode(), out), f"option {name!r}")
    if kind == "string":
        found = text(out[0])
        nng.strfree(out[0])
        return found
    return out[0]


def set_opt(x: T, name: str, value: Any) -> T:
    """Set an option.

    Args:
        x: A socket, context, or (before its start) dialer or listener.
        name: The option's name.
        value: An int or float (truncated) for times in milliseconds, sizes and counts; a bool; a str. For
            "serializer": "pickle", "cloudpickle", "json", "msgpack", "r" (what R reads and writes), or an
            object with dumps and loads. For "serial": what `serial_config` makes, or a dict of its arguments;
            an empty one removes it. For "tls-config": a `TlsConfig`. For "sub:subscribe" and
            "sub:unsubscribe": a topic.

    Returns:
        x.

    Raises:
        NngError: 9 the object has no such option, 30 the value has the wrong type or is out of range, 24 it
            can only be read, 7 the object is closed.

    Example:
        >>> s = nngsock.set_opt(nngsock.socket("pair"), "recv-timeout", 10)
        >>> nngsock.opt(s, "recv-timeout"), nngsock.recv(s, block=True)
        (10, errorValue 5 | Timed out)
    """
    _usable(x)
    if name in CODEC_OPTIONS:
        _set_codec(x, name, value)
        return x
    if name in TOPIC_OPTIONS:
        _topic(x, value, name.removeprefix("sub:"))
        return x
    if name == "tls-config":
        _endpoint(x, name).use_tls(value)
        return x
    if name == "ws:response-headers":
        raise exception_for(ENOTSUP, f"NNG 1.11 crashes on option {name!r}")
    kind = _type_of(name)
    if isinstance(value, SerialConfig | dict | list):
        raise TypeError(f"type of `value` not supported: {value!r} for option {name!r}")
    function = getattr(nng, f"{x.kind}_set_{kind}")  # type: ignore[attr-defined]
    code = function(x.handle, name.encode(), _converted(name, kind, value))  # type: ignore[attr-defined]
    check(EBADTYPE if code == EINVAL else code, f"option {name!r} = {value!r}")
    return x


def _set_codec(x: Any, name: str, value: Any) -> None:
    """Set the option "serializer" or "serial", which together are the socket's codec."""
    channel = _channel(x, name)
    if channel.codec_owner is not channel:
        raise exception_for(ENOTSUP, f"{name!r} is an option of the socket, its contexts follow")
    codec = channel.own_codec
    if name == "serializer":
        channel.own_codec = codec_for(value, codec.config)
    else:
        channel.own_codec = codec_for(codec.name, _as_config(value))


def _as_config(value: Any) -> SerialConfig | None:
    if value is None:
        raise exception_for(EBADTYPE, "option 'serial' = None: an empty dict removes the configuration")
    if isinstance(value, SerialConfig):
        return value if value.classes else None
    if isinstance(value, dict | list | tuple) and not value:
        return None
    if isinstance(value, dict) and value.keys() == {"class_", "sfunc", "ufunc"}:
        return serial_config(**value)
    raise TypeError(f"type of `value` not supported: {value!r} for option 'serial': see serial_config")


def _usable(x: Any) -> None:
    if getattr(x, "kind", None) not in KINDS:
        raise TypeError(f"`x` is not a valid Socket, Context, Dialer or Listener: {x!r}")
    if x.state == "closed":
        raise exception_for(ECLOSED)


def _type_of(name: str) -> str:
    try:
        return TYPES[name]
    except (KeyError, TypeError):
        raise exception_for(ENOTSUP, f"option {name!r}") from None


def _channel(x: Any, name: str) -> Channel:
    channel = getattr(x, "channel", None)
    if not isinstance(channel, Channel):
        raise exception_for(ENOTSUP, f"option {name!r}")
    return channel


def _endpoint(x: Any, name: str) -> Endpoint:
    if x.kind not in ENDPOINTS:
        raise exception_for(ENOTSUP, f"option {name!r}")
    endpoint: Endpoint = x
    return endpoint


def _converted(name: str, kind: str, value: Any) -> Any:
    """The value as NNG takes it."""
    if kind == "string" and isinstance(value, str) and "\0" not in value:
        encoded = value.encode("utf-8", "surrogateescape")
        if name != "socket-name" or len(encoded) <= MAX_NAME_SIZE:
            return encoded
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in _RANGES and isinstance(value, int | float) and not isinstance(value, bool):
        low, high = _RANGES[kind]
        if low <= value <= high:
            return int(value)
    raise exception_for(EBADTYPE, f"option {name!r} = {value!r}")


def subscribe(con: T, topic: Any = None) -> T:
    """Have a sub socket or context receive the messages that begin with a topic.

    Args:
        con: A socket or context of protocol sub.
        topic: A str or bytes, or a number, which stands for the bytes that mode "raw" makes of it; None is
            everything.

    Returns:
        con.

    Raises:
        NngError: 9, the protocol has no subscriptions.

    Example:
        >>> p = nngsock.socket("pub", listen="inproc://topics")
        >>> s = nngsock.subscribe(nngsock.socket("sub"), "news")
        >>> _ = nngsock.dial(s, "inproc://topics", autostart=None)
        >>> nngsock.send(p, ["weather", "rain"], mode="raw"), nngsock.send(p, ["news", "none"], mode="raw")
        (0, 0)
        >>> nngsock.recv(s, "character", block=1000)
        ['news', 'none']
    """
    _topic(con, topic, "subscribe")
    return con


def unsubscribe(con: T, topic: Any = None) -> T:
    """Undo `subscribe`.

    Raises:
        NngError: 12, there is no such subscription.

    Example:
        >>> s = nngsock.socket("sub")
        >>> nngsock.unsubscribe(nngsock.subscribe(s, "news"), "news") is s
        True
    """
    _topic(con, topic, "unsubscribe")
    return con


def _topic(con: Any, topic: Any, action: str) -> None:
    _channel(con, action)
    _usable(con)
    if con.protocol != "sub":
        raise exception_for(ENOTSUP, f"{action} on protocol {con.protocol!r}")
    content = topic.encode("utf-8", "surrogateescape") if isinstance(topic, str) else bytes(encode_raw(topic))
    function = getattr(nng, f"sub0_{con.kind}_{action}")
    check(function(con.handle, ffi.from_buffer(content), len(content)), f"topic {topic!r}")


def survey_time(con: _S, value: float = 1000) -> _S:
    """Set how long answers to a survey are waited for.

    Args:
        con: A socket or context of protocol surveyor.
        value: Milliseconds.

    Returns:
        con.

    Example:
        >>> s = nngsock.survey_time(nngsock.socket("surveyor"), 10)
        >>> nngsock.send(s, "anybody?", block=True), nngsock.recv(s, block=True)
        (0, errorValue 5 | Timed out)
    """
    return set_opt(con, "surveyor:survey-time", value)


_S = TypeVar("_S", bound="_Transferring")
