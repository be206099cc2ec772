"""`auth0-tx doctor`: a line for each check, JSON, and the exit status."""

from __future__ import annotations

from pathlib import Path

from auth0_tx.cli import main
from auth0_tx.tenant import Tenant
from tests.cli.command_runs import LEGACY, InProcess, at


def words_for(tenant: Tenant, *more: str) -> list[str]:
    """Return the words of a run for a tenant."""
    assert tenant.ca_file is not None
    return ["doctor", "--verify", tenant.ca_file, *more]


def test_healthy(command: InProcess, tenant: Tenant) -> None:
    """Each check has a line, no secret is shown, and the status is 0."""
    environ = at(tenant)
    outcome = command(
        *words_for(tenant, "--subject-token-type", LEGACY), environ=environ
    )

    assert (0, "") == (outcome.status, outcome.err)
    assert "ok       profile" in outcome.out
    assert [] == outcome.shown(
        environ["AUTH0_CLIENT_SECRET"], environ["AUTH0_TX_SUBJECT_TOKEN"]
    )


def test_failure(command: InProcess, tenant: Tenant) -> None:
    """A check that failed says what to do, and the status is 1."""
    environ = {**at(tenant), "AUTH0_CLIENT_SECRET": "a wrong secret"}
    outcome = command(*words_for(tenant), environ=environ)

    assert 1 == outcome.status
    assert "FAILED   client authentication" in outcome.out
    assert "check client_id" in outcome.out


def test_json(command: InProcess, tenant: Tenant) -> None:
    """As JSON, the checks have the same names."""
    outcome = command(*words_for(tenant, "--json"), environ=at(tenant))
    checks = {check["check"]: check["level"] for check in outcome.members["checks"]}

    assert outcome.members["ok"]
    assert "ok" == checks["client authentication"]
    assert {"check", "level", "found", "advice"} == set(outcome.members["checks"][0])


def test_strict(command: InProcess, tenant: Tenant) -> None:
    """With --strict a warning is a failure."""
    environ = {**at(tenant), "HTTPS_PROXY": "http://proxy"}
    words = words_for(tenant, "--no-probe")

    assert 0 == command(*words, environ=environ).status
    assert 1 == command(*words, "--strict", environ=environ).status


def test_nothing_given(command: InProcess) -> None:
    """Missing settings are named."""
    outcome = command("doctor", environ={})

    assert 1 == outcome.status
    assert "domain and client_id are missing" in outcome.out


def test_files(command: InProcess, tenant: Tenant, tmp_path: Path) -> None:
    """Secrets may come from files, and at most one from standard input."""
    secret = tmp_path / "secret"
    secret.write_text(tenant.client_secret or "")
    environ = {**at(tenant), "AUTH0_CLIENT_SECRET": ""}
    outcome = command(
        *words_for(tenant, "--client-secret-file", str(secret)), environ=environ
    )
    both = command(
        *words_for(tenant, "--client-secret-file", "-", "--subject-token-file", "-"),
        environ=environ,
    )

    assert 0 == outcome.status
    assert 2 == both.status


def test_configured(tenant: Tenant, capsys: object) -> None:
    """An application's own settings replace the options."""
    keywords = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
    }

    assert 0 == main(["doctor"], keywords)
    assert 1 == main(["doctor"], {**keywords, "client_secret": "a wrong secret"})


def test_empty_option(command: InProcess, tenant: Tenant) -> None:
    """An empty option is reported, and not replaced by the variable's tenant."""
    outcome = command(*words_for(tenant, "--domain", ""), environ=at(tenant))

    assert 1 == outcome.status
    assert "FAILED   configuration" in outcome.out
    assert () == tenant.requests


def test_unused_secret(command: InProcess, tenant: Tenant, tmp_path: Path) -> None:
    """A secret file that the method does not use is reported; the variable is not read."""
    secret = tmp_path / "secret"
    secret.write_text(tenant.client_secret or "")
    words = words_for(tenant, "--client-auth", "none", "--no-probe")
    from_file = command(*words, "--client-secret-file", str(secret), environ=at(tenant))
    from_variable = command(*words, environ=at(tenant))

    assert "client_secret does not go with" in from_file.out
    assert 0 == from_variable.status
