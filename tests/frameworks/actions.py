"""The actions of every site, in any framework: the same in both worlds.

A view hands in its client, its store options, and the browser's request.  It gets
back a status, the JSON of the answer, and a location.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.errors import LoginRequiredError

API = "https://api.example.com"
OTHER_API = "https://other.example.com"
ACTIONS = ("login", "both", "me", "token", "tokens", "logout", "again")
POSTED = frozenset({"login", "both", "logout", "again"})


class Result(NamedTuple):
    """The answer of a view."""

    body: Any
    status: int = 200
    location: str | None = None


def build_login_options(subject_token: str, query: Mapping[str, str]) -> Any:
    return LoginWithCustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type="urn:acme:legacy-token",
        audience=query.get("audience", API),
        scope=query.get("scope", "openid profile email offline_access"),
    )


def act(
    client: ServerClient,
    action: str,
    options: Mapping[str, Any],
    query: Mapping[str, str],
    body: str,
) -> Result:
    """Do what a browser asks for."""
    try:
        if action in ("login", "both", "again"):
            if action == "again":
                client.logout(options)
            made = client.login_with_custom_token_exchange(
                build_login_options(body, query), options
            )
            if action == "login":
                return Result(made.state_data["user"])
        if action == "token":
            audience = query.get("audience", API)
            return Result(client.get_access_token(options, audience))
        if action == "tokens":
            audiences = (API, OTHER_API, API)
            return Result(
                [client.get_access_token(options, audience) for audience in audiences]
            )
        if action == "logout":
            location = client.logout(options, return_to=query.get("return_to"))
            return Result(None, 303, location)
        return Result(client.get_user(options))
    except LoginRequiredError as error:
        return Result(error.code, 401)


async def act_async(
    client: AsyncServerClient,
    action: str,
    options: Mapping[str, Any],
    query: Mapping[str, str],
    body: str,
) -> Result:
    """Do what a browser asks for."""
    try:
        if action in ("login", "both", "again"):
            if action == "again":
                await client.logout(options)
            made = await client.login_with_custom_token_exchange(
                build_login_options(body, query), options
            )
            if action == "login":
                return Result(made.state_data["user"])
        if action == "token":
            audience = query.get("audience", API)
            return Result(await client.get_access_token(options, audience))
        if action == "tokens":
            audiences = (API, OTHER_API, API)
            return Result(
                [
                    await client.get_access_token(options, audience)
                    for audience in audiences
                ]
            )
        if action == "logout":
            location = await client.logout(options, return_to=query.get("return_to"))
            return Result(None, 303, location)
        return Result(await client.get_user(options))
    except LoginRequiredError as error:
        return Result(error.code, 401)
