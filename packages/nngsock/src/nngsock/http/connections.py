"""Connections that stay: what callbacks send to, from whichever thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any, Final

from nngsock._native import life
from nngsock.errors import ECLOSED, ErrorValue, NngError, NngsockError
from nngsock.gate import too_late
from nngsock.http.fields import check_field

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiohttp import web

    from nngsock.http.loop import HttpThread

__all__ = ("Connection", "StreamConnection", "WsConnection")

GOING_AWAY: Final = 1001  # a WebSocket's close code: the server stops
INTERNAL_ERROR: Final = 1011
NORMAL: Final = 1000
GOODBYE_SECONDS: Final = 1.0  # for the closing handshake of a WebSocket


class Connection:
    """What the connections of WebSockets and of streamed answers have in common."""

    __slots__ = ("__weakref__", "_open", "_thread", "id")

    def __init__(self, thread: HttpThread, number: int) -> None:
        self._thread = thread
        self._open = True
        self.id = number

    def over(self) -> None:
        """Be closed from now on."""
        self._open = False

    def send(self, data: str | bytes) -> int:
        """Send, from any thread, and wait until it is on its way to the client.

        It does not wait in an `async def` callback: await `send_async` there to keep to the client's pace.

        Args:
            data: A str, sent as UTF-8, or bytes-like.

        Returns:
            0, or the error 7 if the connection is over.
        """
        return self._do(self._send, self._encoded(data))

    async def send_async(self, data: str | bytes) -> int:
        """Send, and be resumed when it is on its way to the client; in any event loop.

        Args:
            data: A str, sent as UTF-8, or bytes-like.

        Returns:
            0, or the error 7 if the connection is over.
        """
        if life.halted:
            return ErrorValue(too_late())
        try:
            code = await asyncio.wrap_future(self._thread.submit(self._send, self._encoded(data)))
        except NngError as error:
            code = error.code
        return ErrorValue(code) if code else 0

    def close(self) -> int:
        """End the connection, from any thread.

        Returns:
            0, or the error 7 if it is over.
        """
        return self._do(self._close)

    def _do(self, function: Callable[..., Coroutine[Any, Any, int]], *args: Any) -> int:
        """Have something done on the thread of HTTP; wait for it unless called there."""
        if life.halted:
            return ErrorValue(too_late())
        if not self._open:
            return ErrorValue(ECLOSED)
        try:
            if self._thread.is_current():
                self._thread.spawn(function(*args))
                return 0
            code = self._thread.run(function, *args)
        except NngError as error:
            code = error.code
        except concurrent.futures.CancelledError:  # at the interpreter's exit
            code = ECLOSED
        return ErrorValue(code) if code else 0

    def _encoded(self, data: Any) -> str | bytes:
        if isinstance(data, str | bytes):
            return data
        if isinstance(data, bytearray | memoryview):
            return bytes(data)
        raise TypeError(f"`data` must be a str or bytes-like, not {data!r}")

    async def _send(self, data: str | bytes) -> int:
        raise NotImplementedError

    async def _close(self) -> int:
        raise NotImplementedError


class WsConnection(Connection):
    """A WebSocket as the callbacks of `handler_ws` see it.

    Attributes:
        id: A number that no other connection of the server has, nor will have.
    """

    __slots__ = ("_goodbye", "_response", "_textframes")

    def __init__(
        self, thread: HttpThread, number: int, response: web.WebSocketResponse, *, textframes: bool
    ) -> None:
        super().__init__(thread, number)
        self._response = response
        self._textframes = textframes
        self._goodbye: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        return f"< nanoWsConn >\n - id: {self.id}"

    def _encoded(self, data: Any) -> str | bytes:
        checked = super()._encoded(data)
        if self._textframes:
            return checked if isinstance(checked, str) else checked.decode()
        return checked.encode() if isinstance(checked, str) else checked

    async def _send(self, data: str | bytes) -> int:
        if not self._open or self._response.closed:
            return ECLOSED
        try:
            if isinstance(data, str):
                await self._response.send_str(data)
            else:
                await self._response.send_bytes(data)
        except ConnectionError:
            return ECLOSED
        return 0

    async def _close(self) -> int:
        if not self._open or self._response.closed:
            return ECLOSED
        self.say_goodbye(NORMAL)
        return 0

    def say_goodbye(self, code: int) -> None:
        """Begin to close it, with a code that tells the client why."""
        self._open = False
        if self._goodbye is None:
            self._goodbye = self._thread.spawn(self._response.close(code=code))

    async def farewell(self) -> None:
        """Wait for the client's goodbye, if this side has said it; not for long."""
        if self._goodbye is not None:
            await asyncio.wait({self._goodbye}, timeout=2 * GOODBYE_SECONDS)


class StreamConnection(Connection):
    """An answer that is given piece by piece, as the callbacks of `handler_stream` see it.

    Attributes:
        id: A number that no other connection of the server has, nor will have.
    """

    __slots__ = ("_headers", "_lock", "_request", "_response", "_status", "ended", "head_sent")

    def __init__(self, thread: HttpThread, number: int, request: web.BaseRequest) -> None:
        super().__init__(thread, number)
        self._request = request
        self._status = 200
        self._headers: dict[str, str] = {}
        self._response: web.StreamResponse | None = None
        self._lock = asyncio.Lock()
        self.ended = asyncio.Event()
        self.head_sent = False

    def __repr__(self) -> str:
        return f"< nanoStreamConn >\n - id: {self.id}"

    def set_status(self, code: int) -> int:
        """Set the status code, which is 200 otherwise; before the first send.

        Args:
            code: 200 to 599.

        Returns:
            0.

        Raises:
            NngsockError: It has been sent.
        """
        self._refuse_if_sent()
        if isinstance(code, bool) or not isinstance(code, int) or not 200 <= code <= 599:
            raise ValueError(f"`code` must be a status code, 200 to 599, not {code!r}")
        self._status = code
        return 0

    def set_header(self, name: str, value: str) -> int:
        """Set a header; before the first send.

        Args:
            name: Such as "Content-Type".
            value: Its value.

        Returns:
            0.

        Raises:
            NngsockError: The headers have been sent.
        """
        self._refuse_if_sent()
        check_field("set_header", name, value)
        self._headers[name] = value
        return 0

    def _refuse_if_sent(self) -> None:
        if self.head_sent:
            raise NngsockError("status and headers cannot be set after headers have been sent")

    def send(self, data: str | bytes) -> int:
        """Send, from any thread, and wait until it is on its way; status and headers go before the first.

        It does not wait in an `async def` callback: await `send_async` there to keep to the client's pace.

        Args:
            data: A str, sent as UTF-8, or bytes-like.

        Returns:
            0, or the error 7 if the connection is over.
        """
        encoded = self._encoded(data)
        self.head_sent = True
        return self._do(self._send, encoded)

    def _encoded(self, data: Any) -> bytes:
        checked = super()._encoded(data)
        return checked.encode() if isinstance(checked, str) else checked

    async def _begun(self) -> web.StreamResponse:
        """The response, with its head sent."""
        if self._response is None:
            from aiohttp import web

            self.head_sent = True
            self._response = web.StreamResponse(status=self._status, headers=self._headers)
            await self._response.prepare(self._request)
        return self._response

    async def _send(self, data: str | bytes) -> int:
        async with self._lock:
            if not self._open:
                return ECLOSED
            try:
                response = await self._begun()
                if not self._without_body:
                    await response.write(data if isinstance(data, bytes) else data.encode())
            except ConnectionError:
                return ECLOSED
        return 0

    @property
    def _without_body(self) -> bool:
        return self._request.method == "HEAD" or self._status in (204, 304)

    async def _close(self) -> int:
        async with self._lock:
            if not self._open:
                return ECLOSED
            self._open = False
            self.ended.set()
        return 0

    async def finish(self) -> web.StreamResponse:
        """Send what is still to be sent: the end, perhaps the head."""
        response = await self._begun()
        await response.write_eof()
        return response
