"""Calls that must not type-check: read by mypy and pyright, never run.

Each line has an ignore for exactly the error that it must cause.  Both checkers report an
ignore that isn't needed, so a type that becomes too wide fails here.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncIterator

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
    SessionData,
    TokenType,
    UserClaims,
)

# Right arguments, which both checkers must accept: a ``TokenType`` is a ``str``.
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType.JWT)
CustomTokenExchangeOptions(
    subject_token="t",
    subject_token_type="urn:acme:legacy-token",
    audience=None,
    authorization_params=None,
)

# One wrong argument each.
CustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=b"t", subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=None, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=None)  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType)  # type: ignore[arg-type]
LoginWithCustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]


def refused_options(token: str) -> None:
    """Pass one wrong option each time."""
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        audience=["a"],  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        scope={"openid"},  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        actor_token=b"a",  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        actor_token_type=7,  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        organization=7,  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        authorization_params=[("pin", "1")],  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        authorization_params={"pin": 1},  # type: ignore[dict-item]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        subject_token_reusable="no",  # type: ignore[arg-type]
    )


def refused_calls(client: ServerClient, options: CustomTokenExchangeOptions) -> None:
    """Call a client with a wrong argument each time."""
    ServerClient(domain="d", client_id=7)  # type: ignore[arg-type]
    ServerClient(domain="d", client_id="id", timeout="5")  # type: ignore[arg-type]
    ServerClient(domain="d", client_id="id", retry=3)  # type: ignore[arg-type]
    ServerClient(domain="d", client_id="id", verify=None)  # type: ignore[arg-type]
    ServerClient(domain="d", client_id="id", secret=b"s")  # type: ignore[arg-type]
    ServerClient("d", "id")  # type: ignore[call-arg]
    client.custom_token_exchange("t")  # type: ignore[arg-type]
    client.custom_token_exchange(options, "t")  # type: ignore[arg-type]
    client.get_access_token({}, ["a"])  # type: ignore[arg-type]
    client.logout({}, return_to=7)  # type: ignore[arg-type]
    client.handle_backchannel_logout(b"t")  # type: ignore[arg-type]
    client.end_sessions("auth0|alice")  # type: ignore[call-arg]


async def refused_awaits(
    blocking: ServerClient,
    client: AsyncServerClient,
    options: CustomTokenExchangeOptions,
) -> None:
    """Await the wrong client, and forget to await the right one."""
    await blocking.custom_token_exchange(options)  # type: ignore[misc]
    print(client.custom_token_exchange(options).access_token)  # type: ignore[attr-defined]


def refused_refresh(client: ServerClient, store_options: dict[str, object]) -> None:
    """Refresh without a token, and pass what is no text."""
    client.refresh()  # type: ignore[call-arg]
    client.refresh(None)  # type: ignore[arg-type]
    client.revoke_refresh_token("r", "text")  # type: ignore[arg-type]
    ends: str = client.get_token_set(store_options).expires_at  # type: ignore[assignment]
    print(ends)


def refused_keys(user: UserClaims, session: SessionData) -> None:
    """Read keys that a session does not have, and values of another type."""
    user["nmae"]  # type: ignore[typeddict-item]
    session["token_set"]  # type: ignore[typeddict-item]
    number: int = user["sub"]  # type: ignore[assignment]
    text: str = session["token_sets"][0]["expires_at"]  # type: ignore[assignment]
    print(number, text)


async def refused_bulk(
    blocking: ServerClient,
    client: AsyncServerClient,
    options: CustomTokenExchangeOptions,
    stream: AsyncIterator[CustomTokenExchangeOptions],
) -> None:
    """Exchange many tokens in the wrong way."""
    blocking.exchange_many(options)  # type: ignore[arg-type]
    blocking.exchange_many(stream)  # type: ignore[arg-type]
    blocking.exchange_many(["t"])  # type: ignore[list-item]
    blocking.exchange_many([options], 10)  # type: ignore[call-arg]
    blocking.exchange_many([options], concurrency=None)  # type: ignore[arg-type]
    blocking.exchange_many([options], concurrency=0.5)  # type: ignore[arg-type]
    blocking.exchange_many([options], rate="4")  # type: ignore[arg-type]
    await client.exchange_many([options])  # type: ignore[misc]
    for _ in client.exchange_many([options]):  # type: ignore[attr-defined]
        pass
    async for _ in blocking.exchange_many([options]):  # type: ignore[attr-defined]
        pass
    for row in blocking.exchange_many([options]):
        print(row.response.access_token)  # type: ignore[union-attr]
        row.index = 1  # type: ignore[misc]
