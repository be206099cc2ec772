"""A tenant for each test: ``tenant`` without a socket, ``served`` on one with TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from typing import Any

import pytest

from auth0_tx.tenant import Certificates, KeySupply, Profile, Reply, Tenant
from tests.tenant.tenant_caller import Act, Caller, Clock, Run


@pytest.fixture(scope="session")
def keys() -> KeySupply:
    """Keys shared by the session's tenants, one tenant at a time."""
    return KeySupply()


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """One certificate for the session's tenants."""
    return Certificates()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at noon."""
    return Clock()


@pytest.fixture
def new_tenant(keys: KeySupply, clock: Clock) -> Iterator[Callable[..., Tenant]]:
    """A factory of tenants without sockets, at a made-up port."""
    tenants: list[Tenant] = []

    def create_tenant(**settings: Any) -> Tenant:
        defaults = {"port": 8443, "tls": False, "clock": clock, "keys": keys}
        tenants.append(Tenant(**{**defaults, **settings}))
        return tenants[-1]

    yield create_tenant
    for tenant in tenants:
        tenant.close()


@pytest.fixture
def tenant(new_tenant: Callable[..., Tenant]) -> Tenant:
    """A tenant with the default content and no socket."""
    return new_tenant()


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    """A caller of ``tenant``."""
    return Caller(tenant)


@pytest.fixture
def served(keys: KeySupply, certificates: Certificates) -> Iterator[Tenant]:
    """A tenant on a socket, with TLS."""
    with Tenant(keys=keys, certificates=certificates) as tenant:
        yield tenant


@pytest.fixture
def connect(served: Tenant) -> Iterator[Callable[..., HTTPSConnection]]:
    """A factory of verified connections to ``served``."""
    opened: list[HTTPSConnection] = []

    def open_connection(timeout: float = 5.0) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=served.ca_file)
        host, _, port = served.domain.partition(":")
        connection = HTTPSConnection(host, int(port), timeout=timeout, context=context)
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        connection.close()


@pytest.fixture
def run(caller: Caller) -> Run:
    """Run an Action once, in an exchange with changes to the form."""

    def run_action(action: Act, **changes: str | None) -> Reply:
        profile = Profile("urn:acme:custom", action, secrets={"KEY": "hush"})
        caller.tenant.profiles.add(profile)
        try:
            return caller.exchange(subject_token_type="urn:acme:custom", **changes)
        finally:
            caller.tenant.profiles.remove("urn:acme:custom")

    return run_action
