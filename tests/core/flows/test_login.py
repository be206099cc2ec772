"""Logging in: a session for whom the verified ID token names, and for nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.errors import (
    ConfigurationError,
    CustomTokenExchangeError,
    IdTokenError,
    InvalidInputError,
    RefusedError,
    StoreError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.session_values import LoginWithCustomTokenExchangeResult
from tests.core.browser import (
    COOKIE,
    SECRET,
    Browser,
    LateStore,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DOMAIN,
    NOW,
    SECRETS,
    Clock,
    EffectLog,
    build_client,
    build_response,
    fail,
    play,
)

IN_COOKIES, IN_STORE = "cookies", "store"


@pytest.fixture
def browser() -> Browser:
    """A browser that has been nowhere."""
    return Browser()


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=[IN_COOKIES, IN_STORE])
def context(request: pytest.FixtureRequest, clock: Clock, store: PaperStore) -> Context:
    """A client that keeps sessions, in each of the two ways."""
    return build_session_client(
        clock, state_store=None if request.param == IN_COOKIES else store
    )


def start_login(
    context: Context, browser: Browser, **changes: Any
) -> Flow[LoginWithCustomTokenExchangeResult]:
    """Return the flow of a login."""
    return login_with_custom_token_exchange(
        context, build_login_options(**changes), browser.request()
    )


def log_in_in_vain(
    context: Context, browser: Browser, *replies: Any, **changes: Any
) -> tuple[CustomTokenExchangeError, EffectLog]:
    """Try to log in, which must fail and leave no session."""
    error, asked = fail(start_login(context, browser, **changes), *replies)
    assert {} == browser.cookies
    return error, asked


def test_login(context: Context, browser: Browser) -> None:
    """Who logs in is whom the ID token names, with what it says, also on the next request."""
    act = {"sub": "auth0|agent"}
    made = log_in(context, browser, {"refresh_token": "r-1"}, email="a@b.c", act=act)
    user, _ = play(get_user(context, browser.request()))
    session = read_session(context, browser)

    assert user == made["user"]
    assert ("auth0|user", "a@b.c", act) == (user["sub"], user["email"], user["act"])
    assert session == {k: v for k, v in made.items() if k != "internal"}
    assert ("r-1", DOMAIN) == (made["refresh_token"], made["domain"])
    assert [
        {
            "audience": "default",
            "aud": None,
            "access_token": SECRETS["access_token"],
            "scope": "openid read:data",
            "requested_scope": "openid",
            "issued_at": int(NOW),
            "expires_at": int(NOW) + 86_400,
        }
    ] == made["token_sets"]
    internal = made["internal"]
    assert (int(NOW), int(NOW) + 259_200) == (
        internal["created_at"],
        internal["expires_at"],
    )


@pytest.mark.parametrize(
    ("asked_for", "sent"),
    [
        (None, "openid"),
        ("read:data", "openid read:data"),
        ("read:data openid", "read:data openid"),
        ("openidx", "openid openidx"),
    ],
)
def test_openid(
    context: Context, browser: Browser, asked_for: str | None, sent: str
) -> None:
    """The scope is what was asked for, with openid in it; the session tells what was sent."""
    result, asked = play(
        start_login(
            context, browser, scope=asked_for, audience="https://api.example.com"
        ),
        build_token_response(),
        build_jwks_response("key-1"),
    )
    body = (asked.requests[0].body or b"").decode()

    assert f"scope={sent.replace(' ', '+').replace(':', '%3A')}" in body
    (tokens,) = result.state_data["token_sets"]
    assert ("https://api.example.com", sent) == (
        tokens["audience"],
        tokens["requested_scope"],
    )


@pytest.mark.parametrize("scope", ["", 5, ["openid"], "openid  twice", "ä"])
def test_bad_scope(context: Context, browser: Browser, scope: Any) -> None:
    """A scope that breaks a rule is refused, before anything is sent."""
    error, asked = log_in_in_vain(context, browser, scope=scope)

    assert ("scope", []) == (error.parameter, asked.requests)


def test_other_options(context: Context, browser: Browser) -> None:
    """Values that aren't options are refused before anything is sent."""
    flow = login_with_custom_token_exchange(
        context,
        {"subject_token": SECRETS["subject_token"]},  # type: ignore[arg-type]
        browser.request(),
    )
    error, asked = fail(flow)

    assert ("options", []) == (error.parameter, asked.requests)


@pytest.mark.parametrize(
    "configured",
    [
        {"secret": None},
        {"secret": None, "state_store": CookieStore()},
    ],
    ids=["nothing", "cookies without a secret"],
)
def test_no_sessions_are_kept(
    clock: Clock, browser: Browser, configured: dict[str, Any]
) -> None:
    """A client that keeps no sessions says so, before anything is sent."""
    context = build_client(clock, **configured)
    error, asked = log_in_in_vain(context, browser)

    assert isinstance(error, ConfigurationError)
    assert ("secret", []) == (error.parameter, asked.requests)
    for flow in (get_user(context, browser.request()), get_session(context)):
        failure, _ = fail(flow)
        assert isinstance(failure, ConfigurationError)


def test_a_store_needs_no_secret(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """With a store, the browser's id alone seals the session."""
    context = build_client(clock, state_store=store)
    made = log_in(context, browser)
    another = build_session_client(clock, state_store=store)

    assert made["user"] == (read_session(context, browser) or {})["user"]
    assert read_session(another, browser) is None


def test_no_response(context: Context, browser: Browser) -> None:
    """Without a response there is nowhere to set the cookie; nothing is sent."""
    flow = login_with_custom_token_exchange(
        context, build_login_options(), browser.request(answered=False)
    )
    error, asked = fail(flow)

    assert isinstance(error, InvalidInputError)
    assert ("store_options", []) == (error.parameter, asked.requests)


def test_no_id_token(context: Context, browser: Browser) -> None:
    """Without an ID token nobody is logged in, and the tokens are known to be out."""
    error, _ = log_in_in_vain(context, browser, build_token_response({"id_token": ...}))

    assert isinstance(error, IdTokenError)
    assert (Code.MISSING_ID_TOKEN, True) == (error.code, error.tokens_issued)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "another-client"}, "aud"),
        ({"iss": "https://other.example/"}, "iss"),
        ({"exp": int(NOW) - 3_600}, "exp"),
        ({"org_id": "org_OTHER"}, "org_id"),
        ({"sub": ...}, "sub"),
    ],
)
def test_untrue_id_token(
    context: Context, browser: Browser, claims: dict[str, Any], said: str
) -> None:
    """An ID token that does not hold logs nobody in: also one for another organization."""
    error, _ = log_in_in_vain(
        context,
        browser,
        build_token_response(**claims),
        build_jwks_response("key-1"),
        organization="org_MINE" if said == "org_id" else None,
    )

    assert isinstance(error, IdTokenError)
    assert said in error.message
    assert error.tokens_issued


def test_organization(context: Context, browser: Browser) -> None:
    """The organization asked for by its name is the one in the ID token."""
    made = log_in(context, browser, options={"organization": "Acme"}, org_name="acme")

    assert "acme" == made["user"]["org_name"]


def test_no_keys(context: Context, browser: Browser) -> None:
    """Without the tenant's keys nobody can be told, so nobody is logged in."""
    error, _ = log_in_in_vain(
        context, browser, build_token_response(), build_response({"keys": []})
    )

    assert isinstance(error, IdTokenError)


def test_refusal(context: Context, browser: Browser) -> None:
    """A refused exchange leaves the session that was, and makes none."""
    log_in(context, browser)
    before = dict(browser.cookies)
    error, _ = fail(
        start_login(context, browser), build_response({"error": "invalid_request"}, 400)
    )

    assert isinstance(error, RefusedError)
    assert before == browser.cookies


def test_another_user(context: Context, store: PaperStore, browser: Browser) -> None:
    """Logging in over somebody else's session leaves nothing of it, and a new id."""
    log_in(context, browser, {"refresh_token": "r-1"}, email="first@example.com")
    first = browser.copy()
    log_in(context, browser, sub="auth0|second")
    second = read_session(context, browser) or {}

    assert first.cookies != browser.cookies
    assert "auth0|second" == second["user"]["sub"]
    assert "email" not in second["user"]
    assert second["refresh_token"] is None
    if store.calls:
        assert read_session(context, first) is None
        assert 1 == len(store.list_sessions())


def test_an_id_is_never_taken_over(clock: Clock, store: PaperStore) -> None:
    """An id that an attacker has put into a browser names no session, and never will."""
    context = build_session_client(clock, state_store=store)
    browser = Browser({COOKIE: "A" * 43})
    before = read_session(context, browser)
    log_in(context, browser)

    assert before is None
    assert "A" * 43 != browser.cookies[COOKIE]
    assert read_session(context, Browser({COOKIE: "A" * 43})) is None


def test_session_expiry(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """An ID token's session_expiry ends the session, however long the policy is."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser, session_expiry=int(NOW) + 100)
    clock.wait(99)
    before = read_session(context, browser)
    clock.wait(1)

    assert before is not None
    assert read_session(context, browser) is None


def test_session_expiry_in_the_past(context: Context, browser: Browser) -> None:
    """A session that is over before it begins is refused."""
    error, _ = log_in_in_vain(
        context,
        browser,
        build_token_response(session_expiry=int(NOW) - 1_000),
        build_jwks_response("key-1"),
    )

    assert isinstance(error, IdTokenError)
    assert "session_expiry" in error.message


def test_store_that_fails_once(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """A write that fails once is tried again: what was issued must be kept."""
    store.failing = ["set"]
    context = build_session_client(clock, state_store=store)
    made = log_in(context, browser)

    assert made["user"] == (read_session(context, browser) or {})["user"]


def test_store_that_hangs(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """A write that took long to fail is not tried again: a store that hangs does so twice."""
    context = build_session_client(clock, state_store=store)
    store.failing = ["set"]
    store.before["set"] = lambda: clock.wait(1.0)
    error, _ = log_in_in_vain(
        context, browser, build_token_response(), build_jwks_response("key-1")
    )

    assert isinstance(error, StoreError)
    assert 1 == store.calls.count("set")


def test_store_whose_answer_is_lost(clock: Clock, browser: Browser) -> None:
    """A write that was taken although its answer was lost counts."""
    store = LateStore(clock)
    store.lost = ["set"]
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)

    assert read_session(context, browser) is not None


@pytest.mark.parametrize(
    "failing", [["set", "set"], ["add_to_index", "add_to_index"]], ids=str
)
def test_store_that_fails(
    clock: Clock, store: PaperStore, browser: Browser, failing: list[str]
) -> None:
    """A session that cannot be kept is an error, which has the tokens and shows none."""
    store.failing = failing
    context = build_session_client(clock, state_store=store)
    error, _ = log_in_in_vain(
        context, browser, build_token_response(), build_jwks_response("key-1")
    )

    assert isinstance(error, StoreError)
    assert ("store", True) == (error.phase, error.tokens_issued)
    assert SECRETS["access_token"] == error.response.access_token
    assert SECRETS["access_token"] not in f"{error!r} {error.args} {vars(error)}"
    assert (None, None) == (error.__cause__, error.__context__)


@pytest.mark.parametrize("reusable", [False, True])
def test_login_again_after_a_store_that_failed(
    clock: Clock, store: PaperStore, browser: Browser, reusable: bool
) -> None:
    """A subject token good for one use is spent by then, so that trying again is not safe."""
    store.failing = ["set", "set"]
    context = build_session_client(clock, state_store=store)
    error, _ = log_in_in_vain(
        context,
        browser,
        build_token_response(),
        build_jwks_response("key-1"),
        subject_token_reusable=reusable,
    )

    assert (True, reusable) == (error.tokens_issued, error.retry_safe)


def test_store_that_cannot_forget(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """A stored session that stays is not a failure: the browser no longer has its id."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)
    store.failing = ["delete", "delete"]
    log_in(context, browser, sub="auth0|second")

    assert "auth0|second" == (read_session(context, browser) or {})["user"]["sub"]


def test_store_that_refuses(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """A store that will not take a new session has failed."""
    context = build_session_client(clock, state_store=store)
    store.set = lambda *_, **__: False  # type: ignore[method-assign]
    error, _ = log_in_in_vain(
        context, browser, build_token_response(), build_jwks_response("key-1")
    )

    assert isinstance(error, StoreError)


def test_too_large_for_cookies(clock: Clock, browser: Browser) -> None:
    """A session that does not fit into cookies is an error, which has the tokens."""
    context = build_session_client(clock, state_store=CookieStore(most_chunks=2))
    error, _ = log_in_in_vain(
        context,
        browser,
        build_token_response(picture="x" * 9_000),
        build_jwks_response("key-1"),
    )

    assert isinstance(error, StoreError)
    assert Code.SESSION_TOO_LARGE == error.code
    assert SECRETS["access_token"] == error.response.access_token


def test_too_large_to_open(context: Context, browser: Browser) -> None:
    """A session that nobody could open again is not kept, wherever it would be."""
    error, _ = log_in_in_vain(
        context,
        browser,
        build_token_response(picture="x" * 48_000),
        build_jwks_response("key-1"),
    )

    assert isinstance(error, StoreError)
    assert Code.SESSION_TOO_LARGE == error.code
    assert SECRETS["access_token"] == error.response.access_token
    assert {} == browser.cookies


def test_cookies_of_a_session_that_shrinks(clock: Clock, browser: Browser) -> None:
    """Cookies that a smaller session does not need are deleted."""
    context = build_session_client(
        clock, state_store=CookieStore(longest_chunk=500, most_chunks=40)
    )
    log_in(context, browser, picture="x" * 5_000)
    many = len(browser.cookies)
    log_in(context, browser)

    assert len(browser.cookies) < many
    assert read_session(context, browser) is not None


def test_cookie(context: Context, browser: Browser) -> None:
    """The cookie is this host's, sent over https alone, and lasts as long as the session."""
    log_in(context, browser)
    for cookie in browser.told:
        assert cookie.name.startswith(COOKIE)
        assert (259_200, "/", None, True, "lax") == (
            cookie.max_age,
            cookie.path,
            cookie.domain,
            cookie.secure,
            cookie.same_site,
        )


def test_nothing_is_readable(
    context: Context, store: PaperStore, browser: Browser
) -> None:
    """Neither cookies nor store hold anything of a user, a token or a secret."""
    log_in(context, browser, {"refresh_token": SECRETS["refresh_token"]}, email="a@b.c")
    held = f"{browser.cookies} {browser.told} {store.values} {dict(store.index)}"
    needles = [*SECRETS.values(), SECRET, "auth0|user", "a@b.c", "eyJ0eXAi"]

    assert [] == [needle for needle in needles if needle in held]


def test_resolver(clock: Clock, store: PaperStore) -> None:
    """A session is its own tenant's: under another domain there is none."""
    context = build_session_client(
        clock, state_store=store, domain=lambda found: found.get("tenant", DOMAIN)
    )
    browser = Browser()
    from tests.core.world import DOCUMENT

    play(
        start_login(context, browser),
        build_response(DOCUMENT),
        build_token_response(),
        build_jwks_response("key-1"),
    )
    elsewhere, _ = play(
        get_user(context, {**browser.request(), "tenant": "other.us.auth0.com"})
    )
    here, _ = play(get_user(context, browser.request()))

    assert elsewhere is None
    assert here is not None
