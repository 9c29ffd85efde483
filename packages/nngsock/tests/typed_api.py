"""What a type checker knows of the public API. `nox -s types` checks this file; it is never run.

Every `type: ignore` is a mistake that has to be found: an unneeded one is an error itself.
"""

import concurrent.futures
from typing import Any, assert_type

import nngsock


def sockets() -> None:
    s = nngsock.socket("req", listen="inproc://types", tls=None, autostart=None)
    assert_type(s, nngsock.Socket)
    assert_type(s.listener, tuple[nngsock.Listener, ...])
    assert_type(s.id, int)
    assert_type(nngsock.set_opt(s, "recv-timeout", 10), nngsock.Socket)
    assert_type(nngsock.subscribe(s, "topic"), nngsock.Socket)
    assert_type(nngsock.dial(s, "inproc://types", fail="none"), int)
    assert_type(nngsock.stat(s, "pipes"), int | str | None)
    with nngsock.context(s) as c:
        assert_type(c, nngsock.Context)
        assert_type(nngsock.request(c, {"x": 1}, timeout=1.5), nngsock.RecvAio)
        assert_type(nngsock.reply(c, len, timeout=10), int)
    with s as entered:
        assert_type(entered, nngsock.Socket)
    nngsock.socket(proto=1)  # type: ignore[arg-type]
    nngsock.listen(s, fail="loudly")  # type: ignore[arg-type]
    nngsock.context("s")  # type: ignore[arg-type]


def messages(s: nngsock.Socket, c: nngsock.Context, stream: nngsock.Stream) -> None:
    for con in (s, c, stream):
        assert_type(nngsock.send(con, b"x", mode="raw", block=True), int)
        assert_type(nngsock.recv(con, "buffer", block=100), Any)
    assert_type(nngsock.send_aio(stream, "x"), nngsock.SendAio)
    assert_type(s.recv_aio(timeout=100), nngsock.RecvAio)
    nngsock.send("no connection", 1)  # type: ignore[arg-type]
    nngsock.recv_aio(s, cv=1)  # type: ignore[arg-type]


def aios(aio: nngsock.RecvAio, many: list[nngsock.RecvAio]) -> None:
    assert_type(nngsock.call_aio(aio), nngsock.RecvAio)
    assert_type(nngsock.call_aio(many), list[nngsock.RecvAio])
    assert_type(aio.call(), nngsock.RecvAio)
    assert_type(aio.future(), concurrent.futures.Future[Any])
    assert_type(aio.exception(), nngsock.NngError | None)
    assert_type(nngsock.race_aio(many), int | None)
    assert_type(nngsock.unresolved(aio), bool)
    aio.add_done_callback(lambda done: assert_type(done.pipe, int))
    for done in nngsock.as_completed(many, timeout=1):
        assert_type(done, nngsock.Aio)


async def tasks(aio: nngsock.RecvAio, cv: nngsock.ConditionVariable) -> None:
    assert_type(await aio, Any)
    assert_type(await cv.wait_async(), bool)


def pipes(s: nngsock.Socket, cv: nngsock.ConditionVariable) -> None:
    assert_type(nngsock.read_monitor(nngsock.monitor(s, cv)), list[int] | None)
    assert_type(nngsock.pipe_info(s, 1), nngsock.PipeInfo)
    assert_type(nngsock.pipe_info(s, 1).tls_verified, bool | None)
    assert_type(cv >> nngsock.cv(), nngsock.ConditionVariable)
    nngsock.on_pipe(s, lambda event, pipe: event == "add_pre" and pipe > 0)()
    nngsock.on_message(s, lambda view, pipe: view.nbytes + pipe)
    nngsock.on_pipe(s, print, "add")  # type: ignore[call-arg]


def errors(error: nngsock.NngError, value: object) -> None:
    assert_type(error.code, int)
    assert_type(nngsock.ErrorValue(5) + 1, int)
    if nngsock.is_error_value(value):
        assert_type(value, nngsock.ErrorValue)


def others() -> None:
    assert_type(nngsock.tls_config(client="ca.pem"), nngsock.TlsConfig)
    assert_type(nngsock.stream(dial="tcp://127.0.0.1:1"), nngsock.Stream)
    assert_type(nngsock.nano("pair"), nngsock.Nano)
    assert_type(nngsock.parse_url("tcp://h:1"), dict[str, str])
    assert_type(nngsock.nng_version(), tuple[str, str])
    assert_type(nngsock.serial_config(dict, bytes, bytes), nngsock.SerialConfig)


def http(req: nngsock.HttpRequest) -> None:
    result = nngsock.ncurl("http://127.0.0.1", response=["Date"], timeout=100)
    assert_type(result, nngsock.NcurlResult)
    assert_type(nngsock.ncurl_aio("http://127.0.0.1"), nngsock.NcurlAio)
    session = nngsock.ncurl_session("http://127.0.0.1")
    assert_type(session, nngsock.NcurlSession | nngsock.ErrorValue)
    if not nngsock.is_error_value(session):
        assert_type(nngsock.transact(session), nngsock.NcurlResult)
    greeting = nngsock.handler("/", lambda req: {"status": 200, "body": req.method})
    assert_type(greeting, nngsock.Handler)
    with nngsock.http_server("http://127.0.0.1:0", [greeting]) as server:
        assert_type(server, nngsock.Server)
        assert_type(server.url, str)
    assert_type(req.body, bytes)
    assert_type(nngsock.format_sse("x", retry=1), str)
