"""A certificate authority of the tenant's own, and the certificate it serves with.

Writes three files in a private directory that goes when the object does; the
authority's own key is never written and is dropped once it has signed.
"""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
import weakref
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("localhost", "127.0.0.1", "::1")

# The longest life browsers and Apple's libraries accept for a server certificate.
_LIFETIME = timedelta(days=397)


class Certificates:
    """Issue a server certificate for *names* from a new authority.

    Costs a few milliseconds; pass one to several tenants to share a CA file.

    Args:
        names: Host names and IP addresses to certify; loopback by default.
    """

    def __init__(self, names: Iterable[str] = LOOPBACK) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _authority(authority_key)
        certificate = _certificate(authority, authority_key, key, tuple(names))
        self._directory = Path(tempfile.mkdtemp(prefix="auth0-tx-tenant-"))
        # A forked child that exits must not remove what its parent still uses.
        weakref.finalize(self, _remove, self._directory, os.getpid())
        self._authority_file = self._directory / "ca.pem"
        self._chain_file = self._directory / "server.pem"
        self._authority_file.write_bytes(_pem(authority))
        self._chain_file.touch(mode=0o600)
        self._chain_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _pem(certificate)
        )

    @property
    def ca_file(self) -> str:
        """Return the path of the authority's certificate, for `verify=`."""
        return str(self._authority_file)

    def server_context(self) -> ssl.SSLContext:
        """Return a context that serves with the certificate, over TLS 1.2 or later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain_file)
        # OpenSSL would otherwise send two tickets on each handshake, which turn the
        # close of a client that never reads into a reset.
        context.num_tickets = 0
        context.sslsocket_class = AcceptedSocket
        return context


class AcceptedSocket(ssl.SSLSocket):
    """A socket for which a peer that left before the handshake fails the handshake.

    `wrap_socket()` looks for the peer itself, and before Python 3.13 leaves the socket
    open when there is none.
    """

    def getpeername(self) -> Any:
        """Return the peer's address, or None where it is gone."""
        try:
            return super().getpeername()
        except OSError:
            return None


def _remove(directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # pragma: no branch
        shutil.rmtree(directory, ignore_errors=True)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back, so that a client whose clock lags still accepts it.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME - timedelta(hours=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _named("auth0-tx local tenant CA")
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # RFC 5280 4.2.1.3; Python 3.13 verifies strictly and refuses a CA without it.
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
) -> x509.Certificate:
    public = authority_key.public_key()
    return (
        _builder(_named(names[0]), authority.subject, key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
