"""Runs of the command in this process, and a tenant for them to meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.cli.command_runs import InProcess


@pytest.fixture(scope="session")
def keys() -> KeySupply:
    """Keys shared by the session's tenants, one tenant at a time."""
    return KeySupply()


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """One certificate for the session's tenants."""
    return Certificates()


@pytest.fixture
def tenant(keys: KeySupply, certificates: Certificates) -> Iterator[Tenant]:
    """A tenant on a socket, with TLS."""
    with Tenant(keys=keys, certificates=certificates) as tenant:
        yield tenant


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """The command, run in this process."""
    return InProcess(monkeypatch)
