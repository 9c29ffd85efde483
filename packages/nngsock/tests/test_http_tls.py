"""HTTPS and wss, with the certificates of the sockets."""

import ssl
import threading
import urllib.error
import urllib.request

import pytest

import nngsock

pytest.importorskip("aiohttp")

HELLO = nngsock.handler("/", lambda req: "hello")


@pytest.fixture
def secure(serve, server):
    """A server with a certificate for 127.0.0.1, which echoes at /ws."""
    echo = nngsock.handler_ws("/ws", lambda ws, data: ws.send(data))
    return serve(HELLO, echo, url="https://127.0.0.1:0", tls=server)


class TestClient:
    def test_who_trusts_the_certificate_is_answered(self, secure, client):
        assert secure.url.startswith("https://127.0.0.1:")
        assert nngsock.ncurl(secure.url, tls=client).data == "hello"
        assert nngsock.ncurl_aio(secure.url, tls=client).collect() == "hello"
        with nngsock.ncurl_session(secure.url, tls=client) as session:
            assert [session.transact().data for _ in range(3)] == ["hello"] * 3

    def test_who_trusts_another_one_gets_26(self, secure, certificates):
        wrong = nngsock.tls_config(client=certificates.other_ca)
        assert nngsock.ncurl(secure.url, tls=wrong) == (26, 26, 26)
        assert nngsock.ncurl_aio(secure.url, tls=wrong).collect() == 26
        with pytest.warns(nngsock.NngWarning, match="26"):
            assert nngsock.ncurl_session(secure.url, tls=wrong) == 26

    def test_a_certificate_for_another_host_is_26(self, serve, certificates):
        other = serve(HELLO, url="https://127.0.0.1:0", tls=nngsock.tls_config(server=certificates.worker))
        trusting = nngsock.tls_config(client=certificates.worker_ca)
        assert nngsock.ncurl(other.url, tls=trusting).status == 26

    def test_who_names_nobody_to_trust_is_warned_and_answered(self, secure):
        with pytest.warns(nngsock.NngWarning, match="certificate is not validated") as caught:
            assert nngsock.ncurl(secure.url).data == "hello"
        assert len(caught) == 1
        assert caught[0].filename == __file__
        with pytest.warns(nngsock.NngWarning, match="certificate is not validated"):
            assert nngsock.ncurl_aio(secure.url).collect() == "hello"
        with pytest.warns(nngsock.NngWarning, match="certificate is not validated"):
            session = nngsock.ncurl_session(secure.url)
        assert session.transact().data == "hello"
        session.close()

    def test_who_says_that_anybody_will_do_is_not_warned(self, secure):
        assert nngsock.ncurl(secure.url, tls=nngsock.tls_config()).data == "hello"

    def test_a_peer_without_tls_is_an_error(self, serve, client):
        plain = serve(HELLO)
        assert nngsock.ncurl(plain.url.replace("http", "https"), tls=client).status == 26

    def test_a_servers_configuration_is_not_a_clients(self, secure, server, client):
        with pytest.raises(ValueError, match="configuration of a client"):
            nngsock.ncurl(secure.url, tls=server)
        with pytest.raises(ValueError, match="configuration of a server"):
            nngsock.http_server("https://127.0.0.1:0", tls=client)


class TestServer:
    def test_it_answers_others_too_and_survives_those_that_speak_no_tls(self, secure, say, certificates):
        assert say(secure, b"GET / HTTP/1.0\r\n\r\n") == b""
        context = ssl.create_default_context(cadata=certificates.ca[0])
        assert urllib.request.urlopen(secure.url, context=context).read() == b"hello"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(secure.url)

    def test_websockets_are_secure_too(self, secure, certificates):
        connect = pytest.importorskip("websockets.sync.client").connect
        context = ssl.create_default_context(cadata=certificates.ca[0])
        with connect(secure.url.replace("https", "wss") + "/ws", ssl=context) as websocket:
            websocket.send(b"x" * 100_000)
            assert websocket.recv() == b"x" * 100_000

    def test_streams_and_files_are_secure_too(self, serve, server, client, tmp_path):
        (tmp_path / "x.bin").write_bytes(bytes(5_000_000))

        def count(conn, req):
            for i in range(10):
                conn.send(str(i))
            conn.close()

        handlers = nngsock.handler_stream("/s", count), nngsock.handler_directory("/d", tmp_path)
        secure = serve(*handlers, url="https://127.0.0.1:0", tls=server)
        assert nngsock.ncurl(secure.url + "/s", tls=client).data == "0123456789"
        assert nngsock.ncurl(secure.url + "/d/x.bin", False, tls=client).data == bytes(5_000_000)

    def test_clients_may_have_to_prove_themselves(self, serve, certificates):
        strict = nngsock.tls_config(server=certificates.server, ca=certificates.worker_ca)
        secure = serve(HELLO, url="https://127.0.0.1:0", tls=strict)
        known = nngsock.tls_config(client=certificates.ca, identity=certificates.worker)
        assert nngsock.ncurl(secure.url, tls=known).data == "hello"
        unknown = nngsock.tls_config(client=certificates.ca)
        assert nngsock.ncurl(secure.url, tls=unknown).status in {19, 26}

    def test_one_configuration_serves_many_servers_and_threads(self, serve, server, client):
        urls = [serve(HELLO, url="https://127.0.0.1:0", tls=server).url for _ in range(3)]
        results = []
        threads = [
            threading.Thread(target=lambda url=url: results.append(nngsock.ncurl(url, tls=client).data))
            for url in urls * 4
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == ["hello"] * 12

    def test_a_key_that_is_not_the_certificates_is_26(self, certificates):
        mixed = certificates.server[0], certificates.other[1]
        with pytest.raises(nngsock.NngError) as caught:
            nngsock.http_server("https://127.0.0.1:0", tls=nngsock.tls_config(server=mixed))
        assert caught.value.code == 26
