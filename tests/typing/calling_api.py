"""Calling APIs, as users write it: read by mypy and pyright, never run.

Each line with an ignore must not type-check, and unused ignores are errors themselves.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

import aiohttp
import requests

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions, ServerClient
from auth0_tx.calling import ApiAuth, AsyncApiAuth

URL = "https://api.example.com/v1"


def read_options() -> CustomTokenExchangeOptions:
    """Return fresh options."""
    return CustomTokenExchangeOptions(subject_token="t", subject_token_type="u")


async def await_options() -> CustomTokenExchangeOptions:
    """Return fresh options, in asyncio."""
    return read_options()


def call_blocking(client: ServerClient, session: requests.Session) -> None:
    """Attach a token to the requests of ``requests``."""
    auth = ApiAuth.for_exchange(client, read_options(), base_url=URL)
    assert_type(auth, ApiAuth)
    session.auth = auth
    requests.get(URL, auth=auth, timeout=5)
    ApiAuth.for_exchange(client, read_options, base_url=URL, store_options={})
    ApiAuth.for_session(
        client, {"request": session}, base_url=URL, audience="https://a"
    )
    ApiAuth.for_session(client, None, base_url=URL, subject_token_supplier=read_options)
    ApiAuth.on_behalf_of(client, "token", "https://a", base_url=URL, scope="read:a")


async def call_async(client: AsyncServerClient) -> None:
    """Attach a token to the requests of ``aiohttp``."""
    auth = AsyncApiAuth.for_exchange(client, await_options, base_url=URL)
    assert_type(auth, AsyncApiAuth)
    AsyncApiAuth.for_exchange(client, read_options, base_url=URL)
    AsyncApiAuth.for_session(client, {}, base_url=URL, scope="read:a")
    AsyncApiAuth.on_behalf_of(client, "token", "https://a", base_url=URL)
    async with (
        aiohttp.ClientSession(middlewares=(auth,)) as session,
        session.get(URL, middlewares=[auth]) as response,
    ):
        assert_type(response.status, int)


def call_wrongly(client: ServerClient, awaiting: AsyncServerClient) -> None:
    """Call in the wrong way."""
    options = read_options()
    ApiAuth.for_exchange(awaiting, options, base_url=URL)  # type: ignore[arg-type]
    AsyncApiAuth.for_exchange(client, options, base_url=URL)  # type: ignore[arg-type]
    ApiAuth.for_exchange(client, await_options, base_url=URL)  # type: ignore[arg-type]
    ApiAuth.for_exchange(client, {"subject_token": "t"}, base_url=URL)  # type: ignore[arg-type]
    ApiAuth.for_exchange(client, options)  # type: ignore[call-arg]
    ApiAuth.for_exchange(client, options, URL)  # type: ignore[call-arg]
    ApiAuth.on_behalf_of(client, "token", base_url=URL)  # type: ignore[call-arg]
    ApiAuth.for_session(client, "session", base_url=URL)  # type: ignore[arg-type]
