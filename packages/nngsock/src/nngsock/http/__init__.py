"""HTTP, client and server, with WebSockets and server-sent events; needs the extra `http`."""

from nngsock.http.client import (
    NcurlAio,
    NcurlResult,
    NcurlSession,
    is_ncurl_session,
    ncurl,
    ncurl_aio,
    ncurl_session,
    transact,
)
from nngsock.http.connections import StreamConnection, WsConnection
from nngsock.http.handlers import (
    Handler,
    HttpRequest,
    handler,
    handler_directory,
    handler_file,
    handler_inline,
    handler_redirect,
    handler_stream,
    handler_ws,
)
from nngsock.http.server import Server, http_server
from nngsock.http.sse import format_sse

__all__ = (
    "Handler",
    "HttpRequest",
    "NcurlAio",
    "NcurlResult",
    "NcurlSession",
    "Server",
    "StreamConnection",
    "WsConnection",
    "format_sse",
    "handler",
    "handler_directory",
    "handler_file",
    "handler_inline",
    "handler_redirect",
    "handler_stream",
    "handler_ws",
    "http_server",
    "is_ncurl_session",
    "ncurl",
    "ncurl_aio",
    "ncurl_session",
    "transact",
)
