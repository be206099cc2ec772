"""The tenant's own certificate authority, and the certificate that it serves with.

Theory of operation. A client verifies the tenant as it verifies Auth0, only against
another CA file. So each ``Certificates`` makes a new authority, signs one server
certificate with it, and drops the authority's key without writing it: nobody can sign
another certificate that a test machine would trust. The CA file and the server's chain
and key are in a private directory, which is removed with the object.
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

# The longest life that browsers and Apple's libraries accept: 398 days, less one.
_LIFETIME = timedelta(days=397)


class Certificates:
    """A new authority, and a server certificate from it.

    Costs a few milliseconds; pass one to several tenants to share a CA file.

    Args:
        names: Host names and IP addresses to certify; loopback by default.
    """

    def __init__(self, names: Iterable[str] = LOOPBACK) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="auth0-tx-tenant-"))
        # A forked child that exits must not remove what its parent still uses.
        weakref.finalize(self, _remove_directory, self._directory, os.getpid())
        # The system's time, by which OpenSSL verifies.  A test may have frozen Python's.
        now = datetime.fromtimestamp(self._directory.stat().st_mtime, UTC)
        authority_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _build_authority(authority_key, now)
        certificate = _build_certificate(
            authority, authority_key, key, tuple(names), now
        )
        self._authority_file = self._directory / "ca.pem"
        self._chain_file = self._directory / "server.pem"
        self._authority_file.write_bytes(_to_pem(authority))
        # Created before it is written: the key must at no time be readable by others.
        self._chain_file.touch(mode=0o600)
        self._chain_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _to_pem(certificate)
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
        # OpenSSL sends two session tickets after each handshake. To a client that
        # closes without reading them, they turn the close into a reset.
        context.num_tickets = 0
        context.sslsocket_class = AcceptedSocket
        return context


class AcceptedSocket(ssl.SSLSocket):
    """An accepted TLS socket whose peer may have left before the handshake.

    ``wrap_socket()`` asks for the peer's address itself, and before Python 3.13 it
    leaks the socket if there is no peer. Without an error here, the handshake fails
    instead, and the connection closes the socket as after any failure.
    """

    def getpeername(self) -> Any:
        """Return the peer's address, or ``None`` if it is gone."""
        try:
            return super().getpeername()
        except OSError:
            return None


def _remove_directory(directory: Path, owner: int) -> None:
    if os.getpid() == owner:  # pragma: no branch
        shutil.rmtree(directory, ignore_errors=True)


def _to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _to_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _start_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
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


def _build_key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def _build_authority(
    key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    name = _to_name("auth0-tx local tenant CA")
    return (
        _start_certificate(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # RFC 5280 4.2.1.3; Python 3.13 verifies strictly and refuses a CA without it.
        .add_extension(_build_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _build_certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
    now: datetime,
) -> x509.Certificate:
    public = authority_key.public_key()
    return (
        _start_certificate(_to_name(names[0]), authority.subject, key.public_key(), now)
        .add_extension(
            x509.SubjectAlternativeName([_to_general_name(name) for name in names]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_build_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )


def _to_general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
