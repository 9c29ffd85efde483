"""The HTTP client: ncurl, at once, asynchronously, or many times over kept connections."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from nngsock._native import life
from nngsock.aio import Aio
from nngsock.endpoints import warn
from nngsock.errors import (
    EADDRINVAL,
    ECANCELED,
    ECLOSED,
    EINVAL,
    UNRESOLVED,
    ErrorValue,
    NngWarning,
    Unresolved,
)
from nngsock.gate import too_late
from nngsock.http.fields import check_field, is_token
from nngsock.http.loop import http_thread, need_aiohttp
from nngsock.http.tls import client_context
from nngsock.outcome import Outcome
from nngsock.transfer import milliseconds

if TYPE_CHECKING:
    import asyncio
    import ssl

    from typing_extensions import TypeIs
    from yarl import URL

    from nngsock.http.exchange import Client
    from nngsock.http.loop import HttpThread

__all__ = (
    "NcurlAio",
    "NcurlResult",
    "NcurlSession",
    "is_ncurl_session",
    "ncurl",
    "ncurl_aio",
    "ncurl_session",
    "transact",
)


Response = Literal[True] | list[str] | tuple[str, ...] | str | None
Headers = dict[str, str | None]


class NcurlResult(NamedTuple):
    """What a request came to, by attribute, by position, and by key.

    Attributes:
        status: The HTTP status code.
        headers: Those headers of the response that were asked for, or None.
        data: The body: a str, or bytes.

    All three are the same `ErrorValue` if there was no response.
    """

    status: int
    headers: Headers | ErrorValue | None
    data: Any

    def __getitem__(self, key: Any) -> Any:
        """A field by its name, or as of any tuple."""
        if isinstance(key, str):
            if key not in self._fields:
                raise KeyError(key)
            return getattr(self, key)
        return tuple.__getitem__(self, key)


@dataclass(frozen=True, slots=True)
class Query:
    """A request, checked and ready to be sent."""

    url: URL
    method: str
    headers: dict[str, str]
    data: str | bytes | None
    follow: bool
    seconds: float | None
    ssl: ssl.SSLContext | Literal[False]


class Exchange(Outcome):
    """One request, from its submission to its outcome.

    Attributes:
        task: What works on it, on the thread of HTTP.
        status: The response's status code.
        headers: The response's headers.
        body: The response's body.
        charset: What the response says about its text's encoding.
    """

    __slots__ = ("_thread", "body", "charset", "headers", "status", "task")

    def __init__(self, result: int | None = None) -> None:
        super().__init__(result)
        self.task: asyncio.Task[Any] | None = None
        self.status = 0
        self.headers: Any = None
        self.body = b""
        self.charset: str | None = None
        self._thread: HttpThread | None = None

    def begin(self, thread: HttpThread, client: Client, query: Query) -> None:
        """Give the request to the thread of HTTP."""
        self._thread = thread
        if not thread.call(client.begin, query, self):
            self.resolve(ECLOSED)

    def cancel(self) -> None:
        """Have it end; 20 if it is under way."""
        if self.result is None and not life.halted and self._thread is not None:
            self._thread.call(self._cancel_task)

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def end(self, _task: object) -> None:
        """Resolve, if what worked on it has been cancelled, perhaps before it had begun."""
        if self.result is None:
            self.resolve(ECLOSED if life.closing else ECANCELED)

    def runs_here(self) -> bool:
        """Whether the caller runs on the thread that works on it."""
        return self._thread is not None and self._thread.is_current()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the outcome; False if it takes longer."""
        if self.result is None and self._thread is not None:
            self._thread.refuse_to_wait()
        return super().wait(seconds)


class NcurlAio(Aio):
    """A request under way: `status`, `headers` and `data` are `UNRESOLVED`, then the response's.

    `collect()` gives `data`, the body. `result()`, `await` and `future()` give all three as an `NcurlResult`,
    and raise if there was no response; a status such as 404 is a response. The request goes on if this
    object is dropped.
    """

    __slots__ = ("_convert", "_decoded", "_response")

    operation: Exchange

    def __init__(self, exchange: Exchange, *, convert: bool, response: Response) -> None:
        super().__init__(exchange, None)
        self._convert = convert
        self._response = response
        self._decoded: str | bytes | None = None

    def __repr__(self) -> str:
        return "< ncurlAio | .status .headers .data >"

    @property
    def status(self) -> int | Unresolved:
        """The HTTP status code, an `ErrorValue`, or `UNRESOLVED`; never waits."""
        result = self.operation.result
        if result is None:
            return UNRESOLVED
        return ErrorValue(result) if result else self.operation.status

    @property
    def headers(self) -> Headers | ErrorValue | Unresolved | None:
        """The headers that were asked for, an `ErrorValue`, or `UNRESOLVED`; never waits."""
        result = self.operation.result
        if result is None:
            return UNRESOLVED
        return ErrorValue(result) if result else _selected(self.operation, self._response)

    def cancel(self) -> None:
        """Stop it, and wait until it is over; in a callback on the thread of HTTP without waiting."""
        self.operation.cancel()
        if not self.operation.runs_here():
            self.operation.wait()

    def _value(self) -> str | bytes:
        exchange = self.operation
        with exchange.lock:  # decoded once, so that it warns once
            if self._decoded is None:
                self._decoded = _converted(exchange) if self._convert else exchange.body
            return self._decoded

    def _outcome(self) -> NcurlResult:
        super()._outcome()
        return self.triple()

    def triple(self) -> NcurlResult:
        """All three, once it is resolved."""
        exchange = self.operation
        if exchange.result:
            error = ErrorValue(exchange.result)
            return NcurlResult(error, error, error)
        return NcurlResult(exchange.status, _selected(exchange, self._response), self._value())


def _converted(exchange: Exchange) -> str | bytes:
    """The body as text if it is text, else as it came, with a warning."""
    body = exchange.body
    if b"\0" not in body:
        try:
            return body.decode(exchange.charset or "utf-8")
        except (LookupError, UnicodeDecodeError):
            pass
    warnings.warn("the response is not text and was left as bytes", NngWarning, stacklevel=2)
    return body


def _selected(exchange: Exchange, response: Response) -> Headers | None:
    """The headers that were asked for, and where a redirect points."""
    all_headers = exchange.headers
    headers: Headers = {}
    if response is True:
        for name in all_headers:
            headers[str(name)] = _joined(all_headers, name)
    else:
        for name in response or ():
            headers[name] = _joined(all_headers, name)
    redirects = 300 <= exchange.status < 400
    if redirects and not any(name.lower() == "location" for name in headers):
        headers["Location"] = _joined(all_headers, "Location")
    return headers if redirects or response is not None else None


def _joined(headers: Any, name: str) -> str | None:
    values = headers.getall(name, None)
    return None if values is None else ", ".join(values)


def _query(
    url: str,
    method: str | None,
    headers: Mapping[str, str] | None,
    data: Any,
    timeout: float | None,
    tls: object,
    *,
    follow: bool = False,
) -> Query | int:
    """Check the arguments; an error number if the URL is at fault."""
    need_aiohttp()
    from yarl import URL

    if not isinstance(url, str):
        raise TypeError(f"`url` must be a str, not {url!r}")
    if method is not None and not is_token(method):
        raise ValueError(f"`method` must be a method such as 'GET', not {method!r}")
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    if data is not None and not isinstance(data, str | bytes):
        raise TypeError(f"`data` must be a str or bytes-like, not {data!r}")
    given = _checked_headers(headers)
    limit = -1 if timeout is None else milliseconds("timeout", timeout)
    context = client_context(tls)
    try:
        target = URL(url)
    except ValueError:
        return EINVAL
    if not target.scheme or not target.raw_host:
        return EINVAL
    if target.scheme not in {"http", "https"}:
        return EADDRINVAL
    if target.scheme == "https" and context is False:
        warnings.warn("no `tls`: the server's certificate is not validated", NngWarning, stacklevel=3)
    seconds = None if limit < 0 else limit / 1000
    return Query(target, (method or "GET").upper(), given, data, bool(follow), seconds, context)


def _checked_headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"`headers` must be a mapping of str to str, not {headers!r}")
    for name, value in headers.items():
        check_field("`headers`", name, value)
    return dict(headers)


def _checked_response(response: object) -> Response:
    if response is None or response is True:
        return response
    if isinstance(response, str):
        return [response]
    if isinstance(response, list | tuple) and all(isinstance(name, str) for name in response):
        return list(response)
    raise TypeError(f"`response` must be True, a list of header names, or None, not {response!r}")


_shared: Client | None = None


def _new_client(thread: HttpThread, *, keep_alive: bool) -> Client:
    from nngsock.http.exchange import Client

    return Client(thread, keep_alive=keep_alive)


def _exchange(query: Query | int, client: Client | None = None) -> Exchange:
    """Submit a request: over a new connection that is closed afterwards, or as the client does it."""
    global _shared
    if isinstance(query, int):
        return Exchange(query)
    if life.halted:
        return Exchange(too_late())
    thread = http_thread()
    if client is None:
        if _shared is None:
            _shared = _new_client(thread, keep_alive=False)
        client = _shared
    exchange = Exchange()
    exchange.begin(thread, client, query)
    return exchange


def _finished(aio: NcurlAio) -> NcurlResult:
    """Wait for a request; it is stopped if that is interrupted."""
    try:
        aio.call()
    except BaseException:
        aio.operation.cancel()
        raise
    return aio.triple()


def ncurl(
    url: str,
    convert: bool = True,
    follow: bool = False,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    data: str | bytes | None = None,
    response: Response = None,
    timeout: float | None = None,
    tls: object = None,
) -> NcurlResult:
    """Make one HTTP request, and wait for the response.

    Where the connection is lost before an answer begins, it is made once more if its method is one that may
    be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE).

    Args:
        url: http:// or https://.
        convert: Give the body as a str if it is text without NUL. False gives bytes.
        follow: Go where a redirect points, with the same method and data, up to 10 times. What says who
            you are (Authorization, Cookie) goes to the host of `url` only. False gives the redirect's own
            response, with its "Location" in `headers`.
        method: "GET" if None.
        headers: Headers of the request, names and values str.
        data: The request's body.
        response: The headers of the response to give: True for all, or their names in any case (None
            for one that is missing).
        timeout: Milliseconds for all together; None waits for ever.
        tls: For https, what to trust, by `tls_config`. None validates nothing, with an `NngWarning`.

    Returns:
        status, headers and data. All three are the same `ErrorValue` if there was no response: 3 not a
        URL, 5 timed out, 6 refused, 15 unknown host or scheme, 19 connection lost, 26 certificate not
        trusted.

    Example:
        >>> server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hello"))
        >>> with server:
        ...     nngsock.ncurl(server.url, response=["content-type"])
        NcurlResult(status=200, headers={'content-type': 'text/plain; charset=utf-8'}, data='hello')
    """
    query = _query(url, method, headers, data, timeout, tls, follow=follow)
    chosen = _checked_response(response)
    return _finished(NcurlAio(_exchange(query), convert=bool(convert), response=chosen))


def ncurl_aio(
    url: str,
    convert: bool = True,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    data: str | bytes | None = None,
    response: Response = None,
    timeout: float | None = None,
    tls: object = None,
) -> NcurlAio:
    """Make one HTTP request, asynchronously.

    Args:
        url: http:// or https://.
        convert: Give the body as a str if it is text without NUL. False gives bytes.
        method: "GET" if None.
        headers: Headers of the request, names and values str.
        data: The request's body.
        response: The headers of the response to give, as in `ncurl`.
        timeout: Milliseconds for all together; None waits for ever.
        tls: For https, what to trust, by `tls_config`. None validates nothing, with an `NngWarning`.

    Returns:
        The operation, an Aio as every other: wait for it, await it, race it, stop it.

    Example:
        >>> server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hello"))
        >>> with server:
        ...     aios = [nngsock.ncurl_aio(server.url) for _ in range(3)]
        ...     nngsock.collect_aio(aios)
        ['hello', 'hello', 'hello']
    """
    query = _query(url, method, headers, data, timeout, tls)
    chosen = _checked_response(response)
    return NcurlAio(_exchange(query), convert=bool(convert), response=chosen)


class NcurlSession:
    """A request that can be made again and again, over connections that are kept. Made by `ncurl_session`.

    May be used from several threads at once; each has a connection then.
    """

    __slots__ = ("__weakref__", "_client", "_convert", "_finalizer", "_query", "_response", "_thread")

    def __init__(
        self, thread: HttpThread, client: Client, query: Query, *, convert: bool, response: Response
    ) -> None:
        self._thread = thread
        self._client = client
        self._query = query
        self._convert = convert
        self._response = response
        self._finalizer = weakref.finalize(self, _shut_later, thread, client)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        return f"< ncurlSession >\n - url: {self.url}\n - state: {self.state}"

    @property
    def url(self) -> str:
        """The address."""
        return str(self._query.url)

    @property
    def state(self) -> str:
        """'opened' or 'closed'."""
        return "closed" if self._client.closed else "opened"

    def transact(self) -> NcurlResult:
        """Make the request, and wait for the response.

        Returns:
            As of `ncurl`; the error 7 in all fields if the session is closed.
        """
        query: Query | int = ECLOSED if self._client.closed else self._query
        exchange = _exchange(query, self._client)
        return _finished(NcurlAio(exchange, convert=self._convert, response=self._response))

    def close(self) -> int:
        """Close the connections.

        Returns:
            0, or the error 7 with an `NngWarning` if it is closed.
        """
        result = self.try_close()
        return warn(result) if result else 0

    def try_close(self) -> int:
        """Close the connections; the error number."""
        if life.halted:
            return too_late()
        if self._client.closed:
            return ECLOSED
        self._finalizer.detach()
        self._client.closed = True
        self._thread.submit(self._client.shut) if self._thread.is_current() else self._thread.run(
            self._client.shut
        )
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.try_close()


def _shut_later(thread: HttpThread, client: Client) -> None:
    """Close the connections of a session that was dropped, on whatever thread that came to be known."""
    client.closed = True
    if not life.halted:
        thread.call(lambda: thread.spawn(client.shut()))


def ncurl_session(
    url: str,
    convert: bool = True,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    data: str | bytes | None = None,
    response: Response = None,
    timeout: float | None = None,
    tls: object = None,
) -> NcurlSession | ErrorValue:
    """Prepare a request that is made by `transact`, as often as one likes, over a connection that is kept.

    Args:
        url: http:// or https://.
        convert: Give the body as a str if it is text without NUL. False gives bytes.
        method: "GET" if None.
        headers: Headers of the request, names and values str.
        data: The request's body.
        response: The headers of the response to give, as in `ncurl`.
        timeout: Milliseconds for connecting now, and for each request; None waits for ever.
        tls: For https, what to trust, by `tls_config`. None validates nothing, with an `NngWarning`.

    Returns:
        The session; an `ErrorValue`, with an `NngWarning`, if one cannot connect there.

    Example:
        >>> server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hello"))
        >>> with server, nngsock.ncurl_session(server.url) as session:
        ...     [nngsock.transact(session).data for _ in range(2)]
        ['hello', 'hello']
    """
    query = _query(url, method, headers, data, timeout, tls)
    chosen = _checked_response(response)
    if isinstance(query, int):
        return warn(query)
    if life.halted:
        return warn(too_late())
    thread = http_thread()
    client = _new_client(thread, keep_alive=True)
    code = thread.run(client.probe, query)
    if code:
        return warn(code)
    return NcurlSession(thread, client, query, convert=bool(convert), response=chosen)


def transact(session: NcurlSession) -> NcurlResult:
    """Make a session's request, and wait for the response; see `NcurlSession.transact`.

    Example:
        >>> server = nngsock.http_server("http://127.0.0.1:0", nngsock.handler("/", lambda req: "hello"))
        >>> with server, nngsock.ncurl_session(server.url) as session:
        ...     nngsock.transact(session).data
        'hello'
    """
    if not isinstance(session, NcurlSession):
        raise TypeError(f"`session` is not a valid ncurlSession: {session!r}")
    return session.transact()


def is_ncurl_session(x: object) -> TypeIs[NcurlSession]:
    """Whether x is an `NcurlSession`; what `ncurl_session` returns on failure is none.

    Example:
        >>> nngsock.is_ncurl_session("no session")
        False
    """
    return isinstance(x, NcurlSession)
