import re

import pytest

from mirai_py import addresses, host_url, local_url


def test_host_urls_are_named_by_interface_and_carry_scheme_and_port():
    urls = host_url(port=5555)
    assert urls
    assert all(re.fullmatch(r"tcp://[^:]+:5555", url) for url in urls.values())
    assert all(url.startswith("tls+tcp://") for url in host_url(tls=True).values())


def test_without_an_address_the_host_name_stands(monkeypatch):
    monkeypatch.setattr(addresses.nngsock, "ip_addr", dict)
    monkeypatch.setattr(addresses.socket, "gethostname", lambda: "lonely")
    assert host_url() == {"lonely": "tcp://lonely:0"}
    assert addresses.dialable("tcp://0.0.0.0:5") == "tcp://lonely:5"


@pytest.mark.parametrize("port", [-1, 65536, True, "5555", 5.5])
def test_a_port_is_a_whole_number(port):
    with pytest.raises(ValueError, match="`port` must be a whole number"):
        host_url(port=port)


@pytest.mark.parametrize(
    ("url", "dialed"),
    [
        ("tcp://10.0.0.1:5", "tcp://10.0.0.1:5"),
        ("tcp://0.0.0.0:5", "tcp://192.0.2.7:5"),
        ("tls+tcp://[::]:5", "tls+tcp://192.0.2.7:5"),
        ("wss://:5/path", "wss://192.0.2.7:5/path"),
        ("tcp://*:5", "tcp://192.0.2.7:5"),
        ("abstract://0.0.0.0", "abstract://0.0.0.0"),
    ],
)
def test_who_listens_at_all_addresses_is_dialed_at_one(url, dialed, monkeypatch):
    monkeypatch.setattr(addresses.nngsock, "ip_addr", lambda: {"eth0": "192.0.2.7"})
    assert addresses.dialable(url) == dialed


def test_local_urls_are_new_each_time():
    assert local_url() != local_url()
    assert local_url(tcp=True, port=5) == "tcp://127.0.0.1:5"
