import threading

import pytest

import nngsock


@pytest.fixture
def broker(make_socket, make_url):
    """A device between clients and servers, with its two sockets."""
    front = make_socket("rep", listen=make_url(), raw=True)
    back = make_socket("req", listen=make_url(), raw=True)
    return nngsock.device_aio(front, back), front, back


def ask(make_socket, front, back, patience):
    client = make_socket("req", dial=front.listener[0].url, autostart=None)
    server = make_socket("rep", dial=back.listener[0].url, autostart=None)
    client.send(["question"], block=patience)
    assert server.recv(block=patience) == ["question"]
    server.send("answer", block=patience)
    return client.recv(block=patience)


def test_it_forwards_in_both_directions(broker, make_socket, patience):
    forwarding, front, back = broker
    assert ask(make_socket, front, back, patience) == "answer"
    assert nngsock.unresolved(forwarding)


def test_a_stopped_one_can_be_replaced(broker, make_socket, patience):
    forwarding, front, back = broker
    nngsock.stop_aio(forwarding)
    assert forwarding.data == 20
    assert (front.state, back.state) == ("opened", "opened")
    again = nngsock.device_aio(front, back)
    assert ask(make_socket, front, back, patience) == "answer"
    assert nngsock.unresolved(again)


@pytest.mark.parametrize("which", [1, 2])
def test_it_ends_with_either_socket(broker, which):
    broker[which].close()
    assert broker[0].collect() == 7
    assert broker[3 - which].state == "opened"


def test_it_cannot_begin_on_a_closed_socket(broker):
    forwarding, front, back = broker
    nngsock.stop_aio(forwarding)
    back.close()
    assert nngsock.device_aio(front, back).collect() == 7


def test_it_goes_on_when_dropped(make_socket, make_url, patience):
    front = make_socket("rep", listen=make_url(), raw=True)
    back = make_socket("req", listen=make_url(), raw=True)
    nngsock.device_aio(front, back)
    assert ask(make_socket, front, back, patience) == "answer"


def test_one_socket_sends_back_to_the_others(make_socket, make_url, patience):
    hub = make_socket("bus", listen=make_url(), raw=True)
    connected = nngsock.cv()
    nngsock.pipe_notify(hub, connected, add=True)
    one, two = (make_socket("bus", dial=hub.listener[0].url) for _ in range(2))
    assert nngsock.until(connected, patience)
    assert nngsock.until(connected, patience)
    forwarding = nngsock.device_aio(hub)
    one.send("hello", block=patience)
    assert two.recv(block=patience) == "hello"
    assert nngsock.unresolved(forwarding)


def test_sockets_that_are_not_raw_or_do_not_fit_are_refused(make_socket):
    assert nngsock.device_aio(make_socket("pair"), make_socket("pair")).collect() == 3
    assert nngsock.device_aio(make_socket("pull", raw=True), make_socket("req", raw=True)).collect() == 3


@pytest.mark.parametrize("wrong", [(None, None), (3, None), ("s", None)])
def test_something_else_is_no_socket(wrong):
    with pytest.raises(TypeError, match="`s1` is not a valid Socket"):
        nngsock.device_aio(*wrong)


def test_two_in_opposite_order_do_not_wait_for_each_other(make_socket):
    one, two = make_socket("pair", raw=True), make_socket("pair", raw=True)

    def repeat(a, b):
        for _ in range(200):
            nngsock.device_aio(a, b).cancel()

    threads = [threading.Thread(target=repeat, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_the_interpreter_exits_while_it_goes_on(run_script):
    ended = run_script("""
        import nngsock
        a, b = (nngsock.socket("pair1", raw=True, listen=f"inproc://{i}") for i in range(2))
        forwarding = nngsock.device_aio(a, b)
        one, other = (nngsock.socket("pair1", dial=f"inproc://{i}") for i in range(2))

        def repeat(aio):
            nngsock.send_aio(other, aio.data)
            nngsock.recv_aio(other).add_done_callback(repeat, inline=True)

        nngsock.recv_aio(other).add_done_callback(repeat, inline=True)
        for i in range(200):
            nngsock.send_aio(one, i)
        print(one.recv(block=20_000))
    """)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


def test_it_ends_in_the_midst_of_traffic(make_url):
    """Stopped, and its sockets closed, by several threads at once, while requests and answers pass."""
    for first in range(4):
        for _ in range(10):
            front = nngsock.socket("rep", listen=make_url("ipc"), raw=True)
            back = nngsock.socket("req", listen=make_url("ipc"), raw=True)
            forwarding = nngsock.device_aio(front, back)
            client = nngsock.socket("req", dial=front.listener[0].url)
            server = nngsock.socket("rep", dial=back.listener[0].url)

            def receive(_=None, server=server):
                nngsock.recv_aio(server).add_done_callback(answer, inline=True)

            def answer(aio, server=server, receive=receive):
                if not nngsock.is_error_value(aio.data):
                    nngsock.send_aio(server, aio.data).add_done_callback(receive, inline=True)

            receive()
            questions = [nngsock.request(nngsock.context(client), i) for i in range(20)]
            assert questions[first].collect() == first
            ends = [front.close, back.close, forwarding.cancel, client.close]
            threads = [threading.Thread(target=end) for end in (*ends[first:], *ends[:first])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=20)
                assert not thread.is_alive()
            assert forwarding.data in {7, 20}
            server.close()
