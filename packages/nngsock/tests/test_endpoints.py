import socket
import stat
import sys
from pathlib import Path

import pytest

import nngsock


@pytest.fixture
def pair(make_socket):
    return make_socket("pair")


class TestListen:
    def test_it_adds_a_listener(self, pair, make_url):
        url = make_url()
        assert nngsock.listen(pair, url) == 0
        (listener,) = pair.listener
        assert (listener.url, listener.state) == (url, "started")
        assert repr(listener).splitlines()[0] == "< nanoListener >"

    def test_port_0_becomes_the_real_one(self, pair):
        nngsock.listen(pair, "tcp://127.0.0.1:0")
        port = nngsock.parse_url(pair.listener[0].url)["port"]
        assert int(port) > 0
        assert nngsock.opt(pair.listener[0], "tcp-bound-port") == int(port)

    @pytest.mark.parametrize(
        ("url", "code"), [("nonsense", 3), ("foo://bar", 9), ("udp://127.0.0.1:0", 9), ("a\0b", 3)]
    )
    def test_a_bad_address_gives_its_error(self, pair, url, code):
        with pytest.warns(nngsock.NngWarning, match=f"{code} | "):
            assert nngsock.listen(pair, url) == code
        assert pair.listener == ()

    @pytest.mark.parametrize("transport", ["inproc", "ipc", "abstract", "tcp"])
    def test_an_address_in_use_gives_10(self, pair, make_socket, make_url, transport):
        nngsock.listen(pair, make_url(transport))
        assert nngsock.listen(make_socket("pair"), pair.listener[0].url, fail="none") == 10

    def test_a_file_that_is_no_socket_is_left_alone(self, pair, make_url):
        url = make_url("ipc")
        path = Path(url.removeprefix("ipc://"))
        path.write_text("precious")
        with pytest.raises(nngsock.NngError, match="is a file and no socket"):
            nngsock.listen(pair, url, fail="error")
        assert path.read_text() == "precious"

    def test_a_stale_socket_file_is_reused(self, pair, make_url, run_script):
        url = make_url("ipc")
        run_script(
            "import sys, os, nngsock; s = nngsock.socket('pair', listen=sys.argv[1]); os._exit(0)", url
        )
        assert stat.S_ISSOCK(Path(url.removeprefix("ipc://")).stat().st_mode)
        assert nngsock.listen(pair, url) == 0

    def test_close_removes_the_file(self, pair, make_url):
        url = make_url("ipc")
        nngsock.listen(pair, url)
        nngsock.close(pair)
        assert not Path(url.removeprefix("ipc://")).exists()

    def test_permissions_are_set_before_the_start(self, pair, make_url):
        url = make_url("ipc")
        nngsock.listen(pair, url, autostart=False)
        (listener,) = pair.listener
        assert listener.state == "not started"
        nngsock.set_opt(listener, "ipc:permissions", 0o600)
        assert nngsock.start(listener) == 0
        assert listener.state == "started"
        assert stat.S_IMODE(Path(url.removeprefix("ipc://")).stat().st_mode) == 0o600

    @pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets exist on Linux only")
    @pytest.mark.parametrize("url", ["abstract://foo%20bar%00x", "abstract://"])
    def test_abstract_names_may_hold_any_byte_or_be_chosen(self, pair, url):
        assert nngsock.listen(pair, url) == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets exist on Linux only")
    def test_an_abstract_name_is_what_its_escapes_say(self, pair):
        assert nngsock.listen(pair, "abstract://foo%20bar%00x") == 0
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect("\0foo bar\0x")

    @pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
    def test_ipv6(self, pair, make_socket, patience):
        if nngsock.listen(pair, "tcp6://[::1]:0", fail="none"):
            pytest.skip("this machine has no IPv6 loopback")
        other = make_socket("pair")
        assert nngsock.dial(other, pair.listener[0].url, autostart=None, fail="error") == 0
        other.send(1, block=patience)
        assert pair.recv(block=patience) == 1

    def test_a_path_may_have_107_bytes(self, pair, make_url):
        folder = Path(make_url("ipc").removeprefix("ipc://")).parent
        url = f"ipc://{folder}/" + "x" * (106 - len(str(folder)))
        assert len(url) == len("ipc://") + 107
        assert nngsock.listen(pair, url) == 0
        with pytest.warns(nngsock.NngWarning, match=r"15 \| Address invalid"):
            assert nngsock.listen(pair, url + "x") == 15

    def test_unix_is_ipc(self, pair, make_socket, make_url):
        url = make_url("ipc")
        assert nngsock.listen(pair, url.replace("ipc", "unix")) == 0
        assert nngsock.dial(make_socket("pair"), url, autostart=None) == 0

    def test_a_path_too_long_gives_15(self, pair):
        assert nngsock.listen(pair, "ipc:///tmp/" + "x" * 120, fail="none") == 15


class TestDial:
    def test_it_tries_on_until_somebody_listens(self, pair, make_socket, make_url, patience):
        url = make_url()
        nngsock.set_opt(pair, "reconnect-time-min", 5)
        assert nngsock.dial(pair, url) == 0
        other = make_socket("pair", listen=url)
        assert nngsock.send(other, 1, block=patience) == 0
        assert nngsock.recv(pair, block=patience) == 1

    @pytest.mark.parametrize("transport", ["inproc", "ipc", "abstract"])
    def test_synchronously_it_fails_if_nobody_listens(self, pair, make_url, transport):
        with pytest.warns(nngsock.NngWarning, match="6 | Connection refused"):
            assert nngsock.dial(pair, make_url(transport), autostart=None) == 6
        assert pair.dialer == ()

    def test_synchronously_on_another_thread(self, pair, make_url):
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            dialing = pool.submit(nngsock.dial, pair, make_url(), autostart=None, fail="none")
            assert dialing.result(10) == 6

    def test_it_can_be_started_later(self, pair, make_socket, make_url):
        url = make_url()
        make_socket("pair", listen=url)
        nngsock.dial(pair, url, autostart=False)
        (dialer,) = pair.dialer
        assert dialer.state == "not started"
        assert nngsock.start(dialer, async_=False) == 0
        assert dialer.state == "started"

    @pytest.mark.parametrize(("fail", "raises"), [("error", True), (2, True), ("none", False), (3, False)])
    def test_fail_chooses_between_value_and_exception(self, pair, fail, raises):
        if raises:
            with pytest.raises(nngsock.NngRefusedError, match="inproc://nobody"):
                nngsock.dial(pair, "inproc://nobody", autostart=None, fail=fail)
        else:
            assert nngsock.dial(pair, "inproc://nobody", autostart=None, fail=fail) == 6

    @pytest.mark.parametrize("fail", ["no", 0, 4, None, True])
    def test_an_unknown_fail_is_refused(self, pair, fail):
        with pytest.raises(ValueError, match="`fail` should be one of"):
            nngsock.dial(pair, fail=fail)

    def test_arguments_of_the_wrong_kind_are_named(self, pair):
        with pytest.raises(TypeError, match="`socket` is not a valid Socket"):
            nngsock.dial("socket")
        with pytest.raises(TypeError, match="`tls` is not a valid TLS"):
            nngsock.dial(pair, tls="cert")
        with pytest.raises(TypeError, match="`url` must be a str"):
            nngsock.dial(pair, 5)
        with pytest.raises(TypeError, match="not a valid Dialer or Listener"):
            nngsock.start(pair)

    def test_a_closed_socket_gives_7(self, pair):
        nngsock.close(pair)
        assert nngsock.dial(pair, fail="none") == 7


class TestClose:
    def test_it_closes_once(self, pair, make_url):
        nngsock.listen(pair, make_url())
        (listener,) = pair.listener
        assert nngsock.close(listener) == 0
        assert listener.state == "closed"
        with pytest.warns(nngsock.NngWarning, match="12 | Entry not found"):
            assert nngsock.close(listener) == 12
        with pytest.warns(nngsock.NngWarning, match="12 | Entry not found"):
            assert nngsock.start(listener) == 12

    def test_it_closes_with_its_socket(self, pair, make_url):
        url = make_url()
        nngsock.listen(pair, url)
        nngsock.close(pair)
        assert pair.listener[0].state == "closed"
        assert pair.listener[0].url == url
        assert nngsock.reap(pair.listener[0]) == 7

    def test_a_closed_dialer_ends_its_connection(self, connect, patience):
        a, b = connect()
        gone = nngsock.cv()
        nngsock.pipe_notify(a, gone, remove=True)
        nngsock.close(b.dialer[0])
        assert nngsock.until(gone, patience)
