import asyncio
import copy
import pickle
import threading

import pytest

import mirai_py
from mirai_py import UNRESOLVED, ErrorValue, mirai
from mirai_py.frames import Status
from mirai_py.handles import Mirai

# -- values


def test_data_is_unresolved_then_the_value_which_never_changes():
    m = Mirai()
    assert m.data is UNRESOLVED
    assert not m.done()
    assert repr(m) == "< mirai [] >"
    m._resolve_value(None)
    assert m.data is None
    assert m.done()
    assert repr(m) == "< mirai [data] >"


def test_a_value_is_read_once_even_by_many_threads():
    m = Mirai()
    m._store(Status.OK, pickle.dumps([1, 2]))
    m._wake()
    found = []
    threads = [threading.Thread(target=lambda: found.append(m.data)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(x is found[0] for x in found)


def test_a_mirai_stays_in_its_process_and_has_no_items():
    m = Mirai()
    with pytest.raises(TypeError, match="belongs to the process that made it"):
        pickle.dumps(m)
    with pytest.raises(TypeError):
        copy.copy(m)
    with pytest.raises(TypeError, match=r"no items: \.collect\(\) waits"):
        m["x"]


# -- waiting


def test_every_waiter_wakes():
    m = Mirai()
    found = []
    threads = [threading.Thread(target=lambda: found.append(m.collect())) for _ in range(10)]
    for thread in threads:
        thread.start()
    m._resolve_value(7)
    for thread in threads:
        thread.join(10)
    assert found == [7] * 10


def test_a_wait_that_begins_as_the_value_comes_never_hangs():
    for i in range(500):
        m = Mirai()
        thread = threading.Thread(target=m._resolve_value, args=(i,))
        thread.start()
        assert m.result(10) == i
        thread.join()


def test_result_with_a_timeout_raises_and_the_task_runs_on(one, gate):
    m = mirai(gate.task, gate.argument, "late", _compute=one)
    with pytest.raises(TimeoutError, match=r"unresolved after 0\.01 s; it runs on"):
        m.result(0.01)
    with pytest.raises(TimeoutError):
        m.exception(0.01)
    gate.wait()
    gate.open()
    assert m.result(10) == "late"
    assert m.exception() is None


def test_endless_and_negative_timeouts_are_possible(resolved):
    assert resolved(1).result(float("inf")) == 1
    thread = threading.Timer(0.01, lambda: m._resolve_value(2))
    m = Mirai()
    thread.start()
    assert m.result(1e12) == 2
    with pytest.raises(TimeoutError):
        Mirai().result(-1)


def test_result_raises_the_original_with_the_remote_traceback(two):
    def inner(x):
        raise KeyError(x)

    def outer(x):
        return inner(x)

    m = mirai(outer, "lost", _compute=two)
    with pytest.raises(KeyError, match="lost") as e:
        m.result()
    assert isinstance(e.value.__cause__, mirai_py.MiraiError)
    assert [f.name for f in m.data.stack_trace] == ["outer", "inner"]
    assert m.data.call == "inner"
    assert "raise KeyError(x)" in m.data.traceback
    assert isinstance(m.exception(), KeyError)


# -- callbacks and futures


def test_callbacks_run_once_with_the_mirai_also_when_it_is_resolved():
    came = threading.Semaphore(0)
    seen = []

    def note(m):
        seen.append(m)
        came.release()

    m = Mirai()
    m.add_done_callback(note)
    assert not seen
    m._resolve_value(1)
    assert came.acquire(timeout=10)
    m.add_done_callback(note)
    assert came.acquire(timeout=10)
    assert seen == [m, m]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_is_logged_and_the_others_run(error, caplog):
    came = threading.Event()

    def fail(_):
        raise error("on purpose")

    m = Mirai()
    m.add_done_callback(fail)
    m.add_done_callback(lambda _: came.set())
    m._resolve_value(1)
    assert came.wait(10)
    assert "a callback failed" in caplog.text


# -- stopping


# -- asyncio


def test_await_gives_the_value_or_raises(two, resolved):
    async def main():
        assert await mirai(abs, -1, _compute=two) == 1
        assert await resolved(2) == 2
        with pytest.raises(ZeroDivisionError):
            await mirai("1/0", _compute=two)
        with pytest.raises(mirai_py.MiraiConnectionError):
            await resolved(ErrorValue(19))
        found = await asyncio.gather(*[mirai(abs, -i, _compute=two) for i in range(500)])
        assert found == list(range(500))

    asyncio.run(main())


def test_cancelling_the_awaiting_task_stops_the_mirai_unless_shielded(one, gate):
    async def main():
        m = mirai(gate.task, gate.argument, "kept", _compute=one)
        task = asyncio.ensure_future(_await(m))
        await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.01)
        assert not m.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert m.data == 20

    asyncio.run(main())


async def _await(m):
    return await m


def test_a_stopped_mirai_raises_asyncios_cancelled_error(resolved):
    async def main():
        with pytest.raises(asyncio.CancelledError):
            await resolved(ErrorValue(20))

    asyncio.run(main())


def test_a_mirai_can_be_awaited_twice_and_from_two_loops():
    m = Mirai()
    found = []

    def run():
        async def main():
            found.append(await m)
            found.append(await m)

        asyncio.run(main())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    m._resolve_value(3)
    for thread in threads:
        thread.join(10)
    assert found == [3] * 4
