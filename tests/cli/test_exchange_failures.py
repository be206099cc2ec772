"""`auth0-tx exchange` when it fails: what is reported, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from auth0_tx.tenant import Tenant, faults
from tests.cli.command_runs import LEGACY, InProcess, at, words_for

WORLDS = pytest.mark.parametrize("world", [(), ("--async",)], ids=["blocking", "async"])


@pytest.mark.parametrize(
    ("missing", "words", "lines"),
    [
        (
            "AUTH0_DOMAIN",
            (),
            ["--domain is missing", "hint: pass it, or set AUTH0_DOMAIN"],
        ),
        (
            "AUTH0_CLIENT_ID",
            (),
            ["--client-id is missing", "hint: pass it, or set AUTH0_CLIENT_ID"],
        ),
        (
            "AUTH0_CLIENT_SECRET",
            (),
            [
                "the client secret is missing",
                "hint: set AUTH0_CLIENT_SECRET, or pass --client-secret-file PATH "
                "(- for standard input)",
            ],
        ),
        (
            "AUTH0_TX_SUBJECT_TOKEN",
            (),
            [
                "the subject token is missing",
                "hint: set AUTH0_TX_SUBJECT_TOKEN, or pass --subject-token-file PATH "
                "(- for standard input)",
            ],
        ),
        (
            "NO_COLOR",
            ("--client-auth", "private_key_jwt"),
            [
                "the client's private key is missing",
                "hint: pass --signing-key-file PATH (- for standard input)",
            ],
        ),
        (
            "NO_COLOR",
            ("--param", "a=1", "--param", "a=2"),
            ["--param: the same name is used twice"],
        ),
        (
            "NO_COLOR",
            ("--subject-token-file", "-", "--actor-token-file", "-"),
            [
                "standard input cannot be both --subject-token-file and "
                "--actor-token-file"
            ],
        ),
    ],
)
def test_missing(
    command: InProcess,
    tenant: Tenant,
    missing: str,
    words: tuple[str, ...],
    lines: list[str],
) -> None:
    """A missing value is named with the ways to pass it, and nothing is sent."""
    environ = at(tenant)
    environ.pop(missing, None)
    outcome = command(*words_for(tenant), *words, environ=environ)

    assert (2, "", ()) == (outcome.status, outcome.out, tenant.requests)
    assert [f"auth0-tx exchange: {lines[0]}", *lines[1:]] == outcome.err.splitlines()


def test_missing_type(command: InProcess, tenant: Tenant) -> None:
    """The subject token's type has no default."""
    outcome = command("exchange", "--json", environ=at(tenant))

    assert 2 == outcome.status
    assert ("usage", "pass --subject-token-type URI") == (
        outcome.members["error"]["code"],
        outcome.members["error"]["hint"],
    )


@pytest.mark.parametrize(
    ("words", "parameter"),
    [
        (("--client-auth", "none", "--client-secret-file", "-"), "client_secret"),
        (("--client-auth", "post"), "client_auth"),
        (("--signing-alg", "HS256"), "client_assertion_signing_alg"),
        (("--domain", "http://tenant.us.auth0.com"), "domain"),
        (("--verify", "/nonexistent"), "verify"),
        (("--subject-token-type", "legacy"), "subject_token_type"),
        (("--param", "client_id=x"), "authorization_params['client_id']"),
    ],
)
def test_refused_by_the_library(
    command: InProcess, tenant: Tenant, words: tuple[str, ...], parameter: str
) -> None:
    """Breaking one of the library's rules ends with 2, before a byte is sent."""
    outcome = command(
        *words_for(tenant), *words, "--json", stdin=b"a", environ=at(tenant)
    )

    assert (2, ()) == (outcome.status, tenant.requests)
    assert parameter == outcome.members["error"]["parameter"]


@pytest.mark.parametrize("padding", [" {}", "{} ", "{}\t\n", "Bearer {}", "{}\n\n"])
def test_white_space_is_refused(
    command: InProcess, tenant: Tenant, padding: str
) -> None:
    """The library refuses a padded token, which is not shown."""
    token = tenant.subject_token("auth0|alice")
    outcome = command(
        *words_for(tenant, "--subject-token-file", "-"),
        stdin=padding.format(token).encode(),
        environ=at(tenant),
    )

    assert (2, (), []) == (outcome.status, tenant.requests, outcome.shown(token))
    assert outcome.err.startswith("auth0-tx exchange: invalid_token_format: ")


@WORLDS
def test_refusal(command: InProcess, tenant: Tenant, world: tuple[str, ...]) -> None:
    """A refusal ends with 1, its reason and hint in two lines, and the same as JSON."""
    environ = at(tenant)
    outcome = command(
        *words_for(tenant, *world, "--json"),
        "--subject-token-type",
        "urn:ietf:params:oauth:token-type:access_token",
        environ=environ,
    )

    assert 1 == outcome.status
    first, second = outcome.err.splitlines()
    assert first.startswith("auth0-tx exchange: invalid_request: ")
    assert first.endswith("(HTTP 400)")
    assert second.startswith("hint: Auth0 keeps urn:ietf token types")
    assert ("RefusedError", 400) == (
        outcome.members["error"]["type"],
        outcome.members["error"]["status"],
    )
    assert [] == outcome.shown(*environ.values())


def test_echoed_secret(command: InProcess, tenant: Tenant) -> None:
    """A token that a server repeats in its refusal is not shown."""
    environ = at(tenant)
    token = environ["AUTH0_TX_SUBJECT_TOKEN"]
    tenant.inject(
        faults.status(400, {"error": "bad", "error_description": f"no: {token}"})
    )
    outcome = command(*words_for(tenant, "--json"), environ=environ)

    assert (1, []) == (outcome.status, outcome.shown(token))


@WORLDS
def test_retry_is_logged(
    command: InProcess, tenant: Tenant, world: tuple[str, ...]
) -> None:
    """A retry is logged to standard error; standard output has the result alone."""
    tenant.inject(faults.handshake_reset(), path=None)
    outcome = command(*words_for(tenant, *world, "--json"), environ=at(tenant))

    assert (0, "Bearer") == (outcome.status, outcome.members["token_type"])
    assert outcome.err.startswith("attempt 1 failed: ")


@WORLDS
def test_untrusted_certificate(
    command: InProcess, tenant: Tenant, world: tuple[str, ...]
) -> None:
    """Without its CA the tenant is not trusted, and the hint names --verify."""
    outcome = command(
        "exchange", "--subject-token-type", LEGACY, *world, environ=at(tenant)
    )

    assert 1 == outcome.status
    assert outcome.err.startswith("auth0-tx exchange: tls_failed: ")
    assert "--verify PATH" in outcome.err.splitlines()[1]


@WORLDS
def test_invalid_bundle(
    command: InProcess, tenant: Tenant, tmp_path: Path, world: tuple[str, ...]
) -> None:
    """A bundle without a certificate ends with an error message, in both worlds."""
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    outcome = command(
        *words_for(tenant, *world), "--verify", str(path), environ=at(tenant)
    )

    assert 2 == outcome.status
    assert 1 <= len(outcome.err.splitlines()) <= 2
    assert 0 == tenant.count("/oauth/token")


def test_unknown_actor(command: InProcess, tenant: Tenant) -> None:
    """An exchange whose actor is not known succeeds, and says so."""
    environ = at(tenant) | {"AUTH0_TX_ACTOR_TOKEN": tenant.subject_token("auth0|bob")}
    outcome = command(*words_for(tenant, "--actor-token-type", LEGACY), environ=environ)

    assert 0 == outcome.status
    assert "  act                not known: " in outcome.out
    assert "hint: add openid to the scope" in outcome.out
