"""Exchanging again: how a session without a refresh token gets new tokens."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Send, Share
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.errors import (
    IdTokenError,
    InvalidInputError,
    LoginRequiredError,
    RefusedError,
    WrongAudienceError,
)
from auth0_tx.values import CustomTokenExchangeOptions
from tests.core.browser import (
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.world import (
    NOW,
    SECRETS,
    TOKEN_ENDPOINT,
    Clock,
    EffectLog,
    build_options,
    build_refusal,
    fail,
    play,
)

API = "https://api.example.com"
AGENT = {"sub": "auth0|agent"}


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock) -> Context:
    """A client that keeps sessions, in each of the two ways."""
    store = PaperStore(clock)
    return build_session_client(
        clock, **({} if request.param == "cookies" else {"state_store": store})
    )


@pytest.fixture
def browser(context: Context, clock: Clock) -> Browser:
    """A browser whose session an actor began, and whose tokens have expired."""
    browser = Browser()
    log_in(context, browser, {"expires_in": 3_600}, act=AGENT)
    clock.wait(3_600)
    return browser


def ask_for_token(
    context: Context, browser: Browser, *replies: Any, **wanted: Any
) -> tuple[str, EffectLog]:
    """Ask for an access token, with a supplier of another subject token."""
    wanted = {"subject_token_supplier": build_options, **wanted}
    return play(get_access_token(context, browser.request(), **wanted), *replies)


def build_exchange_responses(**claims: Any) -> list[Any]:
    """Build the responses to another exchange."""
    said = {"iat": int(NOW) + 3_600, "exp": int(NOW) + 40_000, "act": AGENT, **claims}
    return [
        build_token_response({"access_token": "a-2"}, **said),
        build_jwks_response("key-1"),
    ]


def list_forms(asked: EffectLog) -> list[dict[str, list[str]]]:
    """Return the forms that were sent to the token endpoint."""
    return [
        parse_qs((request.body or b"").decode())
        for request in asked.requests
        if request.url == TOKEN_ENDPOINT
    ]


def test_again(context: Context, browser: Browser) -> None:
    """Another exchange for the same user renews the session, its actor included."""
    token, asked = ask_for_token(
        context, browser, *build_exchange_responses(act={"sub": "auth0|second-agent"})
    )
    kept, nothing = ask_for_token(context, browser)
    session = read_session(context, browser) or {}

    assert ("a-2", "a-2", []) == (token, kept, nothing.requests)
    assert "auth0|second-agent" == session["user"]["act"]["sub"]
    (form,) = list_forms(asked)
    assert ["openid"] == form["scope"]
    assert [SECRETS["subject_token"]] == form["subject_token"]


def test_what_is_asked_for(context: Context, browser: Browser) -> None:
    """The audience and scope asked for are those of the exchange, where they are given."""
    supplier = lambda: build_login_options(audience="urn:mine", scope="mine")  # noqa: E731
    _, asked = ask_for_token(
        context,
        browser,
        *build_exchange_responses(),
        audience=API,
        scope="read:data",
        subject_token_supplier=supplier,
    )
    found, nothing = ask_for_token(context, browser, audience=API, scope="read:data")

    (form,) = list_forms(asked)
    assert ([API], ["openid read:data"]) == (form["audience"], form["scope"])
    assert ("a-2", []) == (found, nothing.requests)


def test_what_the_supplier_asks_for(context: Context, browser: Browser) -> None:
    """If the call names no audience and scope, those of the supplier are sent."""
    supplier = lambda: build_options(audience="urn:mine", scope="mine")  # noqa: E731
    _, asked = ask_for_token(
        context, browser, *build_exchange_responses(), subject_token_supplier=supplier
    )

    (form,) = list_forms(asked)
    assert (["urn:mine"], ["openid mine"]) == (form["audience"], form["scope"])


@pytest.mark.parametrize("audience", [None, API], ids=["no audience", "an audience"])
def test_audience_of_the_supplier(
    context: Context, clock: Clock, audience: str | None
) -> None:
    """A token for the supplier's API is found again, so no call spends another subject token."""
    browser = Browser()
    log_in(context, browser, {"expires_in": 3_600}, {"audience": audience}, act=AGENT)
    clock.wait(3_600)
    supplier = lambda: build_options(audience="urn:mine")  # noqa: E731
    ask_for_token(
        context, browser, *build_exchange_responses(), subject_token_supplier=supplier
    )
    found, nothing = ask_for_token(context, browser, subject_token_supplier=supplier)
    same, _ = ask_for_token(context, browser, audience="urn:mine")

    assert ("a-2", "a-2", []) == (found, same, nothing.requests)


def test_wrong_audience_of_the_supplier(
    context: Context, browser: Browser, clock: Clock
) -> None:
    """Callers who name no audience keep the login's if the token is for a third API."""
    supplier = lambda: build_options(audience="urn:mine")  # noqa: E731
    _, keys = build_exchange_responses()
    members = {"access_token": sign_id_token(aud=[API])}
    said = {"iat": int(NOW) + 3_600, "exp": int(NOW) + 40_000}
    error, _ = fail(
        get_access_token(context, browser.request(), subject_token_supplier=supplier),
        build_token_response(members, **said),
        keys,
    )
    _, asked = ask_for_token(context, browser, *build_exchange_responses()[:1])

    assert isinstance(error, WrongAudienceError)
    (form,) = list_forms(asked)
    assert "audience" not in form


@pytest.mark.parametrize("audience", [None, API, "urn:mine"])
def test_refresh_token_of_an_exchange(
    context: Context, clock: Clock, audience: str | None
) -> None:
    """A refresh token is kept if it was issued for the API of callers who name none."""
    browser = Browser()
    log_in(context, browser, {"expires_in": 3_600}, {"audience": API})
    clock.wait(3_600)
    said = {"iat": int(NOW) + 3_600, "exp": int(NOW) + 40_000}
    tokens = {"access_token": "a-2", "refresh_token": "r-1"}
    answers = [build_token_response(tokens, **said), build_jwks_response("key-1")]
    ask_for_token(context, browser, *answers, audience=audience)
    session = read_session(context, browser) or {}

    assert (None if audience == "urn:mine" else "r-1") == session["refresh_token"]


def test_audience_of_the_login(context: Context, clock: Clock) -> None:
    """Where nobody names an audience it is the login's, and is found by it again."""
    browser = Browser()
    log_in(context, browser, {"expires_in": 3_600}, {"audience": API}, act=AGENT)
    clock.wait(3_600)
    _, asked = ask_for_token(context, browser, *build_exchange_responses())
    found, nothing = ask_for_token(context, browser)

    (form,) = list_forms(asked)
    assert [API] == form["audience"]
    assert ("a-2", []) == (found, nothing.requests)


def test_less_scope_than_the_login(context: Context, clock: Clock) -> None:
    """A supplier that asks for less than the login had is not asked at each call."""
    browser = Browser()
    members = {"expires_in": 3_600, "scope": "openid read:data write:data"}
    log_in(context, browser, members, act=AGENT)
    clock.wait(3_600)
    ask_for_token(context, browser, *build_exchange_responses())
    found, nothing = ask_for_token(context, browser)

    assert ("a-2", []) == (found, nothing.requests)


def test_not_while_it_lasts(context: Context) -> None:
    """A supplier is not called for a token that lasts."""
    browser = Browser()
    log_in(context, browser)

    def refuse() -> Any:
        raise AssertionError("called")

    assert (
        SECRETS["access_token"]
        == (ask_for_token(context, browser, subject_token_supplier=refuse)[0])
    )


@pytest.mark.parametrize("given", [None, "token", {"subject_token": "x"}])
def test_supplier_of_something_else(
    context: Context, browser: Browser, given: Any
) -> None:
    """A supplier must give options."""
    error, asked = fail(
        get_access_token(
            context, browser.request(), subject_token_supplier=lambda: given
        )
    )

    assert isinstance(error, InvalidInputError)
    assert ("subject_token_supplier", []) == (error.parameter, asked.requests)


def test_wrong_audience(context: Context, browser: Browser) -> None:
    """A token for another API than was asked for is kept as that API's, and not returned."""
    token = sign_id_token(aud=[API])
    flow = get_access_token(
        context,
        browser.request(),
        audience="urn:other",
        scope="openid",
        subject_token_supplier=build_options,
    )
    _, keys = build_exchange_responses()
    said = {"iat": int(NOW) + 3_600, "exp": int(NOW) + 40_000}
    error, _ = fail(flow, build_token_response({"access_token": token}, **said), keys)
    kept, nothing = ask_for_token(context, browser, audience=API, scope="openid")

    assert isinstance(error, WrongAudienceError)
    assert (True, None) == (error.tokens_issued, error.hint)
    assert (token, []) == (kept, nothing.requests)


def test_end_that_has_passed(context: Context, browser: Browser) -> None:
    """A session_expiry that has passed ends the session, whatever else the exchange brought."""
    flow = get_access_token(
        context, browser.request(), subject_token_supplier=build_options
    )
    error, _ = fail(flow, *build_exchange_responses(session_expiry=int(NOW)))

    assert isinstance(error, LoginRequiredError)
    assert read_session(context, browser) is None


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (build_exchange_responses(sub="auth0|other"), "another user"),
        (build_exchange_responses(aud="other"), "aud"),
        ([build_token_response({"id_token": ...})], "no ID token"),
    ],
    ids=["another user", "another client", "nobody"],
)
def test_tokens_of_another(
    context: Context, browser: Browser, replies: list[Any], said: str
) -> None:
    """Tokens of anybody but the session's own user stay out of it."""
    before = read_session(context, browser)
    flow = get_access_token(
        context, browser.request(), subject_token_supplier=build_options
    )
    error, _ = fail(flow, *replies)

    assert isinstance(error, IdTokenError)
    assert said in error.message
    assert error.tokens_issued
    assert before == read_session(context, browser)


def test_supplier_that_takes_long(
    context: Context, browser: Browser, clock: Clock
) -> None:
    """The supplier's time is not the exchange's, nor that of verifying its ID token."""
    started = clock.now

    def supply() -> CustomTokenExchangeOptions:
        clock.wait(9.0)
        return build_options()

    _, asked = ask_for_token(
        context, browser, *build_exchange_responses(), subject_token_supplier=supply
    )
    exchange, keys = [effect for effect in asked if isinstance(effect, Send)]

    # The client's timeout is 10 seconds, and one document may take 5 of them.
    assert (started + 19.0, started + 14.0) == (exchange.deadline, keys.deadline)


def test_saved_before_the_flight_ends(clock: Clock) -> None:
    """In a store, new tokens are saved by the flight: its callers may all be gone."""
    context = build_session_client(clock, state_store=PaperStore(clock))
    browser = Browser()
    log_in(context, browser, {"expires_in": 3_600}, act=AGENT)
    clock.wait(3_600)
    flow = get_access_token(
        context, browser.request(), subject_token_supplier=build_options
    )
    effect = next(flow)
    while not isinstance(effect, Share):
        effect = flow.send(effect.function(*effect.arguments))
    flow.close()
    play(effect.flow(), *build_exchange_responses())

    assert (
        "a-2"
        == (read_session(context, browser) or {})["token_sets"][-1]["access_token"]
    )


def test_refusal(context: Context, browser: Browser) -> None:
    """A refused exchange is told as it is."""
    flow = get_access_token(
        context, browser.request(), subject_token_supplier=build_options
    )
    error, _ = fail(flow, build_refusal(400, "invalid_request"))

    assert isinstance(error, RefusedError)


def test_no_response(clock: Clock) -> None:
    """New tokens must be kept in a cookie, so without a response nothing is exchanged."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, {"expires_in": 3_600})
    clock.wait(3_600)
    error, asked = fail(
        get_access_token(
            context,
            browser.request(answered=False),
            subject_token_supplier=build_options,
        )
    )

    assert isinstance(error, InvalidInputError)
    assert [] == asked.requests
