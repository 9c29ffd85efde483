import pytest

import nngsock
from nngsock.sockets import PROTOCOLS


@pytest.fixture
def make(make_url):
    """A function that makes nano objects, which are closed after the test."""
    made = []

    def make(*args, **kwargs):
        made.append(nngsock.nano(*args, **kwargs))
        return made[-1]

    yield make
    for nano in made:
        nngsock.reap(nano.socket)


@pytest.fixture
def connect(make, make_url, patience):
    """A function that makes two connected ones: both know of it, so that neither drops what it sends."""

    def connect(listening, dialing):
        a = make(listening, listen=make_url())
        nngsock.pipe_notify(a.socket, ready := nngsock.cv(), add=True)
        b = make(dialing, dial=a.listener[0].url, autostart=None)
        assert nngsock.until(ready, patience)
        nngsock.pipe_notify(a.socket, None, add=True)
        return a, b

    return connect


def test_messages_pass(connect, patience):
    a, b = connect("pair", "pair")
    a.send("one", block=patience)
    assert b.recv(block=patience) == "one"
    receiving = b.recv_aio("string", timeout=patience, cv=(cv := nngsock.cv()))
    assert a.send_aio("two", "raw").collect() == 0
    assert receiving.collect() == "two"
    assert nngsock.wait(cv)


def test_it_shows_its_socket(make, make_url):
    url = make_url()
    nano = make("bus", listen=url)
    lines = ["< nano object >", f" - socket id: {nano.socket.id}", " - state: opened", " - protocol: bus"]
    assert repr(nano) == "\n".join([*lines, f" - listener: {url}"])


def test_addresses_can_be_added_and_started_later(make, make_url, patience):
    url = make_url()
    a, b = make("pair", listen=url, autostart=False), make("pair")
    assert b.dial(url, autostart=False) == 0
    assert [x.state for x in (*a.listener, *b.dialer)] == ["not started"] * 2
    assert a.listener_start() == 0
    assert b.dialer_start(async_=False) == 0
    assert a.listen(make_url()) == 0
    assert len(a.listener) == 2
    a.send(1, block=patience)
    assert b.recv(block=patience) == 1


def test_starting_what_is_not_there_says_so(make):
    with pytest.raises(nngsock.NngsockError, match="there is no dialer to start"):
        make().dialer_start()
    with pytest.raises(nngsock.NngsockError, match="there is no listener to start"):
        make().listener_start()


def test_options_of_all_dialers_and_listeners(make, make_url):
    nano = make("pair", dial=make_url(), autostart=False)
    nano.dial(make_url(), autostart=False)
    assert nano.dialer_opt("reconnect-time-min", 5) == list(nano.dialer)
    assert nano.dialer_opt("reconnect-time-min") == [5, 5]
    nano.listen(make_url())
    assert nano.listener_opt("url") == [nano.listener[0].url]


def test_a_failing_address_is_a_warning(make):
    with pytest.warns(nngsock.NngWarning, match="9 | Not supported"):
        nano = make("pair", dial="nothing://here")
    assert nano.dialer == ()


def test_options_and_statistics_of_the_socket(make):
    nano = make("pair")
    assert nano.opt("recv-buffer", 4) is nano.socket
    assert nano.opt("recv-buffer") == 4
    assert nano.stat("protocol") == "pair"


class TestContext:
    def test_while_one_is_open_it_takes_the_place_of_the_socket(self, connect, patience):
        a, b = connect("rep", "req")
        for nano in (a, b):
            assert nano.context_open() is nano.context
        b.opt("req:resend-time", 10_000)
        assert b.context.opt("req:resend-time") == 10_000
        assert b.socket.opt("req:resend-time") == 60_000
        b.send("question", block=patience)
        assert a.recv(block=patience) == "question"
        a.send("answer", block=patience)
        assert b.context.recv(block=patience) == "answer"

    def test_another_one_replaces_it(self, make):
        nano = make("req")
        first, second = nano.context_open(), nano.context_open()
        assert nano.context is second
        assert first.state == "opened"

    def test_closed_the_socket_is_back(self, connect, patience):
        a, b = connect("rep", "req")
        context = b.context_open()
        assert b.context_close() == 0
        assert context.state == "closed"
        assert b.context is None
        b.send("question", block=patience)
        assert a.recv(block=patience) == "question"

    def test_closing_without_one_is_error_7(self, make):
        with pytest.warns(nngsock.NngWarning):
            assert make("req").context_close() == 7

    def test_subscriptions_are_its_own(self, connect, patience):
        publisher, subscriber = connect("pub", "sub")
        subscriber.context_open()
        assert subscriber.subscribe("a") is subscriber
        publisher.send("ab", "raw", block=patience)
        assert subscriber.recv("string", block=patience) == "ab"
        subscriber.unsubscribe("a")
        with pytest.raises(nngsock.NngError, match=r"12 \| Entry not found"):
            subscriber.unsubscribe("a")


HAS = {
    "context_open": {"req", "rep", "sub", "surveyor", "respondent"},
    "context_close": {"req", "rep", "sub", "surveyor", "respondent"},
    "subscribe": {"sub"},
    "unsubscribe": {"sub"},
    "survey_time": {"surveyor"},
}


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize(("method", "protocols"), HAS.items())
def test_an_object_has_what_its_protocol_has(make, proto, method, protocols):
    nano = make(proto)
    assert hasattr(nano, method) == (proto in protocols)
    assert (method in dir(nano)) == (proto in protocols)
    if proto not in protocols:
        with pytest.raises(AttributeError, match=f"protocol '{proto}' has no '{method}'"):
            getattr(nano, method)


def test_the_survey_time_is_set(make):
    nano = make("surveyor")
    assert nano.survey_time(50) is nano
    assert nano.opt("surveyor:survey-time") == 50


def test_pipes_are_for_poly(connect, make, patience):
    with pytest.raises(TypeError, match="`pipe` is for protocol 'poly', this one is 'pair'"):
        make("pair").send(1, pipe=3)
    with pytest.raises(TypeError, match="`pipe` is for protocol 'poly'"):
        make("pair").send_aio(1, pipe=3)
    a, b = connect("poly", "poly")
    b.send("hello", block=patience)
    received = a.recv_aio(timeout=patience).call()
    assert a.send("back", block=patience, pipe=received.pipe) == 0
    assert b.recv(block=patience) == "back"


def test_it_closes_with_its_block(make_url):
    with nngsock.Nano("pair", listen=make_url()) as nano:
        assert nano.socket.state == "opened"
    assert nano.socket.state == "closed"
    with pytest.warns(nngsock.NngWarning):
        assert nano.close() == 7
