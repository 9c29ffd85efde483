"""The one event loop of HTTP, on a thread of its own, and threads for what would block it.

All threads here are daemons, so that neither a user's callback nor a name server that does not answer
delays the interpreter's exit.
"""

from __future__ import annotations

import asyncio
import os
import queue
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, TypeVarTuple

from nngsock._native import life, refuse
from nngsock.completion import at_exit
from nngsock.errors import ECLOSED, MissingExtraError, NngsockError, exception_for

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Coroutine

__all__ = ("HttpThread", "Owned", "Workers", "http_thread", "need_aiohttp")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
HELPERS: Final = 8  # threads that look up names and open files
EXIT_SECONDS: Final = 0.3  # what the interpreter's exit may take


def need_aiohttp() -> None:
    """Raise unless the extra is installed."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise MissingExtraError('HTTP needs the package aiohttp: pip install "nngsock[http]"') from error


class Workers:
    """Threads that run functions for an event loop, started when needed.

    Args:
        loop: The loop, on whose thread `run` and `end` are called.
        limit: The number of threads at most.
        name: What the names of the threads begin with.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, name: str) -> None:
        self._loop = loop
        self._limit = limit
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], Any] | None]
        self._jobs = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._ended = False

    def run(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Call a function on one of the threads."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._ended:
            future.cancel()
            return future
        self._unfinished += 1
        if self._unfinished > len(self._threads) < self._limit:
            self._add_thread()
        self._jobs.put((future, function, args))
        return future

    def _add_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function, args = job
            result = error = None
            try:
                result = function(*args)
            except BaseException as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:  # the loop has been closed: nobody waits any more
                return
            del job, future, function, args, result, error  # else they live on until the next job comes

    def _finish(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._unfinished -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def own_this_thread(self) -> bool:
        """Whether the caller runs on one of the threads."""
        return threading.current_thread() in self._threads

    def end(self) -> None:
        """Let the threads end when they are idle; what is not begun is still done."""
        self._ended = True
        for _ in self._threads:
            self._jobs.put(None)

    def join(self, seconds: float) -> None:
        """Wait, at most so long, until the threads have ended."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


class _EventLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with `Workers` for its default executor."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__(selector)
        self._helpers = Workers(self, HELPERS, "nngsock-http-helper")

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        if executor is None:
            return self._helpers.run(func, *args)
        return super().run_in_executor(executor, func, *args)


class Owned(Protocol):
    """What must be shut before the loop is."""

    async def shut(self) -> None:
        """Close it, without waiting for anybody."""


class HttpThread:
    """The thread of HTTP with its event loop.

    Attributes:
        loop: The event loop.
        owned: What is open on it, to be shut at the interpreter's exit.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.loop = _EventLoop(self._selector)
        self.owned: set[Owned] = set()
        self._spawned: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="nngsock-http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def is_current(self) -> bool:
        """Whether the caller runs on this thread, so must not wait for it."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[..., object], *args: Any) -> bool:
        """Have a function called on the loop; False if that has ended."""
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # closed
            return False
        return True

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Start a task; called on the loop."""
        task = self.loop.create_task(coroutine)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function on the loop and wait for what it returns or raises.

        Raises:
            NngsockError: This is the loop's own thread, which cannot wait for itself.
            NngError: 7, the loop has ended.
        """
        self.refuse_to_wait()
        return self.submit(function, *args).result()

    def submit(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> concurrent.futures.Future[T]:
        """Run a coroutine function on the loop."""
        coroutine = function(*args)
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:  # closed
            coroutine.close()
            raise exception_for(ECLOSED) from None

    def refuse_to_wait(self) -> None:
        """Raise on the loop's own thread."""
        if self.is_current():
            raise NngsockError(
                "this would make the thread of HTTP wait for itself: in an `async def` callback, await "
                "ncurl_aio instead, or make the callback a plain function"
            )

    def abandon(self) -> None:
        """In a forked child, leave what belongs to the parent alone: the two share one epoll."""
        for name in ("register", "unregister", "modify"):
            setattr(self._selector, name, _nothing)
        self.loop.set_exception_handler(_nothing)  # it would say what is not closed

    def stop(self) -> None:
        """End it, in a short time whatever is under way."""
        if self.call(self._begin_to_stop):
            self._thread.join(2 * EXIT_SECONDS)

    def _begin_to_stop(self) -> None:
        self.loop.set_exception_handler(_nothing)  # nobody is left to whom it would matter
        self.spawn(self._shut_all())

    async def _shut_all(self) -> None:
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await asyncio.gather(*(item.shut() for item in list(self.owned)), return_exceptions=True)
                rest = asyncio.all_tasks() - {asyncio.current_task()}
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            self.loop.stop()


def _nothing(*_args: object) -> None:
    pass


_lock = threading.Lock()
_thread: HttpThread | None = None


def http_thread() -> HttpThread:
    """The thread of HTTP, started if it does not run.

    Raises:
        MissingExtraError: The extra is not installed.
        NngsockError: This is a forked child.
        NngError: 7, the interpreter is on its way out.
    """
    global _thread
    if life.forked:
        refuse()
    if life.closing:
        raise exception_for(ECLOSED)
    if _thread is None:
        need_aiohttp()
        with _lock:
            if _thread is None:
                life.started = True  # a child forked from now on cannot use the library
                _thread = HttpThread()
    return _thread


def _after_fork_in_child() -> None:
    if _thread is not None:
        _thread.abandon()


def _stop() -> None:
    if _thread is not None:
        _thread.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
at_exit(_stop)
