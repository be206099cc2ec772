"""On behalf of a user: what is sent, and what is refused before."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow
from auth0_tx.core.flows.exchange import get_token_on_behalf_of
from auth0_tx.errors import (
    AmbiguousError,
    ConfigurationError,
    InvalidInputError,
    RefusedError,
)
from auth0_tx.events import ExchangeFinished, ExchangeStarted
from auth0_tx.values import TokenExchangeResponse
from tests.core.world import (
    DOMAIN,
    SECRETS,
    TOKENS,
    Clock,
    build_client,
    build_refusal,
    build_response,
    fail,
    play,
    start,
)

API = "https://other.example.com"
URN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(context: Context, **changes: Any) -> Flow[TokenExchangeResponse]:
    """Exchange the access token of a user."""
    asked = {"access_token": SECRETS["subject_token"], "audience": API, **changes}
    return start(get_token_on_behalf_of, context, **asked)


def test_request() -> None:
    """Both types are told, and the API that is to be called."""
    given, asked = play(
        exchange(build_client(Clock()), scope="read:data write:data"), build_response()
    )
    (request,) = asked.requests

    assert {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "subject_token": [SECRETS["subject_token"]],
        "subject_token_type": [URN],
        "requested_token_type": [URN],
        "audience": [API],
        "scope": ["read:data write:data"],
        "client_id": ["the-client"],
        "client_secret": [SECRETS["client_secret"]],
    } == parse_qs((request.body or b"").decode(), strict_parsing=True)
    assert SECRETS["access_token"] == given.access_token
    assert "read:data write:data" == given.scope


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("access_token", ""),
        ("access_token", "Bearer abc"),
        ("access_token", None),
        ("audience", None),
        ("audience", ""),
        ("audience", " padded"),
        ("scope", "two  spaces"),
        ("scope", ["a"]),
    ],
)
def test_input(parameter: str, value: Any) -> None:
    """Arguments that break a rule are refused by name before anything is sent."""
    error, asked = fail(exchange(build_client(Clock()), **{parameter: value}))

    assert isinstance(error, InvalidInputError)
    assert parameter == error.parameter
    assert [] == asked


def test_public_client() -> None:
    """A client that cannot prove itself acts for nobody."""
    error, asked = fail(exchange(build_client(Clock(), client_auth="none")))

    assert isinstance(error, ConfigurationError)
    assert "client_auth" == error.parameter
    assert [] == asked


def test_sent_again() -> None:
    """An access token is not spent by it, so a lost answer is asked for again."""
    given, asked = play(
        exchange(build_client(Clock())),
        AmbiguousError("lost"),
        build_response(),
        clock=Clock(),
    )

    assert 2 == len(asked.requests)
    assert SECRETS["access_token"] == given.access_token


def test_refusal() -> None:
    """A refusal says what on-behalf-of exchange takes."""
    no = build_refusal(403, "access_denied", f"no: {SECRETS['subject_token']}")
    error, _ = fail(exchange(build_client(Clock())), no)

    assert isinstance(error, RefusedError)
    assert "resource_server_identifier" in (error.hint or "")
    assert SECRETS["subject_token"] not in str(error)


def test_cache() -> None:
    """A client with a cache exchanges a token for an API once, and apart from all else."""
    context = build_client(Clock(), token_cache=MemoryTokenCache())
    play(exchange(context), build_response({**TOKENS, "access_token": "one"}))
    given, asked = play(exchange(context))
    other, _ = play(
        exchange(context, audience=f"{API}/2"),
        build_response({**TOKENS, "access_token": "two"}),
    )

    assert ["one", "two"] == [given.access_token, other.access_token]
    assert [] == asked


def test_events() -> None:
    """A subscriber is told of it as of every exchange."""
    context = build_client(Clock(), on_event=print)
    _, asked = play(exchange(context), build_response())

    assert [
        ExchangeStarted(
            domain=DOMAIN, subject_token_type=URN, audience=API, actor=False
        ),
        ExchangeFinished(domain=DOMAIN, seconds=0.0),
    ] == asked.events
