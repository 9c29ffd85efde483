"""Certificates of one's own making."""

import datetime as dt
import ipaddress
import ssl
import sys

import pytest

import nngsock


def test_without_the_extra_the_error_names_it(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r'pip install "nngsock\[tls\]"'):
        nngsock.write_cert()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"key": "dsa"}, "key"),
        ({"valid": "tomorrow"}, "valid"),
        ({"valid": 2030}, "valid"),
        ({"valid": "19991231235959"}, "valid"),
        ({"cn": ""}, "cn"),
        ({"cn": []}, "cn"),
        ({"cn": [5]}, "cn"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        nngsock.write_cert(**arguments)


@pytest.fixture
def x509():
    return pytest.importorskip("cryptography.x509")


def test_it_says_who_until_when_and_what_for(x509):
    pair = nngsock.write_cert(["db.example", "::1"], valid="20401231235958")
    certificate = x509.load_pem_x509_certificate(pair["server"][0].encode())
    assert pair["client"] == (pair["server"][0], "")
    assert certificate.subject.rfc4514_string() == "O=nngsock,CN=db.example"
    assert certificate.not_valid_after_utc == dt.datetime(2040, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("::1")]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)


def test_each_has_a_key_and_a_number_of_its_own(x509):
    first, second = (nngsock.write_cert() for _ in range(2))
    assert first["server"][1] != second["server"][1]
    numbers = {x509.load_pem_x509_certificate(c["server"][0].encode()).serial_number for c in (first, second)}
    assert len(numbers) == 2


@pytest.mark.parametrize("key", ["ec", "rsa"])
def test_nng_and_the_strictest_checks_of_python_accept_it(x509, key, make_socket, patience):
    pair = nngsock.write_cert(key=key)
    server, client = nngsock.tls_config(server=pair["server"]), nngsock.tls_config(client=pair["client"])
    a = make_socket("pair", listen="tls+tcp://127.0.0.1:0", tls=server)
    b = make_socket("pair", dial=a.listener[0].url, tls=client, autostart=None)
    assert nngsock.send(b, 1, block=patience) == 0
    assert nngsock.recv(a, block=patience) == 1

    context = client.ssl_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.ssl_context().wrap_bio(to_server, to_client, server_side=True)
    here = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for end in (here, there):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    here.do_handshake()
    assert here.getpeercert()["subjectAltName"] == (("IP Address", "127.0.0.1"),)
