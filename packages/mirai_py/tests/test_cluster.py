"""A cluster keeps the contract of `concurrent.futures.Executor`, as CPython's own tests spell it out.

The one difference: cancelling also ends a task that runs.
"""

import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

import pytest

import mirai_py
from mirai_py import make_cluster, stop_cluster


@pytest.fixture(scope="module")
def cluster():
    with make_cluster(2) as cluster:
        yield cluster


def run(source):
    """Run a script; gives its output."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


# -- what it is


def test_it_is_an_executor_of_nodes_on_a_profile_of_its_own(cluster):
    assert isinstance(cluster, concurrent.futures.Executor)
    assert repr(cluster) == f"< miraiCluster | ID: {cluster.id} nodes: 2 active: True >"
    assert len(cluster) == 2
    assert [repr(node) for node in cluster] == [
        f"< miraiNode | node: {i} - cluster ID: {cluster.id} >" for i in range(2)
    ]
    assert cluster[-1].index == 1
    assert mirai_py.status(cluster)["connections"] == mirai_py.info(cluster.id)["connections"] == 2
    with make_cluster(1) as other:
        assert other.id != cluster.id


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        ((0,), {}, ValueError, "`n` must be a whole number, 1 or greater, not 0"),
        ((-1,), {}, ValueError, "1 or greater"),
        (("2",), {}, TypeError, "`n` must be numeric"),
        ((1,), {"initializer": 5}, TypeError, "`initializer` must be a function"),
        ((1,), {"sync": True}, ValueError, "`sync` cannot be True"),
        ((1,), {"idle": 1}, TypeError, "unknown argument 'idle'"),
    ],
)
def test_bad_arguments_are_named(arguments, options, error, told):
    with pytest.raises(error, match=told):
        make_cluster(*arguments, **options)


def test_names_given_to_a_node_last(cluster):
    mirai_py.everywhere("", _compute=cluster.id, given=5).collect()
    assert list(cluster.map(lambda x: x + given, range(3))) == [5, 6, 7]  # noqa: F821


def test_with_a_url_nodes_are_started_by_the_commands_that_it_prints(capfd):
    cluster = make_cluster(2, url="tcp://127.0.0.1:0")
    lines = capfd.readouterr().out.splitlines()
    commands = [line for line in lines if "mirai_py.daemon(" in line]
    assert len(commands) == 2
    future = cluster.submit(os.getpid)
    nodes = [subprocess.Popen(command, shell=True) for command in commands]
    assert future.result(30) != os.getpid()
    mirai_py.everywhere("", _min=2, _compute=cluster.id).collect()
    stop_cluster(cluster)
    assert [node.wait(30) for node in nodes] == [0, 0]


# -- submit


def test_submit(cluster):
    assert cluster.submit(pow, 2, 8).result() == 256
    future = cluster.submit(dict, self=1, fn=2, _args=3, _timeout=4, _compute=5)
    assert future.result() == {"self": 1, "fn": 2, "_args": 3, "_timeout": 4, "_compute": 5}
    with pytest.raises(TypeError):
        cluster.submit()
    with pytest.raises(TypeError):
        cluster.submit(arg=1)


def test_an_exception_is_raised_and_given_with_the_remote_trace(cluster):
    future = cluster.submit(divmod, 1, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        future.result()
    assert isinstance(caught.value.__cause__, mirai_py.MiraiError)
    assert isinstance(future.exception(), ZeroDivisionError)


def test_what_cannot_be_sent_is_the_futures_exception(cluster):
    future = cluster.submit(abs, threading.Lock())
    with pytest.raises(mirai_py.MiraiSerializationError, match="argument 0"):
        future.result(30)


def test_a_future_is_pending_then_running_then_done(gate):
    with make_cluster(1) as cluster:
        first = cluster.submit(gate.task, gate.argument, 1)
        gate.wait()
        second = cluster.submit(abs, -2)
        assert first.running()
        assert not first.done()
        assert not second.running()
        assert not second.done()
        with pytest.raises(TimeoutError):
            second.result(0.01)
        gate.open()
        assert (first.result(), second.result()) == (1, 2)
        assert first.done()
        assert not first.running()


def test_callbacks_are_called_with_the_future_once_it_is_done(cluster):
    came = []
    called = threading.Event()

    def take(future):
        came.append(future.result())
        called.set()

    cluster.submit(abs, -3).add_done_callback(take)
    assert called.wait(30)
    assert came == [3]


def test_submitted_objects_are_let_go_of(cluster):
    class Thing:
        def method(self):
            return None

    thing = Thing()
    collected = threading.Event()
    reference = weakref.ref(thing, lambda _: collected.set())
    cluster.submit(thing.method)
    del thing
    assert collected.wait(30)
    assert reference() is None


# -- cancel


def test_cancelling_a_waiting_task_means_that_it_never_runs(gate, tmp_path):
    with make_cluster(1) as cluster:
        first = cluster.submit(gate.task, gate.argument)
        gate.wait()
        second = cluster.submit(os.mkdir, tmp_path / "made")
        assert second.cancel()
        assert second.cancelled()
        assert second.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            second.result()
        gate.open()
        assert first.result() is None
        assert cluster.submit(abs, -1).result() == 1
    assert not (tmp_path / "made").exists()


def test_cancelling_ends_a_running_task_and_frees_its_node(gate):
    with make_cluster(1) as cluster:
        future = cluster.submit(gate.task, gate.argument)
        gate.wait()
        assert future.running()
        assert future.cancel()
        assert future.cancelled()
        assert not future.running()
        assert cluster.submit(abs, -1).result(30) == 1


def test_a_finished_future_is_not_cancelled(cluster):
    future = cluster.submit(abs, -1)
    assert future.result() == 1
    assert not future.cancel()
    assert not future.cancelled()
    assert future.result() == 1


# -- map


def test_map_gives_the_values_in_the_order_of_its_inputs(cluster):
    assert list(cluster.map(pow, range(10), range(10))) == list(map(pow, range(10), range(10)))
    assert list(cluster.map(pow, range(10), range(3))) == list(map(pow, range(10), range(3)))
    assert list(cluster.map(abs, [])) == []


@pytest.mark.parametrize("chunksize", [1, 3, 5, 10, 11])
def test_map_in_chunks(cluster, chunksize):
    assert list(cluster.map(pow, range(10), range(10), chunksize=chunksize)) == list(
        map(pow, range(10), range(10))
    )
    assert list(cluster.map(lambda x: x + 1, range(4), chunksize=chunksize)) == [1, 2, 3, 4]


@pytest.mark.parametrize("chunksize", [0, -1])
def test_chunks_have_a_size(cluster, chunksize):
    with pytest.raises(ValueError, match="`chunksize` must be a whole number, 1 or greater"):
        cluster.map(abs, [1], chunksize=chunksize)


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_raises_where_a_call_raised(cluster, chunksize):
    values = cluster.map(divmod, [1, 1, 1, 1], [2, 3, 0, 5], chunksize=chunksize)
    got = []
    with pytest.raises(ZeroDivisionError):
        got.extend(values)
    assert got == [(0, 1), (0, 1)]


def test_map_times_out_and_cancels_the_rest(gate):
    with make_cluster(1) as cluster:
        values = cluster.map(gate.task, [gate.argument] * 2, range(2), timeout=0.5)
        gate.wait()
        with pytest.raises(TimeoutError):
            next(values)
        assert cluster.submit(abs, -1).result(30) == 1
        assert mirai_py.info(cluster.id)["awaiting"] == 0


def test_map_takes_its_inputs_at_once(cluster):
    taken = []

    def numbers():
        for i in range(5):
            taken.append(i)
            yield i

    values = cluster.map(abs, numbers())
    assert taken == list(range(5))
    assert list(values) == taken


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_with_a_buffer_stays_that_far_ahead_of_an_endless_input(cluster, chunksize):
    taken = []

    def numbers():
        i = 0
        while True:
            taken.append(i)
            yield i
            i += 1

    values = cluster.map(abs, numbers(), buffersize=2, chunksize=chunksize)
    assert len(taken) == 2 * chunksize
    assert [next(values) for _ in range(6)] == list(range(6))
    assert len(taken) <= 6 + 3 * chunksize
    values.close()


def test_a_buffer_has_a_size(cluster):
    with pytest.raises(ValueError, match="`buffersize` must be a whole number, 1 or greater"):
        cluster.map(abs, [1], buffersize=0)


def test_closing_the_iterator_of_a_map_cancels_what_is_left(gate):
    with make_cluster(1) as cluster:
        values = cluster.map(gate.task, [gate.argument] * 3, range(3))
        gate.wait()
        gate.open()
        assert next(values) == 0
        gate.wait()
        values.close()
        assert cluster.submit(abs, -1).result(30) == 1


@pytest.mark.parametrize("chunksize", [1, 3])
def test_map_does_not_hold_on_to_values_that_were_read(cluster, chunksize):
    for value in cluster.map(lambda x: {x}, range(10), chunksize=chunksize):
        reference = weakref.ref(value)
        del value
        assert reference() is None


# -- wait and as_completed of the standard library


def test_wait_for_the_first_and_for_all(cluster, gate):
    slow = cluster.submit(gate.task, gate.argument, 1)
    gate.wait()
    quick = cluster.submit(abs, -2)
    done, pending = concurrent.futures.wait([slow, quick], 30, return_when=FIRST_COMPLETED)
    assert (done, pending) == ({quick}, {slow})
    gate.open()
    done, pending = concurrent.futures.wait([slow, quick], 30, return_when=ALL_COMPLETED)
    assert (done, pending) == ({slow, quick}, set())


def test_wait_for_the_first_exception_and_a_cancelled_future(gate):
    with make_cluster(2) as cluster:
        slow = cluster.submit(gate.task, gate.argument)
        gate.wait()
        bad = cluster.submit(divmod, 1, 0)
        done, pending = concurrent.futures.wait([slow, bad], 30, return_when=FIRST_EXCEPTION)
        assert (done, pending) == ({bad}, {slow})
        slow.cancel()
        done, pending = concurrent.futures.wait([slow], 30)
        assert (done, pending) == ({slow}, set())


def test_wait_times_out(gate):
    with make_cluster(1) as cluster:
        future = cluster.submit(gate.task, gate.argument)
        assert concurrent.futures.wait([future], 0.05) == (set(), {future})
        gate.open()


def test_as_completed(cluster, gate):
    slow = cluster.submit(gate.task, gate.argument, 1)
    gate.wait()
    quick = cluster.submit(abs, -2)
    order = concurrent.futures.as_completed([slow, quick], 30)
    assert next(order) is quick
    gate.open()
    assert next(order) is slow
    with pytest.raises(StopIteration):
        next(order)


# -- shutdown


def test_after_the_end_nothing_is_taken():
    cluster = make_cluster(1)
    stop_cluster(cluster)
    stop_cluster(cluster)
    assert repr(cluster).endswith("active: False >")
    assert not mirai_py.daemons_set(cluster.id)
    with pytest.raises(RuntimeError, match="cluster is no longer active"):
        cluster.submit(abs, -1)
    with pytest.raises(RuntimeError, match="cluster is no longer active"):
        cluster.map(abs, [1])


def test_a_reset_of_its_profile_ends_it_too():
    cluster = make_cluster(1)
    mirai_py.daemons(0, compute=cluster.id)
    with pytest.raises(RuntimeError, match="cluster is no longer active"):
        cluster.submit(abs, -1)


def test_shutdown_waits_for_all_that_was_submitted():
    with make_cluster(2) as cluster:
        futures = [cluster.submit(pow, 2, i) for i in range(50)]
    assert [f.result(0) for f in futures] == [2**i for i in range(50)]
    assert not mirai_py.daemons_set(cluster.id)


def test_shutdown_without_waiting_ends_after_the_last_task(gate, ended):
    cluster = make_cluster(1)
    futures = [cluster.submit(gate.task, gate.argument, i) for i in range(2)]
    (pid,) = gate.wait()
    cluster.shutdown(wait=False)
    assert not futures[0].done()
    with pytest.raises(RuntimeError):
        cluster.submit(abs, -1)
    gate.open(2)
    assert [f.result(30) for f in futures] == [0, 1]
    assert ended(pid)


def test_shutdown_may_cancel_what_does_not_run(gate):
    cluster = make_cluster(1)
    futures = [cluster.submit(gate.task, gate.argument, i) for i in range(5)]
    gate.wait()
    cluster.shutdown(wait=False, cancel_futures=True)
    assert [f.cancelled() for f in futures] == [False, True, True, True, True]
    gate.open()
    cluster.shutdown()
    assert futures[0].result(0) == 0


def test_a_cluster_that_nobody_holds_finishes_its_tasks_and_goes(gate, ended):
    cluster = make_cluster(1)
    name = cluster.id
    future = cluster.submit(gate.task, gate.argument, 5)
    (pid,) = gate.wait()
    del cluster
    assert mirai_py.daemons_set(name)
    gate.open()
    assert future.result(30) == 5
    del future
    assert ended(pid)


def test_what_was_submitted_ends_before_the_interpreter_does():
    done = run("""
        import mirai_py, time
        cluster = mirai_py.make_cluster(1, output=True)
        def say():
            time.sleep(0.5)
            print("apple", flush=True)
        cluster.submit(say)
    """)
    assert (done.stdout, done.stderr, done.returncode) == ("apple\n", "", 0)


def test_nothing_is_taken_when_the_interpreter_ends():
    done = run("""
        import atexit
        @atexit.register
        def last():
            try:
                cluster.submit(abs, -1)
            except RuntimeError as error:
                print(error)
        import mirai_py
        cluster = mirai_py.make_cluster(1)
    """)
    assert (done.stdout, done.stderr, done.returncode) == ("cluster is no longer active\n", "", 0)


# -- initializer, deaths


def remember(value):
    os.environ["REMEMBERED"] = str(value)


def recall(_):
    return os.environ.get("REMEMBERED")


def by_value(function):
    function.__module__ = "__main__"
    return function


def test_an_initializer_runs_on_each_node_also_on_later_ones():
    with make_cluster(1, initializer=by_value(remember), initargs=(7,)) as cluster:
        assert cluster.submit(by_value(recall), 0).result() == "7"
        mirai_py.launch_local(1, compute=cluster.id)
        mirai_py.stop_daemons(1, compute=cluster.id)
        assert set(cluster.map(by_value(recall), range(5))) == {"7"}


def fail():
    raise ValueError("no such device")


def test_a_failing_initializer_breaks_the_cluster():
    with make_cluster(1, initializer=by_value(fail)) as cluster:
        # The first task may have been handed out together with the news.
        assert isinstance(cluster.submit(abs, -1).exception(30), concurrent.futures.BrokenExecutor | None)
        with pytest.raises(mirai_py.BrokenClusterError, match="the initializer failed: ValueError") as caught:
            cluster.submit(abs, -1)
        assert isinstance(caught.value.__cause__, ValueError)


def test_a_node_that_dies_in_its_initializer_is_but_a_dead_node(gate, ended):
    with make_cluster(2, initializer=gate.task, initargs=(gate.argument,)) as cluster:
        (pid, _) = gate.wait(2)
        os.kill(pid, signal.SIGKILL)
        assert ended(pid)  # else it is who passes the gate
        gate.open()
        assert cluster.submit(abs, -1).result(30) == 1


def test_a_forked_child_cannot_submit():
    done = run("""
        import os, mirai_py
        with mirai_py.make_cluster(1) as cluster:
            if os.fork() == 0:
                error = cluster.submit(abs, -1).exception()
                os._exit(7 if isinstance(error, mirai_py.MiraiException) else 1)
            print(os.waitstatus_to_exitcode(os.wait()[1]), cluster.submit(abs, -1).result())
    """)
    assert (done.stdout, done.returncode) == ("7 1\n", 0), done.stderr


def test_one_dead_node_fails_only_its_task(gate):
    with make_cluster(2) as cluster:
        victim = cluster.submit(gate.task, gate.argument)
        (pid,) = gate.wait()
        others = [cluster.submit(pow, 2, i) for i in range(20)]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(mirai_py.MiraiConnectionError, match="SIGKILL"):
            victim.result(30)
        assert [f.result(30) for f in others] == [2**i for i in range(20)]
        assert mirai_py.status(cluster)["connections"] == 1


def test_a_cluster_without_nodes_keeps_nobody_waiting(gate):
    with make_cluster(1) as cluster:
        victim = cluster.submit(gate.task, gate.argument)
        (pid,) = gate.wait()
        waiting = [cluster.submit(abs, -1) for _ in range(5)]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(mirai_py.MiraiConnectionError):
            victim.result(30)
        for future in waiting:
            with pytest.raises(mirai_py.BrokenClusterError, match=r"lost all of its nodes.*SIGKILL"):
                future.result(30)
        with pytest.raises(mirai_py.BrokenClusterError):
            cluster.submit(abs, -1).result(30)
        mirai_py.launch_local(1, compute=cluster.id)
        assert cluster.submit(abs, -1).result(30) == 1


# -- who takes executors


def test_asyncio_runs_functions_in_it(cluster):
    async def main():
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(cluster, pow, 2, i) for i in range(5)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [1, 2, 4, 8, 16]


def test_cancelling_the_asyncio_task_ends_the_task(gate):
    with make_cluster(1) as cluster:

        async def main():
            loop = asyncio.get_running_loop()
            call = loop.run_in_executor(cluster, gate.task, gate.argument)
            await loop.run_in_executor(None, gate.wait)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

        asyncio.run(main())
        assert cluster.submit(abs, -1).result(30) == 1
