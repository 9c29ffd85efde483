import asyncio
import concurrent.futures
import gc
import pickle
import threading
import time

import pytest

import nngsock
from nngsock import UNRESOLVED


class TestOutcome:
    def test_it_is_unresolved_until_a_message_comes(self, sockets):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        assert aio.data is UNRESOLVED
        assert not aio.done()
        assert nngsock.unresolved(aio)
        nngsock.send_aio(a, {"x": 1})
        assert aio.call() is aio
        assert aio.done()
        assert aio.data == {"x": 1}
        assert aio.data is aio.data

    def test_a_send_resolves_to_0(self, sockets):
        assert nngsock.send_aio(sockets[0], 1).collect() == 0
        assert nngsock.send_aio(sockets[0], 1).result(5) == 0

    def test_a_send_that_nobody_takes_times_out(self, make_socket):
        aio = nngsock.send_aio(make_socket("push"), 1, timeout=30)
        assert aio.collect() == 5

    def test_a_timeout_resolves_to_5_soon_after(self, sockets):
        start = time.monotonic()
        assert nngsock.recv_aio(sockets[0], timeout=50).collect() == 5
        assert 0.05 <= time.monotonic() - start < 2

    def test_closing_the_socket_resolves_to_7(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        nngsock.close(sockets[0])
        assert aio.collect() == 7

    def test_a_closed_socket_resolves_to_7_at_once(self, sockets):
        nngsock.close(sockets[0])
        assert nngsock.recv_aio(sockets[0]).data == 7
        assert nngsock.send_aio(sockets[0], 1).data == 7

    def test_stopping_resolves_to_20(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        aio.cancel()
        assert aio.data == 20

    def test_stopping_what_is_resolved_keeps_its_value(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        nngsock.send(sockets[1], "kept", block=True)
        aio.call().cancel()
        assert aio.data == "kept"

    def test_dropping_a_receive_stops_it_so_that_the_message_stays(self, sockets):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        del aio
        gc.collect()
        nngsock.send(a, "not swallowed", block=True)
        assert nngsock.recv(b, block=5000) == "not swallowed"

    def test_dropping_a_send_does_not_stop_it(self, make_socket, make_url):
        url = make_url()
        a = make_socket("push", listen=url)
        nngsock.send_aio(a, "goes on")
        gc.collect()
        b = make_socket("pull", dial=url)
        assert nngsock.recv(b, block=5000) == "goes on"

    def test_the_pipe_is_known_with_the_message(self, sockets):
        a, b = sockets
        pipes = []
        nngsock.on_pipe(b, lambda event, pipe: pipes.append((event, pipe)))
        aio = nngsock.recv_aio(b)
        assert aio.pipe == 0
        with pytest.raises(nngsock.NngsockError, match="unresolved"):
            nngsock.pipe_id(aio)
        nngsock.send(a, 1, block=True)
        pipe = nngsock.pipe_id(aio.call())
        assert pipe > 0
        assert aio.data == 1
        assert aio.pipe == pipe
        nngsock.close_pipe(b, pipe)
        assert nngsock.recv_aio(b, timeout=10).call().pipe == 0

    def test_it_prints_its_kind(self, sockets):
        assert repr(nngsock.recv_aio(sockets[0])) == "< recvAio | .data >"
        assert repr(nngsock.send_aio(sockets[0], 1)) == "< sendAio | .data >"

    def test_its_value_cannot_be_set(self, sockets):
        with pytest.raises(AttributeError):
            nngsock.recv_aio(sockets[0]).data = 1

    def test_decoding_happens_where_the_value_is_read(self, sockets):
        a, b = sockets
        done = threading.Event()
        aio = nngsock.recv_aio(b)
        aio.add_done_callback(lambda _: done.set(), inline=True)
        nngsock.send(a, _TellThread(), block=True)
        assert done.wait(5)
        assert aio.data == threading.get_ident()

    def test_it_decodes_once_for_many_readers(self, sockets):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        nngsock.send(a, ["x"], block=True)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            values = list(pool.map(lambda _: aio.collect(), range(32)))
        assert all(value is values[0] for value in values)


class _TellThread:
    """Unpickles to the identity of the thread that does so."""

    def __reduce__(self):
        return threading.get_ident, ()


class TestResult:
    def test_it_gives_the_value(self, sockets):
        a, b = sockets
        nngsock.send(a, 5, block=True)
        aio = nngsock.recv_aio(b)
        assert aio.result(timeout=5) == 5
        assert aio.exception() is None

    def test_it_raises_what_the_error_value_means(self, sockets):
        aio = nngsock.recv_aio(sockets[0], timeout=10)
        with pytest.raises(nngsock.NngError, match=r"5 \| Timed out") as caught:
            aio.result()
        assert isinstance(caught.value, TimeoutError)
        assert isinstance(aio.exception(), nngsock.NngTimeoutError)

    def test_it_times_out_and_the_operation_goes_on(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        with pytest.raises(TimeoutError, match="not resolved within"):
            aio.result(timeout=0.01)
        with pytest.raises(TimeoutError):
            aio.exception(timeout=0)
        nngsock.send(sockets[1], 1, block=True)
        assert aio.result(timeout=5) == 1

    def test_a_stopped_one_raises_cancelled(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        aio.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            aio.result()


class TestFuture:
    def test_it_has_the_value(self, sockets):
        nngsock.send(sockets[0], 4, block=True)
        assert nngsock.recv_aio(sockets[1]).future().result(5) == 4

    def test_it_has_the_exception(self, sockets):
        with pytest.raises(nngsock.NngTimeoutError):
            nngsock.recv_aio(sockets[0], timeout=1).future().result(5)

    def test_cancelling_it_stops_the_operation(self, sockets):
        aio = nngsock.recv_aio(sockets[0])
        assert aio.future().cancel()
        assert aio.collect() == 20


class TestAwait:
    def test_it_gives_the_value(self, sockets):
        a, b = sockets

        async def main():
            aio = nngsock.recv_aio(b)
            assert await nngsock.send_aio(a, "x") == 0
            return await aio

        assert asyncio.run(main()) == "x"

    def test_it_raises(self, sockets):
        async def main():
            await nngsock.recv_aio(sockets[0], timeout=1)

        with pytest.raises(nngsock.NngTimeoutError):
            asyncio.run(main())

    def test_a_stop_from_elsewhere_is_a_cancellation(self, sockets):
        async def main():
            aio = nngsock.recv_aio(sockets[0])
            task = asyncio.create_task(_await(aio))
            await asyncio.sleep(0)
            aio.cancel()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())

    def test_cancelling_the_task_stops_the_operation_and_loses_nothing(self, sockets):
        a, b = sockets

        async def main():
            aio = nngsock.recv_aio(b)
            task = asyncio.create_task(_await(aio))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert aio.collect() == 20
            await nngsock.send_aio(a, "next")
            return await nngsock.recv_aio(b)

        assert asyncio.run(main()) == "next"

    def test_a_timeout_of_asyncio_stops_it(self, sockets):
        async def main():
            aio = nngsock.recv_aio(sockets[0])
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_await(aio), 0.01)
            return aio.collect()

        assert asyncio.run(main()) == 20

    def test_loops_and_threads_can_wait_for_the_same_one(self, sockets):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(aio.collect) for _ in range(3)]
            waiting += [pool.submit(lambda: asyncio.run(_await(aio))) for _ in range(3)]
            nngsock.send(a, 9, block=True)
            assert [f.result(10) for f in waiting] == [9] * 6

    def test_thousands_at_once(self, make_socket, make_url):
        n = 2_500
        url = make_url()
        req, rep = make_socket("req", listen=url), make_socket("rep", dial=url)
        contexts = [nngsock.context(rep) for _ in range(4)]

        def serve(con):
            def answer(aio):
                if aio.exception() is None:
                    nngsock.send_aio(con, aio.data + 1).add_done_callback(receive, inline=True)

            def receive(_=None):
                nngsock.recv_aio(con).add_done_callback(answer, inline=True)

            receive()

        for con in contexts:
            serve(con)

        async def ask(i):
            con = nngsock.context(req)
            return await nngsock.request(con, i, timeout=30_000)

        async def main():
            return await asyncio.gather(*(ask(i) for i in range(n)))

        assert asyncio.run(main()) == list(range(1, n + 1))

    def test_a_loop_that_was_closed_meanwhile_is_left_alone(self, sockets, capfd):
        a, b = sockets
        aio = nngsock.recv_aio(b)
        loop = asyncio.new_event_loop()
        task = loop.create_task(_await(aio))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        nngsock.send(a, 1, block=True)
        assert aio.collect() == 1
        task.get_coro().close()
        task._log_destroy_pending = False
        assert capfd.readouterr().err == ""


async def _await(aio):
    return await aio


def test_cancelling_from_many_threads_while_messages_come_loses_and_breaks_nothing(connect):
    a, b = connect("pair1")
    n = 3_000
    received, stop = [], threading.Event()

    def send():
        for i in range(n):
            nngsock.send(a, i, block=True)

    def receive():
        while not stop.is_set():
            aio = nngsock.recv_aio(b, timeout=50)
            cancellers = [pool.submit(aio.cancel) for _ in range(2)] if len(received) % 3 else []
            value = aio.collect()
            if not nngsock.is_error_value(value):
                received.append(value)
            concurrent.futures.wait(cancellers)
            if len(received) == n:
                return

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        sender, receiver = threading.Thread(target=send), threading.Thread(target=receive)
        sender.start()
        receiver.start()
        receiver.join(30)
        stop.set()
        sender.join(5)
        receiver.join(5)
    assert received == list(range(n))


def test_the_unresolved_value_of_an_aio_pickles(sockets):
    assert pickle.loads(pickle.dumps(nngsock.recv_aio(sockets[0]).data)) is UNRESOLVED
