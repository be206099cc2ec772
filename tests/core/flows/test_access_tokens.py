"""Access tokens of a session: good for a while yet, and no refresh token spent twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Response, Share
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.errors import (
    AmbiguousError,
    Auth0Error,
    ConfigurationError,
    IdTokenError,
    InvalidInputError,
    InvalidResponseError,
    LoginRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    StoreError,
)
from auth0_tx.values import RetryPolicy, SessionPolicy
from tests.core.browser import (
    Browser,
    LateStore,
    PaperStore,
    build_session_client,
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
    build_refusal,
    build_response,
    fail,
    play,
)

ONCE = RetryPolicy(attempts=1)
OFFLINE = {"refresh_token": "r-1", "expires_in": 3_600}
API = "https://api.example.com"


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=["cookies", "store"])
def keeping(request: pytest.FixtureRequest, store: PaperStore) -> dict[str, Any]:
    """The keywords of each of the two ways to keep sessions."""
    return {} if request.param == "cookies" else {"state_store": store}


@pytest.fixture
def context(clock: Clock, keeping: dict[str, Any]) -> Context:
    """A client that keeps sessions, and sends nothing again."""
    return build_session_client(clock, retry=ONCE, **keeping)


@pytest.fixture
def browser(context: Context) -> Browser:
    """A browser whose user is logged in, for an hour, with a refresh token."""
    browser = Browser()
    log_in(context, browser, OFFLINE)
    return browser


def ask_for_token(
    context: Context, browser: Browser, *replies: Any, **wanted: Any
) -> tuple[str, EffectLog]:
    """Ask for an access token."""
    return play(get_access_token(context, browser.request(), **wanted), *replies)


def ask_in_vain(
    context: Context, browser: Browser, *replies: Any, **wanted: Any
) -> tuple[Auth0Error, EffectLog]:
    """Ask for an access token in vain."""
    return fail(get_access_token(context, browser.request(), **wanted), *replies)


def build_refresh_response(number: int = 2, **members: Any) -> Response:
    """Build the response to a refresh, with numbered tokens."""
    body = {
        "access_token": f"a-{number}",
        "refresh_token": f"r-{number}",
        "token_type": "Bearer",
        "expires_in": 3_600,
        **members,
    }
    return build_response({k: v for k, v in body.items() if v is not ...})


def list_forms(asked: EffectLog) -> list[dict[str, str]]:
    """Return the forms that were sent to the token endpoint."""
    from urllib.parse import parse_qsl

    return [
        dict(parse_qsl((request.body or b"").decode()))
        for request in asked.requests
        if request.url == TOKEN_ENDPOINT
    ]


def test_fresh(context: Context, browser: Browser) -> None:
    """A token that lasts is given as it is, with nothing sent, and does not print."""
    token, asked = ask_for_token(context, browser)

    assert (SECRETS["access_token"], []) == (token, asked.requests)
    assert SECRETS["access_token"] not in repr(token)


@pytest.mark.parametrize(("left", "sends"), [(61, 0), (60, 1), (1, 1), (-1, 1)])
def test_margin(
    context: Context, clock: Clock, browser: Browser, left: int, sends: int
) -> None:
    """A token is renewed a minute before it expires."""
    clock.wait(3_600 - left)
    token, asked = ask_for_token(context, browser, *[build_refresh_response()] * sends)

    assert sends == len(list_forms(asked))
    assert ("a-2" if sends else SECRETS["access_token"]) == token


def test_no_margin(clock: Clock, keeping: dict[str, Any]) -> None:
    """The margin is a setting."""
    context = build_session_client(
        clock, session_policy=SessionPolicy(refresh_margin=0), **keeping
    )
    browser = Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_599)

    assert SECRETS["access_token"] == ask_for_token(context, browser)[0]


def test_refresh(context: Context, clock: Clock, browser: Browser) -> None:
    """A refresh says what RFC 6749 section 6 says, and the session keeps what it brought."""
    clock.wait(3_600)
    _, asked = ask_for_token(context, browser, build_refresh_response())
    again, nothing = ask_for_token(context, browser)
    session = read_session(context, browser) or {}

    assert [
        {
            "grant_type": "refresh_token",
            "refresh_token": "r-1",
            "client_id": "the-client",
            "client_secret": SECRETS["client_secret"],
        }
    ] == list_forms(asked)
    assert ("a-2", []) == (again, nothing.requests)
    assert "r-2" == session["refresh_token"]
    assert session["id_token"]
    assert 1 == len(session["token_sets"])


def test_refresh_token_that_stays(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """Where no new refresh token comes, the old one stays; so does the ID token."""
    clock.wait(3_600)
    before = read_session(context, browser) or {}
    ask_for_token(context, browser, build_refresh_response(refresh_token=...))
    after = read_session(context, browser) or {}

    assert ("r-1", before["id_token"]) == (after["refresh_token"], after["id_token"])


def test_scope_that_is_left_out(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A refresh without a scope has the scope that was granted before."""
    clock.wait(3_600)
    ask_for_token(context, browser, build_refresh_response())
    token, asked = ask_for_token(context, browser, scope="read:data")

    assert ("a-2", []) == (token, asked.requests)


def test_another_audience(context: Context, clock: Clock, browser: Browser) -> None:
    """Each audience has its own token, and neither takes the other's place."""
    api, asked = ask_for_token(
        context, browser, build_refresh_response(), audience=API, scope="read:data"
    )
    default, nothing = ask_for_token(context, browser)
    again, none = ask_for_token(context, browser, audience=API)

    assert (API, "read:data") == (
        list_forms(asked)[0]["audience"],
        list_forms(asked)[0]["scope"],
    )
    assert ("a-2", SECRETS["access_token"], "a-2") == (api, default, again)
    assert ([], []) == (nothing.requests, none.requests)


def test_audience_of_the_login(context: Context, clock: Clock) -> None:
    """Without an audience it is the login's, which a refresh need not name."""
    browser = Browser()
    log_in(context, browser, OFFLINE, {"audience": API})
    unnamed, nothing = ask_for_token(context, browser)
    clock.wait(3_600)
    named, asked = ask_for_token(
        context, browser, build_refresh_response(), audience=API
    )
    again, none = ask_for_token(context, browser)

    assert (SECRETS["access_token"], []) == (unnamed, nothing.requests)
    assert ("a-2", "a-2", []) == (named, again, none.requests)
    assert "audience" not in list_forms(asked)[0]


def test_more_scope(context: Context, browser: Browser) -> None:
    """A token with fewer scopes than asked for is not used."""
    token, asked = ask_for_token(
        context, browser, build_refresh_response(), scope="write:data"
    )

    assert ("a-2", "write:data") == (token, list_forms(asked)[0]["scope"])
    assert [] == ask_for_token(context, browser, scope="write:data")[1].requests


def test_lifetime_that_is_left_out(context: Context) -> None:
    """A token of unknown lifetime is returned as long as the session lasts."""
    browser = Browser()
    log_in(context, browser, {"expires_in": ...})

    assert SECRETS["access_token"] == ask_for_token(context, browser)[0]


@pytest.mark.parametrize(
    ("wanted", "parameter"), [({"audience": ""}, "audience"), ({"scope": 5}, "scope")]
)
def test_bad_input(
    context: Context, browser: Browser, wanted: dict[str, Any], parameter: str
) -> None:
    """Arguments that break a rule are refused before anything is read or sent."""
    error, asked = ask_in_vain(context, browser, **wanted)

    assert isinstance(error, InvalidInputError)
    assert (parameter, []) == (error.parameter, list(asked))


def test_nobody(context: Context) -> None:
    """Without a session the user must log in."""
    error, _ = ask_in_vain(context, Browser())

    assert isinstance(error, LoginRequiredError)
    assert "login_required" == error.code


def test_no_refresh_token(context: Context, clock: Clock) -> None:
    """A session without a refresh token ends with its access token, and says what to do."""
    browser = Browser()
    log_in(context, browser, act={"sub": "auth0|agent"})
    clock.wait(86_400 - 30)
    still_good, _ = ask_for_token(context, browser)
    clock.wait(30)
    # The session is used, and so goes on.
    error, _ = ask_in_vain(context, browser)

    assert SECRETS["access_token"] == still_good
    assert isinstance(error, LoginRequiredError)
    assert "offline_access" in (error.hint or "")


def test_sessions_that_are_not_kept(clock: Clock) -> None:
    """A client that keeps no sessions says so."""
    error, _ = ask_in_vain(build_session_client(clock, secret=None), Browser())

    assert isinstance(error, ConfigurationError)


def test_no_response(clock: Clock) -> None:
    """New tokens must be kept in a cookie, so without a response nothing is refreshed."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    error, asked = fail(get_access_token(context, browser.request(answered=False)))

    assert isinstance(error, InvalidInputError)
    assert ("store_options", []) == (error.parameter, asked.requests)


def test_no_response_with_a_store(clock: Clock, store: PaperStore) -> None:
    """With a store, a refresh keeps its tokens without a response."""
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    token, _ = play(
        get_access_token(context, browser.request(answered=False)),
        build_refresh_response(),
    )

    assert ("a-2", []) == (token, ask_for_token(context, browser)[1].requests)


FAILURES = [
    (NotSentError("no", retry_safe=True), NotSentError),
    (build_refusal(429, "too_many_requests", retry_after="30"), RateLimitError),
    (build_refusal(401, "invalid_client"), RefusedError),
    (build_refusal(503, "unavailable"), RefusedError),
]


@pytest.mark.parametrize(("reply", "kind"), FAILURES)
def test_failure_that_may_pass(
    context: Context,
    clock: Clock,
    browser: Browser,
    reply: Any,
    kind: type[Auth0Error],
) -> None:
    """A refresh that fails is told, and may be tried again with the same refresh token."""
    clock.wait(3_600)
    error, _ = ask_in_vain(context, browser, reply)
    token, asked = ask_for_token(context, browser, build_refresh_response())

    assert kind is type(error)
    assert ("a-2", "r-1") == (token, list_forms(asked)[0]["refresh_token"])


@pytest.mark.parametrize("reply", [reply for reply, _ in FAILURES])
def test_failure_within_the_margin(
    context: Context, clock: Clock, browser: Browser, reply: Any
) -> None:
    """While the old token lasts, a refresh that fails is nobody's trouble."""
    clock.wait(3_570)
    token, asked = ask_for_token(context, browser, reply)

    assert SECRETS["access_token"] == token
    assert 1 == len(asked.requests)


def test_refusal(context: Context, clock: Clock, browser: Browser) -> None:
    """A refresh token that is refused is not sent again: the user must log in."""
    clock.wait(3_600)
    first, _ = ask_in_vain(
        context, browser, build_refusal(403, "invalid_grant", "Unknown")
    )
    second, asked = ask_in_vain(context, browser)

    assert isinstance(first, LoginRequiredError)
    assert ("invalid_grant", 403, "Unknown") == (
        first.code,
        first.status,
        first.message,
    )
    assert isinstance(second, LoginRequiredError)
    assert "spent" in second.message
    assert [] == asked.requests


LOST = [
    (AmbiguousError("lost"), AmbiguousError),
    (build_response(b"<html>", 502), AmbiguousError),
    (build_response(b"{", 200), InvalidResponseError),
]


@pytest.mark.parametrize(("reply", "kind"), LOST)
def test_answer_that_is_lost(
    context: Context,
    clock: Clock,
    browser: Browser,
    reply: Any,
    kind: type[Auth0Error],
) -> None:
    """A refresh whose answer is lost is never sent again; what is still good is given."""
    ask_for_token(
        context, browser, build_refresh_response(access_token="a-api"), audience=API
    )
    clock.wait(1_000)
    ask_for_token(
        context,
        browser,
        build_refresh_response(3, access_token="a-other"),
        audience="urn:other",
    )
    clock.wait(2_600)
    error, asked = ask_in_vain(context, browser, reply)
    still_good, nothing = ask_for_token(context, browser, audience="urn:other")
    after, none = ask_in_vain(context, browser)

    assert kind is type(error)
    assert 1 == len(asked.requests)
    assert ("a-other", []) == (still_good, nothing.requests)
    assert isinstance(after, LoginRequiredError)
    assert [] == none.requests


def test_retries(clock: Clock, keeping: dict[str, Any]) -> None:
    """Only what cannot have spent the refresh token is sent again."""
    context = build_session_client(clock, retry=RetryPolicy(retry_503=True), **keeping)
    browser = Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    _, asked = ask_for_token(
        context,
        browser,
        NotSentError("no", retry_safe=True),
        build_refusal(429, "too_many_requests", retry_after="1"),
        build_refresh_response(),
    )
    clock.wait(3_600)
    error, once = ask_in_vain(
        context, browser, build_refusal(503, "unavailable", retry_after="1")
    )

    assert 3 == len(asked.requests)
    assert isinstance(error, RefusedError)
    assert 1 == len(once.requests)


@pytest.mark.parametrize(
    "claims",
    [{"sub": "auth0|other"}, {"iss": "https://other.example/"}, {"aud": "other"}],
    ids=str,
)
def test_id_token_of_another(
    context: Context, clock: Clock, browser: Browser, claims: dict[str, Any]
) -> None:
    """A refresh whose ID token is of another user or issuer brings nothing."""
    clock.wait(3_600)
    error, _ = ask_in_vain(
        context,
        browser,
        build_refresh_response(id_token=sign_id_token(**claims)),
        build_jwks_response("key-1"),
    )
    after, asked = ask_in_vain(context, browser)

    assert isinstance(error, IdTokenError)
    assert error.tokens_issued
    assert isinstance(after, LoginRequiredError)
    assert [] == asked.requests


def test_id_token(context: Context, clock: Clock, browser: Browser) -> None:
    """A newer ID token takes the place of the one that was, once it is verified."""
    clock.wait(3_600)
    newer = sign_id_token(iat=int(NOW) + 3_600, exp=int(NOW) + 9_000)
    _, asked = ask_for_token(
        context,
        browser,
        build_refresh_response(id_token=newer),
        build_jwks_response("key-1"),
    )

    assert newer == (read_session(context, browser) or {})["id_token"]
    assert 1 == len(list_forms(asked))


def test_id_token_that_cannot_be_verified(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """Without keys to tell, the tokens are kept and the ID token is the one that was."""
    before = (read_session(context, browser) or {})["id_token"]
    clock.wait(3_600)
    newer = sign_id_token("key-2")
    token, _ = ask_for_token(
        context,
        browser,
        build_refresh_response(id_token=newer),
        build_response(b"down", 404),
    )

    assert "a-2" == token
    assert before == (read_session(context, browser) or {})["id_token"]


def test_requests_with_an_old_cookie(clock: Clock) -> None:
    """Requests of one browser with the old cookie get the tokens of its first refresh."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    late = [browser.copy() for _ in range(3)]
    clock.wait(3_600)
    ask_for_token(context, browser, build_refresh_response())
    tokens = [ask_for_token(context, browser)[0] for browser in late]
    kept = {(read_session(context, browser) or {})["refresh_token"] for browser in late}

    assert (["a-2"] * 3, {"r-2"}) == (tokens, kept)


def test_an_old_cookie_after_a_while(clock: Clock) -> None:
    """The outcome of a refresh token is forgotten after a while."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_for_token(context, browser, build_refresh_response())
    clock.wait(60)
    error, asked = ask_in_vain(context, late, build_refusal(403, "invalid_grant"))

    assert isinstance(error, LoginRequiredError)
    assert 1 == len(asked.requests)


def test_another_audience_in_the_meantime(clock: Clock) -> None:
    """Who waits for a refresh for another audience goes on with its refresh token."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_for_token(context, browser, build_refresh_response())
    token, asked = ask_for_token(context, late, build_refresh_response(3), audience=API)

    assert ("a-3", "r-2") == (token, list_forms(asked)[0]["refresh_token"])


def test_lost_in_the_meantime(clock: Clock) -> None:
    """Who waits for a refresh whose answer is lost does not send it again."""
    context, browser = build_session_client(clock, retry=ONCE), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_in_vain(context, browser, AmbiguousError("lost"))
    error, asked = ask_in_vain(context, late)

    assert isinstance(error, AmbiguousError)
    assert [] == asked.requests


def test_one_flight(context: Context, clock: Clock, browser: Browser) -> None:
    """All who ask at once ask under one key, which tells nothing of the token."""
    clock.wait(3_600)
    _, asked = ask_for_token(context, browser, build_refresh_response())
    (share,) = [effect for effect in asked if isinstance(effect, Share)]

    assert "r-1" not in json.dumps(repr(share.key))


# With a store.


@pytest.fixture
def shared(clock: Clock, store: PaperStore) -> tuple[Context, Context, Browser]:
    """Two processes' clients over one store, and a browser that is logged in."""
    one = build_session_client(clock, state_store=store, retry=ONCE)
    other = build_session_client(clock, state_store=store, retry=ONCE)
    browser = Browser()
    log_in(one, browser, OFFLINE)
    clock.wait(3_600)
    return one, other, browser


def test_another_process_was_faster(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Who gets the lock after another has refreshed gives what that one brought."""
    one, other, browser = shared
    store.before["set"] = lambda: ask_for_token(
        other, browser, build_refresh_response()
    )
    token, asked = ask_for_token(one, browser)

    assert ("a-2", []) == (token, asked.requests)


def test_another_process_has_lost_the_answer(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Who gets the lock after another has lost a refresh's answer sends nothing more."""
    one, other, browser = shared
    store.before["set"] = lambda: ask_in_vain(other, browser, AmbiguousError("lost"))
    error, asked = ask_in_vain(one, browser)

    assert isinstance(error, LoginRequiredError)
    assert "spent" in error.message
    assert [] == asked.requests


def test_another_process_holds_the_lock(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A lock whose holder has died ends by itself, and another goes on."""
    one, _, browser = shared
    (key,) = store.list_sessions()
    lock = key.replace("session:", "lock:")
    store.values[lock] = (b"somebody who died", clock.now + 6)
    token, asked = play(
        get_access_token(one, browser.request()), build_refresh_response(), clock=clock
    )

    assert "a-2" == token
    assert 6 <= sum(asked.waits) < 6.1
    assert lock not in store.values


def test_lock_that_is_held_too_long(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Who waits for the lock gives up at the deadline, with nothing sent."""
    one, _, browser = shared
    (key,) = store.list_sessions()
    lock = key.replace("session:", "lock:")
    store.values[lock] = (b"somebody who lives", clock.now + 60)
    error, asked = fail(get_access_token(one, browser.request()), clock=clock)

    assert isinstance(error, NotSentError)
    assert error.retry_safe
    assert [] == asked.requests


def test_session_that_ends_meanwhile(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A session that is logged out before the lock is had is not refreshed."""
    one, _, browser = shared
    (key,) = store.list_sessions()
    store.before["set"] = lambda: store.values.pop(key)
    error, asked = ask_in_vain(one, browser)

    assert isinstance(error, LoginRequiredError)
    assert [] == asked.requests


def test_logout_during_a_refresh(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A refresh that ends after a logout does not bring the session back."""
    one, _, browser = shared
    (key,) = store.list_sessions()

    def respond(request: Any) -> Response:
        store.values.pop(key)
        return build_refresh_response()

    token, _ = play(get_access_token(one, browser.request()), respond)

    assert "a-2" == token
    assert [] == store.list_sessions()


def test_write_by_another_during_a_refresh(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A write by another process meanwhile stays, and so does the newest refresh token."""
    one, other, browser = shared

    def respond(request: Any) -> Response:
        clock.wait(10_000)
        # Notes the use.
        read_session(other, browser)
        return build_refresh_response()

    play(get_access_token(one, browser.request()), respond)

    assert "r-2" == (read_session(one, browser) or {})["refresh_token"]


def test_writes_that_are_always_late(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """If others are always faster to write, the call fails with a store error."""
    one, _, browser = shared
    real = store.set

    def set_in_vain(key: str, *arguments: Any, **named: Any) -> bool:
        if key.startswith("session:"):
            return False
        return real(key, *arguments, **named)

    store.set = set_in_vain  # type: ignore[method-assign]
    error, _ = fail(get_access_token(one, browser.request()), build_refresh_response())

    assert isinstance(error, StoreError)
    assert error.tokens_issued


@pytest.mark.parametrize("failing_after", ["set", "get"])
def test_store_that_fails_after_a_refresh(
    clock: Clock,
    store: PaperStore,
    shared: tuple[Context, Context, Browser],
    failing_after: str,
) -> None:
    """New tokens are not lost with a failed write: the next call has them, and sends nothing."""
    one, _, browser = shared

    def respond(request: Any) -> Response:
        store.failing = [failing_after] * (2 if failing_after == "set" else 1)
        if failing_after == "get":
            # Somebody else's write has the session read again.
            (key,) = store.list_sessions()
            value, until = store.values[key]
            store.values[key] = (value + b" ", until)
        return build_refresh_response()

    error, _ = fail(get_access_token(one, browser.request()), respond)
    if failing_after == "get":
        (key,) = store.list_sessions()
        value, until = store.values[key]
        store.values[key] = (value.strip(), until)
    token, asked = ask_for_token(one, browser)

    assert isinstance(error, StoreError)
    assert error.tokens_issued
    assert ("a-2", []) == (token, asked.requests)


def test_lock_that_cannot_be_left(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A lock that cannot be deleted ends by itself, and nothing is lost."""
    one, _, browser = shared
    store.failing = ["delete"]
    token, _ = ask_for_token(one, browser, build_refresh_response())

    assert "a-2" == token


def test_store_that_fails(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Without the lock nothing is sent."""
    one, _, browser = shared
    store.failing = ["set", "set"]
    error, asked = fail(get_access_token(one, browser.request()))

    assert isinstance(error, StoreError)
    assert [] == asked.requests


def test_lock_whose_answer_is_lost(clock: Clock) -> None:
    """A lock that was taken although the answer was lost is ours."""
    store = LateStore(clock)
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    store.lost = ["set"]
    token, _ = ask_for_token(context, browser, build_refresh_response())

    assert "a-2" == token


def test_refresh_is_within_its_lock(
    clock: Clock, shared: tuple[Context, Context, Browser]
) -> None:
    """Work under a lock ends before the lock does."""
    one, _, browser = shared
    start = clock.now
    _, asked = ask_for_token(one, browser, build_refresh_response())
    sends = [effect for effect in asked if hasattr(effect, "prepare")]

    assert [start + 5.0] == [send.deadline for send in sends]
