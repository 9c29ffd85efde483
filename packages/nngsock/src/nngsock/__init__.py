"""Messages between processes: NNG sockets with asynchronous operations, a port of R's nanonext."""

import typing

from nngsock._version import __version__
from nngsock.aio import Aio, RecvAio, SendAio
from nngsock.callbacks import run_event_loop
from nngsock.custom import SerialConfig, serial_config
from nngsock.endpoints import Dialer, Listener, close, dial, listen, reap, start
from nngsock.errors import (
    UNRESOLVED,
    ErrorValue,
    MissingExtraError,
    NngCanceledError,
    NngError,
    NngPermissionError,
    NngRefusedError,
    NngResetError,
    NngsockError,
    NngTimeoutError,
    NngWarning,
    is_error_value,
    is_nul_byte,
    nng_error,
)
from nngsock.inboxes import Inbox, inbox
from nngsock.many import (
    as_completed,
    call_aio,
    call_aio_,
    collect_aio,
    collect_aio_,
    count_unresolved,
    is_aio,
    pipe_id,
    race_aio,
    stop_aio,
    stop_request,
    unresolved,
)
from nngsock.options import opt, set_opt, subscribe, survey_time, unsubscribe
from nngsock.pipes import (
    Monitor,
    PipeInfo,
    close_pipe,
    monitor,
    on_pipe,
    pipe_info,
    pipe_notify,
    read_monitor,
)
from nngsock.receiver import Receiver, on_message
from nngsock.rpc import reply, request
from nngsock.sockets import Context, Socket, context, socket
from nngsock.stats import stat
from nngsock.sync import (
    ConditionVariable,
    cv,
    cv_reset,
    cv_signal,
    cv_value,
    forward,
    until,
    until_,
    wait,
    wait_,
)
from nngsock.tls import TlsConfig, tls_config
from nngsock.transfer import recv, recv_aio, send, send_aio
from nngsock.url import parse_url
from nngsock.util import is_nano, mclock, msleep, nng_version, random

if typing.TYPE_CHECKING:
    from nngsock.bytestream import Stream, stream
    from nngsock.cert import write_cert
    from nngsock.device import device_aio
    from nngsock.http import (
        Handler,
        HttpRequest,
        NcurlAio,
        NcurlResult,
        NcurlSession,
        Server,
        StreamConnection,
        WsConnection,
        format_sse,
        handler,
        handler_directory,
        handler_file,
        handler_inline,
        handler_redirect,
        handler_stream,
        handler_ws,
        http_server,
        is_ncurl_session,
        ncurl,
        ncurl_aio,
        ncurl_session,
        transact,
    )
    from nngsock.interfaces import ip_addr
    from nngsock.nanoobject import Nano, nano
    from nngsock.status import status_code
    from nngsock.stdio import read_stdin, write_stdout

__all__ = (
    "UNRESOLVED",
    "Aio",
    "ConditionVariable",
    "Context",
    "Dialer",
    "ErrorValue",
    "Handler",
    "HttpRequest",
    "Inbox",
    "Listener",
    "MissingExtraError",
    "Monitor",
    "Nano",
    "NcurlAio",
    "NcurlResult",
    "NcurlSession",
    "NngCanceledError",
    "NngError",
    "NngPermissionError",
    "NngRefusedError",
    "NngResetError",
    "NngTimeoutError",
    "NngWarning",
    "NngsockError",
    "PipeInfo",
    "Receiver",
    "RecvAio",
    "SendAio",
    "SerialConfig",
    "Server",
    "Socket",
    "Stream",
    "StreamConnection",
    "TlsConfig",
    "WsConnection",
    "__version__",
    "as_completed",
    "call_aio",
    "call_aio_",
    "close",
    "close_pipe",
    "collect_aio",
    "collect_aio_",
    "context",
    "count_unresolved",
    "cv",
    "cv_reset",
    "cv_signal",
    "cv_value",
    "device_aio",
    "dial",
    "format_sse",
    "forward",
    "handler",
    "handler_directory",
    "handler_file",
    "handler_inline",
    "handler_redirect",
    "handler_stream",
    "handler_ws",
    "http_server",
    "inbox",
    "ip_addr",
    "is_aio",
    "is_error_value",
    "is_nano",
    "is_ncurl_session",
    "is_nul_byte",
    "listen",
    "mclock",
    "monitor",
    "msleep",
    "nano",
    "ncurl",
    "ncurl_aio",
    "ncurl_session",
    "nng_error",
    "nng_version",
    "on_message",
    "on_pipe",
    "opt",
    "parse_url",
    "pipe_id",
    "pipe_info",
    "pipe_notify",
    "race_aio",
    "random",
    "read_monitor",
    "read_stdin",
    "reap",
    "recv",
    "recv_aio",
    "reply",
    "request",
    "run_event_loop",
    "send",
    "send_aio",
    "serial_config",
    "set_opt",
    "socket",
    "start",
    "stat",
    "status_code",
    "stop_aio",
    "stop_request",
    "stream",
    "subscribe",
    "survey_time",
    "tls_config",
    "transact",
    "unresolved",
    "unsubscribe",
    "until",
    "until_",
    "wait",
    "wait_",
    "write_cert",
    "write_stdout",
)

# What is imported when it is first asked for, since most programs do without; the rest is of `nngsock.http`.
_LAZY = {
    "Nano": "nngsock.nanoobject",
    "Stream": "nngsock.bytestream",
    "device_aio": "nngsock.device",
    "ip_addr": "nngsock.interfaces",
    "nano": "nngsock.nanoobject",
    "read_stdin": "nngsock.stdio",
    "status_code": "nngsock.status",
    "stream": "nngsock.bytestream",
    "write_cert": "nngsock.cert",
    "write_stdout": "nngsock.stdio",
}


def __getattr__(name: str) -> typing.Any:
    if name not in __all__:
        raise AttributeError(f"module 'nngsock' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY.get(name, "nngsock.http")), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
