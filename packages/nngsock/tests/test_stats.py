import pytest

import nngsock


def test_a_socket_counts_its_messages(connect):
    a, b = connect("pair1")
    for _ in range(3):
        nngsock.send(a, b"1234", mode="raw", block=5000)
        nngsock.recv(b, block=5000, mode="raw")
    assert nngsock.stat(a, "tx_msgs") >= 3  # attempts count too
    assert nngsock.stat(b, "rx_msgs") == 3
    assert nngsock.stat(a, "pipes") == a.stat("pipes") == 1
    assert (nngsock.stat(a, "listeners"), nngsock.stat(a, "dialers")) == (1, 0)
    assert (nngsock.stat(a, "id"), nngsock.stat(a, "protocol")) == (a.id, "pair1")


def test_endpoints_count_their_connections(connect):
    a, b = connect()
    (listener,), (dialer,) = a.listener, b.dialer
    assert nngsock.stat(listener, "accept") == 1
    assert nngsock.stat(dialer, "connect") == 1
    assert nngsock.stat(dialer, "refused") == 0
    assert nngsock.stat(listener, "url") == listener.url
    assert nngsock.stat(listener, "socket") == a.id


def test_what_is_unknown_or_closed_is_none(make_socket):
    s = make_socket("pair")
    assert nngsock.stat(s, "nothing") is None
    nngsock.close(s)
    assert nngsock.stat(s, "id") is None


def test_what_has_no_statistics_is_refused():
    with pytest.raises(TypeError, match="not a valid Socket, Dialer or Listener"):
        nngsock.stat("socket", "id")
