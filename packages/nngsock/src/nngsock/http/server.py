"""The HTTP server."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from nngsock._native import life
from nngsock.endpoints import warn
from nngsock.errors import EADDRINUSE, EADDRINVAL, ECLOSED, EINVAL, EPERM, NngsockError, exception_for
from nngsock.gate import too_late
from nngsock.http.handlers import Handler
from nngsock.http.loop import http_thread, need_aiohttp
from nngsock.http.routes import Routes
from nngsock.http.tls import server_context
from nngsock.sync import acquire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from nngsock.http.serving import Serving

__all__ = ("Server", "http_server")

BACKLOG: Final = 1024
PORTS: Final = {"http": 80, "https": 443}
SAME: Final = {"ws": "http", "wss": "https"}


class Server:
    """An HTTP server; made by `http_server`. It serves from `start` until `close`, or until it is dropped."""

    def __init__(self, url: str, routes: Routes, tls: ssl.SSLContext | None, workers: int) -> None:
        self._scheme, self._host, self._port = _parts(url)
        self._routes = routes
        self._tls = tls
        self._workers = workers
        self._lock = threading.Lock()
        self._serving: Serving | None = None
        self._closed = False
        self._over = threading.Lock()  # held until it is closed, for serve()
        self._over.acquire()
        self._finalizer: Any = None

    def __repr__(self) -> str:
        return f"< nanoServer >\n - url: {self.url}\n - state: {self.state}"

    @property
    def url(self) -> str:
        """The address, once started with the real port where port 0 was asked for."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}" + ("" if self._port == PORTS[self._scheme] else f":{self._port}")

    @property
    def state(self) -> str:
        """'not started', 'started' or 'closed'."""
        if self._closed:
            return "closed"
        return "not started" if self._serving is None else "started"

    def start(self) -> int:
        """Listen, and serve on threads of this library.

        Returns:
            0, also if it has been started.

        Raises:
            NngError: It cannot listen there: 10 address in use, 15 no such address, 16 not allowed.
            NngsockError: It has been closed.
        """
        thread = http_thread()
        from nngsock.http.serving import Serving

        with self._lock:
            if self._closed:
                raise NngsockError("not a valid HTTP Server: it has been closed, make another one")
            if self._serving is not None:
                return 0
            listening = _listen(self._host, self._port)
            self._port = listening.getsockname()[1]
            serving = Serving(thread, self._routes, self._workers)
            try:
                thread.run(serving.open, listening, self._tls)
            except BaseException:
                listening.close()
                raise
            self._serving = serving
            self._finalizer = weakref.finalize(self, serving.close_later)
            self._finalizer.atexit = False
        return 0

    def close(self) -> int:
        """Stop serving, and wait until the callbacks that run and every on_close have returned, at most 5 s.

        Called in one of the server's own callbacks, it does not wait.

        Returns:
            0, or the error 7 with an `NngWarning` if it is closed.
        """
        result = self.try_close()
        return warn(result) if result else 0

    def try_close(self) -> int:
        """Stop serving; the error number."""
        if life.halted:
            return too_late()
        with self._lock:
            if self._closed:
                return ECLOSED
            self._closed = True
            self._over.release()
        if self._serving is not None:
            self._finalizer.detach()
            self._serving.close()
        return 0

    def serve(self) -> None:
        """Start, wait for Ctrl-C or for `close` in another thread, and close."""
        self.start()
        sys.stderr.write(f"Serving at {self.url} - press Ctrl+C to stop\n")
        try:
            acquire(self._over)
            self._over.release()
        except KeyboardInterrupt:
            pass
        finally:
            self.try_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.try_close()


def _parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    if not isinstance(url, str):
        raise TypeError(f"`url` must be a str, not {url!r}")
    try:
        parts = urlsplit(url)
        scheme = SAME.get(parts.scheme, parts.scheme)
        port = PORTS[scheme] if parts.port is None else parts.port
    except (KeyError, ValueError):
        raise exception_for(
            EINVAL, f"`url` must be http://host:port or https://host:port, not {url!r}"
        ) from None
    if parts.path not in ("", "/") or parts.query or parts.username:
        raise exception_for(EINVAL, f"`url` must end with the port, handlers have the paths: {url!r}")
    host = parts.hostname or ""
    return scheme, "0.0.0.0" if host in ("", "*") else host, port  # noqa: S104 - asked for by an empty host


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens at the first address of a host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise exception_for(EADDRINVAL, f"no such host: {host!r}") from None
    except PermissionError:
        raise exception_for(EPERM, f"http_server at port {port}") from None
    except OSError as error:
        code = EADDRINVAL if error.errno == errno.EADDRNOTAVAIL else EADDRINUSE
        raise exception_for(code, f"http_server at {host}, port {port}") from None


def http_server(
    url: str, handlers: Handler | Iterable[Handler] = (), tls: object = None, workers: int = 8
) -> Server:
    """Make a server for HTTP and WebSockets.

    Args:
        url: http://host:port or https://host:port. Port 0 takes a free one: see `Server.url` after the
            start. http://:8080 listens at all addresses of this machine.
        handlers: One handler or several, made by `handler`, `handler_ws`, `handler_stream`, `handler_file`,
            `handler_directory`, `handler_inline` and `handler_redirect`. The longest path that matches
            answers; no match is a 404, none for the method a 405.
        tls: For https, the certificate and key, by `tls_config`.
        workers: The number of threads at most on which callbacks run at the same time. The callbacks of one
            connection run one after another.

    Returns:
        The server, which begins with `start()`, with `serve()`, or as a context manager.

    Raises:
        NngError: 3, the URL is not of that form.
        ValueError: Something is no handler, or two are for the same path and method.

    Example:
        >>> hello = nngsock.handler("/hello", lambda req: {"body": f"Hello from {req.uri}"})
        >>> with nngsock.http_server("http://127.0.0.1:0", hello) as server:
        ...     nngsock.ncurl(server.url + "/hello?you").data
        'Hello from /hello?you'
    """
    need_aiohttp()
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"`workers` must be a number of threads from 1, not {workers!r}")
    given: Any = [handlers] if isinstance(handlers, Handler) else handlers
    context = None if tls is None else server_context(tls)
    server = Server(url, Routes(given), context, workers)
    if (context is not None) != server.url.startswith("https:"):
        raise ValueError(f"`tls` belongs to an https:// URL and is needed there: {url!r}")
    return server
