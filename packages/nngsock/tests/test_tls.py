"""Who trusts whom: configurations, and what they make of connections."""

import ssl
import stat
import sys
import threading

import pytest

import nngsock

ENCRYPTED = ("tls+tcp", "wss")


@pytest.fixture
def listening(make_socket):
    """A function that opens a listening socket and returns it with its address."""

    def listen(tls, scheme="tls+tcp", host="127.0.0.1"):
        sock = make_socket("pair1", listen=f"{scheme}://{host}:0", tls=tls)
        return sock, sock.listener[0].url

    return listen


@pytest.fixture
def arrives(make_socket, patience):
    """A function that dials, sends, and returns the pipes that both ends have."""

    def pipes(sock, url, tls):
        peer = make_socket("pair1")
        nngsock.dial(peer, url, tls=tls, autostart=None, fail="error")
        ends = []
        for one, other in ((peer, sock), (sock, peer)):
            came = nngsock.recv_aio(other, timeout=patience)
            assert nngsock.send(one, "x", block=patience) == 0
            assert came.collect() == "x"
            ends.append(nngsock.pipe_info(other, came.pipe))
        nngsock.close(peer)
        return tuple(ends)

    return pipes


class TestConfiguration:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({}, "client config | auth mode: none"),
            ({"auth": True}, "client config | auth mode: none"),
            ({"client": "ca"}, "client config | auth mode: required"),
            ({"client": "ca", "auth": False}, "client config | auth mode: optional"),
            ({"server": "server"}, "server config | auth mode: none"),
            ({"server": "server", "ca": "worker_ca"}, "server config | auth mode: required"),
            ({"server": "server", "ca": "worker_ca", "auth": False}, "server config | auth mode: optional"),
        ],
    )
    def test_it_prints_its_side_and_what_peers_must_have(self, certificates, arguments, text):
        values = {
            name: getattr(certificates, value) if isinstance(value, str) else value
            for name, value in arguments.items()
        }
        assert repr(nngsock.tls_config(**values)) == f"< TLS {text} >"

    def test_its_representation_shows_no_secret(self, certificates):
        config = nngsock.tls_config(server=certificates.server, pass_="geheim")
        assert "PRIVATE" not in repr(config)
        assert "geheim" not in repr(config)

    @pytest.mark.parametrize("kind", [str, lambda path: path])
    def test_files_do_too(self, certificates, kind, listening, arrives):
        path = certificates.folder / "server.pem"
        sock, url = listening(nngsock.tls_config(server=kind(path)))
        arrives(sock, url, nngsock.tls_config(client=kind(path)))

    def test_files_in_a_pair_are_paths(self, certificates, tmp_path):
        names = [tmp_path / "certificate.pem", tmp_path / "key.pem"]
        for path, text in zip(names, certificates.server, strict=True):
            path.write_text(text)
        assert nngsock.tls_config(server=names).mode == "server"

    @pytest.mark.parametrize(
        "arguments",
        [
            {"client": ("no PEM", "")},
            {"client": ("", "")},
            {"client": ("nul\0", "")},
            {"server": ("no PEM", "no PEM")},
        ],
    )
    def test_what_is_no_pem_gives_26(self, arguments):
        with pytest.raises(nngsock.NngError, match=r"26 \| Cryptographic error") as caught:
            nngsock.tls_config(**arguments)
        assert caught.value.code == 26

    def test_a_revocation_list_or_key_that_is_none_gives_26(self, certificates):
        certificate, _ = certificates.server
        for arguments in ({"client": (certificate, "no PEM")}, {"server": (certificate, certificate)}):
            with pytest.raises(nngsock.NngError, match="no PEM"):
                nngsock.tls_config(**arguments)

    def test_a_missing_file_gives_12_and_its_name(self, tmp_path):
        with pytest.raises(nngsock.NngError, match=r"12 \| Entry not found: there is no file .*absent.pem"):
            nngsock.tls_config(client=tmp_path / "absent.pem")

    def test_a_file_that_cannot_be_read_gives_the_systems_error(self, tmp_path):
        with pytest.raises(nngsock.NngError, match="Is a directory"):
            nngsock.tls_config(client=tmp_path)

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"client": 5}, "client"),
            ({"client": ("one",)}, "client"),
            ({"server": ("a", "b", "c")}, "server"),
            ({"server": ("a", 5)}, "server"),
            ({"identity": b"bytes"}, "identity"),
            ({"auth": 1}, "auth"),
            ({"server": "server", "pass_": 5}, "pass_"),
        ],
    )
    def test_an_argument_of_the_wrong_kind_is_named(self, arguments, name):
        with pytest.raises(TypeError, match=f"`{name}` must be"):
            nngsock.tls_config(**arguments)

    def test_arguments_that_contradict_each_other_are_refused(self, certificates):
        c = certificates
        for arguments in (
            {"client": c.ca, "server": c.server},
            {"client": c.ca, "ca": c.ca},
            {"server": c.server, "identity": c.worker},
            {"server": c.server, "auth": True},
        ):
            with pytest.raises(ValueError, match="`"):
                nngsock.tls_config(**arguments)


class TestPasswords:
    @pytest.fixture(params=["ec", "rsa"])
    def encrypted(self, request):
        """A certificate whose key is encrypted, in the traditional format and in PKCS #8."""
        pytest.importorskip("cryptography")
        from cryptography.hazmat.primitives import serialization as s

        from nngsock import cert

        key = cert._new_key(request.param)
        certificate = cert._certify(key, ["127.0.0.1"], cert._end("20991231235959"))
        secret = s.BestAvailableEncryption(b"geheim")
        return [
            (certificate, key.private_bytes(s.Encoding.PEM, form, secret).decode())
            for form in (s.PrivateFormat.TraditionalOpenSSL, s.PrivateFormat.PKCS8)
        ]

    def test_the_right_one_opens_the_key(self, encrypted, listening, arrives):
        for pair in encrypted:
            asked = []
            config = nngsock.tls_config(server=pair, pass_=lambda asked=asked: asked.append(1) or "geheim")
            sock, url = listening(config)
            arrives(sock, url, nngsock.tls_config(client=(pair[0], "")))
            assert asked == [1]
            assert config.ssl_context().verify_mode == ssl.CERT_NONE

    def test_a_wrong_one_or_none_gives_26(self, encrypted):
        for pair in encrypted:
            for password in ("falsch", None):
                with pytest.raises(nngsock.NngError, match="not the key's password"):
                    nngsock.tls_config(server=pair, pass_=password)


@pytest.mark.parametrize("scheme", ENCRYPTED)
class TestTrust:
    def test_the_server_is_verified(self, scheme, listening, arrives, client, server):
        seen, seeing = arrives(*listening(server, scheme), client)
        assert (seeing.tls_verified, seeing.tls_peer_cn) == (True, "127.0.0.1")
        assert (seen.tls_verified, seen.tls_peer_cn) == (False, None)

    def test_without_checks_anybody_is_trusted(self, scheme, listening, arrives, server):
        _, seeing = arrives(*listening(server, scheme), nngsock.tls_config())
        assert seeing.tls_verified is False

    def test_a_check_without_consequence(self, scheme, listening, arrives, server, certificates):
        config = nngsock.tls_config(client=certificates.other_ca, auth=False)
        _, seeing = arrives(*listening(server, scheme), config)
        assert seeing.tls_verified is False

    def test_the_wrong_server_gives_26_each_time_and_harms_nobody(
        self, scheme, listening, arrives, make_socket, server, client, certificates
    ):
        sock, url = listening(server, scheme)
        wrong = nngsock.tls_config(client=certificates.other_ca)
        dialer = make_socket("pair1")
        for _ in range(5):
            assert nngsock.dial(dialer, url, tls=wrong, autostart=None, fail="none") == 26
        assert dialer.dialer == ()
        arrives(sock, url, client)

    def test_an_asynchronous_dialer_tries_on_in_silence(
        self, scheme, listening, make_socket, server, certificates, patience
    ):
        sock, url = listening(server, scheme)
        dialer = make_socket("pair1")
        nngsock.set_opt(dialer, "reconnect-time-min", 1)
        connections, gone = nngsock.monitor(sock, nngsock.cv()), nngsock.cv()
        nngsock.pipe_notify(dialer, gone, add=True, remove=True)
        assert nngsock.dial(dialer, url, tls=nngsock.tls_config(client=certificates.other_ca)) == 0
        while nngsock.stat(dialer.dialer[0], "auth") < 3:
            nngsock.msleep(5)
        assert nngsock.cv_value(gone) == 0
        assert connections.read() is None

    def test_the_certificate_must_name_the_host(self, scheme, listening, make_socket, certificates):
        pytest.importorskip("cryptography")
        cert = nngsock.write_cert("elsewhere.example")
        _, url = listening(nngsock.tls_config(server=cert["server"]), scheme)
        config = nngsock.tls_config(client=cert["client"])
        assert nngsock.dial(make_socket("pair1"), url, tls=config, autostart=None, fail="none") == 26

    def test_one_configuration_serves_several_hosts_and_sockets(
        self, scheme, listening, arrives, client, server
    ):
        for host in ("127.0.0.1", "localhost", "127.0.0.1", "localhost"):
            arrives(*listening(server, scheme, host), client)

    def test_both_sides_can_be_verified(self, scheme, listening, arrives, certificates):
        c = certificates
        there = nngsock.tls_config(server=c.server, ca=c.worker_ca)
        here = nngsock.tls_config(client=c.ca, identity=c.worker)
        seen, seeing = arrives(*listening(there, scheme), here)
        assert (seen.tls_verified, seen.tls_peer_cn) == (True, "worker 7")
        assert (seeing.tls_verified, seeing.tls_peer_cn) == (True, "127.0.0.1")

    def test_a_client_without_the_right_certificate_gives_26(
        self, scheme, listening, arrives, make_socket, certificates
    ):
        c = certificates
        sock, url = listening(nngsock.tls_config(server=c.server, ca=c.worker_ca), scheme)
        dialer = make_socket("pair1")
        for identity in (None, c.other):
            config = nngsock.tls_config(client=c.ca, identity=identity)
            assert nngsock.dial(dialer, url, tls=config, autostart=None, fail="none") == 26
        arrives(sock, url, nngsock.tls_config(client=c.ca, identity=c.worker))

    def test_a_server_may_ask_and_let_in_all_the_same(self, scheme, listening, arrives, certificates):
        c = certificates
        sock, url = listening(nngsock.tls_config(server=c.server, ca=c.worker_ca, auth=False), scheme)
        for identity, verified in ((None, False), (c.other, False), (c.worker, True)):
            seen, _ = arrives(sock, url, nngsock.tls_config(client=c.ca, identity=identity))
            assert seen.tls_verified is verified

    def test_who_does_not_encrypt_gets_no_connection(self, scheme, listening, make_socket, server):
        _, url = listening(server, scheme)
        plain = url.replace("tls+tcp", "tcp").replace("wss", "ws")
        assert nngsock.dial(make_socket("pair1"), plain, autostart=None, fail="none") in {7, 19, 31}


class TestEndpoints:
    def test_an_encrypted_address_needs_a_configuration(self, make_socket):
        for connect, url in ((nngsock.dial, "tls+tcp://127.0.0.1:1"), (nngsock.listen, "wss://127.0.0.1:0")):
            with pytest.raises(nngsock.NngError, match=r"3 \| Invalid argument.*needs `tls`"):
                connect(make_socket("pair"), url, fail="error")

    def test_a_configuration_needs_an_encrypted_address(self, make_socket, client):
        with pytest.warns(nngsock.NngWarning, match="is no address of tls"):
            assert nngsock.dial(make_socket("pair"), "tcp://127.0.0.1:1", tls=client) == 9

    def test_each_side_needs_its_own(self, make_socket, client, server):
        with pytest.raises(ValueError, match=r"`tls` is for a server; here tls_config\(client"):
            nngsock.dial(make_socket("pair"), "tls+tcp://127.0.0.1:1", tls=server)
        with pytest.raises(ValueError, match=r"`tls` is for a client; here tls_config\(server"):
            nngsock.listen(make_socket("pair"), "tls+tcp://127.0.0.1:0", tls=client)

    def test_the_option_does_the_same_before_the_start(self, make_socket, client, server, patience):
        a, b = make_socket("pair"), make_socket("pair")
        nngsock.listen(a, "tls+tcp://127.0.0.1:0", autostart=False)
        (listener,) = a.listener
        assert nngsock.opt(listener, "tls-config") is None
        assert nngsock.opt(nngsock.set_opt(listener, "tls-config", server), "tls-config") is server
        nngsock.start(listener)
        with pytest.raises(nngsock.NngError, match=r"4 \| Resource busy"):
            nngsock.set_opt(listener, "tls-config", server)
        nngsock.dial(b, listener.url, tls=client)
        assert nngsock.send(b, 1, block=patience) == 0
        assert nngsock.recv(a, block=patience) == 1

    def test_the_option_is_one_of_endpoints(self, make_socket, client):
        sock = make_socket("pair", listen="inproc://tls-config")
        for x, value, error in ((sock, client, nngsock.NngError), (sock.listener[0], "text", TypeError)):
            with pytest.raises(error):
                nngsock.set_opt(x, "tls-config", value)

    def test_connections_outlive_the_configuration(self, listening, arrives, certificates):
        sock, url = listening(nngsock.tls_config(server=certificates.server))
        for _ in range(3):
            arrives(sock, url, nngsock.tls_config(client=certificates.ca))


class TestSslContext:
    """The same configuration, in Python's ssl."""

    @pytest.fixture
    def handshake(self):
        """A function that has two contexts meet in memory, and returns the server's end."""

        def meet(server, client, host="127.0.0.1"):
            to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
            there = server.wrap_bio(to_server, to_client, server_side=True)
            here = client.wrap_bio(to_client, to_server, server_hostname=host)
            left = [here, there]
            for _ in range(10):
                for end in list(left):
                    try:
                        end.do_handshake()
                        left.remove(end)
                    except ssl.SSLWantReadError:
                        continue
            assert not left
            with pytest.raises(ssl.SSLWantReadError):  # TLS 1.3 tells the client here what the server found
                here.read(1)
            return there

        return meet

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_the_server_is_verified(self, handshake, client, server, host):
        assert handshake(server.ssl_context(), client.ssl_context(), host).version() == "TLSv1.3"

    def test_the_wrong_server_is_refused(self, handshake, server, certificates):
        wrong = nngsock.tls_config(client=certificates.other_ca)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server.ssl_context(), wrong.ssl_context())

    def test_the_certificate_must_name_the_host(self, handshake, client, server):
        with pytest.raises(ssl.SSLCertVerificationError, match="elsewhere"):
            handshake(server.ssl_context(), client.ssl_context(), "elsewhere.example")

    @pytest.mark.parametrize("arguments", [{}, {"client": "other_ca", "auth": False}])
    def test_without_checks_anybody_is_trusted(self, handshake, server, certificates, arguments):
        if "client" in arguments:
            arguments = {**arguments, "client": certificates.other_ca}
        handshake(server.ssl_context(), nngsock.tls_config(**arguments).ssl_context())

    def test_both_sides_can_be_verified(self, handshake, certificates):
        c = certificates
        there = nngsock.tls_config(server=c.server, ca=c.worker_ca).ssl_context()
        here = nngsock.tls_config(client=c.ca, identity=c.worker).ssl_context()
        subject = dict(pair for (pair,) in handshake(there, here).getpeercert()["subject"])
        assert subject["commonName"] == "worker 7"

    def test_a_client_without_certificate_is_refused(self, handshake, certificates, client):
        there = nngsock.tls_config(server=certificates.server, ca=certificates.worker_ca).ssl_context()
        with pytest.raises(ssl.SSLError):
            handshake(there, client.ssl_context())

    def test_a_key_that_belongs_to_another_certificate_is_refused(self, certificates):
        mixed = (certificates.server[0], certificates.other[1])
        with pytest.raises(ssl.SSLError):
            nngsock.tls_config(server=mixed).ssl_context()


class TestAuthority:
    """An authority of one's own, with a list of what it has revoked."""

    @pytest.fixture
    def issued(self):
        """An authority's certificate and list, a good server's and a revoked one's chain and key."""
        x509 = pytest.importorskip("cryptography.x509")
        import datetime as dt

        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        def name(text):
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        key, issuer = ec.generate_private_key(ec.SECP256R1()), name("Authority")
        now, later = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2020, 2099))

        def certify(subject, public_key, serial, *, ca):
            builder = x509.CertificateBuilder(
                issuer, name(subject), public_key, serial, now, later
            ).add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            if not ca:
                names = [x509.DNSName("localhost")]
                builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

        def server(serial):
            own = ec.generate_private_key(ec.SECP256R1())
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
            text = own.private_bytes(*form, serialization.NoEncryption()).decode()
            return certify("server", own.public_key(), serial, ca=False), text

        revoked = x509.RevokedCertificateBuilder(3, now).build()
        crl = x509.CertificateRevocationListBuilder(issuer, now, later).add_revoked_certificate(revoked)
        crl_text = crl.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        return certify("Authority", key.public_key(), 1, ca=True), crl_text, server(2), server(3)

    def test_what_it_has_issued_is_trusted_what_it_has_revoked_is_not(
        self, issued, listening, arrives, make_socket, tmp_path
    ):
        ca, crl, good, revoked = issued
        both = tmp_path / "ca.pem"
        both.write_text(ca + crl)
        for trust in ((ca, crl), both):
            config = nngsock.tls_config(client=trust)
            arrives(*listening(nngsock.tls_config(server=good), host="localhost"), config)
            _, url = listening(nngsock.tls_config(server=revoked), host="localhost")
            assert nngsock.dial(make_socket("pair1"), url, tls=config, autostart=None, fail="none") == 26
        sock, url = listening(nngsock.tls_config(server=revoked), host="localhost")
        arrives(sock, url, nngsock.tls_config(client=(ca, "")))

    def test_pythons_ssl_sees_it_alike(self, issued):
        ca, crl, good, _ = issued
        context = nngsock.tls_config(client=(ca, crl)).ssl_context()
        assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
        assert context.cert_store_stats()["crl"] == 1
        assert nngsock.tls_config(server=good).ssl_context()


def test_configurations_are_made_by_many_threads_at_once(client, server, listening, arrives):
    sock, url = listening(server)
    threads = [threading.Thread(target=client.handle_for, args=(f"host-{i % 4}.example",)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrives(sock, url, client)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_the_key_is_on_disk_for_its_owner_alone_and_for_a_moment(server, monkeypatch, tmp_path):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def load(_self, certificate, key, password):
        folder = tmp_path / key.split("/")[-2]
        seen.append((stat.S_IMODE(folder.stat().st_mode), sorted(x.name for x in folder.iterdir())))

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    server.ssl_context()
    assert seen == [(0o700, ["certificate", "key"])]
    assert list(tmp_path.iterdir()) == []
