"""Refresh tokens without a session, in both worlds: the same requests, the same ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    CustomTokenExchangeOptions,
    ServerClient,
    TokenExchangeResponse,
    WrongAudienceError,
)
from auth0_tx.tenant import Api, Tenant, faults
from tests.e2e.parity.scenarios import LEGACY_TOKEN, QUICK, TOKEN

API, OTHER = "https://api.example.com", "https://other.example.com"

Ask = Callable[..., Any]
"""Calls a method of a client of one world; returns its result, or its error."""


def make_keywords(tenant: Tenant) -> dict[str, Any]:
    """Return the keywords of a client of the tenant."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "retry": QUICK,
    }


def exchange(tenant: Tenant, keywords: dict[str, Any]) -> TokenExchangeResponse:
    """Return the tokens of an exchange, a refresh token among them."""
    with ServerClient(**keywords) as client:
        return client.custom_token_exchange(
            CustomTokenExchangeOptions(
                subject_token=tenant.subject_token("auth0|alice"),
                subject_token_type=LEGACY_TOKEN,
                audience=API,
                scope="openid offline_access read:data",
            )
        )


def ask_blocking(
    keywords: dict[str, Any], calls: list[tuple[Any, ...]], first: Any
) -> list[Any]:
    """Make the calls with the blocking client; return how each ended."""
    ends: list[Any] = []
    with ServerClient(**keywords) as client:
        for name, *arguments in calls:
            try:
                ends.append(
                    getattr(client, name)(*take_kept(arguments, [first, *ends]))
                )
            except Auth0Error as error:
                ends.append(error)
    return ends


def ask_in_task(
    keywords: dict[str, Any], calls: list[tuple[Any, ...]], first: Any
) -> list[Any]:
    """Make the calls with the asyncio client; return how each ended."""

    async def ask() -> list[Any]:
        ends: list[Any] = []
        async with AsyncServerClient(**keywords) as client:
            for name, *arguments in calls:
                try:
                    ends.append(
                        await getattr(client, name)(
                            *take_kept(arguments, [first, *ends])
                        )
                    )
                except Auth0Error as error:
                    ends.append(error)
        return ends

    return asyncio.run(ask())


def take_kept(arguments: list[Any], ends: list[Any]) -> list[Any]:
    """Return arguments, with the newest refresh token for ``...``."""
    kept = [
        response.refresh_token
        for end in ends
        for response in [end, getattr(end, "response", None)]
        if isinstance(response, TokenExchangeResponse) and response.refresh_token
    ]
    return [kept[-1] if argument is ... else argument for argument in arguments]


def normalize_end(end: Any) -> Any:
    """Return how a call ended, without the parts that differ in each token."""
    if isinstance(end, TokenExchangeResponse):
        return end.scope, end.expires_in, end.refresh_token is not None
    if isinstance(end, WrongAudienceError):
        return end.args, normalize_end(end.response)
    return (type(end), end.args) if isinstance(end, Auth0Error) else end


STORIES: dict[str, tuple[list[tuple[Any, ...]], list[Any], Any]] = {
    "refresh and revoke": (
        [
            ("refresh", ..., API, "read:data"),
            ("refresh", ...),
            ("revoke_refresh_token", ...),
            ("revoke_refresh_token", ...),
            ("refresh", ...),
        ],
        [TokenExchangeResponse, TokenExchangeResponse, None, None, "invalid_grant"],
        None,
    ),
    "another API": ([("refresh", ..., OTHER)], ["wrong_audience"], None),
    "bad input": (
        [("refresh", ""), ("refresh", ..., ""), ("revoke_refresh_token", "")],
        ["invalid_token_format", "invalid_argument", "invalid_token_format"],
        None,
    ),
    "an answer that is lost": (
        [("refresh", ...), ("refresh", ...)],
        ["connection_lost", TokenExchangeResponse],
        faults.reset(),
    ),
    "a maintenance page": (
        [("refresh", ...), ("refresh", ...)],
        ["token_exchange_failed", TokenExchangeResponse],
        faults.status(503, b"<html>"),
    ),
}


@pytest.mark.parametrize(("calls", "expected", "fault"), STORIES.values(), ids=STORIES)
def test_both_worlds_do_the_same(
    auth0_tenant: Tenant, calls: list[tuple[Any, ...]], expected: list[Any], fault: Any
) -> None:
    """Both clients send the same, and make the same of the answers."""
    auth0_tenant.apis.add(Api(OTHER, allow_offline_access=True))
    auth0_tenant.applications.change(
        auth0_tenant.client_id, refresh_token_policies={}, refresh_token_leeway=60
    )
    keywords = make_keywords(auth0_tenant)
    told = []
    for ask in (ask_blocking, ask_in_task):
        first = exchange(auth0_tenant, keywords)
        auth0_tenant.clear()
        if fault is not None:
            auth0_tenant.inject(fault, path=TOKEN, times=1)
        ends = ask(keywords, calls, first)
        paths = [request.path for request in auth0_tenant.requests]
        told.append(([normalize_end(end) for end in ends], paths))

        for end, how in zip(ends, expected, strict=True):
            if isinstance(how, type):
                assert isinstance(end, how)
            else:
                assert how == getattr(end, "code", end)

    assert told[0] == told[1]


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_one_request_for_all(auth0_tenant: Tenant, is_async: bool) -> None:
    """All who use a refresh token at once, and those who come late, share one refresh."""
    auth0_tenant.applications.change(auth0_tenant.client_id, refresh_token_leeway=0)
    keywords = make_keywords(auth0_tenant)
    kept = exchange(auth0_tenant, keywords).refresh_token or ""
    auth0_tenant.clear()
    auth0_tenant.inject(faults.latency(0.2), path=TOKEN, times=1)

    async def ask() -> list[TokenExchangeResponse]:
        async with AsyncServerClient(**keywords) as client:
            told = await asyncio.gather(*[client.refresh(kept) for _ in range(10)])
            return [*told, await client.refresh(kept)]

    if is_async:
        told = asyncio.run(ask())
    else:
        with ServerClient(**keywords) as client, ThreadPoolExecutor(10) as threads:
            told = [*threads.map(lambda _: client.refresh(kept), range(10))]
            told.append(client.refresh(kept))

    assert 1 == auth0_tenant.count(TOKEN)
    assert 1 == len({(each.access_token, each.refresh_token) for each in told})
