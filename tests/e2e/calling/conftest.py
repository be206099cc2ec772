"""A tenant, two APIs, and a caller of either world."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth0_tx.tenant import Certificates, KeySupply, Tenant
from auth0_tx.values import CustomTokenExchangeOptions
from tests.e2e.calling.api_server import ApiServer
from tests.e2e.calling.callers import WORLDS, ApiCaller

TYPE = "urn:acme:legacy-token"


@pytest.fixture(scope="package")
def certificates() -> Certificates:
    """Certificates for this machine."""
    return Certificates()


@pytest.fixture(scope="package")
def key_supply() -> KeySupply:
    """Keys shared by all tenants."""
    return KeySupply()


@pytest.fixture
def tenant(certificates: Certificates, key_supply: KeySupply) -> Iterator[Tenant]:
    """A tenant whose clock runs: two tokens of one second would be the same."""
    ticks = itertools.count()
    with Tenant(
        certificates=certificates,
        keys=key_supply,
        clock=lambda: time.time() + next(ticks),
    ) as tenant:
        yield tenant


@pytest.fixture
def new_api(certificates: Certificates) -> Iterator[Callable[..., ApiServer]]:
    """A factory of APIs."""
    made: list[ApiServer] = []

    def new(*, tls: bool = True) -> ApiServer:
        made.append(ApiServer(certificates if tls else None))
        return made[-1]

    yield new
    for server in made:
        server.stop()


@pytest.fixture
def api(new_api: Callable[..., ApiServer]) -> ApiServer:
    """The API that the token is for."""
    return new_api()


@pytest.fixture
def elsewhere(new_api: Callable[..., ApiServer]) -> ApiServer:
    """Another server, over TLS too."""
    return new_api()


@pytest.fixture(params=WORLDS)
def new_caller(
    request: pytest.FixtureRequest, tenant: Tenant, certificates: Certificates
) -> Iterator[Callable[..., ApiCaller]]:
    """A factory of callers in one of the worlds."""
    made: list[ApiCaller] = []

    def new(**settings: Any) -> ApiCaller:
        given = {**tenant.client_settings, **settings}
        made.append(WORLDS[request.param](certificates, **given))
        return made[-1]

    yield new
    for caller in made:
        caller.close()


@pytest.fixture
def caller(
    new_caller: Callable[..., ApiCaller],
    tenant: Tenant,
    api: ApiServer,
) -> ApiCaller:
    """A caller whose subject token may be exchanged again, for ``/v1`` of the API."""
    caller = new_caller()
    caller.auth = for_exchange(caller, make_options(tenant), api)
    return caller


def make_options(tenant: Tenant, **changes: Any) -> CustomTokenExchangeOptions:
    """Return the options of an exchange that may be repeated."""
    return CustomTokenExchangeOptions(
        **{
            "subject_token": tenant.subject_token("auth0|alice"),
            "subject_token_type": TYPE,
            "audience": "https://api.example.com",
            "subject_token_reusable": True,
            **changes,
        }
    )


def for_exchange(caller: Any, options: Any, api: ApiServer, path: str = "/v1") -> Any:
    """Return an auth object of the caller's world for a path of the API."""
    return caller.auth_type.for_exchange(
        caller.client, options, base_url=f"{api.origin}{path}"
    )


def count_exchanges(tenant: Tenant) -> int:
    """Return how many exchanges the tenant was asked for."""
    return tenant.count("/oauth/token")
