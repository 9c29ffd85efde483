"""A server at work, on the thread of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from nngsock._native import life
from nngsock.http.answers import Call, answer, bare
from nngsock.http.connections import GOING_AWAY, WsConnection
from nngsock.http.loop import Workers

if TYPE_CHECKING:
    import socket
    import ssl

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.streams import StreamReader

    from nngsock.http.loop import HttpThread
    from nngsock.http.routes import Routes

__all__ = ("Serving",)

CLOSE_SECONDS: Final = 5.0  # for callbacks that run while the server closes


class _Logger(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs to: what strangers send to an open port is nobody's error here."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        level = logging.DEBUG if isinstance(exc_info, HttpProcessingError) else logging.ERROR
        self.log(level, msg, *args, exc_info=exc_info, **options)


class Serving:
    """What a started server consists of.

    Args:
        thread: The thread of HTTP.
        routes: The handlers.
        limit: The number of callbacks at most that run at the same time.
    """

    def __init__(self, thread: HttpThread, routes: Routes, limit: int) -> None:
        self._thread = thread
        self._routes = routes
        self._workers = Workers(thread.loop, limit, "nngsock-http-server")
        self._numbers = itertools.count(1)
        self._calls: dict[asyncio.Task[Any], Call] = {}
        self._listener: asyncio.Server | None = None
        self._web: web.Server | None = None

    async def open(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections."""
        self._web = web.Server(
            self._handle,
            request_factory=self._request,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            logger=_Logger(logging.getLogger("nngsock")),
        )
        self._listener = await self._thread.loop.create_server(self._web, sock=listening, ssl=tls)
        self._thread.owned.add(self)

    def _request(
        self, message: Any, payload: StreamReader, protocol: Any, writer: AbstractStreamWriter, task: Any
    ) -> web.BaseRequest:
        # A body may have any size, as with NNG.
        return web.BaseRequest(message, payload, protocol, writer, task, self._thread.loop, client_max_size=0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        call = Call(request, self._thread, self._workers, next(self._numbers))
        self._calls[task] = call
        try:
            return await self._answer(call)
        except ConnectionError:  # cut, by the client or on purpose: nothing to say, and to nobody
            raise asyncio.CancelledError from None
        finally:
            del self._calls[task]

    async def _answer(self, call: Call) -> web.StreamResponse:
        request = call.request
        socket_handler = self._routes.find_socket(call.path)
        if socket_handler is not None and request.headers.get("Upgrade", "").strip().lower() == "websocket":
            return await answer(call, socket_handler)
        handler, allowed = self._routes.find(call.path, request.method)
        if handler is not None:
            return await answer(call, handler)
        if allowed:
            return bare(405, Allow=", ".join(sorted(allowed)))
        return bare(404) if socket_handler is None else bare(426, Upgrade="websocket")

    def close(self) -> None:
        """Stop, and wait for it unless that cannot be waited for here."""
        if self._workers.own_this_thread() or self._thread.is_current():
            self.close_later()
            return
        deadline = time.monotonic() + CLOSE_SECONDS
        self._thread.run(self._finish, CLOSE_SECONDS)
        self._workers.join(max(0.0, deadline - time.monotonic()))

    def close_later(self) -> None:
        """Stop, without waiting for it."""
        if not life.halted:
            self._thread.call(self._begin_to_finish)

    def _begin_to_finish(self) -> None:
        self._thread.spawn(self._finish(CLOSE_SECONDS))

    async def shut(self) -> None:
        """Stop, at the interpreter's exit: nothing is waited for, no callback runs."""
        await self._finish(0)

    async def _finish(self, seconds: float) -> None:
        assert self._web is not None
        assert self._listener is not None
        self._thread.owned.discard(self)
        self._listener.close()
        self._web.pre_shutdown()  # connections end after the request that they are at
        for task, call in self._calls.items():
            if isinstance(call.connection, WsConnection):
                call.connection.say_goodbye(GOING_AWAY)
            elif call.connection is not None:
                task.cancel()  # cut, lest the client take what it has for all
        await self._drain(seconds)
        with contextlib.suppress(TimeoutError):
            await self._web.shutdown(0.01)
        self._workers.end()

    async def _drain(self, seconds: float) -> None:
        """Wait so long for the answers under way, then cut them."""
        if self._calls and seconds:
            await asyncio.wait(self._calls, timeout=seconds)
        for task, call in self._calls.items():
            call.give_up()
            task.cancel()
