"""Handlers: what a server does with the requests for a path."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nngsock.errors import NngWarning

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = (
    "Handler",
    "HttpRequest",
    "handler",
    "handler_directory",
    "handler_file",
    "handler_inline",
    "handler_redirect",
    "handler_stream",
    "handler_ws",
)

REDIRECTS: Final = (301, 302, 303, 307, 308)
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a callback sees it, by attribute and by key.

    Attributes:
        method: Such as "GET".
        uri: The path with the query, as the client wrote it.
        headers: A mapping, case-insensitive.
        body: The bytes that came with it.
    """

    method: str
    uri: str
    headers: Mapping[str, str]
    body: bytes

    def __getitem__(self, key: str) -> Any:
        """An attribute."""
        if key not in self.__slots__:
            raise KeyError(key)
        return getattr(self, key)


@dataclass(frozen=True, slots=True)
class Handler:
    """What a server does with the requests for a path; made by `handler` and the functions named like it.

    Attributes:
        path: The path, without a slash at its end.
        method: The method it is for, or "*".
        prefix: Whether it is for what is below the path, too.
    """

    path: str
    method: str
    prefix: bool


@dataclass(frozen=True, slots=True)
class Callback(Handler):
    """A function answers."""

    callback: Callable[[HttpRequest], Any]


@dataclass(frozen=True, slots=True)
class WebSocket(Handler):
    """Functions are called with the messages of a WebSocket."""

    on_message: Callable[[Any, Any], Any]
    on_open: Callable[[Any, HttpRequest], Any] | None
    on_close: Callable[[Any], Any] | None
    textframes: bool


@dataclass(frozen=True, slots=True)
class Stream(Handler):
    """A function gets a connection to which it, or others later, write piece by piece."""

    on_request: Callable[[Any, HttpRequest], Any]
    on_close: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class File(Handler):
    """A file is the answer."""

    file: Path


@dataclass(frozen=True, slots=True)
class Directory(Handler):
    """The files of a directory are the answers."""

    directory: Path


@dataclass(frozen=True, slots=True)
class Inline(Handler):
    """Bytes in memory are the answer."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Redirect(Handler):
    """The answer sends the client elsewhere."""

    location: str
    status: int


def handler(
    path: str, callback: Callable[[HttpRequest], Any], method: str = "GET", prefix: bool = False
) -> Handler:
    """Have a function answer the requests for a path.

    Args:
        path: Such as "/api/data". Of several handlers, the one with the longest path that matches answers.
        callback: Called with an `HttpRequest`, on one of the server's threads; an `async def` function runs
            on the loop of HTTP instead, and must not block. It returns a dict with `status` (default 200),
            `headers` and `body` (str or bytes), all optional; or the body alone; or (status, body); or
            None, which is an empty body. If it raises, or returns anything else, the client gets a bare
            500, and the exception goes to logging.
        method: The method, or "*" for all. "GET" answers HEAD, too.
        prefix: Answer for what is below the path, too: "/api" is then for "/api/x", not for "/apix".

    Example:
        >>> nngsock.handler("/double", lambda req: req.body * 2, method="POST").method
        'POST'
    """
    return Callback(_path(path), _method(method), bool(prefix), _function("callback", callback))


def handler_ws(
    path: str,
    on_message: Callable[[Any, Any], Any],
    on_open: Callable[[Any, HttpRequest], Any] | None = None,
    on_close: Callable[[Any], Any] | None = None,
    textframes: bool = False,
) -> Handler:
    """Accept WebSockets at a path.

    The functions of one connection are called in order, one at a time, on one of the server's threads (`async
    def` functions: on the loop of HTTP). What they raise goes to logging; if on_open raises, the
    connection is closed.

    Args:
        path: Such as "/ws".
        on_message: Called with the `WsConnection` and each message.
        on_open: Called with the `WsConnection` and the `HttpRequest` that opened it.
        on_close: Called with the `WsConnection` when it is over, whichever side ended it.
        textframes: Messages are str, and are sent as text frames; else bytes, in binary frames.

    Example:
        >>> echo = nngsock.handler_ws("/echo", lambda ws, data: ws.send(data))
    """
    return WebSocket(
        _path(path), "GET", False, _function("on_message", on_message), _optional("on_open", on_open),
        _optional("on_close", on_close), bool(textframes),
    )  # fmt: skip


def handler_stream(
    path: str,
    on_request: Callable[[Any, HttpRequest], Any],
    on_close: Callable[[Any], Any] | None = None,
    method: str = ANY,
    prefix: bool = False,
) -> Handler:
    r"""Answer requests piece by piece: server-sent events, lines of JSON, anything that goes on.

    Args:
        path: Such as "/events".
        on_request: Called with a `StreamConnection` and the `HttpRequest`. The answer goes on after it has
            returned, until `close()` is called on the connection, by whichever thread.
        on_close: Called with the `StreamConnection` when it is over, also because the client is gone.
        method: The method, or "*" for all.
        prefix: Answer for what is below the path, too.

    Example:
        >>> def count(conn, req):
        ...     conn.set_header("Content-Type", "text/event-stream")
        ...     for i in range(3):
        ...         conn.send(nngsock.format_sse(str(i)))
        ...     conn.close()
        >>> with nngsock.http_server("http://127.0.0.1:0", nngsock.handler_stream("/", count)) as server:
        ...     nngsock.ncurl(server.url).data
        'data: 0\n\ndata: 1\n\ndata: 2\n\n'
    """
    return Stream(
        _path(path), _method(method), bool(prefix), _function("on_request", on_request),
        _optional("on_close", on_close),
    )  # fmt: skip


def handler_file(path: str, file: str | os.PathLike[str], prefix: bool = False) -> Handler:
    """Answer with a file, which is read anew each time; its name tells the content type.

    Args:
        path: Such as "/favicon.ico".
        file: The file; an `NngWarning` says that it does not exist (yet).
        prefix: Answer for what is below the path, too.

    Example:
        >>> server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler_file("/code", __file__))
        >>> with server:
        ...     nngsock.ncurl(server.url + "/code").status
        200
    """
    found = Path(file).expanduser()
    if not found.is_file():
        warnings.warn(f"`file` does not exist: {str(found)!r}", NngWarning, stacklevel=2)
    return File(_path(path), "GET", bool(prefix), found.absolute())


def handler_directory(path: str, directory: str | os.PathLike[str]) -> Handler:
    """Answer with the files of a directory and those below it; `index.html` for a directory itself.

    Nothing outside the directory is ever given, neither by ".." nor by a symbolic link.

    Args:
        path: Such as "/static": then "/static/css/x.css" is the file css/x.css.
        directory: The directory; an `NngWarning` says that it does not exist (yet).

    Example:
        >>> import pathlib
        >>> static = nngsock.handler_directory("/code", pathlib.Path(__file__).parent)
        >>> with nngsock.http_server("http://127.0.0.1:0", static) as server:
        ...     [nngsock.ncurl(server.url + path).status for path in ("/code/handlers.py", "/code/no.py")]
        [200, 404]
    """
    found = Path(directory).expanduser()
    if not found.is_dir():
        warnings.warn(f"`directory` does not exist: {str(found)!r}", NngWarning, stacklevel=2)
    return Directory(_path(path), "GET", True, found.absolute())


def handler_inline(
    path: str, data: str | bytes, content_type: str | None = None, prefix: bool = False
) -> Handler:
    """Answer with what is in memory.

    Args:
        path: Such as "/robots.txt".
        data: The body.
        content_type: "application/octet-stream" if None.
        prefix: Answer for what is below the path, too.

    Example:
        >>> robots = nngsock.handler_inline("/robots.txt", "User-agent: *", "text/plain")
        >>> with nngsock.http_server("http://127.0.0.1:0", robots) as server:
        ...     nngsock.ncurl(server.url + "/robots.txt").data
        'User-agent: *'
    """
    if isinstance(data, str):
        body = data.encode()
    elif isinstance(data, bytes | bytearray | memoryview):
        body = bytes(data)
    else:
        raise TypeError(f"`data` must be a str or bytes-like, not {data!r}")
    return Inline(_path(path), "GET", bool(prefix), body, content_type or "application/octet-stream")


def handler_redirect(path: str, location: str, status: int = 302, prefix: bool = False) -> Handler:
    """Send the client elsewhere, whatever the method.

    Args:
        path: Such as "/old".
        location: Such as "/new" or "https://example.com/page". The query of the request is kept, and with
            `prefix` what stands below `path`.
        status: 301, 302, 303, 307 or 308.
        prefix: Do so for what is below the path, too.

    Raises:
        ValueError: Another status.

    Example:
        >>> moved = nngsock.handler_redirect("/old", "/new"), nngsock.handler("/new", lambda req: "here")
        >>> with nngsock.http_server("http://127.0.0.1:0", moved) as server:
        ...     nngsock.ncurl(server.url + "/old").status
        ...     nngsock.ncurl(server.url + "/old", follow=True).data
        302
        'here'
    """
    if status not in REDIRECTS or isinstance(status, bool):
        raise ValueError(f"`status` must be 301, 302, 303, 307 or 308, not {status!r}")
    if not isinstance(location, str):
        raise TypeError(f"`location` must be a str, not {location!r}")
    if any(c < " " or c == "\x7f" for c in location):
        raise ValueError(f"`location` must be one line, not {location!r}")
    return Redirect(_path(path), ANY, bool(prefix), location, int(status))


def _path(path: str) -> str:
    if not isinstance(path, str):
        raise TypeError(f"`path` must be a str, not {path!r}")
    if path and not path.startswith("/"):
        raise ValueError(f"`path` must begin with a slash, not {path!r}")
    return path.removesuffix("/")


def _method(method: str) -> str:
    if not isinstance(method, str) or not method:
        raise ValueError(f"`method` must be a method such as 'GET', or '*', not {method!r}")
    return method.upper()


def _function(name: str, value: Any) -> Any:
    if not callable(value):
        raise TypeError(f"`{name}` must be a function, not {value!r}")
    return value


def _optional(name: str, value: Any) -> Any:
    return None if value is None else _function(name, value)
