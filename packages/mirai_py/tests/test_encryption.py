import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

import mirai_py
import nngsock
from mirai_py import daemons, mirai, nextget

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def certificate():
    """A certificate for 127.0.0.1 and its key, and the same with a password."""
    return nngsock.write_cert("127.0.0.1")


def serve(profile, *, ended_with, env=None, tlscert="the right one", url=None):
    """Run a daemon of a profile in a process; gives what it writes to stderr."""
    url = url or mirai_py.status(profile)["daemons"]
    trust = nextget("tls", compute=profile) if tlscert == "the right one" else tlscert
    source = f"import mirai_py; mirai_py.daemon({url!r}, tlscert={trust!r})"
    token = nextget("env", compute=profile) if env is None else env
    process = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **token},
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert (process.returncode != 0) is ended_with, process.stderr
    return process.stderr


@pytest.mark.parametrize("url", ["tls+tcp://127.0.0.1:0", "wss://127.0.0.1:0/path", "tls+tcp://localhost:0"])
def test_a_certificate_is_made_for_the_call_and_daemons_know_the_host_by_it(url, fresh):
    daemons(url=url, compute=fresh)
    mirai_py.launch_local(2, compute=fresh)
    assert mirai_py.everywhere("1", _min=2, _compute=fresh).collect() == [1, 1]
    assert mirai(sum, [1] * 1_000_000, _compute=fresh).collect() == 1_000_000
    chain, revoked = nextget("tls", compute=fresh)
    assert chain.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE KEY" not in chain
    assert revoked == ""


def test_launch_commands_carry_the_certificate_on_one_line_and_never_the_key(fresh):
    daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    (command,) = mirai_py.launch_remote(compute=fresh)
    assert r'tlscert=("-----BEGIN CERTIFICATE-----\n' in command
    assert "\n" not in command
    assert "PRIVATE KEY" not in command
    config = mirai_py.remote_config("sh", ["-c", "."], sys.executable, quote=True)
    mirai_py.launch_remote(1, config, compute=fresh)
    assert mirai(abs, -1, _compute=fresh).collect() == 1


def test_another_call_makes_another_certificate(fresh):
    made = []
    for _ in range(2):
        daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
        made.append(nextget("tls", compute=fresh))
    assert made[0] != made[1]


def test_a_host_at_all_addresses_is_known_by_each_of_its_names(fresh):
    daemons(url="tls+tcp://0.0.0.0:0", compute=fresh)
    port = mirai_py.status(fresh)["daemons"].rpartition(":")[2]
    for name in ("localhost", "127.0.0.1", *nngsock.ip_addr().values()):
        with nngsock.socket("pair1") as peer:
            trust = nngsock.tls_config(client=nextget("tls", compute=fresh))
            assert nngsock.dial(peer, f"tls+tcp://{name}:{port}", tls=trust, autostart=None) == 0


@pytest.mark.parametrize("form", ["pair", "file", "encrypted"])
def test_the_users_own_certificate_serves_too(form, fresh, certificate, tmp_path):
    chain, key = certificate["server"]
    given, password = (chain, key), None
    if form == "file":
        given = tmp_path / "host.pem"
        given.write_text(chain + key)
    elif form == "encrypted":
        from cryptography.hazmat.primitives import serialization

        loaded = serialization.load_pem_private_key(key.encode(), None)
        scheme = serialization.BestAvailableEncryption(b"secret")
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, scheme
        given, password = (chain, loaded.private_bytes(*form).decode()), lambda: "secret"
    daemons(url="tls+tcp://127.0.0.1:0", tls=given, pass_=password, compute=fresh)
    assert nextget("tls", compute=fresh) == certificate["client"]
    mirai_py.launch_local(compute=fresh)
    assert mirai(abs, -1, _compute=fresh).collect() == 1


def test_tlscert_may_be_a_file_and_is_the_users_choice(fresh, certificate, tmp_path):
    path = tmp_path / "trusted.pem"
    path.write_text(certificate["client"][0])
    daemons(url="tls+tcp://127.0.0.1:0", tls=certificate["server"], tlscert=path, compute=fresh)
    assert str(path) in mirai_py.launch_remote(compute=fresh)[0]
    mirai_py.launch_local(compute=fresh)
    assert mirai(abs, -1, _compute=fresh).collect() == 1


@pytest.mark.parametrize("tlscert", [None, "of another"])
def test_a_daemon_without_the_certificate_or_with_another_ends_with_error_26(tlscert, fresh):
    """And the host goes on."""
    daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(compute=fresh)
    mirai_py.everywhere("", _compute=fresh).collect()
    trust = None if tlscert is None else nngsock.write_cert("127.0.0.1")["client"]
    assert "26 | Cryptographic error" in serve(fresh, ended_with=True, tlscert=trust)
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert mirai_py.info(fresh)["cumulative"] == 1


def test_the_certificate_alone_makes_nobody_a_daemon(fresh, caplog):
    """It says who the host is; only the token says who may work for it."""
    daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(compute=fresh)
    mirai_py.everywhere("", _compute=fresh).collect()
    told = serve(fresh, ended_with=True, env={"MIRAI_PY_TOKEN": "a guess"})
    assert "refused this daemon: the token is wrong" in told
    assert mirai_py.info(fresh)["cumulative"] == 1
    assert mirai(abs, -1, _compute=fresh).collect() == 1


@pytest.mark.parametrize("scheme", ["tcp", "tls+tcp"])
def test_a_peer_that_sends_garbage_is_cut_off(scheme, fresh):
    daemons(url=f"{scheme}://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(compute=fresh)
    mirai_py.everywhere("", _compute=fresh).collect()
    trust = nextget("tls", compute=fresh)
    challenged, cut = threading.Event(), threading.Event()
    with nngsock.socket("pair1") as peer:
        nngsock.on_message(peer, lambda _view, _pipe: challenged.set())
        nngsock.on_pipe(peer, lambda event, _: cut.set() if event == "remove" else None)
        tls = None if trust is None else nngsock.tls_config(client=trust)
        nngsock.dial(peer, mirai_py.status(fresh)["daemons"], tls=tls, autostart=None, fail="error")
        assert challenged.wait(20)
        nngsock.send(peer, b"\x80\x05garbage" * 100, mode="raw", block=True)
        assert cut.wait(20)
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert mirai_py.info(fresh)["cumulative"] == 1


@pytest.mark.parametrize("scheme", ["tcp", "tls+tcp"])
def test_what_does_not_even_speak_the_transport_is_no_harm(scheme, fresh):
    daemons(url=f"{scheme}://127.0.0.1:0", compute=fresh)
    mirai_py.launch_local(compute=fresh)
    port = int(mirai_py.status(fresh)["daemons"].rpartition(":")[2])
    for sent in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 100):
        # The host may cut it off in the middle.
        with socket.create_connection(("127.0.0.1", port)) as peer, contextlib.suppress(OSError):
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert mirai_py.info(fresh)["connections"] == 1


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"url": "tcp://127.0.0.1:0", "tls": ("x", "y")}, ValueError, "`tls` goes with a `url` of tls"),
        ({"url": "tls+tcp://127.0.0.1:0", "tls": ("x", "y")}, nngsock.NngError, "26"),
        ({"url": "tls+tcp://127.0.0.1:0", "tls": "/nonexistent.pem"}, nngsock.NngError, "no file"),
        ({"url": "tls+tcp://127.0.0.1:0", "tls": 5}, TypeError, "PEM"),
        ({"url": "tls+tcp://127.0.0.1:0", "tlscert": 5}, TypeError, "`tlscert` must be a path or a pair"),
    ],
)
def test_wrong_files_are_named_and_nothing_is_set(options, error, told, fresh):
    with pytest.raises(error, match=told):
        daemons(compute=fresh, **options)
    assert not mirai_py.daemons_set(fresh)


def test_a_wrong_password_is_an_error(fresh, certificate):
    with pytest.raises(nngsock.NngError, match="26"):
        daemons(
            url="tls+tcp://127.0.0.1:0", tls=(certificate["client"][0], "-----BEGIN ENCRYPTED"), compute=fresh
        )


def test_tlscert_needs_a_host_with_encryption(fresh, certificate):
    with pytest.raises(ValueError, match="`tlscert` goes with a `url` of tls"):
        daemons(1, tlscert=certificate["client"], compute=fresh)
    with pytest.raises(ValueError, match="`tlscert` goes with a `url` of tls"):
        mirai_py.daemon("tcp://127.0.0.1:1", tlscert=certificate["client"])


def test_tls_of_a_profile_without_is_none(one):
    assert nextget("tls", compute=one) is None
