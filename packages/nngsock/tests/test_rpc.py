import threading

import pytest

import nngsock


@pytest.fixture
def contexts(connect):
    req, rep = connect("req", "rep")
    return nngsock.context(req), nngsock.context(rep)


def answer(con, execute, **options):
    return nngsock.reply(con, execute, timeout=5000, **options)


def test_a_request_is_answered(contexts):
    asking, answering = contexts
    aio = nngsock.request(asking, 2)
    assert answer(answering, lambda x: x + 1) == 0
    assert aio.collect() == 3


def test_more_arguments_are_passed_on(contexts):
    asking, answering = contexts
    aio = nngsock.request(asking, 2)
    assert nngsock.reply(answering, lambda x, y, z: (x, y, z), "serial", "serial", 5000, 3, z=4) == 0
    assert aio.collect() == (2, 3, 4)


@pytest.mark.parametrize("execute", [lambda x: 1 / 0, lambda x: lambda: None], ids=["raises", "unpicklable"])
def test_a_failure_is_answered_with_a_nul_byte_and_serving_goes_on(contexts, execute):
    asking, answering = contexts
    aio = nngsock.request(asking, 2, recv_mode="raw")
    assert answer(answering, execute) == 0
    assert nngsock.is_nul_byte(aio.collect())
    aio = nngsock.request(asking, 2)
    assert answer(answering, str) == 0
    assert aio.collect() == "2"


def test_a_nul_byte_is_bytes_in_serial_mode_too(contexts):
    asking, answering = contexts
    aio = nngsock.request(asking, 2)
    answer(answering, lambda x: 1 / 0)
    with pytest.warns(nngsock.NngWarning):
        assert nngsock.is_nul_byte(aio.collect())


def test_modes_apply_to_both_directions(contexts):
    asking, answering = contexts
    aio = nngsock.request(asking, [1.0, 2.0], send_mode="raw", recv_mode="double")
    doubled = lambda xs: [x * 2 for x in xs]
    assert answer(answering, doubled, recv_mode="double", send_mode="raw") == 0
    assert aio.collect() == [2.0, 4.0]


def test_the_timeout_covers_the_answer(contexts):
    c = nngsock.cv()
    assert nngsock.request(contexts[0], 1, timeout=30, cv=c).collect() == 5
    assert c.until(5000)


def test_a_second_request_stops_the_first(contexts):
    first = nngsock.request(contexts[0], 1)
    second = nngsock.request(contexts[0], 2)
    assert first.collect() == 20
    second.cancel()


def test_a_reply_without_a_request_times_out(contexts):
    assert nngsock.reply(contexts[1], str, timeout=20) == 5


def test_only_contexts_ask_and_answer(make_socket):
    with pytest.raises(TypeError, match="not a valid Context"):
        nngsock.request(make_socket("req"), 1)
    with pytest.raises(TypeError, match="not a valid Context"):
        nngsock.reply(make_socket("rep"), str)


def test_a_request_waits_for_a_server(make_socket, make_url):
    url = make_url()
    req = make_socket("req", listen=url)
    aio = nngsock.request(nngsock.context(req), "early", timeout=5000)
    rep = make_socket("rep", dial=url)
    assert answer(nngsock.context(rep), str.upper) == 0
    assert aio.collect() == "EARLY"


def test_large_answers_on_one_connection_all_arrive(connect):
    req, rep = connect("req", "rep", transport="ipc")
    servers = [threading.Thread(target=answer, args=(nngsock.context(rep), bytes)) for _ in range(6)]
    aios = [nngsock.request(nngsock.context(req), 2_000_000 + i, timeout=10_000) for i in range(6)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert sorted(len(x) for x in nngsock.collect_aio(aios)) == [2_000_000 + i for i in range(6)]


def test_a_request_is_sent_again_after_the_resend_time(make_socket, make_url, patience):
    server = make_socket("rep", listen=make_url())
    client = make_socket("req").set_opt("req:resend-tick", 10).set_opt("req:resend-time", 30)
    client.dial(server.listener[0].url)
    answer = nngsock.request(nngsock.context(client), "question", timeout=patience)
    assert [server.recv(block=patience) for _ in range(2)] == ["question"] * 2
    server.send("answer", block=patience)
    assert answer.collect() == "answer"


def test_a_request_goes_to_another_server_when_the_first_is_lost(make_socket, make_url, patience):
    client = make_socket("req", listen=make_url())
    url = client.listener[0].url
    first = make_socket("rep", dial=url)
    answer = nngsock.request(nngsock.context(client), "question", timeout=patience)
    assert first.recv(block=patience) == "question"
    first.close()
    second = make_socket("rep", dial=url)
    assert second.recv(block=patience) == "question"
    second.send("answer", block=patience)
    assert answer.collect() == "answer"
