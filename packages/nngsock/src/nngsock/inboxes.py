"""Handle the messages of a socket on a thread of the library, or on the thread that waits for them.

Whoever waits for what a message brings would otherwise be woken by the thread that handled it: one change of
threads more for each round trip. So that thread may take over: it receives and handles itself, until it has
what it waits for.

Both look at NNG's descriptor, which is readable while there are messages, and at those that are watched
besides. The library's thread does so through an epoll within another, in which that one is muted while
somebody has taken over; what is to wake only one of the two is no part of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from nngsock._native import NONBLOCK, lib, life, new, refuse
from nngsock.callbacks import log_exception
from nngsock.channel import channel_of
from nngsock.errors import NngsockError, check
from nngsock.gate import too_late
from nngsock.message import MESSAGE_P, take_view
from nngsock.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from nngsock.sockets import Socket

    Lock = AbstractContextManager[Any]

__all__ = ("Inbox", "inbox")

_pipe_of = lib.nng_msg_get_pipe
_recv = lib.nng_recvmsg
_get_ident = threading.get_ident


class Inbox:
    """Calls a function with each message of a socket. Made by `inbox`; ends with the socket."""

    def __init__(self, socket: Socket, fn: Callable[[memoryview, int], object], lock: Lock) -> None:
        self._channel = channel_of(socket)
        self._fn = fn
        self._lock = lock
        self._out = new(MESSAGE_P)
        self._marks: deque[Callable[[], object]] = deque()
        self._ended = False
        # NNG's own descriptor ends with the socket, perhaps while somebody looks at it.
        self._ready = os.dup(_descriptor(self._channel.handle))
        self._bell, self._knocker = _Bell(), _Bell()
        self._calls: dict[int, Callable[[], object]] = {self._ready: self._receive}
        # Whoever has taken over.
        self._leading = threading.Lock()
        self._leader = 0
        self._all = _epoll_of(self._ready)
        self._ears = _epoll_of(self._all.fileno(), self._bell.reader)
        self._leaders_ears = _epoll_of(self._ready, self._knocker.reader)
        self._channel.gate.when_closed(self._end)
        threading.Thread(target=self._run, name="nngsock-inbox", daemon=True).start()

    def __repr__(self) -> str:
        return f"< inbox of {getattr(self._fn, '__qualname__', self._fn)!r} >"

    def after(self, fn: Callable[[], object]) -> None:
        """Have a function called once every message that has come up to now has been handled.

        For the end of a connection, say, which must not overtake its last messages.

        Args:
            fn: Called without arguments, as quick as the other; not any more once the socket is closed.
        """
        self._marks.append(fn)
        self._bell.ring()

    def watch(self, descriptor: int, fn: Callable[[], object]) -> bool:
        """Have a function called whenever another descriptor is readable, in turn with the messages.

        Args:
            descriptor: Of a pipe or socket. Call `unwatch` before it is closed.
            fn: Called without arguments; must read from it, without waiting.

        Returns:
            Whether it will be called; False where the platform lacks epoll, or the socket is closed.
        """
        if self._ended:
            return False
        known = descriptor in self._calls
        self._calls[descriptor] = fn
        for epoll in () if known else (self._all, self._leaders_ears):
            epoll.register(descriptor, select.EPOLLIN)
        return True

    def unwatch(self, descriptor: int) -> None:
        """End a `watch`; nothing happens if there is none."""
        if self._calls.pop(descriptor, None) is not None and not self._ended:
            for epoll in (self._all, self._leaders_ears):
                epoll.unregister(descriptor)

    def take_over(self) -> bool:
        """Let this thread handle the messages, by `handle`, until `give_back`.

        Returns:
            False if another thread does, or the socket is closed: wait for what you want by other means.
        """
        if life.forked:
            refuse()
        if not self._leading.acquire(blocking=False):
            if self._leader == _get_ident():  # this is a signal handler, which keeps it from handling
                self._listen(True)
            return False
        self._leader = _get_ident()
        if self._ended:
            self.give_back()
            return False
        self._listen(False)
        return True

    def give_back(self) -> None:
        """Let the library's thread handle the messages again."""
        self._leader = 0
        if not self._ended:
            self._listen(True)
        self._leading.release()

    def _listen(self, on: bool) -> None:
        """Let the library's thread hear what comes, or not."""
        self._ears.modify(self._all.fileno(), select.EPOLLIN if on else 0)

    def handle(self, seconds: float | None = None) -> bool:
        """Wait for a message and handle it; only after `take_over`. On the main thread signals interrupt it.

        Args:
            seconds: How long at most; None for ever.

        Returns:
            True after a message, something watched, or a `knock`; False when the time is over or the socket
            closed.
        """
        found = self._leaders_ears.poll(seconds)
        if not found or self._ended:
            return False
        with self._lock:
            for descriptor, _ in found:
                if descriptor == self._knocker.reader:
                    self._knocker.hush()
                else:
                    self._call(descriptor)
        return True

    def knock(self) -> None:
        """Have `handle` return on whatever thread it waits; nothing happens on that thread itself."""
        leader = self._leader
        if leader and leader != _get_ident():
            self._knocker.ring()

    def _call(self, descriptor: int) -> None:
        call = self._calls.get(descriptor)
        if call is not None:  # else it is watched no more
            _run_logged(call)

    def _receive(self) -> bool:
        """Receive and handle a message; False if there is none."""
        out = self._out
        gate = self._channel.gate
        with gate.lock:
            if gate.closed or life.halted or _recv(self._channel.handle, out, NONBLOCK):
                return False
        message = out[0]
        pipe = _pipe_of(message).id
        try:
            self._fn(take_view(message), pipe)
        except Exception:
            log_exception(*sys.exc_info())
        return True

    def _run(self) -> None:
        while not self._ended:
            self._ears.poll()
            self._bell.hush()
            with self._lock:
                number = len(self._marks)
                while not self._ended and (found := self._all.poll(0)):
                    for descriptor, _ in found:
                        self._call(descriptor)
                self._pass_marks(number)
        with self._leading:
            for each in (self._bell, self._knocker, self._ears, self._leaders_ears, self._all):
                each.close()
            os.close(self._ready)
            self._calls.clear()

    def _pass_marks(self, number: int) -> None:
        for _ in range(number):
            if not self._ended and not life.closing:
                _run_logged(self._marks.popleft())

    def _end(self) -> None:
        """The socket is being closed."""
        self._ended = True
        self._knocker.ring()
        self._bell.ring()


class _PlainInbox(Receiver):
    """An inbox where there is no epoll: nobody can take over."""

    __slots__ = ()

    def watch(self, _descriptor: int, _fn: Callable[[], object]) -> bool:
        return False

    def unwatch(self, _descriptor: int) -> None: ...

    def take_over(self) -> bool:
        return False

    def give_back(self) -> None:
        raise NngsockError("nothing has been taken over")

    def handle(self, _seconds: float | None = None) -> bool:
        raise NngsockError("nothing has been taken over")

    def knock(self) -> None: ...


class _Bell:
    """A descriptor that is readable once it has been rung."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def ring(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._writer >= 0:
                os.write(self._writer, b"!")

    def hush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 4096)

    def close(self) -> None:
        with self._lock:
            os.close(self._writer)
            self._writer = -1
        os.close(self.reader)


def _epoll_of(*descriptors: int) -> select.epoll:
    epoll = select.epoll()
    for descriptor in descriptors:
        epoll.register(descriptor, select.EPOLLIN)
    return epoll


def _run_logged(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        log_exception(*sys.exc_info())


def _descriptor(handle: Any) -> int:
    out = new("int *")
    check(lib.nng_socket_get_int(handle, b"recv-fd", out))
    return int(out[0])


def inbox(socket: Socket, fn: Callable[[memoryview, int], object], lock: Lock | None = None) -> Inbox:
    """Have a function called with each message that a socket receives, in their order, one at a time.

    As `on_message`, but on a thread of the library's own, or on that of whoever waits for what the messages
    bring and takes over meanwhile, which saves the change of threads:

        if inbox.take_over():
            try:
                while not there() and inbox.handle():
                    pass
            finally:
                inbox.give_back()

    That needs epoll, hence Linux; elsewhere `take_over` is always False, and NNG's threads call the function.

    Args:
        socket: A socket of a protocol that receives without being asked, hence none of req, rep, surveyor
            and respondent. Do not receive from it otherwise.
        fn: Called with the message (a read-only memoryview, of NNG's own memory where that saves a copy) and
            the number of its pipe. It should be quick, as no other message is handled meanwhile. What it
            raises goes to logging.
        lock: Is held while a message is received and handled: one that holds back Ctrl-C, say, which could
            otherwise cut that in two where the main thread has taken over. None for a plain lock.

    Returns:
        The inbox. It lives until the socket is closed.

    Raises:
        NngError: The socket is closed.

    Example:
        >>> came = []
        >>> with nngsock.socket("pull", listen="inproc://inbox") as s:
        ...     inbox = nngsock.inbox(s, lambda view, pipe: came.append(bytes(view)))
        ...     with nngsock.socket("push", dial="inproc://inbox") as p:
        ...         _ = inbox.take_over(), nngsock.send(p, b"hello", mode="raw", block=True), inbox.handle()
        ...         inbox.give_back()
        >>> came
        [b'hello']
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be a function of message and pipe, not {fn!r}")
    if life.halted:
        too_late()
    if not hasattr(select, "epoll"):
        return cast("Inbox", _PlainInbox(socket, fn))  # it has the same methods
    return Inbox(socket, fn, threading.Lock() if lock is None else lock)
