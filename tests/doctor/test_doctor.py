"""The doctor finds what is wrong, says what to do, and never hangs or tells a secret."""

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
from auth0_tx.doctor.installation_checks import EXTRAS
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Application, Tenant, faults

LEGACY = "urn:acme:legacy-token"
SECRET = "a session secret, and a long one: 0123456789"


def settings_of(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Give the keywords of a client of the tenant's."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **changes,
    }


def examined(
    keywords: Mapping[str, Any], environ: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Verdict]:
    """Diagnose, in an environment with nothing in it; give the verdicts by their checks."""
    more = {"seconds": 2.0, **more}
    verdicts = diagnose(keywords, environ=environ or {}, **more)
    assert len(verdicts) == len({each.check for each in verdicts})
    return {each.check: each for each in verdicts}


def levels(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Give the level of each check that is not well."""
    return {name: each.level for name, each in verdicts.items() if each.level != "ok"}


def test_healthy(auth0_tenant: Tenant) -> None:
    """Where all is well, nothing is to do, and one exchange was sent that spends nothing."""
    keywords = settings_of(auth0_tenant, secret=SECRET)
    verdicts = examined(keywords, subject_token_type=LEGACY)

    assert {} == levels(verdicts)
    assert set() == {each.advice for each in verdicts.values()} - {""}
    assert 1 == auth0_tenant.count("/oauth/token")
    assert [] == [log for log in auth0_tenant.logs if log.type == "secte"]


def test_extras() -> None:
    """Every extra that there is is looked for."""
    provided = metadata("auth0-tx").get_all("Provides-Extra")
    assert provided is not None
    assert {*provided} - {"test"} == {*EXTRAS}


def test_no_probe(auth0_tenant: Tenant) -> None:
    """When nothing is to be sent, nothing is."""
    verdicts = examined(settings_of(auth0_tenant), probe=False)

    assert "skipped" == verdicts["client authentication"].level
    assert 0 == auth0_tenant.count("/oauth/token")


def test_profile(auth0_tenant: Tenant) -> None:
    """A token that is given is exchanged, and a refusal is shown with its reason."""
    for token, level in (
        (auth0_tenant.subject_token("auth0|alice"), "ok"),
        ("no", "failed"),
    ):
        verdicts = examined(
            settings_of(auth0_tenant), subject_token=token, subject_token_type=LEGACY
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
    """The rules for types of one's own are checked without a token too."""
    verdicts = examined(settings_of(auth0_tenant), subject_token_type=token_type)

    assert level == verdicts["profile"].level


def test_wrong_secret(auth0_tenant: Tenant) -> None:
    """Wrong credentials are told from a wrong token."""
    keywords = settings_of(auth0_tenant, client_secret="wrong, and nobody's")
    verdicts = examined(keywords)

    assert "failed" == verdicts["client authentication"].level
    assert "check client_id" in verdicts["client authentication"].advice


def test_not_enabled(auth0_tenant: Tenant) -> None:
    """An application that may not exchange is told from one that is not known."""
    change = auth0_tenant.applications.change
    change(auth0_tenant.client_id, custom_token_exchange=False)
    verdicts = examined(settings_of(auth0_tenant))

    assert verdicts["client authentication"].level in ("ok", "warning")


def test_throttled(auth0_tenant: Tenant) -> None:
    """Where the tenant lets nobody in, the credentials are not judged."""
    auth0_tenant.inject(faults.status(429), path="/oauth/token", times=None)
    started = time.monotonic()
    verdicts = examined(settings_of(auth0_tenant, retry=RetryPolicy(attempts=5)))

    assert "warning" == verdicts["client authentication"].level
    assert 1 == auth0_tenant.count("/oauth/token")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"domain": "10.0.0.1"}, "an IP address is not accepted"),
        ({"client_secret": None}, "is needed"),
        ({"timeout": -1}, "positive"),
        ({"colour": "red"}, "a keyword is not one of the client's"),
    ],
    ids=["domain", "secret", "timeout", "keyword"],
)
def test_configuration(
    auth0_tenant: Tenant, changes: dict[str, Any], found: str
) -> None:
    """What a client would refuse is said first, and all that stands upon it is skipped."""
    verdicts = examined(settings_of(auth0_tenant, **changes))

    assert "failed" == verdicts["configuration"].level
    assert found in verdicts["configuration"].found
    assert "skipped" == verdicts["clock"].level
    assert "client_id" in examined({"domain": "t.auth0.com"})["configuration"].found


def test_resolver() -> None:
    """Where the domain depends on the request, the network is not examined."""
    verdicts = examined(
        {"domain": lambda _: "t.auth0.com", "client_id": "c", "client_secret": "s"}
    )

    assert "skipped" == verdicts["DNS"].level


def test_public_client(auth0_tenant: Tenant) -> None:
    """A public application on a server is worth a word."""
    auth0_tenant.applications.add(
        Application("public", token_endpoint_auth_method="none")
    )
    keywords = settings_of(
        auth0_tenant, client_id="public", client_secret=None, client_auth="none"
    )

    assert "warning" == examined(keywords)["configuration"].level


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"secret": "short"}, "warning"),
        ({"secret": SECRET}, "ok"),
        ({"state_store": MemoryStore()}, "ok"),
        ({}, "skipped"),
    ],
    ids=["short", "long", "store", "none"],
)
def test_sessions(auth0_tenant: Tenant, changes: dict[str, Any], level: str) -> None:
    """A secret that is too short for what it seals is worth a word."""
    verdicts = examined(settings_of(auth0_tenant, **changes), probe=False)

    assert level == verdicts["sessions"].level


@pytest.mark.parametrize(
    ("environ", "changes", "check", "level"),
    [
        ({"HTTPS_PROXY": "http://p"}, {}, "proxy", "warning"),
        ({}, {"proxy": "http://proxy.example.com:8080"}, "proxy", "ok"),
        ({"HTTPS_PROXY": "http://p"}, {"trust_env": True}, "proxy", "ok"),
        ({"SSL_CERT_FILE": "/x"}, {"verify": True}, "CA certificates", "warning"),
        (
            {"SSL_CERT_FILE": "/x"},
            {"verify": True, "trust_env": True},
            "CA certificates",
            "ok",
        ),
        ({}, {"verify": True}, "CA certificates", "ok"),
    ],
    ids=["proxy", "own", "trusted", "bundle", "trusted-bundle", "none"],
)
def test_environment(
    environ: dict[str, str], changes: dict[str, Any], check: str, level: str
) -> None:
    """What the environment says, and whether it is listened to, is told."""
    keywords = {
        "domain": "localhost:1",
        "client_id": "c",
        "client_secret": "s",
        **changes,
    }
    verdicts = examined(keywords, environ, probe=False)

    assert level == verdicts[check].level


def test_through_a_proxy(auth0_tenant: Tenant) -> None:
    """What a proxy hides is not examined, and the documents are asked for through it."""
    keywords = settings_of(auth0_tenant, proxy="http://127.0.0.1:9")
    verdicts = examined(keywords)

    assert "skipped" == verdicts["DNS"].level == verdicts["TLS"].level
    assert "failed" == verdicts["discovery"].level
    assert 0 == auth0_tenant.count("/.well-known/openid-configuration")


def test_netrc(auth0_tenant: Tenant, tmp_path: Path) -> None:
    """An entry for the tenant in ~/.netrc is told of, and is never used."""
    (tmp_path / ".netrc").write_text("machine localhost login a password b")
    verdicts = examined(settings_of(auth0_tenant), {"HOME": str(tmp_path)})

    assert {"netrc": "warning"} == {
        name: level for name, level in levels(verdicts).items() if name == "netrc"
    }
    assert "ok" == verdicts["client authentication"].level


def test_unknown_name() -> None:
    """A name that nobody has is told from a host that does not answer."""
    verdicts = examined(
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
    """A tenant at a private address is worth a word."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    verdicts = examined(
        {"domain": "t.us.auth0.com", "client_id": "c", "client_secret": "s"}
    )

    assert "warning" == verdicts["DNS"].level


def test_untrusted_certificate(auth0_tenant: Tenant) -> None:
    """A certificate that does not hold is told with TLS's own reason."""
    verdicts = examined(settings_of(auth0_tenant, verify=True))

    assert "failed" == verdicts["TLS"].level
    assert "certificate" in verdicts["TLS"].found


def test_no_bundle(auth0_tenant: Tenant) -> None:
    """A bundle that is none is told of, also where only the documents need it."""
    keywords = settings_of(auth0_tenant, verify="/nowhere.pem")
    behind_proxy = examined({**keywords, "proxy": "http://127.0.0.1:9"})

    assert "CA bundle" in examined(keywords)["TLS"].found
    assert "CA bundle" in behind_proxy["discovery"].found


@contextmanager
def listening(*, answers: bytes | None = None) -> Iterator[int]:
    """Listen, and answer nothing, on a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_nothing_answers() -> None:
    """A host that takes connections and says nothing holds the doctor up for its time."""
    started = time.monotonic()
    with listening() as port:
        verdicts = examined(
            {"domain": f"localhost:{port}", "client_id": "c", "client_secret": "s"},
            seconds=0.3,
        )

    assert "failed" == verdicts["TLS"].level
    assert time.monotonic() - started < 10


def test_closed_port() -> None:
    """So is a port where nobody listens, at once."""
    with listening() as port:
        pass
    verdicts = examined(
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
    """Documents that are not what they must be are told of."""
    auth0_tenant.inject(fault, path=path, times=None)
    verdicts = examined(settings_of(auth0_tenant), probe=False)

    assert "failed" == verdicts[check].level


@pytest.mark.parametrize(
    ("skew", "level"), [(0, "ok"), (60, "warning"), (-60, "warning"), (900, "failed")]
)
def test_clock(auth0_tenant: Tenant, skew: float, level: str) -> None:
    """A clock that is not the tenant's is worth a word; far off, it is a failure."""
    verdicts = examined(
        settings_of(auth0_tenant), probe=False, clock=lambda: time.time() + skew
    )

    assert level == verdicts["clock"].level


def test_certificate_ends(auth0_tenant: Tenant) -> None:
    """A certificate that should have been renewed is told of."""
    verdicts = examined(
        settings_of(auth0_tenant), probe=False, clock=lambda: time.time() + 390 * 86_400
    )

    assert "warning" == verdicts["TLS"].level


def test_plain_http() -> None:
    """A local tenant without TLS is examined as far as it goes."""
    with Tenant(tls=False) as tenant:
        verdicts = examined(settings_of(tenant, verify=True))

    assert "warning" == verdicts["configuration"].level
    assert "TLS" not in verdicts
    assert "ok" == verdicts["discovery"].level
