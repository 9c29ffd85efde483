import functools
import gc
import time
import weakref

import pytest

import nngsock
from nngsock.sockets import PROTOCOLS


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_opens(make_socket, protocol):
    s = make_socket(protocol)
    assert (s.protocol, s.state, s.raw) == (protocol, "opened", False)
    assert s.id > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_opens_raw(make_socket, protocol):
    assert make_socket(protocol, raw=True).raw


@pytest.mark.parametrize("protocol", ["pear", "", None, 1])
def test_an_unknown_protocol_is_refused(protocol):
    with pytest.raises(ValueError, match="`proto` should be one of: bus, pair, "):
        nngsock.socket(protocol)


def test_the_default_is_bus(make_socket):
    assert make_socket().protocol == "bus"


def test_a_socket_prints_what_it_is(make_socket):
    s = make_socket("pair", listen="inproc://print", dial="inproc://print-other")
    assert repr(s).splitlines() == [
        "< nanoSocket >",
        f" - id: {s.id}",
        " - state: opened",
        " - protocol: pair",
        " - listener: inproc://print",
        " - dialer: inproc://print-other",
    ]


def test_a_bad_address_raises_and_closes_the_socket():
    with pytest.raises(nngsock.NngError, match=r"3 \| Invalid argument"):
        nngsock.socket("pair", listen="nonsense")
    with pytest.raises(nngsock.NngRefusedError, match=r"6 \| Connection refused"):
        nngsock.socket("pair", dial="inproc://nobody", autostart=None)


def test_unknown_attributes_do_not_exist(make_socket):
    s = make_socket("pair")
    assert not hasattr(s, "nothing")
    with pytest.raises(AttributeError):
        s.nothing = 1


class TestClose:
    def test_the_second_time_gives_7_and_a_warning(self, make_socket):
        s = make_socket("pair")
        assert nngsock.close(s) == 0
        assert s.state == "closed"
        with pytest.warns(nngsock.NngWarning, match="7 | Object closed"):
            assert nngsock.close(s) == 7

    def test_with_closes(self):
        with nngsock.socket("pair") as s:
            nngsock.close(s)
        with nngsock.socket("pair") as t:
            pass
        assert t.state == "closed"

    def test_reap_says_it_without_a_warning(self, make_socket):
        s = make_socket("pair")
        assert nngsock.reap(s) == 0
        assert nngsock.reap(s) == 7
        assert nngsock.reap("what") == 3

    def test_what_cannot_be_closed_is_refused(self):
        with pytest.raises(TypeError, match="cannot be closed"):
            nngsock.close("socket")

    def test_a_dropped_socket_is_closed(self, make_socket, make_url):
        url = make_url()
        s = nngsock.socket("pair", listen=url)
        reference = weakref.ref(s)
        del s
        gc.collect()
        assert reference() is None
        make_socket("pair", listen=url)

    def test_a_socket_in_a_cycle_with_its_pipe_function_is_closed(self, make_socket, make_url):
        url = make_url()
        s = nngsock.socket("pair", listen=url)
        nngsock.on_pipe(s, functools.partial(print, s))
        del s
        gc.collect()
        make_socket("pair", listen=url)

    def test_lingering_waits_until_what_is_under_way_is_sent(self, make_socket, make_url):
        url = make_url("ipc")
        a = make_socket("push", listen=url)
        sends = [nngsock.send_aio(a, i) for i in range(20)]
        b = make_socket("pull", dial=url)
        nngsock.close(a, linger=5_000)
        assert nngsock.collect_aio(sends) == [0] * 20
        assert nngsock.recv(b, block=5000) == 0

    def test_lingering_has_an_end(self, make_socket):
        a = make_socket("push")
        aio = nngsock.send_aio(a, 1)
        start = time.monotonic()
        assert nngsock.close(a, linger=30) == 0
        assert time.monotonic() - start < 5
        assert aio.collect() == 7


class TestContext:
    def test_it_belongs_to_its_socket(self, make_socket):
        s = make_socket("req")
        c = nngsock.context(s)
        assert (c.socket, c.protocol, c.state) == (s, "req", "opened")
        assert c.id > 0
        assert repr(c).splitlines()[0] == "< nanoContext >"
        assert s.context().socket is s

    def test_it_closes_with_its_socket(self, make_socket):
        s = make_socket("rep")
        c = nngsock.context(s)
        aio = nngsock.recv_aio(c)
        nngsock.close(s)
        assert c.state == "closed"
        assert aio.collect() == 7

    def test_closing_it_leaves_the_socket(self, make_socket):
        s = make_socket("rep")
        with nngsock.context(s) as c:
            aio = nngsock.recv_aio(c)
        assert aio.collect() == 7
        assert s.state == "opened"
        with pytest.warns(nngsock.NngWarning):
            assert nngsock.close(c) == 7

    @pytest.mark.parametrize("protocol", ["pair", "pair1", "poly", "push", "pull", "pub", "bus"])
    def test_other_protocols_have_none(self, make_socket, protocol):
        with pytest.raises(nngsock.NngError, match=r"9 \| Not supported"):
            nngsock.context(make_socket(protocol))

    def test_it_needs_a_socket(self):
        with pytest.raises(TypeError, match="not a valid Socket"):
            nngsock.context("socket")
