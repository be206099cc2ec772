"""The doctor finds the cause, says what to do, and neither hangs nor shows a secret."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

from auth0_tx import RetryPolicy
from auth0_tx.doctor import Verdict, diagnose
from auth0_tx.doctor.settings_checks import EXTRAS
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Application, Tenant, faults

LEGACY = "urn:acme:legacy-token"
SECRET = "a session secret, and a long one: 0123456789"


def make_keywords(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the keywords of a client at *tenant*."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **changes,
    }


def examine(
    keywords: Mapping[str, Any], environ: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Verdict]:
    """Diagnose, by default in an empty environment; return the verdicts by check."""
    more = {"seconds": 2.0, **more}
    verdicts = diagnose(keywords, environ=environ or {}, **more)
    assert len(verdicts) == len({verdict.check for verdict in verdicts})
    return {verdict.check: verdict for verdict in verdicts}


def levels(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Return the level of each check that is not ok."""
    return {
        name: verdict.level
        for name, verdict in verdicts.items()
        if verdict.level != "ok"
    }


def test_healthy(auth0_tenant: Tenant) -> None:
    """If all is well there is no advice, and the one exchange uses up no token."""
    keywords = make_keywords(auth0_tenant, secret=SECRET)
    verdicts = examine(keywords, subject_token_type=LEGACY)

    assert {} == levels(verdicts)
    assert set() == {verdict.advice for verdict in verdicts.values()} - {""}
    assert 1 == auth0_tenant.count("/oauth/token")
    assert [] == [log for log in auth0_tenant.logs if log.type == "secte"]


def test_extras() -> None:
    """Every extra of the package is looked for."""
    provided = metadata("auth0-tx").get_all("Provides-Extra")
    assert provided is not None
    assert {*provided} - {"test"} == {*EXTRAS}


def test_no_probe(auth0_tenant: Tenant) -> None:
    """Without the probe no exchange is sent."""
    verdicts = examine(make_keywords(auth0_tenant), probe=False)

    assert "skipped" == verdicts["client authentication"].level
    assert 0 == auth0_tenant.count("/oauth/token")


def test_profile(auth0_tenant: Tenant) -> None:
    """A subject token is exchanged, and a refusal is shown with its reason."""
    for token, level in (
        (auth0_tenant.subject_token("auth0|alice"), "ok"),
        ("no", "failed"),
    ):
        verdicts = examine(
            make_keywords(auth0_tenant), subject_token=token, subject_token_type=LEGACY
        )

        assert level == verdicts["profile"].level
        assert "ok" == verdicts["client authentication"].level
    assert "invalid_request" in verdicts["profile"].found


@pytest.mark.parametrize(
    ("token_type", "level"),
    [
        ("urn:acme:x", "ok"),
        ("not a uri", "failed"),
        ("urn:auth0:x", "failed"),
        ("urn:ietf:params:oauth:token-type:jwt", "warning"),
        (None, "skipped"),
    ],
)
def test_rules(auth0_tenant: Tenant, token_type: str | None, level: str) -> None:
    """The rules for subject token types are checked without a token too."""
    verdicts = examine(make_keywords(auth0_tenant), subject_token_type=token_type)

    assert level == verdicts["profile"].level


def test_wrong_secret(auth0_tenant: Tenant) -> None:
    """Wrong credentials are distinguished from a wrong token."""
    keywords = make_keywords(auth0_tenant, client_secret="a wrong secret")
    verdicts = examine(keywords)

    assert "failed" == verdicts["client authentication"].level
    assert "check client_id" in verdicts["client authentication"].advice


def test_not_enabled(auth0_tenant: Tenant) -> None:
    """An application that may not exchange is distinguished from an unknown one."""
    change = auth0_tenant.applications.change
    change(auth0_tenant.client_id, custom_token_exchange=False)
    verdicts = examine(make_keywords(auth0_tenant))

    assert verdicts["client authentication"].level in ("ok", "warning")


def test_throttled(auth0_tenant: Tenant) -> None:
    """If the tenant throttles, nothing is said about the credentials."""
    auth0_tenant.inject(faults.status(429), path="/oauth/token", times=None)
    started = time.monotonic()
    verdicts = examine(make_keywords(auth0_tenant, retry=RetryPolicy(attempts=5)))

    assert "warning" == verdicts["client authentication"].level
    assert 1 == auth0_tenant.count("/oauth/token")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"domain": "10.0.0.1"}, "IP addresses are not accepted"),
        ({"client_secret": None}, "is needed"),
        ({"timeout": -1}, "positive"),
        ({"colour": "red"}, "a keyword is unknown to the client"),
    ],
    ids=["domain", "secret", "timeout", "keyword"],
)
def test_configuration(
    auth0_tenant: Tenant, changes: dict[str, Any], found: str
) -> None:
    """What a client would refuse is reported, and the checks after it are skipped."""
    verdicts = examine(make_keywords(auth0_tenant, **changes))

    assert "failed" == verdicts["configuration"].level
    assert found in verdicts["configuration"].found
    assert "skipped" == verdicts["clock"].level
    assert "client_id" in examine({"domain": "t.auth0.com"})["configuration"].found


def test_resolver() -> None:
    """If the domain depends on the request, the network is not checked."""
    verdicts = examine(
        {"domain": lambda _: "t.auth0.com", "client_id": "c", "client_secret": "s"}
    )

    assert "skipped" == verdicts["DNS"].level


def test_public_client(auth0_tenant: Tenant) -> None:
    """A public application on a server is a warning."""
    auth0_tenant.applications.add(
        Application("public", token_endpoint_auth_method="none")
    )
    keywords = make_keywords(
        auth0_tenant, client_id="public", client_secret=None, client_auth="none"
    )

    assert "warning" == examine(keywords)["configuration"].level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"secret": [SECRET, "short"]}, "warning"),
        ({"secret": SECRET}, "ok"),
        ({"state_store": MemoryStore()}, "ok"),
        ({}, "skipped"),
    ],
    ids=["short", "long", "store", "none"],
)
def test_sessions(auth0_tenant: Tenant, changes: dict[str, Any], level: str) -> None:
    """An older secret that is too short for encryption is a warning."""
    verdicts = examine(make_keywords(auth0_tenant, **changes), probe=False)

    assert level == verdicts["sessions"].level


@pytest.mark.parametrize(
    ("environ", "changes", "check", "level"),
    [
        ({"HTTPS_PROXY": "http://p"}, {}, "proxy", "warning"),
        ({}, {"proxy": "http://proxy.example.com:8080"}, "proxy", "ok"),
        ({"HTTPS_PROXY": "http://p"}, {"trust_env": True}, "proxy", "ok"),
        ({"HTTPS_PROXY": "p:1"}, {"trust_env": True}, "proxy", "ok"),
        ({"ALL_PROXY": "socks5://p"}, {"trust_env": True}, "proxy", "failed"),
        ({"SSL_CERT_FILE": "/x"}, {"verify": True}, "CA certificates", "warning"),
        (
            {"SSL_CERT_FILE": "/x"},
            {"verify": True, "trust_env": True},
            "CA certificates",
            "ok",
        ),
        (
            {"SSL_CERT_DIR": "/x"},
            {"verify": True, "trust_env": True},
            "CA certificates",
            "warning",
        ),
        ({}, {"verify": True}, "CA certificates", "ok"),
    ],
    ids=[
        "proxy",
        "own",
        "trusted",
        "short",
        "socks",
        "bundle",
        "trusted-bundle",
        "folder",
        "none",
    ],
)
def test_environment(
    environ: dict[str, str], changes: dict[str, Any], check: str, level: str
) -> None:
    """A variable that the client ignores is a warning."""
    keywords = {
        "domain": "localhost:1",
        "client_id": "c",
        "client_secret": "s",
        **changes,
    }
    verdicts = examine(keywords, environ, probe=False)

    assert level == verdicts[check].level


def test_through_a_proxy(auth0_tenant: Tenant) -> None:
    """Behind a proxy DNS and TLS are skipped, and documents are fetched through it."""
    keywords = make_keywords(auth0_tenant, proxy="http://127.0.0.1:9")
    verdicts = examine(keywords)

    assert "skipped" == verdicts["DNS"].level == verdicts["TLS"].level
    assert "failed" == verdicts["discovery"].level
    assert 0 == auth0_tenant.count("/.well-known/openid-configuration")


def test_netrc(auth0_tenant: Tenant, tmp_path: Path) -> None:
    """An entry for the tenant in ~/.netrc is a warning, and is never used."""
    (tmp_path / ".netrc").write_text("machine localhost login a password b")
    verdicts = examine(make_keywords(auth0_tenant), {"HOME": str(tmp_path)})

    assert {"netrc": "warning"} == {
        name: level for name, level in levels(verdicts).items() if name == "netrc"
    }
    assert "ok" == verdicts["client authentication"].level


def test_unknown_name() -> None:
    """A name without an address is distinguished from a host that does not answer."""
    verdicts = examine(
        {
            "domain": "there-is-no-such-tenant.us.auth0.com",
            "client_id": "c",
            "client_secret": "s",
        }
    )

    assert "failed" == verdicts["DNS"].level
    assert {"skipped"} == {
        verdicts[name].level
        for name in ("TLS", "discovery", "keys", "clock", "profile")
    }


def test_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant at a private address is a warning."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    verdicts = examine(
        {"domain": "t.us.auth0.com", "client_id": "c", "client_secret": "s"}
    )

    assert "warning" == verdicts["DNS"].level


def test_untrusted_certificate(auth0_tenant: Tenant) -> None:
    """A certificate that is not trusted is reported with OpenSSL's reason."""
    verdicts = examine(make_keywords(auth0_tenant, verify=True))

    assert "failed" == verdicts["TLS"].level
    assert "certificate" in verdicts["TLS"].found


def test_no_bundle(auth0_tenant: Tenant) -> None:
    """An invalid CA bundle is reported, also behind a proxy, where TLS is skipped."""
    keywords = make_keywords(auth0_tenant, verify="/nowhere.pem")
    behind_proxy = examine({**keywords, "proxy": "http://127.0.0.1:9"})

    assert "CA bundle" in examine(keywords)["TLS"].found
    assert "CA bundle" in behind_proxy["discovery"].found


@contextmanager
def listen() -> Iterator[int]:
    """Listen on a port of loopback, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_nothing_answers() -> None:
    """A host that accepts connections and stays silent costs no more than the limit."""
    started = time.monotonic()
    with listen() as port:
        verdicts = examine(
            {"domain": f"localhost:{port}", "client_id": "c", "client_secret": "s"},
            seconds=0.3,
        )

    assert "failed" == verdicts["TLS"].level
    assert time.monotonic() - started < 10


def test_closed_port() -> None:
    """A port where nobody listens is reported at once."""
    with listen() as port:
        pass
    verdicts = examine(
        {"domain": f"localhost:{port}", "client_id": "c", "client_secret": "s"}
    )

    assert "failed" == verdicts["TLS"].level
    assert "refused" in verdicts["TLS"].found


@pytest.mark.parametrize(
    ("path", "fault", "check"),
    [
        ("/.well-known/openid-configuration", faults.html(), "discovery"),
        ("/.well-known/openid-configuration", faults.status(404), "discovery"),
        ("/.well-known/openid-configuration", faults.reset(), "discovery"),
        # Its headers alone would take a minute.
        ("/.well-known/openid-configuration", faults.drip(10), "discovery"),
        ("/.well-known/jwks.json", faults.status(500), "keys"),
        ("/.well-known/jwks.json", faults.reset(), "keys"),
        (
            "/.well-known/jwks.json",
            faults.status(200, '{"keys": []}', {"Content-Type": "application/json"}),
            "keys",
        ),
    ],
    ids=["html", "404", "reset", "drip", "keys-500", "keys-reset", "no-keys"],
)
def test_documents(auth0_tenant: Tenant, path: str, fault: Any, check: str) -> None:
    """Invalid documents are reported."""
    auth0_tenant.inject(fault, path=path, times=None)
    verdicts = examine(make_keywords(auth0_tenant), probe=False)

    assert "failed" == verdicts[check].level


@pytest.mark.parametrize(
    ("skew", "level"), [(0, "ok"), (60, "warning"), (-60, "warning"), (900, "failed")]
)
def test_clock(auth0_tenant: Tenant, skew: float, level: str) -> None:
    """A clock that differs from the tenant's is a warning, and far off a failure."""
    verdicts = examine(
        make_keywords(auth0_tenant), probe=False, clock=lambda: time.time() + skew
    )

    assert level == verdicts["clock"].level


def test_certificate_ends(auth0_tenant: Tenant) -> None:
    """A certificate that is about to expire is a warning."""
    verdicts = examine(
        make_keywords(auth0_tenant),
        probe=False,
        clock=lambda: time.time() + 390 * 86_400,
    )

    assert "warning" == verdicts["TLS"].level


def test_plain_http() -> None:
    """A local tenant without TLS is checked as far as possible."""
    with Tenant(tls=False) as tenant:
        verdicts = examine(make_keywords(tenant, verify=True))

    assert "warning" == verdicts["configuration"].level
    assert "TLS" not in verdicts
    assert "ok" == verdicts["discovery"].level
