"""Fixtures with which a test has its own Auth0 tenant, on a real socket with TLS.

pytest loads this module at its start, in every project where ``auth0_tx`` is installed.
So it imports the tenant, and with it cryptography, only when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from auth0_tx.tenant import Certificates, KeySupply, Tenant


@pytest.fixture(scope="session")
def auth0_tenant_keys() -> KeySupply:
    """Lend signing keys to the tenants of the session: making RSA keys takes long.

    For a second tenant in a test: ``Tenant(keys=auth0_tenant_keys)``.
    """
    from auth0_tx.tenant import KeySupply

    return KeySupply()


@pytest.fixture(scope="session")
def auth0_tenant_certificates() -> Certificates:
    """Certify the tenants of the session: one CA file verifies them all."""
    from auth0_tx.tenant import Certificates

    return Certificates()


@pytest.fixture
def auth0_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """Run a fresh local Auth0 tenant for one test.

    Point a client at it with ``domain=auth0_tenant.domain``,
    ``client_id=auth0_tenant.client_id``, ``client_secret=auth0_tenant.client_secret``
    and ``verify=auth0_tenant.ca_file``. Exchange
    ``auth0_tenant.subject_token("auth0|alice")`` as "urn:acme:legacy-token". Then look
    at ``auth0_tenant.requests``.
    """
    from auth0_tx.tenant import Tenant

    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant
