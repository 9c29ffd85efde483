"""Standard input as messages, and lines on standard output that no other process cuts in two."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from nngsock.drain import Drain
from nngsock.errors import NngsockError
from nngsock.message import build
from nngsock.operation import DEFAULT
from nngsock.sockets import Socket, socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nngsock.operation import Operation

__all__ = ("read_stdin", "write_stdout")

STDIN: Final = 0
STDOUT: Final = 1
ADDRESS: Final = "inproc://nngsock-reserved-stdin"
BLOCK_SIZE: Final = 65536


def write_stdout(x: str) -> None:
    """Write a line to the standard output of the process, past `sys.stdout`, with one call of the system.

    Lines of several processes do not get mixed.

    Args:
        x: The line; the newline is added.

    Example:
        >>> nngsock.write_stdout("a line")  # doctest: +SKIP
    """
    if not isinstance(x, str):
        raise TypeError(f"`x` must be a str, not {x!r}")
    line = x.encode("utf-8", "surrogateescape") + b"\n"
    written = os.writev(STDOUT, (line,))
    while written < len(line):  # a full pipe took a part only
        written += os.write(STDOUT, memoryview(line)[written:])


def read_stdin() -> Socket:
    """Read standard input on a thread of its own, as messages.

    Each line is one message: its text without the newline, and a NUL, so that mode "string" reads it. At the
    end of the input the connection is closed: `monitor`, `pipe_notify` and `on_pipe` tell of it.

    Returns:
        A pull socket.

    Raises:
        NngsockError: Somebody is typing into this session.
        NngError: 10, there is one already.

    Example:
        >>> lines = nngsock.read_stdin()  # doctest: +SKIP
        >>> nngsock.recv(lines, "string", block=True)  # doctest: +SKIP
        'the first line'
    """
    if hasattr(sys, "ps1") or sys.flags.interactive:
        raise NngsockError("read_stdin cannot be used in an interactive session, whose input Python reads")
    pull = socket("pull", listen=ADDRESS)
    push = socket("push")
    forwarder = _Forwarder(push)
    push.dial(ADDRESS, autostart=None, fail="error")
    threading.Thread(target=forwarder.run, name="nngsock-stdin", daemon=True).start()
    return pull


class _Forwarder:
    """Sends lines until there is no more, or nobody who receives.

    Args:
        push: The socket to send to, not yet connected.
    """

    def __init__(self, push: Socket) -> None:
        self._push = push
        self._drain = Drain(push)
        self._sending: Operation | None = None
        self._receiver_is_gone = False
        push.on_pipe(self._on_pipe)

    def _on_pipe(self, event: str, _pipe: int) -> None:
        if event == "remove":  # on NNG's thread, where closing the socket would wait for this very call
            self._receiver_is_gone = True
            if self._sending is not None:
                self._sending.cancel()

    def run(self) -> None:
        """Send all of standard input."""
        try:
            if all(map(self._send, _lines(STDIN))):
                self._drain.wait()
        finally:
            self._push.try_close()
            self._drain.close()

    def _send(self, line: bytes) -> bool:
        """Send a line; False if nobody receives any more."""
        self._sending = operation = self._push.channel.send(build((line, b"\0")), DEFAULT)
        if self._receiver_is_gone:
            operation.cancel()
        operation.wait()
        return not operation.result


def _lines(fd: int) -> Iterator[bytes]:
    """The lines of a file; not through `sys.stdin`, whose lock would be held when the interpreter exits."""
    begun: list[bytes] = []
    while block := os.read(fd, BLOCK_SIZE):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    if any(begun):
        yield b"".join(begun)
