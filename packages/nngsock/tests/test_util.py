import socket
import time

import pytest

import nngsock


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://me:pw@Example.org/a/b?q=1#top",
            {
                "scheme": "https", "userinfo": "me:pw", "hostname": "example.org", "port": "443",
                "path": "/a/b", "query": "q=1", "fragment": "top",
            },
        ),
        ("http://h:81", {"scheme": "http", "hostname": "h", "port": "81"}),
        ("ws://h/p", {"port": "80"}),
        ("tcp://[::1]:5555", {"scheme": "tcp", "hostname": "::1", "port": "5555"}),
        ("ipc:///tmp/x?y", {"scheme": "ipc", "path": "/tmp/x?y", "port": "", "query": ""}),
    ],
)  # fmt: skip
def test_urls_are_taken_to_pieces(url, expected):
    parts = nngsock.parse_url(url)
    assert set(parts) == {"scheme", "userinfo", "hostname", "port", "path", "query", "fragment"}
    assert {key: parts[key] for key in expected} == expected


@pytest.mark.parametrize("url", ["nonsense", "", "tcp://a\0b", None])
def test_what_is_no_url_raises_3(url):
    with pytest.raises(nngsock.NngError, match=r"3 \| Invalid argument"):
        nngsock.parse_url(url)


def test_versions_are_told():
    nng, tls = nngsock.nng_version()
    assert nng.startswith("1.")
    assert tls.startswith("Mbed TLS")


def test_random_gives_hex_or_bytes():
    assert len(nngsock.random()) == 2
    text = nngsock.random(16)
    assert len(bytes.fromhex(text)) == 16
    assert text != nngsock.random(16)
    assert len(nngsock.random(1024, convert=False)) == 1024


@pytest.mark.parametrize("n", [0, 1025, -1])
def test_random_has_limits(n):
    with pytest.raises(ValueError, match="between 1 and 1024"):
        nngsock.random(n)


def test_random_takes_numbers():
    with pytest.raises(TypeError, match="whole number"):
        nngsock.random("3")


def test_msleep_sleeps_milliseconds():
    start = nngsock.mclock()
    nngsock.msleep(20)
    assert nngsock.mclock() - start >= 20


def test_msleep_returns_at_once_from_nothing(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept"))
    nngsock.msleep(0)
    nngsock.msleep(-1)


@pytest.mark.parametrize("value", ["1", None, True, float("nan")])
def test_msleep_takes_numbers(value):
    with pytest.raises(TypeError, match="milliseconds"):
        nngsock.msleep(value)


def test_ip_addr_names_interfaces_without_loopback():
    found = nngsock.ip_addr()
    for name, address in found.items():
        socket.if_nametoindex(name)
        socket.inet_aton(address)
        assert not address.startswith("127.")


def test_is_nano_knows_the_connections(make_socket, make_url):
    s = make_socket("req", listen=make_url())
    monitor = nngsock.monitor(s, nngsock.cv())
    assert all(map(nngsock.is_nano, (s, nngsock.context(s), s.listener[0], monitor)))
    with nngsock.nano("pair") as nano:
        assert nngsock.is_nano(nano)
    assert not any(map(nngsock.is_nano, (nngsock.cv(), nngsock.recv_aio(s), "socket")))


def test_is_nano_knows_streams():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = nngsock.stream(dial=f"tcp://127.0.0.1:{listening.getsockname()[1]}")
    assert nngsock.is_nano(stream)
    nngsock.reap(stream)


def test_is_nano_knows_servers():
    pytest.importorskip("aiohttp")
    assert nngsock.is_nano(nngsock.http_server("http://127.0.0.1:0"))
    assert not nngsock.is_nano(nngsock.handler("/", str))
