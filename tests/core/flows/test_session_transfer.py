"""Session transfer tokens: asked for with an actor, and taken for nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow
from auth0_tx.core.flows.session_transfer import request_session_transfer_token
from auth0_tx.errors import (
    CustomTokenExchangeError,
    IdTokenError,
    InvalidInputError,
    InvalidResponseError,
    RefusedError,
    StoreError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.secret import conceal
from auth0_tx.session_values import SessionTransferToken
from auth0_tx.token_types import TokenType
from tests.core.browser import (
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.id_tokens import sign_id_token
from tests.core.world import (
    DOMAIN,
    NOW,
    SECRETS,
    TOKENS,
    Clock,
    EffectLog,
    build_client,
    build_refusal,
    build_response,
    fail,
    play,
)

TRANSFER = {
    "access_token": "stt-1",
    "issued_token_type": TokenType.SESSION_TRANSFER_TOKEN,
    "expires_in": 60,
}
ACTOR = {"actor_token": SECRETS["actor_token"]}


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock, store: PaperStore) -> Context:
    """A client that keeps sessions, in each of the two ways."""
    return build_session_client(
        clock, **({} if request.param == "cookies" else {"state_store": store})
    )


def start_transfer(
    context: Context, browser: Browser | None = None, **changes: Any
) -> Flow[SessionTransferToken]:
    """Ask for a session transfer token, as the user of *browser*."""
    asked_for = {
        "subject_token": SECRETS["subject_token"],
        "subject_token_type": "urn:acme:support-case",
        "store_options": None if browser is None else browser.request(),
        **changes,
    }
    # As the client does, whose own frames must not show them.
    for name in ("subject_token", "actor_token"):
        asked_for[name] = conceal(asked_for.get(name))
    return request_session_transfer_token(context, **asked_for)


def read_form(asked: EffectLog) -> dict[str, list[str]]:
    """Return the one form that was sent with a subject token."""
    (body,) = [
        (request.body or b"").decode()
        for request in asked.requests
        if b"subject_token" in (request.body or b"")
    ]
    return parse_qs(body)


@pytest.mark.parametrize("token_type", [{}, {"token_type": "N_A"}])
def test_actor_that_is_given(clock: Clock, token_type: dict[str, str]) -> None:
    """The actor's token goes as an ID token, unless it is said to be something else."""
    context = build_client(clock)
    token, asked = play(
        start_transfer(context, organization="org_1", scope="openid", **ACTOR),
        build_response({**TRANSFER, **token_type}),
    )
    sent = read_form(asked)

    assert "stt-1" == token.session_transfer_token
    assert ("N_A", 60) == (token.token_type, token.expires_in)
    assert [f"urn:{DOMAIN}:session_transfer"] == sent["audience"]
    assert [TokenType.ID_TOKEN] == sent["actor_token_type"]
    assert (["org_1"], ["openid"]) == (sent["organization"], sent["scope"])
    assert "stt-1" not in repr(token)


def test_actor_of_another_type(clock: Clock) -> None:
    """An actor's token of another type is sent as what it is."""
    _, asked = play(
        start_transfer(build_client(clock), **ACTOR, actor_token_type="urn:acme:agent"),
        build_response(TRANSFER),
    )

    assert ["urn:acme:agent"] == read_form(asked)["actor_token_type"]


def test_actor_of_the_session(context: Context) -> None:
    """Without an actor it is who is logged in, by the session's ID token."""
    browser = Browser()
    log_in(context, browser, sub="auth0|agent")
    _, asked = play(start_transfer(context, browser), build_response(TRANSFER))
    sent = read_form(asked)

    assert [(read_session(context, browser) or {})["id_token"]] == sent["actor_token"]
    assert [TokenType.ID_TOKEN] == sent["actor_token_type"]


def test_actor_whose_id_token_is_old(context: Context, clock: Clock) -> None:
    """An ID token that is about to expire is refreshed first."""
    browser = Browser()
    log_in(context, browser, {"refresh_token": "r-1"}, exp=int(NOW) + 100)
    clock.wait(80)
    newer = sign_id_token(iat=int(NOW), exp=int(NOW) + 1_000)
    renewed = {**TOKENS, "access_token": "a-2", "id_token": newer}
    _, asked = play(
        start_transfer(context, browser),
        build_response(renewed),
        build_response(TRANSFER),
    )

    assert [newer] == read_form(asked)["actor_token"]


def test_actor_beside_a_wrong_access_token(context: Context, clock: Clock) -> None:
    """An ID token does, whatever API the access token that came with it is for."""
    browser = Browser()
    first = {"refresh_token": "r-1", "access_token": sign_id_token(aud="urn:a")}
    log_in(context, browser, first, {"audience": "urn:a"}, exp=int(NOW) + 100)
    clock.wait(80)
    newer = sign_id_token(iat=int(NOW), exp=int(NOW) + 1_000)
    wrong = sign_id_token(aud="urn:b")
    _, asked = play(
        start_transfer(context, browser),
        build_response({**TOKENS, "access_token": wrong, "id_token": newer}),
        build_response(TRANSFER),
    )

    assert [newer] == read_form(asked)["actor_token"]


def test_actor_beside_an_invalid_id_token(context: Context, clock: Clock) -> None:
    """An invalid ID token is an error, and is not sent as an actor's."""
    browser = Browser()
    log_in(context, browser, {"refresh_token": "r-1"}, exp=int(NOW) + 100)
    clock.wait(80)
    bad = sign_id_token(iat=int(NOW), exp=int(NOW) + 1_000, aud="other")
    error, asked = fail(
        start_transfer(context, browser), build_response({**TOKENS, "id_token": bad})
    )

    assert isinstance(error, IdTokenError)
    assert 1 == len(asked.requests)


def create_unusable_browsers(
    context: Context, clock: Clock
) -> list[tuple[str, Any, list[Any]]]:
    """Return browsers whose session has no valid ID token."""
    nobody, expired, lost = Browser(), Browser(), Browser()
    log_in(context, expired, exp=int(NOW) + 100)
    log_in(context, lost, {"refresh_token": "r-1"}, exp=int(NOW) + 100)
    without = {**TOKENS, "access_token": "a-2"}
    return [
        ("nobody", nobody, []),
        ("expired", expired, []),
        ("refused", lost, [build_refusal(403, "invalid_grant")]),
        ("no newer one", lost.copy(), [build_response(without)]),
    ]


@pytest.mark.parametrize("number", range(4))
def test_no_actor(context: Context, clock: Clock, number: int) -> None:
    """Without a valid ID token there is no actor, and nothing is exchanged."""
    _, browser, replies = create_unusable_browsers(context, clock)[number]
    clock.wait(200)
    error, asked = fail(start_transfer(context, browser), *replies)

    assert isinstance(error, CustomTokenExchangeError)
    assert (Code.ACTOR_UNAVAILABLE, "validate") == (error.code, error.phase)
    assert [] == [
        request for request in asked.requests if b"subject_token" in request.body
    ]


def test_no_actor_and_no_sessions(clock: Clock) -> None:
    """A client that keeps no sessions has no actor of its own."""
    error, asked = fail(start_transfer(build_client(clock)))

    assert (Code.ACTOR_UNAVAILABLE, []) == (error.code, asked.requests)


def test_refresh_that_fails(context: Context, clock: Clock) -> None:
    """A refresh that may succeed the next time is told as it is."""
    browser = Browser()
    log_in(context, browser, {"refresh_token": "r-1"}, exp=int(NOW) + 100)
    clock.wait(200)
    error, _ = fail(
        start_transfer(context, browser), build_refusal(401, "invalid_client")
    )

    assert isinstance(error, RefusedError)
    assert "invalid_client" == error.code


def test_store_that_fails(clock: Clock, store: PaperStore) -> None:
    """A store that cannot be read is told as it is."""
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser)
    store.failing = ["get"]
    error, _ = fail(start_transfer(context, browser))

    assert isinstance(error, StoreError)


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"subject_token": " "}, "subject_token"),
        ({"subject_token_type": ""}, "subject_token_type"),
        ({"actor_token": ""}, "actor_token"),
        ({"actor_token_type": "urn:acme:agent"}, "actor_token"),
        ({"organization": ""}, "organization"),
        ({"scope": 5}, "scope"),
    ],
)
def test_bad_input(clock: Clock, changes: dict[str, Any], parameter: str) -> None:
    """Arguments that break a rule are refused before a session is read or anything is sent."""
    error, asked = fail(start_transfer(build_client(clock), **changes))

    assert isinstance(error, InvalidInputError)
    assert (parameter, []) == (error.parameter, list(asked))


def test_public_application(clock: Clock) -> None:
    """An application that cannot prove itself is refused here."""
    error, asked = fail(
        start_transfer(build_client(clock, client_auth="none"), **ACTOR)
    )

    assert isinstance(error, InvalidInputError)
    assert ("client_auth", []) == (error.parameter, list(asked))


@pytest.mark.parametrize(
    "body",
    [
        TOKENS,
        {**TOKENS, "issued_token_type": TokenType.ACCESS_TOKEN},
        {k: v for k, v in TOKENS.items() if k != "issued_token_type"},
    ],
)
def test_another_token(clock: Clock, body: dict[str, Any]) -> None:
    """Another token in its place is not passed off as one."""
    error, _ = fail(start_transfer(build_client(clock), **ACTOR), build_response(body))

    assert isinstance(error, InvalidResponseError)
    assert error.tokens_issued


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (
            "invalid_request",
            "setActor is required when requesting a session transfer token via token "
            "exchange.",
            Code.SETACTOR_REQUIRED,
        ),
        ("setactor_required", "no", Code.SETACTOR_REQUIRED),
        (
            "invalid_request",
            "Session Transfer Tokens cannot be requested on this tenant.",
            Code.SESSION_TRANSFER_DISABLED,
        ),
        ("session_transfer_disabled", "no", Code.SESSION_TRANSFER_DISABLED),
        ("invalid_request", "something else", "invalid_request"),
        ("access_denied", "setActor is required", "access_denied"),
    ],
)
def test_refusals(clock: Clock, error: str, said: str, code: str) -> None:
    """Refusals whose codes Auth0 has announced have them already."""
    failure, _ = fail(
        start_transfer(build_client(clock), **ACTOR), build_refusal(400, error, said)
    )

    assert isinstance(failure, RefusedError)
    assert (code, said) == (failure.code, failure.message)
