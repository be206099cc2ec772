"""Several tenants behind one client: each call goes to its own, with its own metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeOptions,
    RefusedError,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.e2e.parity.named_tenants import NamingProxy
from tests.e2e.parity.playing import normalize_request
from tests.e2e.parity.scenarios import DISCOVERY, JWKS, LEGACY_TOKEN, MCP_TOKEN, TOKEN

ONE, TWO = "one.tenants.example.org", "two.tenants.example.org"
ORDER = (ONE, TWO, ONE, TWO, TWO)
CLIENT = {"client_id": "shared-client", "client_secret": "shared-secret-0123456789"}

StoreOptions = Mapping[str, Any] | None


@pytest.fixture(scope="module")
def named_certificates() -> Certificates:
    """One certificate for both names."""
    return Certificates([ONE, TWO])


@pytest.fixture
def tenants(
    auth0_tenant_keys: KeySupply, named_certificates: Certificates
) -> Iterator[dict[str, Tenant]]:
    """Two tenants that know the same client."""
    common = {"keys": auth0_tenant_keys, "certificates": named_certificates, **CLIENT}
    with Tenant(**common) as one, Tenant(**common) as two:  # type: ignore[arg-type]
        yield {ONE: one, TWO: two}


@pytest.fixture
def proxy(tenants: dict[str, Tenant]) -> Iterator[NamingProxy]:
    """A proxy that leads to both tenants."""
    proxy = NamingProxy(tenants)
    yield proxy
    proxy.close()


def resolve(store_options: StoreOptions) -> str:
    """Return the domain of the application's request."""
    assert store_options is not None
    return str(store_options["request"])


async def resolve_later(store_options: StoreOptions) -> str:
    """Return the domain after other tasks had a turn."""
    await asyncio.sleep(0)
    return resolve(store_options)


def build_options(tenants: dict[str, Tenant]) -> dict[str, CustomTokenExchangeOptions]:
    """Return the options of an exchange with an actor, for each tenant."""
    return {
        name: CustomTokenExchangeOptions(
            subject_token=tenant.subject_token("auth0|alice"),
            subject_token_type=MCP_TOKEN,
            actor_token=tenant.subject_token("auth0|bob"),
            actor_token_type=LEGACY_TOKEN,
            scope="openid",
        )
        for name, tenant in tenants.items()
    }


def play_blocking(
    keywords: dict[str, Any], options: dict[str, CustomTokenExchangeOptions]
) -> list[TokenExchangeResponse]:
    """Make the exchanges in this thread."""
    with ServerClient(domain=resolve, **keywords) as client:
        return [
            client.custom_token_exchange(options[name], {"request": name})
            for name in ORDER
        ]


def play_async(
    resolver: Callable[[StoreOptions], str | Awaitable[str]],
    keywords: dict[str, Any],
    options: dict[str, CustomTokenExchangeOptions],
) -> list[TokenExchangeResponse]:
    """Make the exchanges in a task."""

    async def play() -> list[TokenExchangeResponse]:
        async with AsyncServerClient(domain=resolver, **keywords) as client:
            return [
                await client.custom_token_exchange(options[name], {"request": name})
                for name in ORDER
            ]

    return asyncio.run(play())


def test_each_call_goes_to_its_own_tenant(
    tenants: dict[str, Tenant], proxy: NamingProxy, named_certificates: Certificates
) -> None:
    """Metadata and keys are each tenant's own, fetched once, in both worlds alike."""
    keywords = {**CLIENT, "verify": named_certificates.ca_file, "proxy": proxy.url}
    options = build_options(tenants)
    received = []
    for play in (
        partial(play_blocking, keywords, options),
        partial(play_async, resolve, keywords, options),
        partial(play_async, resolve_later, keywords, options),
    ):
        for tenant in tenants.values():
            tenant.clear()
        responses = play()
        received.append(
            {
                name: [normalize_request(request) for request in tenant.requests]
                for name, tenant in tenants.items()
            }
        )

        assert [{"sub": "auth0|bob"}] * 5 == [response.act for response in responses]
    blocking, asynchronous, later = received

    assert blocking == asynchronous == later
    assert {
        ONE: [DISCOVERY, TOKEN, JWKS, TOKEN],
        TWO: [DISCOVERY, TOKEN, JWKS, TOKEN, TOKEN],
    } == {name: [form[2] for form in forms] for name, forms in blocking.items()}
    assert [ONE, TWO] * 3 == proxy.asked


def test_one_tenants_token_is_no_use_at_the_other(
    tenants: dict[str, Tenant], proxy: NamingProxy, named_certificates: Certificates
) -> None:
    """The tenants are strangers: what one accepts, the other refuses."""
    keywords = {**CLIENT, "verify": named_certificates.ca_file, "proxy": proxy.url}
    options = build_options(tenants)
    swapped = {ONE: options[TWO], TWO: options[ONE]}

    with pytest.raises(RefusedError, match="Invalid subject token"):
        play_blocking(keywords, swapped)
    with pytest.raises(RefusedError, match="Invalid subject token"):
        play_async(resolve, keywords, swapped)
