"""Refresh tokens without a session, in both worlds: the same requests, the same ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
    keywords = {
        "domain": auth0_tenant.domain,
        "client_id": auth0_tenant.client_id,
        "client_secret": auth0_tenant.client_secret,
        "verify": auth0_tenant.ca_file,
        "retry": QUICK,
    }
    told = []
    for ask in (ask_blocking, ask_in_task):
        with ServerClient(**keywords) as client:
            first = client.custom_token_exchange(
                CustomTokenExchangeOptions(
                    subject_token=auth0_tenant.subject_token("auth0|alice"),
                    subject_token_type=LEGACY_TOKEN,
                    audience=API,
                    scope="openid offline_access read:data",
                )
            )
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
