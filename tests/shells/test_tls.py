"""Whom a client trusts: checked when it is made, and loaded once."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import warnings
from pathlib import Path
from typing import Any

import certifi
import pytest

from auth0_tx import AsyncServerClient, ConfigurationError, ServerClient
from auth0_tx.shells.failures import is_tls_refusal
from auth0_tx.shells.tls import Trust, check_connection, find_flaw
from auth0_tx.tenant import Certificates
from tests.shells.exchange_on_paper import SETTINGS

CLIENTS = pytest.mark.parametrize("kind", [ServerClient, AsyncServerClient])


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    """A CA of the test's own."""
    return Certificates()


def unverifying(**changes: Any) -> ssl.SSLContext:
    """Return a context that does not verify enough."""
    context = ssl.create_default_context()
    context.check_hostname = False
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def old(**changes: Any) -> ssl.SSLContext:
    """Return a context that allows versions below TLS 1.2, with *changes*."""
    context = ssl.create_default_context()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        for name, value in changes.items():
            setattr(context, name, value)
    return context


@CLIENTS
@pytest.mark.parametrize(
    "verify",
    [
        False,
        None,
        0,
        1,
        "",
        b"bundle",
        "/no/such/bundle.pem",
        Path("/no/such/bundle.pem"),
        __file__,
        unverifying(),
        unverifying(verify_mode=ssl.CERT_NONE),
        unverifying(verify_mode=ssl.CERT_OPTIONAL),
        old(),
        old(options=ssl.OP_NO_TLSv1),
    ],
)
def test_refused(kind: Any, verify: Any) -> None:
    """What could not verify a server, or its name, is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="verify must be") as caught:
        kind(**SETTINGS, verify=verify)

    assert "verify" == caught.value.parameter
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


@CLIENTS
def test_accepted(kind: Any, certificates: Certificates, tmp_path: Path) -> None:
    """A file, its path, a directory, a context and the public CAs are accepted."""
    context = ssl.create_default_context()
    without_old = old(
        options=context.options | ssl.OP_NO_SSLv3 | ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    )
    trusted = [
        certificates.ca_file,
        Path(certificates.ca_file or ""),
        tmp_path,
        context,
        without_old,
        True,
    ]

    assert len(trusted) == len([kind(**SETTINGS, verify=verify) for verify in trusted])


def load_default_bundle(monkeypatch: pytest.MonkeyPatch, trust_env: bool) -> str | None:
    """Return the bundle that is loaded for a client without a word on whom to trust."""
    bundles: list[str | None] = []

    def load(
        context: ssl.SSLContext, cafile: str | None = None, capath: str | None = None
    ) -> None:
        bundles.append(cafile or capath)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    context = Trust(True, trust_env).load_context()

    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    (bundle,) = bundles
    return bundle


BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no bundle."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_bundles")
@pytest.mark.parametrize("name", BUNDLES)
def test_bundle_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates, name: str
) -> None:
    """A bundle that the environment names counts when it is asked to, and else does not."""
    monkeypatch.setenv(name, certificates.ca_file or "")

    with monkeypatch.context() as patch:
        assert certifi.where() == load_default_bundle(patch, trust_env=False)
    with monkeypatch.context() as patch:
        assert certificates.ca_file == load_default_bundle(patch, trust_env=True)


@pytest.mark.usefixtures("no_bundles")
def test_environment_without_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, the public CAs are trusted."""
    assert certifi.where() == load_default_bundle(monkeypatch, trust_env=True)


@pytest.mark.usefixtures("no_bundles")
def test_bundle_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that the environment names, and that is none, is told of."""
    monkeypatch.setenv(BUNDLES[0], os.devnull)

    with pytest.raises(ConfigurationError, match="verify must be the path"):
        Trust(True, True).load_context()


@pytest.mark.parametrize("system", [True, False], ids=["Debian", "others"])
def test_lowest_version_that_the_system_sets(
    system: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context that OpenSSL's configuration bounds is trusted only where all are such."""
    least = ssl.TLSVersion.MINIMUM_SUPPORTED
    context = old(minimum_version=least)
    default = least if system else ssl.TLSVersion.TLSv1_2
    monkeypatch.setattr("auth0_tx.shells.tls._find_default_minimum", lambda: default)

    assert system == (find_flaw(context) is None)


class Handshake:
    """A TLS socket after its handshake."""

    def __init__(
        self,
        context: ssl.SSLContext,
        version: str = "TLSv1.3",
        certificate: bytes | None = b"DER",
        bits: int = 256,
    ) -> None:
        self.context = context
        self.version = lambda: version
        self.getpeercert = lambda binary_form: certificate
        self.cipher = lambda: ("name", version, bits)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"context": unverifying()}, "check_hostname"),
        ({"version": "TLSv1.1"}, "a version below TLS 1.2"),
        ({"certificate": None}, "a cipher without a certificate"),
        ({"bits": 0}, "a cipher without encryption"),
    ],
)
def test_connections_that_prove_or_hide_too_little(
    changes: dict[str, Any], rule: str
) -> None:
    """A connection itself shows what its context allowed."""
    keywords = {"context": ssl.create_default_context(), **changes}

    good = Handshake(ssl.create_default_context())
    check_connection(good, good.context)
    flawed = Handshake(**keywords)
    with pytest.raises(ConfigurationError, match=rule):
        check_connection(flawed, flawed.context)


def test_keys_that_cannot_be_logged(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for keys that cannot be written is reported by the name of its variable."""
    monkeypatch.setenv("SSLKEYLOGFILE", "/no/such/folder/keys")

    assert Trust(certificates.ca_file, False).load_context().keylog_filename is None
    with pytest.raises(ConfigurationError, match="SSLKEYLOGFILE must") as caught:
        Trust(certificates.ca_file, True)

    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_one_context_for_life(certificates: Certificates) -> None:
    """A context is made once, and anew in a child; the application's own is kept."""
    own = ssl.create_default_context()
    bundle, given = Trust(certificates.ca_file, False), Trust(own, False)
    before = bundle.load_context()
    same = bundle.load_context()
    bundle.renew()
    given.renew()

    assert before is same
    assert before is not bundle.load_context()
    assert own is given.load_context()


def test_unused_context_of_a_parent() -> None:
    """Where none was made before the fork, there is none to replace."""
    public = Trust(True, False)
    public.renew()

    assert ssl.CERT_REQUIRED is public.load_context().verify_mode


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_peer_that_is_gone_before_the_handshake(
    certificates: Certificates, end: str
) -> None:
    """A connection that was reset before TLS began fails, and leaves no socket open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    stays, leaves = (client, server) if end == "client" else (server, client)
    # A zero linger turns close() into a reset.
    leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaves.close()
    context = (
        Trust(certificates.ca_file, False).load_context()
        if end == "client"
        else certificates.server_context()
    )
    descriptor = stays.fileno()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - each system has its own word
        context.wrap_socket(
            stays,
            server_side=end == "server",
            server_hostname="localhost" if end == "client" else None,
        )

    # The error's frames still hold the socket: it is closed, and not merely forgotten.
    assert caught.tb is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def wrap(inner: BaseException, how: str) -> BaseException:
    """Wrap a failure as an HTTP library would."""
    outer = OSError("outer")
    match how:
        case "argument":
            return OSError(inner)
        case "reason":
            outer.reason = inner  # type: ignore[attr-defined]
        case "certificate_error":
            outer.certificate_error = inner  # type: ignore[attr-defined]
        case "cause":
            outer.__cause__ = inner
        case "context":
            outer.__context__ = inner
    return outer


HOWS = ["argument", "reason", "certificate_error", "cause", "context"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    ("failure", "permanent"),
    [
        (ssl.SSLCertVerificationError(1, "certificate has expired"), True),
        (ssl.SSLError(1, "unsupported protocol"), True),
        (ssl.SSLEOFError(8, "EOF occurred"), False),
        (ssl.SSLZeroReturnError(6, "closed"), False),
        (ssl.SSLSyscallError(5, "reset"), False),
        (ssl.SSLError("The handshake operation timed out"), False),
        (ConnectionResetError("reset"), False),
    ],
)
def test_permanence(failure: BaseException, permanent: bool, how: str) -> None:
    """TLS that says no is told from a connection that broke, however it is wrapped."""
    assert permanent == is_tls_refusal(failure)
    assert permanent == is_tls_refusal(wrap(failure, how))
    assert permanent == is_tls_refusal(wrap(wrap(failure, how), "argument"))


def test_a_chain_that_bites_its_tail() -> None:
    """Failures that refer to each other end the search."""
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one

    assert not is_tls_refusal(one)
