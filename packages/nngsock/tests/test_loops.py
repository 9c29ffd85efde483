"""Awaiting, in tasks of asyncio, of trio, and of both through anyio's rules."""

import asyncio
import concurrent.futures
import threading

import pytest
import trio
import trio.lowlevel
import trio.testing

import nngsock

LOOPS = ("asyncio", "trio")


@pytest.fixture(params=LOOPS)
def run(request):
    """A function that runs an async function in one of the event loops."""
    return asyncio.run if request.param == "asyncio" else lambda coroutine: trio.run(_wrap, coroutine)


async def _wrap(awaitable):
    return await awaitable


class TestEitherLoop:
    def test_it_gives_the_value(self, sockets, run):
        a, b = sockets

        async def main():
            aio = nngsock.recv_aio(b)
            assert await nngsock.send_aio(a, "x") == 0
            return await aio, await aio

        assert run(main()) == ("x", "x")

    def test_it_waits_for_what_comes_later(self, sockets, run):
        a, b = sockets

        async def main():
            threading.Timer(0.05, nngsock.send, (a, "late"), {"block": True}).start()
            return await nngsock.recv_aio(b)

        assert run(main()) == "late"

    def test_it_raises(self, sockets, run):
        async def main():
            await nngsock.recv_aio(sockets[0], timeout=1)

        with pytest.raises(nngsock.NngTimeoutError):
            run(main())

    def test_a_resolved_one_needs_no_wait(self, sockets, run):
        a, b = sockets
        nngsock.send(a, 1, block=True)
        aio = nngsock.recv_aio(b).call()
        assert run(_wrap(aio)) == 1

    def test_a_condition_variable_is_signalled_from_a_thread(self, run):
        c = nngsock.cv()

        async def main():
            threading.Timer(0.05, c.signal).start()
            assert await c.wait_async()
            c.flag()
            return await c.wait_async()

        assert run(main()) is False
        assert c.value() == 0

    def test_many_one_after_another(self, sockets, run):
        a, b = sockets

        async def main():
            for i in range(1_000):
                aio = nngsock.recv_aio(b)
                await nngsock.send_aio(a, i)
                assert await aio == i

        run(main())


class TestTrio:
    def test_a_stop_from_elsewhere_raises_error_20(self, sockets):
        async def main():
            aio = nngsock.recv_aio(sockets[0])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_expect, aio, nngsock.NngError)
                await trio.testing.wait_all_tasks_blocked()
                aio.cancel()
            return aio.data

        assert trio.run(main) == 20

    def test_a_cancelled_scope_stops_the_operation_and_loses_nothing(self, sockets):
        a, b = sockets

        async def main():
            aio = nngsock.recv_aio(b)
            with trio.move_on_after(0.01) as scope:
                await aio
            assert scope.cancelled_caught
            assert aio.collect() == 20
            await nngsock.send_aio(a, "next")
            return await nngsock.recv_aio(b)

        assert trio.run(main) == "next"

    def test_what_arrived_as_the_scope_was_cancelled_comes_with_the_next_receive(self, sockets):
        a, b = sockets

        async def main():
            with trio.CancelScope() as scope:
                scope.cancel()
                nngsock.send(a, "kept", block=True)
                await nngsock.recv_aio(b)
            assert scope.cancelled_caught
            return nngsock.recv(b, block=5000)

        assert trio.run(main) == "kept"

    def test_a_cancelled_wait_for_a_signal_takes_none(self):
        c = nngsock.cv()

        async def main():
            with trio.move_on_after(0.01) as scope:
                await c.wait_async()
            assert scope.cancelled_caught
            c.signal()
            with trio.CancelScope() as scope:
                scope.cancel()
                await c.wait_async()
            assert scope.cancelled_caught

        trio.run(main)
        assert c.value() == 1

    def test_awaiting_what_is_there_lets_other_tasks_run(self, sockets):
        a, b = sockets
        nngsock.send(a, 1, block=True)
        aio = nngsock.recv_aio(b).call()
        order = []

        async def other():
            order.append("other")

        async def main():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(other)
                await aio
                await aio
                order.append("main")

        trio.run(main)
        assert order == ["other", "main"]

    def test_thousands_at_once(self, connect):
        a, b = connect("pair1")
        n = 20_000

        async def main():
            got = []

            async def receive():
                got.append(await nngsock.recv_aio(b))

            async with trio.open_nursery() as nursery:
                for _ in range(n):
                    nursery.start_soon(receive)
                for i in range(n):
                    nngsock.send_aio(a, i)
            return got

        assert sorted(trio.run(main)) == list(range(n))

    def test_a_run_that_has_ended_is_left_alone(self, sockets, capfd):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        registered = []

        async def main():
            token = trio.lowlevel.current_trio_token()
            registered.append(token)
            with trio.move_on_after(0.01):
                await _wrap(Shielded(aio))

        trio.run(main)
        with pytest.raises(trio.RunFinishedError):
            registered[0].run_sync_soon(print)
        nngsock.send(a, 1, block=True)
        assert aio.collect() == 1
        assert capfd.readouterr() == ("", "")

    def test_as_a_guest_of_asyncio_it_is_trio(self, run_script):
        assert run_script(GUEST).stdout.strip() == "guest trio.Cancelled"


GUEST = """
    import asyncio
    import trio
    import nngsock

    a = nngsock.socket("pair", listen="inproc://guest")
    b = nngsock.socket("pair", dial="inproc://guest", autostart=None)

    async def guest():
        aio = nngsock.recv_aio(b)
        await nngsock.send_aio(a, "guest")
        print(await aio, end=" ")
        with trio.move_on_after(0.01):
            try:
                await nngsock.recv_aio(b)
            except trio.Cancelled:
                print("trio.Cancelled")
                raise

    async def host():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        (await done).unwrap()

    asyncio.run(host())
"""


async def _expect(aio, exception):
    with pytest.raises(exception):
        await aio


class Shielded:
    """Waits for an aio, and does not stop it when its task is cancelled."""

    def __init__(self, aio):
        self.aio = aio

    def __await__(self):
        from nngsock.loops import wait_in_task

        yield from wait_in_task(self.aio.operation.when_done)


class TestAsyncio:
    def test_what_arrived_as_the_task_was_cancelled_comes_with_the_next_receive(self, sockets):
        a, b = sockets

        async def main():
            aio = nngsock.recv_aio(b)
            task = asyncio.create_task(_wrap(aio))
            await asyncio.sleep(0)
            nngsock.send(a, "kept", block=True)
            aio.call()  # the loop, which this blocks, hears of it too late
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert aio.data == 20
            return nngsock.recv(b, block=5000)

        assert asyncio.run(main()) == "kept"

    def test_thousands_at_once(self, connect):
        a, b = connect("pair1")
        n = 20_000

        async def main():
            receives = [asyncio.ensure_future(_wrap(nngsock.recv_aio(b))) for _ in range(n)]
            for i in range(n):
                nngsock.send_aio(a, i)
            return await asyncio.gather(*receives)

        assert sorted(asyncio.run(main())) == list(range(n))

    def test_no_loop_at_all_is_an_error(self, sockets):
        with pytest.raises(RuntimeError, match="no running event loop"):
            next(nngsock.recv_aio(sockets[0]).__await__())


def test_loops_of_both_kinds_and_threads_wait_for_the_same_one(sockets):
    a, b = sockets
    aio = nngsock.recv_aio(b)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(aio.collect) for _ in range(2)]
        waiting += [pool.submit(lambda: asyncio.run(_wrap(aio))) for _ in range(2)]
        waiting += [pool.submit(trio.run, _wrap, aio) for _ in range(2)]
        nngsock.send(a, 9, block=True)
        assert [f.result(10) for f in waiting] == [9] * 6


@pytest.mark.parametrize("protocol", ["req", "surveyor"])
def test_an_answer_to_the_last_question_is_none_to_the_next(connect, protocol):
    asker, answerer = connect(protocol, "rep" if protocol == "req" else "respondent")
    nngsock.send(asker, 1, block=5000)
    nngsock.send(answerer, nngsock.recv(answerer, block=5000), block=5000)
    aio = nngsock.recv_aio(asker).call()
    aio._abandon()  # as when its task is cancelled in that moment
    nngsock.send(asker, 2, block=5000)
    nngsock.send(answerer, nngsock.recv(answerer, block=5000), block=5000)
    assert nngsock.recv(asker, block=5000) == 2


def test_users_of_asyncio_alone_load_no_trio(run_script):
    done = run_script("""
        import asyncio, sys
        import nngsock

        async def main():
            url = "inproc://x"
            with nngsock.socket("pair", listen=url) as a, nngsock.socket("pair", dial=url) as b:
                aio = nngsock.recv_aio(b)
                await nngsock.send_aio(a, 1)
                await aio

        asyncio.run(main())
        print("trio" in sys.modules)
    """)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
