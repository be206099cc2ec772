"""Certificates to serve with, good and bad: made in memory, written where asked.

A client verifies with `ca_file`; every bad certificate is wrong in one respect only.
"""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auth0_tx.tenant.certificates import AcceptedSocket

_DAY = timedelta(days=1)
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@frozen
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


class Certificates:
    """Certificates of one authority, and of strangers, in files of *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = _issue("wire CA", is_authority=True)
        self._stranger = _issue("stranger CA", is_authority=True)
        self._issuing = threading.Lock()
        self.ca_file = str(directory / "ca.pem")
        (directory / "ca.pem").write_bytes(_pem(self._authority.certificate))
        self.stranger_ca_file = str(directory / "stranger.pem")
        (directory / "stranger.pem").write_bytes(_pem(self._stranger.certificate))

    def good(self) -> ssl.SSLContext:
        """Serve with what the authority issued for loopback."""
        return self._context("good", "localhost", by=self._authority)

    def out_of_date(self) -> ssl.SSLContext:
        """Serve with a certificate that ran out yesterday."""
        return self._context("expired", "localhost", by=self._authority, days=(-9, -1))

    def wrong_host(self) -> ssl.SSLContext:
        """Serve with a certificate for another name."""
        return self._context("wrong_host", "elsewhere.example", by=self._authority)

    def self_signed(self) -> ssl.SSLContext:
        """Serve with a certificate that vouches for itself."""
        return self._context("self_signed", "localhost")

    def unknown_authority(self) -> ssl.SSLContext:
        """Serve with a certificate that a stranger issued."""
        return self._context("unknown_authority", "localhost", by=self._stranger)

    def _context(
        self,
        file: str,
        name: str,
        *,
        by: Pair | None = None,
        days: tuple[int, int] = (-1, 30),
    ) -> ssl.SSLContext:
        path = self._directory / f"{file}.pem"
        # Deadline cases play side by side, and all want the same one first.
        with self._issuing:
            if not path.exists():
                pair = _issue(name, by=by, days=days)
                path.write_bytes(_private_pem(pair.key) + _pem(pair.certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        # Tickets that a client leaves unread would turn its close into a reset.
        context.num_tickets = 0
        context.sslsocket_class = AcceptedSocket
        return context


def _issue(
    name: str,
    *,
    by: Pair | None = None,
    days: tuple[int, int] = (-1, 30),
    is_authority: bool = False,
) -> Pair:
    """Issue a certificate for *name*, signed with its own key where *by* is None."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing_key = by.key if by else key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=None), critical=True
        )
        .add_extension(_usage(signs_certificates=is_authority), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                signing_key.public_key()
            ),
            critical=False,
        )
    )
    if not is_authority:
        builder = builder.add_extension(_names(name), critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return Pair(builder.sign(signing_key, hashes.SHA256()), key)


def _names(name: str) -> x509.SubjectAlternativeName:
    addresses = ["127.0.0.1", "::1"] if name == "localhost" else []
    return x509.SubjectAlternativeName(
        [
            x509.DNSName(name),
            *(x509.IPAddress(ip_address(address)) for address in addresses),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    wanted = "key_cert_sign" if signs_certificates else "digital_signature"
    return x509.KeyUsage(**{usage: usage == wanted for usage in _KEY_USAGES})


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
