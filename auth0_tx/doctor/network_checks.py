"""The way to the tenant: its name, its certificate, its documents, its clock."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

from ..core.configuration import Settings
from ..core.effects import COMMON_HEADERS, Request, Response, Send
from ..core.jose.keys import KeySet, load_jwks
from ..core.wire.metadata import discovery_url, read_document, read_metadata
from ..errors import ConfigurationError, CustomTokenExchangeError
from ..shells.requests_transport import RequestsTransport
from ..shells.tls import Trust
from .verdict import Verdict

_LARGEST = 524_288
_SKEW_NOTED, _SKEW_FATAL = 30.0, 300.0
_DAYS_NOTED = 14
_WRONG_DOMAIN = "see who answers for the domain, and that it is a tenant's"


def checked_network(
    settings: Settings,
    through_proxy: bool,
    seconds: float,
    clock: Callable[[], float],
) -> Iterator[Verdict]:
    """Check each step from the tenant's name to its keys."""
    assert settings.domain is not None
    if through_proxy:
        # The name is the proxy's to find.
        yield from _skipped("requests go by way of a proxy", "DNS", "TLS")
        yield from _documents(settings, settings.domain, seconds, clock)
        return
    host, port, is_plain = _address(settings.domain)
    addresses = _resolved(host, port, seconds)
    if addresses is None:
        yield Verdict(
            "DNS",
            "failed",
            f"{host} has no address, or none in {seconds:g} s",
            "check the domain for a slip of the pen, and this machine's resolver",
        )
        yield from _skipped(
            "the name has no address", "TLS", "discovery", "keys", "clock"
        )
        return
    yield _named(host, addresses)
    tls = None if is_plain else _tls(settings, host, port, seconds, clock)
    if tls is not None:
        yield tls
        if tls.level == "failed":
            yield from _skipped("there is no connection", "discovery", "keys", "clock")
            return
    yield from _documents(settings, settings.domain, seconds, clock)


def _address(domain: str) -> tuple[str, int, bool]:
    bare = domain.removeprefix("http://")
    host, separator, port = bare.rpartition(":")
    name = (host if separator else bare).strip("[]")
    return name, int(port) if separator else 443, bare != domain


def _resolved(host: str, port: int, seconds: float) -> list[str] | None:
    """Give the addresses of a name; the system's resolver knows no time limit."""
    found: list[str] = []

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return
        found.extend(dict.fromkeys(str(info[4][0]) for info in infos))

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(seconds)
    return list(found) or None


def _named(host: str, addresses: list[str]) -> Verdict:
    shown = ", ".join(addresses[:4])
    private = [each for each in addresses if ip_address(each).is_private]
    if private and host not in ("localhost", "127.0.0.1", "::1"):
        return Verdict(
            "DNS",
            "warning",
            f"{host} is {shown}, which is private",
            "a public tenant has public addresses: see who answers for the name",
        )
    return Verdict("DNS", "ok", f"{host} is {shown}")


def _tls(
    settings: Settings,
    host: str,
    port: int,
    seconds: float,
    clock: Callable[[], float],
) -> Verdict:
    try:
        context = Trust(settings.verify, settings.trust_env).context()
    except ConfigurationError as error:
        return Verdict("TLS", "failed", error.message)
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return _secured(secured, clock())
    except ssl.SSLCertVerificationError as error:
        return Verdict(
            "TLS",
            "failed",
            f"the certificate is refused: {error.verify_message}",
            "a CA of your own goes into verify=; a proxy that opens TLS has one too",
        )
    except TimeoutError:
        return Verdict(
            "TLS",
            "failed",
            f"nothing answers at port {port} within {seconds:g} s",
            "see whether a firewall is in the way",
        )
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "it broke off"
        return Verdict(
            "TLS",
            "failed",
            f"no connection to port {port}: {str(reason).lower()}",
            "see whether the tenant is there, and a firewall is not",
        )


def _secured(secured: ssl.SSLSocket, now: float) -> Verdict:
    certificate: Any = secured.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    days = int((ends - now) / 86_400)
    found = f"{secured.version()}, a certificate for {days} more days"
    if days < _DAYS_NOTED:
        return Verdict("TLS", "warning", found, "it should have been renewed by now")
    return Verdict("TLS", "ok", found)


def _documents(
    settings: Settings, domain: str, seconds: float, clock: Callable[[], float]
) -> Iterator[Verdict]:
    answer = _got(settings, discovery_url(domain), seconds)
    received = clock()
    if isinstance(answer, str):
        yield Verdict("discovery", "failed", answer, _WRONG_DOMAIN)
        yield from _skipped("there is no discovery document", "keys", "clock")
        return
    document, rule = read_document(answer)
    metadata = None
    if rule is None:
        metadata, rule = read_metadata(document, domain)
    if metadata is None:
        status = "" if answer.status == 200 else f" (HTTP {answer.status})"
        yield Verdict("discovery", "failed", f"{rule}{status}", _WRONG_DOMAIN)
        yield from _skipped("the discovery document does not hold", "keys", "clock")
        return
    yield Verdict("discovery", "ok", f"the issuer is {metadata.issuer}")
    yield _keys(_got(settings, metadata.jwks_uri, seconds))
    yield _clock(answer.header("date"), received)


def _got(settings: Settings, url: str, seconds: float) -> Response | str:
    """Give a whole answer, as the client would ask for it, or why there is none."""
    deadline = time.monotonic() + seconds
    try:
        trust = Trust(settings.verify, settings.trust_env)
    except ConfigurationError as error:
        return error.message
    transport = RequestsTransport(
        None, trust, settings.proxy, settings.trust_env, max_connections=1
    )
    try:
        return transport.send(
            Send(lambda: Request("GET", url, COMMON_HEADERS), deadline, _LARGEST)
        )
    except CustomTokenExchangeError as error:
        return error.message
    finally:
        transport.close()


def _keys(answer: Response | str) -> Verdict:
    advice = "ID tokens cannot be verified without them"
    if isinstance(answer, str):
        return Verdict("keys", "failed", answer, advice)
    document, rule = read_document(answer)
    if rule is not None:
        return Verdict("keys", "failed", rule, advice)
    keys = load_jwks(document)
    if not isinstance(keys, KeySet) or not len(keys):
        return Verdict("keys", "failed", "there is no usable key among them", advice)
    return Verdict("keys", "ok", f"{len(keys)} usable")


def _clock(date: str | None, now: float) -> Verdict:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return Verdict("clock", "skipped", "the tenant does not say what time it is")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    skew = (datetime.fromtimestamp(now, UTC) - theirs).total_seconds()
    found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the tenant's"
    if abs(skew) > _SKEW_FATAL:
        return Verdict(
            "clock",
            "failed",
            found,
            "set this machine's clock (NTP): assertions and ID tokens are judged by it",
        )
    if abs(skew) > _SKEW_NOTED:
        return Verdict("clock", "warning", found, "see why NTP does not hold it")
    return Verdict("clock", "ok", "as the tenant's, to a few seconds")


def _skipped(why: str, *names: str) -> Iterator[Verdict]:
    for name in names:
        yield Verdict(name, "skipped", why)
