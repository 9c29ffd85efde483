import pytest

import nngsock


def code_of(call):
    with pytest.raises(nngsock.NngError) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    ("protocol", "name", "default", "new"),
    [
        ("pair", "recv-timeout", -1, 50),
        ("pair", "send-timeout", -1, 50),
        ("pair", "reconnect-time-min", 1000, 10),
        ("pair", "reconnect-time-max", 0, 10),
        ("pair", "recv-size-max", 0, 2**20),
        ("pair", "recv-buffer", 0, 8),
        ("push", "send-buffer", 0, 8),
        ("pull", "recv-buffer", 1, 8192),
        ("pub", "send-buffer", 16, 8),
        ("sub", "recv-buffer", 128, 8),
        ("bus", "recv-buffer", 16, 8),
        ("sub", "sub:prefnew", True, False),
        ("req", "req:resend-time", 60_000, 0),
        ("req", "req:resend-tick", 1000, 100),
        ("surveyor", "surveyor:survey-time", 1000, 50),
        ("pair1", "ttl-max", 8, 3),
    ],
)
def test_options_have_their_defaults_and_take_values(make_socket, protocol, name, default, new):
    s = make_socket(protocol)
    found = nngsock.opt(s, name)
    assert (found, type(found)) == (default, type(default))
    assert nngsock.set_opt(s, name, new) is s
    assert s.opt(name) == new
    assert s.opt(name, default) is s
    assert s.opt(name) == default


def test_floats_are_truncated(make_socket):
    assert make_socket("pair").set_opt("recv-timeout", 20.9).opt("recv-timeout") == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recv-buffer", 9000),
        ("recv-buffer", -1),
        ("recv-buffer", True),
        ("recv-buffer", "a"),
        ("recv-timeout", 2**40),
        ("recv-timeout", -5),
        ("recv-timeout", float("nan")),
        ("recv-size-max", -1),
        ("tcp-nodelay", 1),
        ("socket-name", 5),
        ("socket-name", "a\0b"),
        ("socket-name", "x" * 64),
        ("recv-timeout", None),
    ],
)
def test_a_value_of_the_wrong_type_or_range_gives_30(make_socket, name, value):
    s = make_socket("pair")
    before = s.opt(name)
    assert code_of(lambda: s.set_opt(name, value)) == 30
    assert s.opt(name) == before


def test_a_name_of_63_bytes_fits(make_socket):
    s = make_socket("pair").set_opt("socket-name", "x" * 63)
    assert s.opt("socket-name") == "x" * 63
    assert nngsock.stat(s, "name") == "x" * 63


@pytest.mark.parametrize("name", ["nothing", "", "sub:prefnew", "ttl-max", "url", None])
def test_an_option_that_the_object_lacks_gives_9(make_socket, name):
    s = make_socket("pair")
    assert code_of(lambda: s.opt(name)) == 9


def test_an_option_that_can_only_be_read_gives_24(make_socket):
    s = make_socket("pair")
    assert s.opt("recv-fd") > 0
    assert code_of(lambda: s.set_opt("recv-fd", 1)) == 24


def test_a_closed_object_gives_7(make_socket):
    s = make_socket("pair")
    nngsock.close(s)
    assert code_of(lambda: s.opt("recv-buffer")) == 7
    assert code_of(lambda: s.set_opt("recv-buffer", 1)) == 7


def test_what_has_no_options_is_refused():
    with pytest.raises(TypeError, match="not a valid Socket, Context, Dialer or Listener"):
        nngsock.opt("socket", "recv-buffer")


def test_dialers_and_listeners_have_options_of_their_own(make_socket, make_url):
    s = make_socket("pair")
    nngsock.listen(s, "tcp://127.0.0.1:0", autostart=False)
    (listener,) = s.listener
    assert nngsock.opt(listener, "tcp-nodelay") is True
    nngsock.set_opt(listener, "recv-size-max", 1000)
    assert nngsock.opt(listener, "recv-size-max") == 1000
    nngsock.start(listener)
    assert nngsock.opt(listener, "url") == listener.url


def test_a_message_beyond_the_limit_is_dropped_and_later_ones_pass(connect):
    a, b = connect("pair1", transport="tcp", options=[("recv-size-max", 100), ("reconnect-time-min", 10)])
    assert nngsock.send(b, bytes(1000), mode="raw", block=5000) == 0
    assert nngsock.recv(a, "raw", block=50) == 5
    for _ in range(100):
        nngsock.send(b, b"small", mode="raw", block=5000)
        if nngsock.recv(a, "raw", block=100) == b"small":
            return
    pytest.fail("no message came after the one that was too long")


def test_dialers_and_listeners_have_methods_too(make_socket, make_url):
    s = make_socket("pair", listen=make_url(), dial=make_url(), autostart=False)
    for x in (s.listener[0], s.dialer[0]):
        assert x.opt("recv-size-max", 10) is x
        assert x.set_opt("recv-size-max", 20) is x
        assert x.opt("recv-size-max") == 20
        assert x.stat("socket") == s.id


class TestContexts:
    def test_they_have_timeouts_of_their_own(self, make_socket):
        s = make_socket("req")
        c = nngsock.context(s)
        c.set_opt("req:resend-time", 10).set_opt("recv-timeout", 20)
        assert (c.opt("req:resend-time"), s.opt("req:resend-time")) == (10, 60_000)

    def test_they_follow_the_serializer_of_their_socket(self, make_socket):
        s = make_socket("req")
        c = nngsock.context(s)
        s.set_opt("serializer", "json")
        assert c.opt("serializer") == "json"
        assert code_of(lambda: c.set_opt("serializer", "pickle")) == 9


class TestSubscriptions:
    @pytest.fixture
    def feed(self, connect):
        def make():
            return connect("pub", "sub")

        return make

    def test_without_one_nothing_is_received(self, feed):
        pub, sub = feed()
        nngsock.send(pub, "x", mode="raw")
        assert nngsock.recv(sub, block=30) == 5

    @pytest.mark.parametrize("topic", ["examples", b"exam", "", None])
    def test_messages_that_begin_with_the_topic_come(self, feed, topic):
        pub, sub = feed()
        assert nngsock.subscribe(sub, topic) is sub
        nngsock.send(pub, "other" if topic else "examples", mode="raw")
        nngsock.send(pub, ["examples", "this is"], mode="raw")
        if not topic:
            assert nngsock.recv(sub, "character", block=5000) == ["examples"]
        assert nngsock.recv(sub, "character", block=5000) == ["examples", "this is"]

    def test_numbers_match_by_their_bytes(self, feed):
        pub, sub = feed()
        nngsock.subscribe(sub, 2)
        nngsock.send(pub, [2.0, 10.0], mode="raw")
        assert nngsock.recv(sub, block=30) == 5
        nngsock.subscribe(sub, 2.0)
        nngsock.send(pub, [2.0, 10.0], mode="raw")
        assert nngsock.recv(sub, "double", block=5000) == [2.0, 10.0]

    def test_they_can_be_ended(self, feed):
        pub, sub = feed()
        sub.subscribe("a")
        assert nngsock.unsubscribe(sub, "a") is sub
        nngsock.send(pub, "a", mode="raw")
        assert nngsock.recv(sub, block=30) == 5
        assert code_of(lambda: nngsock.unsubscribe(sub, "a")) == 12

    def test_contexts_have_their_own(self, feed):
        pub, sub = feed()
        one, other = nngsock.context(sub), nngsock.context(sub)
        one.subscribe("a")
        other.subscribe("b")
        nngsock.send(pub, "abc", mode="raw")
        assert nngsock.recv(one, "string", block=5000) == "abc"
        assert nngsock.recv(other) == 8

    def test_the_newest_are_kept_or_the_oldest(self, connect):
        for prefer_new, expected in ((True, [2, 3]), (False, [0, 1])):
            pub, sub = connect("pub", "sub")
            sub.set_opt("recv-buffer", 2).set_opt("sub:prefnew", prefer_new).subscribe()
            last = nngsock.context(sub).set_opt("recv-buffer", 8).subscribe()
            for i in range(4):
                nngsock.send(pub, i)
            assert [nngsock.recv(last, block=5000) for _ in range(4)] == [0, 1, 2, 3]
            assert [nngsock.recv(sub) for _ in range(2)] == expected
            assert nngsock.recv(sub) == 8

    def test_other_protocols_have_none(self, make_socket):
        assert code_of(lambda: nngsock.subscribe(make_socket("pair"))) == 9
        assert code_of(lambda: nngsock.unsubscribe(make_socket("pub"))) == 9

    def test_they_are_options_too(self, connect, patience):
        pub, sub = connect("pub", "sub")
        assert sub.set_opt("sub:subscribe", "a").set_opt("sub:unsubscribe", "a") is sub
        nngsock.send(pub, "an", mode="raw")
        assert nngsock.recv(sub, "string", block=50) == 5
        sub.set_opt("sub:subscribe", None)
        nngsock.send(pub, "an", mode="raw")
        assert nngsock.recv(sub, "string", block=patience) == "an"
        assert code_of(lambda: pub.set_opt("sub:subscribe", "a")) == 9


class TestSurveys:
    def test_they_end_after_their_time(self, connect):
        surveyor, _ = connect("surveyor", "respondent")
        assert nngsock.recv(surveyor, block=30) == 11
        assert nngsock.survey_time(surveyor, 50) is surveyor
        nngsock.send(surveyor, "question")
        assert nngsock.recv(surveyor, block=5000) == 5
        assert nngsock.recv(surveyor, block=30) == 11

    def test_every_respondent_answers(self, make_socket, make_url):
        surveyor = make_socket("surveyor", listen=make_url())
        joined = nngsock.cv()
        nngsock.pipe_notify(surveyor, joined, add=True)
        respondents = [make_socket("respondent", dial=surveyor.listener[0].url) for _ in range(3)]
        for _ in respondents:
            assert joined.until(5000)
        nngsock.survey_time(surveyor, 5000)
        nngsock.send(surveyor, "who")
        for i, respondent in enumerate(respondents):
            assert nngsock.recv(respondent, block=5000) == "who"
            nngsock.send(respondent, i, block=5000)
        assert {nngsock.recv(surveyor, block=5000) for _ in respondents} == {0, 1, 2}

    def test_other_protocols_have_none(self, make_socket):
        assert code_of(lambda: nngsock.survey_time(make_socket("pair"))) == 9
