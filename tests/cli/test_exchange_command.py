"""`auth0-tx exchange`, run in this process against a tenant on a socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth0_tx.tenant import Tenant
from tests.cli.command_runs import LEGACY, InProcess, at, words_for

AUDIENCE = "https://api.example.com"
FULL = ("--audience", AUDIENCE, "--scope", "openid read:data")
WORLDS = pytest.mark.parametrize("world", [(), ("--async",)], ids=["blocking", "async"])


def grants(tenant: Tenant) -> list[dict[str, str]]:
    """Return the forms that the token endpoint received."""
    return [dict(one.form) for one in tenant.requests if one.path == "/oauth/token"]


@WORLDS
def test_exchange(command: InProcess, tenant: Tenant, world: tuple[str, ...]) -> None:
    """An exchange shows what came back, with every token redacted."""
    environ = at(tenant)
    outcome = command(*words_for(tenant, *FULL, *world), environ=environ)

    assert (0, "") == (outcome.status, outcome.err)
    assert outcome.out.startswith(f"Exchanged at {tenant.domain} in ")
    assert "  access_token       <redacted: JWT, " in outcome.out
    assert [] == outcome.shown(
        environ["AUTH0_CLIENT_SECRET"], environ["AUTH0_TX_SUBJECT_TOKEN"]
    )
    assert "eyJ" not in outcome.out


@WORLDS
def test_same_request(
    command: InProcess, tenant: Tenant, world: tuple[str, ...]
) -> None:
    """Every option is sent under its name, the same in both worlds."""
    environ = at(tenant)
    words = words_for(
        tenant,
        *FULL,
        *("--organization", "org_abc1234", "--param", "a=1", "--param", "b=x=y"),
        *("--timeout", "5"),
    )
    assert 0 == command(*words, *world, environ=environ).status

    assert [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": environ["AUTH0_TX_SUBJECT_TOKEN"],
            "subject_token_type": LEGACY,
            "audience": AUDIENCE,
            "scope": "openid read:data",
            "organization": "org_abc1234",
            "a": "1",
            "b": "x=y",
            "client_id": tenant.client_id,
            "client_secret": tenant.client_secret,
        }
    ] == grants(tenant)


def test_json(command: InProcess, tenant: Tenant) -> None:
    """As JSON the response is one object, its tokens redacted."""
    outcome = command(*words_for(tenant, *FULL, "--json"), environ=at(tenant))

    assert 1 == outcome.out.count("\n")
    assert ("Bearer", 86_400, "openid read:data", None) == (
        outcome.members["token_type"],
        outcome.members["expires_in"],
        outcome.members["scope"],
        outcome.members["act"],
    )
    assert outcome.members["access_token"].startswith("<redacted: JWT, ")
    assert "eyJ" not in outcome.out


def test_show_tokens(command: InProcess, tenant: Tenant) -> None:
    """With --show-tokens the tokens are shown, as text and as JSON."""
    words = words_for(tenant, *FULL, "--show-tokens")
    text = command(*words, environ=at(tenant))
    as_json = command(*words, "--json", environ=at(tenant))

    assert "  access_token       eyJ" in text.out
    assert "  id_token           eyJ" in text.out
    assert 2 == as_json.members["access_token"].count(".")


def test_actor(command: InProcess, tenant: Tenant) -> None:
    """With an actor token the actors are shown, as a tree and as a list."""
    actor = tenant.subject_token("agent|copilot", act={"sub": "auth0|support_agent"})
    words = words_for(
        tenant, *FULL, "--actor-token-type", LEGACY, "--actor-token-file", "-"
    )
    text = command(*words, stdin=f"{actor}\n".encode(), environ=at(tenant))
    as_json = command(*words, "--json", stdin=actor.encode(), environ=at(tenant))

    assert (
        """\
  agent|copilot           current actor
  └─ auth0|support_agent  earlier actor
     └─ auth0|alice       subject
"""
        in text.out
    )
    assert [
        {"sub": "agent|copilot"},
        {"sub": "auth0|support_agent"},
    ] == as_json.members["actors"]
    assert [] == text.shown(actor)


def test_actor_from_variable(command: InProcess, tenant: Tenant) -> None:
    """The actor token may be in a variable; without its type it is refused."""
    environ = at(tenant) | {"AUTH0_TX_ACTOR_TOKEN": tenant.subject_token("auth0|bob")}
    whole = command(
        *words_for(tenant, "--scope", "openid", "--actor-token-type", LEGACY, "--json"),
        environ=environ,
    )
    half = command(*words_for(tenant), environ=environ)

    assert {"sub": "auth0|bob"} == whole.members["act"]
    assert 2 == half.status
    assert half.err.startswith("auth0-tx exchange: missing_actor_token_type: ")


def test_secrets_from_files(command: InProcess, tenant: Tenant, tmp_path: Path) -> None:
    """Secrets come from files, without the newline at the end."""
    environ = at(tenant)
    subject, secret = tmp_path / "subject", tmp_path / "secret"
    subject.write_text(environ.pop("AUTH0_TX_SUBJECT_TOKEN") + "\n")
    secret.write_text(environ.pop("AUTH0_CLIENT_SECRET") + "\r\n")
    outcome = command(
        *words_for(tenant, "--subject-token-file", str(subject)),
        *("--client-secret-file", str(secret), "--client-auth", "client_secret_basic"),
        environ=environ,
    )

    assert (0, "") == (outcome.status, outcome.err)
    assert "authorization" in tenant.requests[-1].headers


def test_signing_key(command: InProcess, tenant: Tenant, tmp_path: Path) -> None:
    """A private key signs an assertion; the secret in the environment is not used."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tenant.applications.change(
        tenant.client_id,
        token_endpoint_auth_method="private_key_jwt",
        credentials=[public],
    )
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    outcome = command(
        *words_for(tenant, "--signing-key-file", str(path), "--signing-alg", "ES256"),
        environ=at(tenant),
    )

    assert (0, "") == (outcome.status, outcome.err)
    assert "client_secret" not in grants(tenant)[0]
