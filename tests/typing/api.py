"""The public API as users write it: read by mypy and pyright, never run.

A line that must not type-check carries an ignore for exactly that error, and unused ignores
are errors themselves: so both what works and what must not are proved.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import requests

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    CustomTokenExchangeErrorCode,
    CustomTokenExchangeOptions,
    MfaRequiredError,
    RateLimitError,
    RetryPolicy,
    ServerClient,
    TokenExchangeResponse,
    TokenType,
    actor_chain,
)
from auth0_tx.events import Event, ExchangeFinished


def blocking() -> str:
    options = CustomTokenExchangeOptions(
        subject_token="legacy",
        subject_token_type="urn:acme:legacy-token",
        audience="https://api.example.com",
        scope="openid",
        actor_token="actor",
        actor_token_type=TokenType.ID_TOKEN,
        organization="org_abc1234",
        authorization_params={"device": "kiosk-7"},
        subject_token_reusable=True,
    )
    with ServerClient(
        domain="tenant.us.auth0.com",
        client_id="id",
        client_secret="secret",
        secret=["newest", "older"],
        retry=RetryPolicy(attempts=2),
        timeout=5,
        session=requests.Session(),
    ) as client:
        response: TokenExchangeResponse = client.custom_token_exchange(options)
    lifetime: int | None = response.expires_in
    act: dict[str, Any] | None = response.act
    for actor in actor_chain(act):
        print(actor["sub"], lifetime)
    return response.access_token


async def awaiting() -> str:
    async with AsyncServerClient(
        domain="tenant.us.auth0.com",
        client_id="id",
        client_assertion_signing_key={"kty": "RSA"},
        client_assertion_signing_alg="PS256",
        verify=ssl.create_default_context(),
        session=aiohttp.ClientSession(),
    ) as client:
        response = await client.custom_token_exchange(
            CustomTokenExchangeOptions(subject_token="t", subject_token_type="urn:a:b"),
            {"request": object()},
        )
    return response.access_token


def errors(client: ServerClient, options: CustomTokenExchangeOptions) -> float | None:
    try:
        client.custom_token_exchange(options)
    except MfaRequiredError as error:
        token: str | None = error.mfa_token
        print(token)
    except RateLimitError as error:
        return error.retry_after
    except CustomTokenExchangeError as error:
        if error.code == CustomTokenExchangeErrorCode.INVALID_TOKEN_FORMAT:
            status: int | None = error.status
            print(status, error.retry_safe, error.correlation_id, error.hint)
    return None


def events(event: Event) -> None:
    if isinstance(event, ExchangeFinished):
        seconds: float = event.seconds
        print(seconds)


def tenant_of(store_options: Mapping[str, Any] | None) -> str:
    return "tenant.us.auth0.com"


async def tenant_of_async(store_options: Mapping[str, Any] | None) -> str:
    return "tenant.us.auth0.com"


class Exchanger(Protocol):
    """What an application may ask for in place of the client itself."""

    def custom_token_exchange(
        self, options: CustomTokenExchangeOptions
    ) -> TokenExchangeResponse: ...


def protocols(client: ServerClient) -> Exchanger:
    return client


resolver: Callable[[Mapping[str, Any] | None], str] = tenant_of
ServerClient(domain=resolver, client_id="id", client_secret="s", on_event=events)
AsyncServerClient(domain=tenant_of, client_id="id", client_secret="s")
AsyncServerClient(domain=tenant_of_async, client_id="id", client_secret="s")

# The blocking client cannot await what it is handed.
ServerClient(domain=tenant_of_async, client_id="id")  # type: ignore[arg-type]
# Nor can either use the other's session.
ServerClient(domain="d", client_id="id", session=aiohttp.ClientSession())  # type: ignore[arg-type]
AsyncServerClient(domain="d", client_id="id", session=requests.Session())  # type: ignore[arg-type]
# A method that is not one; an option that is misspelt, or missing.
ServerClient(domain="d", client_id="id", client_auth="basic")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_typ="u")  # type: ignore[call-arg]
CustomTokenExchangeOptions(subject_token="t")  # type: ignore[call-arg]
