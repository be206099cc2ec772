"""The connection to the tenant: its address and its certificate.

These checks use the doctor's own sockets: the operating system's resolver and a TLS
handshake, each with a time limit. Of the client they take its trust, so that a certificate
is accepted here if and only if the client accepts it.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from ..core.configuration import Settings
from ..errors import ConfigurationError
from ..shells.tls import Trust
from .verdict import Verdict

# ACME clients renew 30 days before the end; two weeks later the renewal has failed.
_DAYS_NOTED = 14


def check_network(
    settings: Settings, domain: str, seconds: float, clock: Callable[[], float]
) -> Iterator[Verdict]:
    """Check that the domain has an address, and that its certificate is trusted.

    The verdicts end at the first failure. A domain with ``http://`` has none for TLS.
    """
    host, port, is_plain = _split_domain(domain)
    addresses = _resolve(host, port, seconds)
    yield _judge_addresses(host, addresses, seconds)
    if addresses and not is_plain:
        yield _check_tls(settings, host, port, seconds, clock)


def _split_domain(domain: str) -> tuple[str, int, bool]:
    bare = domain.removeprefix("http://")
    host, separator, port = bare.rpartition(":")
    name = (host if separator else bare).strip("[]")
    return name, int(port) if separator else 443, bare != domain


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a name; none if the resolver does not answer in time."""
    addresses: list[str] = []

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return
        addresses.extend(dict.fromkeys(str(info[4][0]) for info in infos))

    # getaddrinfo() has no timeout and cannot be interrupted. The thread is a daemon, so that
    # one that hangs does not keep the process alive.
    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(seconds)
    # A copy: the thread may still be at work.
    return list(addresses)


def _judge_addresses(host: str, addresses: list[str], seconds: float) -> Verdict:
    if not addresses:
        return Verdict(
            "DNS",
            "failed",
            f"no address found for {host} within {seconds:g} s",
            "check the domain for typos, then this machine's DNS",
        )
    found = f"{host} resolves to {', '.join(addresses[:4])}"
    is_private = any(ip_address(address).is_private for address in addresses)
    if is_private and host not in ("localhost", "127.0.0.1", "::1"):
        # A VPN's or a captive portal's resolver may answer for any name.
        return Verdict(
            "DNS",
            "warning",
            f"{found}, a private address",
            "a tenant has public addresses: check which server answers for this name",
        )
    return Verdict("DNS", "ok", found)


def _check_tls(
    settings: Settings,
    host: str,
    port: int,
    seconds: float,
    clock: Callable[[], float],
) -> Verdict:
    try:
        context = Trust(settings.verify, settings.trust_env).load_context()
    except ConfigurationError as error:
        return Verdict("TLS", "failed", error.message)
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return _judge_certificate(secured, clock())
    except ssl.SSLCertVerificationError as error:
        return Verdict(
            "TLS",
            "failed",
            f"the certificate is not trusted: {error.verify_message}",
            "if your own CA or a proxy that inspects TLS signed it, pass that CA's bundle as "
            "verify=",
        )
    except TimeoutError:
        return Verdict(
            "TLS",
            "failed",
            f"no answer from port {port} within {seconds:g} s",
            "check whether a firewall blocks the connection",
        )
    except (ssl.SSLError, OSError) as error:
        # OpenSSL has its words in "reason", the operating system in "strerror".
        reason = getattr(error, "reason", None) or error.strerror or "connection closed"
        return Verdict(
            "TLS",
            "failed",
            f"cannot connect to port {port}: {str(reason).lower()}",
            "check the domain, and whether a firewall blocks the connection",
        )


def _judge_certificate(secured: ssl.SSLSocket, now: float) -> Verdict:
    certificate: Any = secured.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    days = int((ends - now) / 86_400)
    found = f"{secured.version()}, the certificate expires in {days} days"
    if days < _DAYS_NOTED:
        return Verdict(
            "TLS",
            "warning",
            found,
            "it should have been renewed by now: tell whoever runs the domain",
        )
    return Verdict("TLS", "ok", found)
