"""Who is measured: mirai_py, what Python brings along, and the packages of the field that are installed."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import multiprocessing
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rounds import installed

import mirai_py

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import ExitStack


@dataclass(frozen=True)
class Peer:
    """One of them, running.

    Attributes:
        submit: gives a function and an argument to it; None if it only maps.
        value: waits for the value of what `submit` gave.
        map: the values of a function for many elements.
        tasks: how many it is given in a round, so that slow ones do not take up all of it.
    """

    name: str
    submit: Callable[[Any, Any], Any] | None
    value: Callable[[Any], Any]
    map: Callable[[Any, Iterable[Any]], list[Any]]
    tasks: int


@contextmanager
def mirai(workers: int) -> Iterator[Peer]:
    """Ourselves."""
    with mirai_py.daemons(workers):
        yield Peer(
            "mirai",
            mirai_py.mirai,
            mirai_py.Mirai.collect,
            lambda f, elements: mirai_py.mirai_map(elements, f).collect(),
            20_000,
        )


@contextmanager
def executor(workers: int) -> Iterator[Peer]:
    """What most programs use."""
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        result = concurrent.futures.Future.result
        yield Peer("ProcessPoolExecutor", pool.submit, result, lambda f, e: list(pool.map(f, e)), 20_000)


@contextmanager
def pool(workers: int) -> Iterator[Peer]:
    """Its older relative, which chunks its maps."""
    with multiprocessing.get_context("fork").Pool(workers) as made:
        yield Peer(
            "multiprocessing.Pool",
            lambda f, x: made.apply_async(f, (x,)),
            lambda result: result.get(),
            made.map,
            20_000,
        )


@contextmanager
def loky(workers: int) -> Iterator[Peer]:
    """What joblib runs on."""
    package = installed("loky")
    made = package.get_reusable_executor(workers, timeout=1000)
    try:
        result = concurrent.futures.Future.result
        yield Peer("loky", made.submit, result, lambda f, e: list(made.map(f, e)), 1_000)
    finally:
        made.shutdown()


@contextmanager
def joblib(workers: int) -> Iterator[Peer]:
    """It has maps only, and batches them by what it measures."""
    package = installed("joblib")
    with package.Parallel(workers) as parallel:
        yield Peer("joblib", None, None, lambda f, e: parallel(package.delayed(f)(x) for x in e), 10_000)


@contextmanager
def mpire(workers: int) -> Iterator[Peer]:
    """A quicker multiprocessing.Pool."""
    package = installed("mpire")
    with package.WorkerPool(workers, keep_alive=True) as made:
        yield Peer(
            "mpire", lambda f, x: made.apply_async(f, (x,)), lambda result: result.get(), made.map, 5_000
        )


@contextmanager
def distributed(workers: int) -> Iterator[Peer]:
    """dask.distributed, on this machine."""
    package = installed("distributed")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
    with (
        package.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        package.Client(cluster) as client,
    ):
        yield Peer(
            "dask.distributed",
            lambda f, x: client.submit(f, x, pure=False),
            lambda future: future.result(),
            lambda f, elements: client.gather(client.map(f, list(elements), pure=False)),
            200,
        )


@contextmanager
def ray(workers: int) -> Iterator[Peer]:
    """It takes Python's own functions only wrapped."""
    package = installed("ray")
    package.init(num_cpus=workers, include_dashboard=False, configure_logging=False, log_to_driver=False)
    try:
        remote = package.remote(lambda f, x: f(x))
        yield Peer(
            "ray",
            remote.remote,
            package.get,
            lambda f, elements: package.get([remote.remote(f, x) for x in elements]),
            500,
        )
    finally:
        package.shutdown()


@contextmanager
def parsl(workers: int) -> Iterator[Peer]:
    """With processes, which it calls high throughput."""
    package = installed("parsl")
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    block = LocalProvider(init_blocks=1, max_blocks=1)
    with tempfile.TemporaryDirectory() as folder:
        processes = HighThroughputExecutor(
            max_workers_per_node=workers, provider=block, address="127.0.0.1", encrypted=False
        )
        with package.load(package.Config(executors=[processes], run_dir=folder, usage_tracking=0)):
            app = functools.cache(package.python_app)

            def submit(f: Any, x: Any) -> Any:
                return app(f)(x)

            def submit_all(f: Any, elements: Iterable[Any]) -> list[Any]:
                return [future.result() for future in [submit(f, x) for x in elements]]

            yield Peer("parsl", submit, concurrent.futures.Future.result, submit_all, 200)


BROUGHT_ALONG = (executor, pool)
QUIET = (loky, joblib, mpire)
RESTLESS = (distributed, ray, parsl)  # which are at work while they have nothing to do


def running(makers: Iterable[Callable[[int], Any]], workers: int, stack: ExitStack) -> dict[str, Peer]:
    """What Python brings along, those of these that are installed, and ourselves: by name, warmed up."""
    found = {}
    there = [maker for maker in makers if installed(maker.__name__) is not None]
    for maker in (*BROUGHT_ALONG, *there, mirai):  # ourselves last: no fork shall come after us
        peer = stack.enter_context(maker(workers))
        assert peer.map(abs, [-1, 2] * workers) == [1, 2] * workers
        found[peer.name] = peer
    return found
