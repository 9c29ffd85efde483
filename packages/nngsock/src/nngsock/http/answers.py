"""Answers: what each kind of handler does with a request, on the thread of HTTP."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from aiohttp import HttpVersion11, WSMsgType, web
from multidict import CIMultiDict

from nngsock._native import life
from nngsock.callbacks import callback_ran, log_exception
from nngsock.http.connections import GOODBYE_SECONDS, INTERNAL_ERROR, StreamConnection, WsConnection
from nngsock.http.fields import check_field
from nngsock.http.handlers import (
    Callback,
    Directory,
    File,
    Handler,
    HttpRequest,
    Inline,
    Redirect,
    Stream,
    WebSocket,
)
from nngsock.http.routes import below
from nngsock.status import status_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from nngsock.http.loop import HttpThread, Workers

__all__ = ("Call", "answer", "bare")

FAILED: Final = object()  # what a callback that raised comes to
FIELDS: Final = frozenset({"status", "headers", "body"})
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})  # follow from the body
TEXT: Final = "text/plain; charset=utf-8"


class Call:
    """A request with what is needed to answer it.

    Attributes:
        request: As aiohttp has it.
        path: The path, decoded.
        connection: Where a connection that stays is kept while it is open.
    """

    def __init__(self, request: web.BaseRequest, thread: HttpThread, workers: Workers, number: int) -> None:
        self.request = request
        self.path = request.rel_url.path
        self.thread = thread
        self.number = number
        self.connection: WsConnection | StreamConnection | None = None
        self._workers = workers
        self._job: asyncio.Future[Any] | None = None

    async def read(self) -> HttpRequest:
        """The request with its body, for which a client may wait to be asked."""
        request = self.request
        if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # that was not yet the answer
        return self._seen(await request.read())

    def seen(self) -> HttpRequest:
        """The request, whose body stays where it is."""
        return self._seen(b"")

    def _seen(self, body: bytes) -> HttpRequest:
        return HttpRequest(self.request.method, self.request.raw_path, self.request.headers, body)

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a user's function and wait until it has returned, whatever happens to the client meanwhile.

        So the callbacks of a connection never overlap.

        Returns:
            What it returned; `FAILED` if it raised, or if the interpreter is on its way out.
        """
        if life.closing:
            return FAILED
        if _is_async(function):
            self._job = self.thread.spawn(_awaited(function, *args))
        else:
            self._job = self._workers.run(_called, function, *args)
        result = await _settled(self._job)
        if inspect.isawaitable(result):  # a plain function that hands on what an async one gave it
            self._job = self.thread.spawn(_awaited(lambda: result))
            result = await _settled(self._job)
        return result

    def give_up(self) -> None:
        """Wait no longer for the callback at work; one that is `async def` is cancelled."""
        if self._job is not None:
            self._job.cancel()


async def _settled(job: asyncio.Future[Any]) -> Any:
    """Wait for a job, however often this task is cancelled meanwhile; then be cancelled."""
    cancelled = None
    while not job.done():
        try:
            await asyncio.wait({job})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return FAILED if job.cancelled() else job.result()


def _called(function: Callable[..., Any], *args: Any) -> Any:
    if life.closing:
        return FAILED
    try:
        return function(*args)
    except BaseException:
        log_exception(*sys.exc_info())
        return FAILED
    finally:
        callback_ran()


async def _awaited(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    if life.closing:
        return FAILED
    try:
        return await function(*args)
    except Exception:
        log_exception(*sys.exc_info())
        return FAILED
    finally:
        callback_ran()


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object with an async __call__
    )


def bare(status: int, **headers: str) -> web.Response:
    """A response that says nothing but its status."""
    return web.Response(status=status, text=status_code(status).replace(" | ", " "), headers=headers)


async def answer(call: Call, handler: Handler) -> web.StreamResponse:
    """Answer a request as its handler wants it."""
    return await _ANSWERS[type(handler)](call, handler)


async def _callback(call: Call, handler: Callback) -> web.StreamResponse:
    value = await call.run(handler.callback, await call.read())
    if value is FAILED:
        return bare(500)
    try:
        return _response(value)
    except (TypeError, ValueError):
        log_exception(*sys.exc_info())
        return bare(500)


def _response(value: Any) -> web.Response:
    """What a callback returned, as a response."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise TypeError(f"a handler's callback returned a tuple that is not (status, body): {value!r}")
        value = {"status": value[0], "body": value[1]}
    elif not isinstance(value, Mapping):
        value = {"body": value}
    if not value.keys() <= FIELDS:
        raise TypeError(
            f"a handler's callback returned {list(value)}, which must be of status, headers, body"
        )
    status = value.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"a handler's callback returned the status {status!r}, which must be 200 to 599")
    body = value.get("body")
    headers = _headers(value.get("headers"))
    if isinstance(body, str):
        headers.setdefault("Content-Type", TEXT)
        body = body.encode()
    elif body is not None:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise TypeError(f"a handler's callback returned a body that is no str or bytes-like: {body!r}")
        body = bytes(body)
    return web.Response(status=status, headers=headers, body=body)


def _headers(headers: Any) -> CIMultiDict[str]:
    checked: CIMultiDict[str] = CIMultiDict()
    if headers is None:
        return checked
    if not isinstance(headers, Mapping):
        raise TypeError(f"a handler's callback returned headers that are no mapping: {headers!r}")
    for name, value in headers.items():
        check_field("a handler's callback returned", name, value)
        if name.lower() not in FRAMING:
            checked[name] = value
    return checked


async def _websocket(call: Call, handler: WebSocket) -> web.StreamResponse:
    response = web.WebSocketResponse(timeout=GOODBYE_SECONDS, compress=False, max_msg_size=0)
    if not response.can_prepare(call.request):
        return bare(400)
    await response.prepare(call.request)
    ws = WsConnection(call.thread, call.number, response, textframes=handler.textframes)
    call.connection = ws
    try:
        if handler.on_open is not None and await call.run(handler.on_open, ws, call.seen()) is FAILED:
            await response.close(code=INTERNAL_ERROR)
        async for message in response:
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                await call.run(handler.on_message, ws, _converted(message.data, text=handler.textframes))
        await ws.farewell()
    finally:
        ws.over()
        if handler.on_close is not None:
            await call.run(handler.on_close, ws)
    return response


def _converted(data: str | bytes, *, text: bool) -> str | bytes:
    if text:
        return data if isinstance(data, str) else data.decode(errors="replace")
    return data.encode() if isinstance(data, str) else data


async def _stream(call: Call, handler: Stream) -> web.StreamResponse:
    request = await call.read()
    conn = StreamConnection(call.thread, call.number, call.request)
    call.connection = conn
    try:
        if await call.run(handler.on_request, conn, request) is FAILED:
            if not conn.head_sent:
                return bare(500)
            raise ConnectionResetError  # the client must not take what it has for all
        await conn.ended.wait()
        return await conn.finish()
    finally:
        conn.over()
        if handler.on_close is not None:
            await call.run(handler.on_close, conn)


async def _file(_call: Call, handler: File) -> web.StreamResponse:
    return web.FileResponse(handler.file)


async def _directory(call: Call, handler: Directory) -> web.StreamResponse:
    rest = below(call.path, handler.path) or ""
    file = await asyncio.get_running_loop().run_in_executor(None, _inside, handler.directory, rest)
    return bare(404) if file is None else web.FileResponse(file)


def _inside(directory: Path, rest: str) -> Path | None:
    """The file of that path below a directory; None if it is not there, or elsewhere in truth."""
    try:
        root = directory.resolve(strict=True)
        file = (root / rest.lstrip("/")).resolve(strict=True)
        if file.is_relative_to(root) and file.is_dir():
            file = (file / "index.html").resolve(strict=True)
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError, RuntimeError):  # absent, a NUL, links in a circle
        return None


async def _inline(_call: Call, handler: Inline) -> web.StreamResponse:
    return web.Response(body=handler.body, headers={"Content-Type": handler.content_type})


async def _redirect(call: Call, handler: Redirect) -> web.StreamResponse:
    location, query = handler.location, call.request.rel_url.raw_query_string
    if handler.prefix and (rest := below(call.path, handler.path)):
        # One slash between the two: two of them would begin another host's name.
        location = f"{location.rstrip('/')}/{quote(rest.lstrip('/'))}"
    if query and "?" not in location and "#" not in location:
        location += f"?{query}"
    return web.Response(status=handler.status, headers={"Location": location})


_ANSWERS: Final[dict[type[Handler], Callable[[Call, Any], Awaitable[web.StreamResponse]]]] = {
    Callback: _callback,
    WebSocket: _websocket,
    Stream: _stream,
    File: _file,
    Directory: _directory,
    Inline: _inline,
    Redirect: _redirect,
}
