import os
import socket

import pytest

from mirai_py.descriptors import close_connections, port_of


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("tcp://127.0.0.1:5555", 5555),
        ("wss://[::1]:80/path", 80),
        ("ipc:///tmp/a:1", None),
        ("abstract://b", None),
        ("tcp://host", None),
    ],
)
def test_only_urls_of_a_network_have_a_port(url, port):
    assert port_of(url) == port


@pytest.mark.parametrize("scheme", ["abstract", "ipc", "tcp"])
def test_connections_to_a_url_are_closed_and_no_others(scheme, tmp_path):
    other = {"tcp": "tcp://127.0.0.1:1", "ipc": "ipc:///nowhere", "abstract": "abstract://nobody"}[scheme]
    if scheme == "tcp":
        server = socket.create_server(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / "s") if scheme == "ipc" else "\0" + str(tmp_path)[-90:])
        server.listen()
        name = server.getsockname()
        url = f"ipc://{name}" if scheme == "ipc" else f"abstract://{name[1:].decode()}"
    client = socket.socket(server.family)
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    close_connections(other)
    close_connections(url.replace("127.0.0.1", "127.0.0.2") + "x" * (scheme != "tcp"))
    accepted.send(b"x")
    assert client.recv(1) == b"x"
    close_connections(url)
    for each in (server, client, accepted):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each.detach())
