"""Daemons as a `concurrent.futures.Executor`, for all that takes one: asyncio, dask, other people's code."""

from __future__ import annotations

import atexit
import itertools
import threading
import time
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mirai_py.arguments import function, whole_number
from mirai_py.callbacks import callbacks
from mirai_py.codes import Once
from mirai_py.dispatcher import Dispatcher
from mirai_py.errors import (
    MiraiException,
    MiraiTypeError,
    MiraiValueError,
    MissingExtraError,
    is_mirai_error,
    is_mirai_interrupt,
    raised,
)
from mirai_py.futures import MiraiFuture
from mirai_py.launchers import RemoteConfig, remote_config
from mirai_py.lifetime import is_forked
from mirai_py.profiles import Profile, require_profile, reset
from mirai_py.setting import daemons
from mirai_py.submit import packed_call, submit_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mirai_py.handles import Mirai

_P = ParamSpec("_P")
_R = TypeVar("_R")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class MiraiNode:
    """One node of a cluster: a place for a daemon, to launch one for. Tasks go to any node.

    Attributes:
        cluster: id of its cluster.
        index: its position, from 0.

    Example:
        >>> with make_cluster(2) as cluster:
        ...     cluster[-1].index
        1
    """

    cluster: str
    index: int

    def __repr__(self) -> str:
        return f"< miraiNode | node: {self.index} - cluster ID: {self.cluster} >"


class BrokenClusterError(MiraiException, BrokenExecutor):
    """A cluster cannot run anything: its initializer failed, or it has lost all of its nodes."""


class ClusterFuture(MiraiFuture):
    """A future of a cluster. Unlike those of CPython's executors it can be cancelled while it runs."""

    def __init__(self, engine: Dispatcher) -> None:
        super().__init__()
        self._engine = engine
        self._broken: BrokenClusterError | None = None

    def running(self) -> bool:
        """Whether a daemon has been given the task and has not finished it."""
        return self._mirai is not None and not self.done() and self._engine.executes(self._mirai)

    def withdraw(self) -> bool:
        """Cancel it unless it runs."""
        if self._mirai is not None and not self._engine.withdraw(self._mirai):
            return False
        return self.cancel()

    def give_up(self, error: BrokenClusterError) -> None:
        """End with this error unless it runs; called on the thread for callbacks, as `_settle` is."""
        if self._mirai is not None and self._engine.withdraw(self._mirai):
            self._broken = error

    def _settle(self) -> None:
        if self._broken is None:
            super()._settle()
        elif self.set_running_or_notify_cancel():
            self.set_exception(self._broken)


class _Work:
    """The futures and the profile of a cluster: what must last until the last future is done.

    The futures and their callbacks keep this alive, not the cluster: one that nobody holds any more ends by
    itself, when its futures are done.
    """

    def __init__(self, profile: Profile, engine: Dispatcher, *, is_local: bool) -> None:
        self.profile = profile
        self._engine = engine
        self._is_local = is_local
        self._lock = threading.Lock()
        # In the order of submission.
        self._futures: dict[ClusterFuture, None] = {}
        self._closing = False
        self._ending = threading.Lock()
        self._broken: BrokenClusterError | None = None
        if is_local:
            profile.observers.append(lambda: callbacks.put(self._look_again))

    def initialize(self, initializer: Callable[..., object], initargs: tuple[Any, ...]) -> None:
        """Run a function on every node, also on those that come later; without it none takes a task."""
        custom = self.profile.custom
        first = self._engine.everywhere(
            *packed_call(initializer, initargs, {}, None, custom), 1, self._initialized
        )
        for mirai in first:
            mirai.add_done_callback(self._initialized)

    def _initialized(self, mirai: Mirai) -> None:
        if not (is_mirai_error(mirai.data) or is_mirai_interrupt(mirai.data)):
            return  # a node that dies in it is but a dead node
        try:
            raised(mirai.data)
        except BaseException as error:
            broken = BrokenClusterError(f"the initializer failed: {type(error).__name__}: {error}")
            broken.__cause__ = error
            self._broken = self._broken or broken
            self._give_up(broken)

    def _look_again(self) -> None:
        """A task that nobody will ever run must not be waited for."""
        if self._broken is not None:
            self._give_up(self._broken)
        elif self._futures and self._lacks_nodes():
            self._give_up(BrokenClusterError(_deserted(self.profile)))

    def _lacks_nodes(self) -> bool:
        return self._is_local and self.profile.is_deserted()

    def _give_up(self, error: BrokenClusterError) -> None:
        with self._lock:
            futures = list(self._futures)
        for future in reversed(futures):
            future.give_up(error)

    def submit(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Hand a call to the daemons; what cannot be sent is the future's exception."""
        future = ClusterFuture(self._engine)
        with self._lock:
            if self._broken is not None:
                raise BrokenClusterError(str(self._broken)) from self._broken.__cause__
            if not self.active:
                raise RuntimeError("cluster is no longer active")
            self._futures[future] = None
        future.add_done_callback(self._done)
        try:
            mirai = submit_call(self.profile, call, args, kwargs)
        except Exception as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return future
        except BaseException:  # Ctrl-C while it waited for room
            future.cancel()
            raise
        assert mirai is not None
        future.follow(mirai)
        if self._broken is not None or self._lacks_nodes():
            callbacks.put(self._look_again)  # the last look may have been too early for this one
        return future

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._futures.pop(future, None)  # type: ignore[call-overload]
            is_last = self._closing and not self._futures
        if is_last:
            self._close()

    def finish(self, *, wait_for_all: bool, cancel_waiting: bool = False) -> None:
        """Take no more; end once what was taken is done."""
        with self._lock:
            self._closing = True
            futures = list(self._futures)
        if cancel_waiting:
            for future in reversed(futures):
                future.withdraw()
        if wait_for_all:
            wait(futures)
        if wait_for_all or not futures:
            self._close()

    def _close(self) -> None:
        with self._ending:  # whoever comes second waits until it is done
            _unfinished.discard(self)
            reset(self.profile.name)

    @property
    def active(self) -> bool:
        """Whether it takes tasks."""
        return not self._closing and not self.profile.closed


_unfinished: set[_Work] = set()


@atexit.register
def _finish_all() -> None:
    """As for CPython's executors, what was submitted ends before the interpreter does."""
    if is_forked():
        return
    for work in list(_unfinished):
        work.finish(wait_for_all=True)


def _deserted(profile: Profile) -> str:
    ends = [daemon.end() for daemon in profile.started if daemon.gone()]
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for end in ends[-1:] for name, value in end.items())
    return f"the cluster has lost all of its nodes{f' (the last: {told})' if told else ''}"


class MiraiCluster(Executor):
    """Daemons behind the interface of `concurrent.futures.Executor`. Made by `make_cluster`.

    Attributes:
        id: name of its compute profile: `everywhere("", _compute=cluster.id, x=1)` gives all nodes a name.

    Example:
        >>> import asyncio
        >>> async def main(cluster):
        ...     return await asyncio.get_running_loop().run_in_executor(cluster, pow, 2, 5)
        >>> with make_cluster(1) as cluster:
        ...     asyncio.run(main(cluster))
        32
    """

    def __init__(self, work: _Work, n: int) -> None:
        self._work = work
        self.id = work.profile.name
        # The name that dask asks executors for.
        self._max_workers = n
        _unfinished.add(work)
        weakref.finalize(self, callbacks.put, lambda: work.finish(wait_for_all=False)).atexit = False

    def submit(self, fn: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_R]:
        """Evaluate `fn(*args, **kwargs)` on a node.

        Args:
            fn: the function.
            args: its arguments.
            kwargs: its keyword arguments.

        Returns:
            A future; its `cancel()` also ends a task that runs.

        Raises:
            RuntimeError: the cluster was stopped.
            BrokenClusterError: its initializer has failed.

        Example:
            >>> with make_cluster(1) as cluster:
            ...     cluster.submit(pow, 2, 5).result()
            32
        """
        return self._work.submit(fn, args, kwargs)

    def map(
        self,
        fn: Callable[..., _R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[_R]:
        """Evaluate `fn` for the elements of iterables, which are taken at once.

        Args:
            fn: the function, of as many arguments as there are iterables.
            iterables: where its arguments come from; the shortest one decides.
            timeout: seconds from now within which each value must have come.
            chunksize: elements that travel together. Short tasks do so by themselves.
            buffersize: take no more elements than that ahead of what was read; None takes all.

        Returns:
            An iterator over the values, in order. It raises what the function raises, and TimeoutError; then,
            or when it is closed, the rest is cancelled.

        Example:
            >>> with make_cluster(2) as cluster:
            ...     list(cluster.map(pow, [2, 3], [3, 2]))
            [8, 9]
        """
        chunksize = whole_number("chunksize", chunksize, 1)
        if buffersize is not None:
            buffersize = whole_number("buffersize", buffersize, 1)
        deadline = None if timeout is None else time.monotonic() + timeout
        elements = zip(*iterables, strict=False)
        if chunksize == 1:
            return _in_order(self, fn, elements, deadline, buffersize)
        shared: Once = Once(fn, fresh=True, custom=self._work.profile.custom)
        calls = ((shared, chunk) for chunk in iter(lambda: list(itertools.islice(elements, chunksize)), []))
        return _flat(_in_order(self, _apply_chunk, calls, deadline, buffersize))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the nodes end once what was submitted is done.

        Args:
            wait: return only then.
            cancel_futures: cancel what does not run yet.
        """
        self._work.finish(wait_for_all=wait, cancel_waiting=cancel_futures)

    def __len__(self) -> int:
        return self._max_workers

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> MiraiNode:
        if not isinstance(index, int):
            raise MiraiTypeError(f"`index` must be the position of a node, not {index!r}")
        if not -len(self) <= index < len(self):
            raise IndexError(f"of the {len(self)} node(s) of the cluster none is at {index!r}")
        return MiraiNode(self.id, index % len(self))

    def __repr__(self) -> str:
        return f"< miraiCluster | ID: {self.id} nodes: {self._max_workers} active: {self._work.active} >"


def _in_order(
    cluster: MiraiCluster,
    fn: Callable[..., _R],
    calls: Iterator[tuple[Any, ...]],
    deadline: float | None,
    ahead: int | None,
) -> Iterator[_R]:
    futures = deque(cluster.submit(fn, *args) for args in itertools.islice(calls, ahead))
    return _values(cluster, fn, calls if ahead else iter(()), futures, deadline)


def _values(
    cluster: MiraiCluster,
    fn: Callable[..., _R],
    calls: Iterator[tuple[Any, ...]],
    futures: deque[Future[_R]],
    deadline: float | None,
) -> Iterator[_R]:
    try:
        while futures:
            if (args := next(calls, None)) is not None:
                futures.append(cluster.submit(fn, *args))
            # Nothing here must hold on to a value that the caller has dropped.
            yield _result(futures.popleft(), deadline)
    finally:
        for future in reversed(futures):
            future.cancel()


def _result(future: Future[_R], deadline: float | None) -> _R:
    try:
        return future.result(None if deadline is None else deadline - time.monotonic())
    finally:
        future.cancel()
        del future


def _flat(chunks: Iterator[list[_R]]) -> Iterator[_R]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


def _apply_chunk(fn: Callable[..., _R], chunk: list[tuple[Any, ...]]) -> list[_R]:
    return [fn(*args) for args in chunk]


def make_cluster(
    n: int = 1,
    url: str | None = None,
    remote: RemoteConfig | None = None,
    *,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
    **daemons_args: Any,
) -> MiraiCluster:
    """Set up daemons as a `concurrent.futures.Executor`, on a compute profile of their own.

    Args:
        n: number of nodes.
        url: where to listen for nodes that are started elsewhere; without it they are started here. Unless
            `remote` starts them, the commands that do are printed.
        remote: how to start them elsewhere, see `daemons`.
        initializer: called on every node before its first task. If it fails, the cluster is broken.
        initargs: its arguments.
        daemons_args: as in `daemons`, for example `seed=`; `cleanup` is False unless given.

    Returns:
        A cluster; stopped by `stop_cluster`, `shutdown()`, or as a context manager.

    Raises:
        ValueError: `n` is less than 1.
        TypeError: `initializer` is not callable, `initargs` no tuple.
        Exception: what `daemons` raises.

    Example:
        >>> with make_cluster(2) as cluster:
        ...     len(cluster), cluster.submit(abs, -1).result()
        (2, 1)
    """
    number = whole_number("n", n, 1)
    if initializer is not None:
        function("initializer", initializer)
    if not isinstance(initargs, tuple | list):
        raise MiraiTypeError(f"`initargs` must be a tuple of arguments, not {initargs!r}")
    if daemons_args.get("sync"):
        raise MiraiValueError("a cluster is made of daemons: `sync` cannot be True")
    if "compute" in daemons_args:
        raise MiraiTypeError("a cluster has a compute profile of its own, named by its `id`: not `compute`")
    name = f"cluster-{next(_numbers)}"
    daemons(number, url, remote, compute=name, **{"cleanup": False, **daemons_args})
    try:
        profile = require_profile(name)
        assert isinstance(profile.engine, Dispatcher)
        work = _Work(profile, profile.engine, is_local=url is None)
        if url is not None and remote is None:
            print(remote_config().launch(number, profile.target({})))  # noqa: T201 - to be pasted elsewhere
        if initializer is not None:
            work.initialize(initializer, tuple(initargs))
        cluster = MiraiCluster(work, number)
        if url is not None and remote is None:
            from mirai_py.remote import launch_remote

            launch_remote(cluster)
    except BaseException:
        reset(name)
        raise
    return cluster


def stop_cluster(cl: MiraiCluster) -> None:
    """Stop a cluster once what was submitted to it is done: the same as its `shutdown()`.

    Example:
        >>> cluster = make_cluster(1)
        >>> stop_cluster(cluster)
        >>> cluster.submit(abs, -1)
        Traceback (most recent call last):
        RuntimeError: cluster is no longer active
    """
    if not isinstance(cl, MiraiCluster):
        raise MiraiTypeError(f"`cl` must be a cluster that make_cluster() made, not {cl!r}")
    cl.shutdown()


def register_joblib() -> None:
    """Make daemons a backend of joblib named "mirai", and so of scikit-learn.

    `joblib.parallel_config("mirai", compute=None)` then runs what is parallel on the daemons of a compute
    profile: as many at once as there are daemons, whatever is nested in a task one after the other.

    Raises:
        MissingExtraError: joblib is not installed.

    Example:
        >>> register_joblib()  # doctest: +SKIP
        >>> with daemons(2), joblib.parallel_config("mirai"):  # doctest: +SKIP
        ...     joblib.Parallel()(joblib.delayed(abs)(x) for x in range(-3, 0))
        [3, 2, 1]
    """
    try:
        import joblib

        from mirai_py.joblib_backend import MiraiBackend
    except ImportError as error:
        raise MissingExtraError("joblib", "joblib") from error
    joblib.register_parallel_backend("mirai", MiraiBackend)
