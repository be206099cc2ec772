"""Fixtures with which a test has an Auth0 tenant, on a real socket with TLS.

pytest loads this module at its start, in every project where ``auth0_tx`` is installed.
So it imports the tenant, and with it cryptography, only when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .clock import MovableClock

if TYPE_CHECKING:
    from auth0_tx.tenant import Certificates, KeySupply, Tenant

# One for all tenants, as a session's tenant and that of a test may have a client in common.
_clock = MovableClock()

# Those whose records stay from test to test.
_lasting: list[Tenant] = []


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
def auth0_clock() -> Iterator[MovableClock]:
    """Lend the clock of the tenants: ``auth0_clock.move(3600)`` lets an hour pass.

    Clients made with ``auth0_client_settings`` have it, too.  After the test it returns to the
    system's time.  A store goes by a clock of its own: tokens and sessions end all the same.
    """
    yield _clock
    _clock.reset()


@pytest.fixture
def auth0_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """Run a fresh local Auth0 tenant for one test.

    Point a client at it with the keywords ``auth0_client_settings``.  Exchange
    ``auth0_tenant.subject_token("auth0|alice")`` as "urn:acme:legacy-token". Then look
    at ``auth0_tenant.requests``.
    """
    from auth0_tx.tenant import Tenant

    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates, clock=_clock
    ) as tenant:
        yield tenant


@pytest.fixture
def auth0_client_settings(auth0_tenant: Tenant) -> dict[str, Any]:
    """Return keywords for a client at the test's tenant.

    They are ``domain``, ``client_id``, ``client_secret``, ``verify`` and the tenant's ``clock``:
    ``ServerClient(**auth0_client_settings)``.
    """
    return {**auth0_tenant.client_settings, "clock": _clock}


@pytest.fixture(scope="session")
def auth0_session_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """Run one local Auth0 tenant for all tests, such as for an application that starts once.

    After each test it forgets requests, logs, attempts, faults and alterations, as by
    ``clear()``.  Its records stay: users, APIs, refresh tokens, and what tests changed of them.
    """
    from auth0_tx.tenant import Tenant

    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates, clock=_clock
    ) as tenant:
        _lasting.append(tenant)
        yield tenant
        _lasting.remove(tenant)


@pytest.fixture(scope="session")
def auth0_session_client_settings(auth0_session_tenant: Tenant) -> dict[str, Any]:
    """Return keywords for a client at the session's tenant, as ``auth0_client_settings``."""
    return {**auth0_session_tenant.client_settings, "clock": _clock}


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Have the session's tenant forget what it did for the test that ends."""
    for tenant in _lasting:
        tenant.clear()
