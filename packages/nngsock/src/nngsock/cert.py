"""Certificates of one's own making, for tests and for connections within one program."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from nngsock.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ("write_cert",)

NOT_BEFORE: Final = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)  # whatever the peer's clock says
RSA_BITS: Final = 4096


def write_cert(
    cn: str | Sequence[str] = "127.0.0.1", valid: str = "20301231235959", key: str = "ec"
) -> dict[str, tuple[str, str]]:
    """Make a private key and a self-signed certificate for it. Nothing is written to disk.

    The certificate is its own authority: who has it as `client` (or `ca`) trusts exactly the one who
    has the key. It serves as `identity` of a client, too.

    Args:
        cn: The host name or IP address that others dial, or several; the first is the common name too.
        valid: Until when, as YYYYMMDDhhmmss in UTC.
        key: "ec" (P-256, made in milliseconds) or "rsa" (4096 bits, takes up to seconds).

    Returns:
        "server": (certificate, private key) and "client": (certificate, ""), PEM texts for the arguments
        of these names of `tls_config`.

    Raises:
        MissingExtraError: The extra `tls` is not installed.
        ValueError: An argument is out of range.

    Example:
        >>> cert = write_cert("localhost")
        >>> nngsock.tls_config(server=cert["server"])
        < TLS server config | auth mode: none >
    """
    if key not in {"ec", "rsa"}:
        raise ValueError(f"`key` must be 'ec' or 'rsa', not {key!r}")
    hosts = [cn] if isinstance(cn, str) else list(cn)
    if not hosts or not all(isinstance(host, str) and host for host in hosts):
        raise ValueError(f"`cn` must be a host name or IP address, or several, not {cn!r}")
    end = _end(valid)
    private_key = _new_key(key)
    certificate = _certify(private_key, hosts, end)
    return {"server": (certificate, _key_text(private_key)), "client": (certificate, "")}


def _end(valid: str) -> dt.datetime:
    try:
        end = dt.datetime.strptime(valid, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    except (TypeError, ValueError):
        raise ValueError(f"`valid` must be a time as YYYYMMDDhhmmss, not {valid!r}") from None
    if end <= NOT_BEFORE:
        raise ValueError(f"`valid` must be after {NOT_BEFORE:%Y%m%d}, not {valid!r}")
    return end


def _new_key(kind: str) -> EllipticCurvePrivateKey | RSAPrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
    except ImportError as error:
        raise MissingExtraError(
            'write_cert needs the package cryptography: pip install "nngsock[tls]"'
        ) from error
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _key_text(key: EllipticCurvePrivateKey | RSAPrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _certify(key: EllipticCurvePrivateKey | RSAPrivateKey, hosts: list[str], end: dt.datetime) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, hosts[0]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "nngsock"),
        ]
    )
    public_key = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True, key_encipherment=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    subject_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_id)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(both, critical=False)
        .add_extension(subject_id, critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def _alternative(host: str) -> x509.GeneralName:
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
