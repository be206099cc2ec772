"""Fixtures that give a test an Auth0 tenant of its own, on a real socket with TLS.

Installed with `auth0_tx`; pytest loads this module at its start in every project, so
it imports the tenant only when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from auth0_tx.tenant import Certificates, KeySupply, Tenant


@pytest.fixture(scope="session")
def auth0_tenant_keys() -> KeySupply:
    """Lend signing keys to the session's tenants, for making RSA keys takes long.

    Pass it on where a test needs a second tenant: `Tenant(keys=auth0_tenant_keys)`.
    """
    from auth0_tx.tenant import KeySupply

    return KeySupply()


@pytest.fixture(scope="session")
def auth0_tenant_certificates() -> Certificates:
    """Certify the session's tenants, so that one CA file verifies them all."""
    from auth0_tx.tenant import Certificates

    return Certificates()


@pytest.fixture
def auth0_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """Run a fresh local Auth0 tenant for one test.

    Point a client at it with `domain=auth0_tenant.domain`,
    `client_id=auth0_tenant.client_id`, `client_secret=auth0_tenant.client_secret` and
    `verify=auth0_tenant.ca_file`; exchange `auth0_tenant.subject_token("auth0|alice")`
    as "urn:acme:legacy-token"; then look at `auth0_tenant.requests`.
    """
    from auth0_tx.tenant import Tenant

    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant
