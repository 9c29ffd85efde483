"""What runs on the thread of HTTP for the client: requests, their answers, and what can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from nngsock.errors import (
    EADDRINVAL,
    ECLOSED,
    ECONNREFUSED,
    ECONNRESET,
    ECRYPTO,
    EINVAL,
    ENOFILES,
    EPROTO,
    ETIMEDOUT,
    EUNREACHABLE,
)

if TYPE_CHECKING:
    from nngsock.http.client import Exchange, Query
    from nngsock.http.loop import HttpThread

__all__ = ("Client", "code_of")

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS: Final = 10
MAX_CONNECTIONS: Final = 256  # of one client at a time; more requests than that wait for their turn
NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
# What says who the user is goes to the host that they named, and to no other.
CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

_OS_ERRORS: Final = {
    errno.ECONNREFUSED: ECONNREFUSED,
    errno.ECONNRESET: ECONNRESET,
    errno.ECONNABORTED: ECONNRESET,
    errno.EPIPE: ECONNRESET,
    errno.ETIMEDOUT: ETIMEDOUT,
    errno.EHOSTUNREACH: EUNREACHABLE,
    errno.ENETUNREACH: EUNREACHABLE,
    errno.EMFILE: ENOFILES,
    errno.ENFILE: ENOFILES,
}


def code_of(error: BaseException) -> int:
    """The error number for what a request or a connection raised."""
    if isinstance(error, TimeoutError):
        return ETIMEDOUT
    if isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
        return ECRYPTO
    if isinstance(error, socket.gaierror | aiohttp.ClientConnectorDNSError):
        return EADDRINVAL
    if isinstance(error, aiohttp.InvalidURL):
        return EINVAL
    if isinstance(error, OSError) and error.errno in _OS_ERRORS:
        return _OS_ERRORS[error.errno]
    if isinstance(error, aiohttp.ClientResponseError):
        return EPROTO
    if isinstance(error, aiohttp.ClientConnectorError) or type(error) is OSError:
        return ECONNREFUSED  # by several addresses, each in its way
    return ECONNRESET


class Client:
    """The connections of one `ncurl_session`, or those of all other requests.

    Its methods run on the thread of HTTP.

    Args:
        thread: That thread.
        keep_alive: Use connections again.
    """

    def __init__(self, thread: HttpThread, *, keep_alive: bool) -> None:
        self._thread = thread
        self._keep_alive = keep_alive
        self._session: aiohttp.ClientSession | None = None
        self.closed = False

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, force_close=not self._keep_alive)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=NO_TIMEOUT
        )
        self._thread.owned.add(self)
        return self._session

    async def shut(self) -> None:
        """Close the connections; what is under way on them ends with 7."""
        self.closed = True
        self._thread.owned.discard(self)
        if self._session is not None:
            await self._session.close()

    def begin(self, query: Query, exchange: Exchange) -> None:
        """Make a request, of which the exchange tells."""
        exchange.task = task = self._thread.spawn(self._perform(query, exchange))
        task.add_done_callback(exchange.end)

    async def _perform(self, query: Query, exchange: Exchange) -> None:
        code = 0
        try:
            async with asyncio.timeout(query.seconds):
                await self._fetch(query, exchange)
        except Exception as error:
            code = ECLOSED if self.closed else code_of(error)
        exchange.resolve(code)

    async def _fetch(self, query: Query, exchange: Exchange) -> None:
        """Ask, and where that is wanted follow where the answer points."""
        url, headers = query.url, query.headers
        for hop in range(MAX_REDIRECTS + 1):
            async with self._request(query, url, headers) as response:
                exchange.body = await response.read()
            exchange.status, exchange.headers = response.status, response.headers
            exchange.charset = response.charset
            place = response.headers.get("Location")
            if not query.follow or hop == MAX_REDIRECTS or response.status not in REDIRECTS or not place:
                return
            target = url.join(URL(place))
            if target.scheme not in {"http", "https"} or not target.raw_host:
                return
            if target.origin() != url.origin():
                headers = {name: value for name, value in headers.items() if name.lower() not in CREDENTIALS}
            url = target

    def _request(self, query: Query, url: URL, headers: dict[str, str]) -> Any:
        if self.closed:
            raise ConnectionResetError
        session = self._session or self._open()
        data: Any = query.data
        if isinstance(data, bytes):
            data = io.BytesIO(data)  # sent piece by piece, so that a large one holds nobody else up
        return session.request(
            query.method, url, headers=headers, data=data, allow_redirects=False, ssl=query.ssl
        )

    async def probe(self, query: Query) -> int:
        """Connect once, to learn whether that is possible; 0 or the error number."""
        url = query.url
        try:
            async with asyncio.timeout(query.seconds):
                context = (query.ssl or _unchecked()) if url.scheme == "https" else None
                _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except Exception as error:
            return code_of(error)
        return 0


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
