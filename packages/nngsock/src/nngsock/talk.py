"""What the commands of the command line do with their sockets."""

from __future__ import annotations

import ast
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nngsock
from nngsock.drain import PROTOCOLS as DRAINED
from nngsock.drain import Drain
from nngsock.printing import FORMATS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

__all__ = ("ROLES", "Failed", "Talk")

DRAIN_MS: Final = 200
SILENT: Final = frozenset({"pull", "sub", "req"})  # what they sent has left when the work is done
SURVEY_MS: Final = 1000
TLS_SCHEMES: Final = ("tls+tcp", "wss")


class Failed(Exception):  # noqa: N818 - ends the program with its text
    """Something went wrong that the user should be told in one line."""


def _tls(args: argparse.Namespace, url: str, *, server: bool) -> nngsock.TlsConfig | None:
    if not url.startswith(TLS_SCHEMES):
        return None
    own = None if args.cert is None else (Path(args.cert), Path(args.key or args.cert))
    if server:
        if own is None:
            raise Failed(f"--cert FILE is needed to listen at {url}")
        return nngsock.tls_config(server=own, ca=args.cacert)
    if args.cacert is None and not args.insecure:
        raise Failed(f"--cacert FILE is needed to trust {url}, or --insecure")
    return nngsock.tls_config(client=None if args.insecure else args.cacert, identity=own)


class Talk:
    """What a command does with its socket.

    Args:
        socket: The socket.
        args: What the command line says.
    """

    def __init__(self, socket: nngsock.Socket, args: argparse.Namespace) -> None:
        self.socket = socket
        self.args = args
        self._block = True if args.timeout is None else args.timeout
        self._show = FORMATS[args.format]
        self._peers = nngsock.cv()
        socket.pipe_notify(self._peers, add=True)
        self._drain = Drain(socket) if socket.protocol in DRAINED else None

    def connect(self) -> None:
        """Subscribe, listen and dial."""
        if self.socket.protocol == "sub":
            for topic in self.args.subscribe or [None]:
                self.socket.subscribe(topic)
        for url in self.args.listen:
            self.socket.listen(url, _tls(self.args, url, server=True), fail="error")
        for url in self.args.dial:
            self.socket.dial(url, _tls(self.args, url, server=False), fail="error")

    def wait_for_peer(self) -> None:
        """Wait for the first connection: some protocols drop what nobody can get."""
        timeout = self.args.timeout
        if not (self._peers.wait() if timeout is None else self._peers.until(timeout)):
            raise Failed(f"nobody is connected after {timeout / 1000:g} s")

    def see_off(self) -> None:
        """Wait until what was sent has left."""
        if self._drain is not None:
            self._drain.wait(None if self.args.timeout is None else self.args.timeout / 1000)
        # No event tells when others have sent, nor when TLS has passed on what it took.
        encrypted = any(url.startswith(TLS_SCHEMES) for url in (*self.args.listen, *self.args.dial))
        if encrypted or (self._drain is None and self.socket.protocol not in SILENT):
            nngsock.msleep(DRAIN_MS)

    def close(self) -> None:
        """Give back what it needs beside the socket."""
        if self._drain is not None:
            self._drain.close()

    @property
    def has_data(self) -> bool:
        """Whether the command line says what to send."""
        return self.args.data is not None or self.args.file is not None

    def messages(self) -> Iterator[Any]:
        """What is to be sent, as often as is asked for."""
        contents = list(self._contents()) if self._repeats else self._contents()
        rounds = itertools.repeat(contents) if self._repeats else iter([contents])
        every = (self._encoded(content) for contents in rounds for content in contents)
        nngsock.msleep(self.args.delay)
        for i, message in enumerate(itertools.islice(every, self.args.count)):
            if i and self.args.interval is not None:
                nngsock.msleep(self.args.interval)
            yield message

    @property
    def _repeats(self) -> bool:
        """Whether the same is sent again: a count or an interval say so."""
        return not self.args.lines and (self.args.count is not None or self.args.interval is not None)

    def _contents(self) -> Iterator[bytes]:
        if self.args.data is not None:
            yield os.fsencode(self.args.data)
            return
        from_stdin = self.args.file in {None, "-"}
        with sys.stdin.buffer if from_stdin else Path(self.args.file).open("rb") as file:
            if self.args.lines:
                yield from (line.rstrip(b"\r\n") for line in file)
            else:
                yield file.read()

    def answer(self) -> Any:
        """What a question is answered with, if the command line says so."""
        return self._encoded(next(self._contents()))

    def _encoded(self, content: bytes) -> Any:
        if self.args.mode == "raw":
            return content
        text = content.decode("utf-8", "surrogateescape")
        return text if self.args.mode == "string" else _literal(text)

    def send(self, message: Any) -> None:
        """Send one message, and wait until it is on its way."""
        mode = "serial" if self.args.mode == "serial" else "raw"
        result = self.socket.send(message, mode, self._block)
        if result:
            raise Failed(f"cannot send: {nngsock.nng_error(result)}")

    def receive(self, block: float | bool | None = None) -> Any:
        """Receive one message, or an error value."""
        return self.socket.recv(self.args.mode, self._block if block is None else block)

    def show(self, message: Any) -> None:
        """Print a message, at once."""
        sys.stdout.buffer.write(self._show(message))
        sys.stdout.buffer.flush()


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text


def _received(talk: Talk, count: int | None) -> Iterator[Any]:
    """So many messages that come; an end of the time after the first is no failure."""
    for i in itertools.count() if count is None else range(count):
        message = talk.receive()
        if nngsock.is_error_value(message):
            if i and message == 5:
                return
            raise Failed(f"cannot receive: {nngsock.nng_error(message)}")
        yield message


def _send(talk: Talk) -> None:
    talk.wait_for_peer()
    for message in talk.messages():
        talk.send(message)


def _receive(talk: Talk) -> None:
    for message in _received(talk, talk.args.count):
        talk.show(message)


def _exchange(talk: Talk) -> None:
    """Send if there is something to send, as often as is asked for, then receive."""
    if not talk.has_data:
        _receive(talk)
        return
    _send(talk)
    for message in _received(talk, None):
        talk.show(message)


def _ask(talk: Talk) -> None:
    for message in talk.messages():
        talk.send(message)
        answer = talk.receive()
        if nngsock.is_error_value(answer):
            raise Failed(f"no answer: {nngsock.nng_error(answer)}")
        talk.show(answer)


def _survey(talk: Talk) -> None:
    """Ask all, and show the answers that come within the time."""
    talk.socket.survey_time(SURVEY_MS if talk.args.timeout is None else talk.args.timeout)
    talk.wait_for_peer()
    for message in talk.messages():
        talk.send(message)
        answers = 0
        while not nngsock.is_error_value(answer := talk.receive(block=True)):
            talk.show(answer)
            answers += 1
        if not answers:
            raise Failed(f"no answer: {nngsock.nng_error(answer)}")


def _answer(talk: Talk) -> None:
    answer = talk.answer() if talk.has_data else None
    for message in _received(talk, talk.args.count):
        talk.show(message)
        talk.send(answer if talk.has_data else message)


ROLES: Final[dict[str, Callable[[Talk], None]]] = {
    "send": _send,
    "recv": _receive,
    "push": _send,
    "pub": _send,
    "pull": _receive,
    "sub": _receive,
    "req": _ask,
    "rep": _answer,
    "surveyor": _survey,
    "respondent": _answer,
    "pair": _exchange,
    "bus": _exchange,
}
