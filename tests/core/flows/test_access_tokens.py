"""Access tokens of a session: good for a while yet, and no refresh token spent twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Response, Share
from auth0_tx.core.flows.access_tokens import get_access_token, get_token_set
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
    WrongAudienceError,
)
from auth0_tx.session_values import AccessTokenSet
from auth0_tx.values import RetryPolicy, SessionPolicy
from tests.core.browser import (
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.world import (
    ISSUER,
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
    again, none = ask_for_token(context, browser, audience=API, scope="read:data")

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
    (build_response(b"<html>", 502, content_type="text/html"), AmbiguousError),
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
    """A refresh whose answer is lost may be made again, with the same refresh token."""
    clock.wait(3_600)
    error, asked = ask_in_vain(context, browser, reply)
    token, again = ask_for_token(context, browser, build_refresh_response())

    assert kind is type(error)
    assert (AmbiguousError is kind) == error.retry_safe
    assert 1 == len(asked.requests)
    assert ("a-2", "r-1") == (token, list_forms(again)[0]["refresh_token"])


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
    clock.wait(600)
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


def test_older_answer_that_arrives_last(clock: Clock) -> None:
    """A refresh token is replaced that was spent meanwhile, beside a token that is good."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    late = browser.copy()
    ask_for_token(context, browser, build_refresh_response())
    ask_for_token(context, late, build_refresh_response(3), audience=API)
    before = dict(browser.cookies)
    # Without a response the token is returned all the same.
    unanswered = browser.request(answered=False)
    token, asked = play(get_access_token(context, unanswered))

    assert ("a-2", [], before) == (token, asked.requests, browser.cookies)

    token, asked = ask_for_token(context, browser)

    assert ("a-2", []) == (token, asked.requests)
    assert "r-3" == (read_session(context, browser) or {})["refresh_token"]


def test_refused_in_the_meantime(clock: Clock) -> None:
    """Who comes after a refusal does not send the refresh token again, from any cookie."""
    context, browser = build_session_client(clock, retry=ONCE), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_in_vain(context, browser, build_refusal(403, "invalid_grant"))
    error, asked = ask_in_vain(context, late)

    assert isinstance(error, LoginRequiredError)
    assert "invalid_grant" == error.code
    assert [] == asked.requests
    assert (read_session(context, late) or {})["refresh_token"] is None


def test_lost_in_the_meantime(clock: Clock) -> None:
    """Who comes after a refresh whose answer is lost sends it again."""
    context, browser = build_session_client(clock, retry=ONCE), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_in_vain(context, browser, AmbiguousError("lost"))
    token, _ = ask_for_token(context, late, build_refresh_response())

    assert "a-2" == token


def test_one_flight(context: Context, clock: Clock, browser: Browser) -> None:
    """All who ask at once ask under one key, which tells nothing of the token."""
    clock.wait(3_600)
    _, asked = ask_for_token(context, browser, build_refresh_response())
    (share,) = [effect for effect in asked if isinstance(effect, Share)]

    assert "r-1" not in json.dumps(repr(share.key))


# Several APIs, with one refresh token.


def test_no_rotation(context: Context, clock: Clock, browser: Browser) -> None:
    """Where refresh tokens are not rotated, each API has a refresh of its own, at once."""
    clock.wait(3_600)
    unrotated = {"refresh_token": ...}
    first, _ = ask_for_token(context, browser, build_refresh_response(**unrotated))
    other, asked = ask_for_token(
        context, browser, build_refresh_response(3, **unrotated), audience=API
    )

    assert ("a-2", "a-3") == (first, other)
    assert "r-1" == list_forms(asked)[0]["refresh_token"]


def test_the_same_refresh_token_again(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A refresh token that comes back as the new one is not spent."""
    clock.wait(3_600)
    same = {"refresh_token": "r-1"}
    ask_for_token(context, browser, build_refresh_response(**same))
    other, _ = ask_for_token(
        context, browser, build_refresh_response(3, **same), audience=API
    )

    assert "a-3" == other


def test_outcome_that_has_expired(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """What a refresh brought without rotation is not given when it has expired."""
    clock.wait(3_600)
    short = {"refresh_token": ..., "expires_in": 45}
    first, _ = ask_for_token(context, browser, build_refresh_response(**short))
    still, nothing = ask_for_token(context, browser)
    clock.wait(40)
    second, _ = ask_for_token(context, browser, build_refresh_response(3, **short))

    assert ("a-2", "a-2", "a-3") == (first, still, second)
    assert [] == nothing.requests


def test_requests_with_an_old_cookie_without_rotation(clock: Clock) -> None:
    """Without rotation, too, requests with an old cookie get what the first one brought."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    ask_for_token(context, browser, build_refresh_response(refresh_token=...))
    token, asked = ask_for_token(context, late)

    assert ("a-2", []) == (token, asked.requests)


def test_chain_of_rotations(clock: Clock) -> None:
    """A very old cookie is brought to the newest refresh token, and nothing is sent again."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    late = browser.copy()
    clock.wait(3_600)
    for number in range(2, 7):
        audience = f"urn:api-{number}"
        response = build_refresh_response(number)
        ask_for_token(context, browser, response, audience=audience)
    token, asked = ask_for_token(context, late, audience="urn:api-2")

    assert ("a-2", []) == (token, asked.requests)
    assert "r-6" == (read_session(context, late) or {})["refresh_token"]


def test_circle_of_refresh_tokens(clock: Clock) -> None:
    """A server whose refresh tokens go in a circle does not make a call go on for ever."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, OFFLINE)
    clock.wait(3_600)
    for number in (2, 1):
        response = build_refresh_response(number)
        ask_for_token(context, browser, response, audience=f"urn:api-{number}")
    error, asked = ask_in_vain(context, browser, audience="urn:other")

    assert isinstance(error, NotSentError)
    assert error.retry_safe
    assert [] == asked.requests


@pytest.mark.parametrize("rotates", [True, False])
def test_clock_far_ahead(
    context: Context, clock: Clock, browser: Browser, rotates: bool
) -> None:
    """A new token is returned even if by this clock it was born expired."""
    clock.wait(7_200)
    members: dict[str, Any] = {} if rotates else {"refresh_token": ...}
    for number in (2, 3):
        born_expired = build_access_token("urn:default", exp=int(NOW) + 3_600 + number)
        response = build_refresh_response(number, access_token=born_expired, **members)
        token, asked = ask_for_token(context, browser, response)

        assert born_expired == token
        assert 1 == len(asked.requests)


def build_access_token(*names: str, **claims: Any) -> str:
    """Build an access token that is a JWT for the APIs *names*."""
    return sign_id_token(aud=list(names), **claims)


@pytest.fixture
def visitor(context: Context) -> Browser:
    """A browser whose user logged in for one API, by a token that names it."""
    visitor = Browser()
    first = {**OFFLINE, "access_token": build_access_token(API)}
    log_in(context, visitor, first, {"audience": API})
    return visitor


def test_wrong_audience(context: Context, visitor: Browser) -> None:
    """A token for another API than was asked for is kept as that API's, and not returned."""
    wrong = build_access_token(API, f"{ISSUER}userinfo", exp=int(NOW) + 9_000)
    error, _ = ask_in_vain(
        context,
        visitor,
        build_refresh_response(access_token=wrong, expires_in=9_000),
        audience="urn:other",
    )
    session = read_session(context, visitor) or {}
    token, nothing = ask_for_token(context, visitor, audience=API)

    assert isinstance(error, WrongAudienceError)
    assert ("wrong_audience", True, False) == (
        error.code,
        error.tokens_issued,
        error.retry_safe,
    )
    assert "urn:other" in error.message
    assert "refresh token policies" in (error.hint or "")
    assert "r-2" == session["refresh_token"]
    assert [API] == [each["audience"] for each in session["token_sets"]]
    assert (wrong, []) == (token, nothing.requests)


def test_wrong_audience_of_late_callers(clock: Clock) -> None:
    """Late requests for the wrong API refresh with the newest token, and get the error too."""
    context, browser = build_session_client(clock), Browser()
    first = {**OFFLINE, "access_token": build_access_token(API)}
    log_in(context, browser, first, {"audience": API})
    late = browser.copy()
    wrong = build_access_token(API)
    for number, visitor in ((2, browser), (3, late)):
        response = build_refresh_response(number, access_token=wrong)
        error, asked = ask_in_vain(context, visitor, response, audience="urn:other")
        assert isinstance(error, WrongAudienceError)
        assert [f"r-{number - 1}"] == [f["refresh_token"] for f in list_forms(asked)]


def test_wrong_audience_while_the_right_one_lasts(
    context: Context, clock: Clock, visitor: Browser
) -> None:
    """An API's token that has not quite expired is returned, if only a wrong one is had."""
    right = build_access_token("urn:other")
    response = build_refresh_response(access_token=right)
    ask_for_token(context, visitor, response, audience="urn:other")
    clock.wait(3_570)
    wrong = build_refresh_response(3, access_token=build_access_token(API))
    token, _ = ask_for_token(context, visitor, wrong, audience="urn:other")

    assert right == token


def test_narrow_scope(context: Context, browser: Browser) -> None:
    """A token that one caller asked for with less scope is not given to all others."""
    narrow = build_refresh_response(scope="read:data", expires_in=9_000)
    ask_for_token(context, browser, narrow, scope="openid read:data write:data")
    token, nothing = ask_for_token(context, browser)

    assert ("a-2", []) == (token, nothing.requests)
    less = build_refresh_response(3, scope="write:data", expires_in=99_000)
    ask_for_token(context, browser, less, audience=API, scope="write:data")
    whole, asked = ask_for_token(
        context, browser, build_refresh_response(4, scope="all"), audience=API
    )
    kept, none = ask_for_token(context, browser, audience=API)

    assert ("a-4", "a-4", []) == (whole, kept, none.requests)
    assert "scope" not in list_forms(asked)[0]


# What a newer ID token changes.


def refresh_with_id_token(
    context: Context, browser: Browser, **claims: Any
) -> tuple[str, EffectLog]:
    """Refresh; the answer has an ID token with *claims*."""
    newer = sign_id_token(
        **{"iat": int(NOW) + 3_600, "exp": int(NOW) + 9_000, **claims}
    )
    return ask_for_token(
        context,
        browser,
        build_refresh_response(id_token=newer),
        build_jwks_response("key-1"),
    )


def test_newer_claims(context: Context, clock: Clock) -> None:
    """The user is whom the newest ID token describes, and who acts stays."""
    browser, act = Browser(), {"sub": "auth0|agent"}
    log_in(context, browser, OFFLINE, email_verified=False, act=act, sid="s-1")
    clock.wait(3_600)
    other = {"sub": "auth0|other"}
    refresh_with_id_token(context, browser, email_verified=True, act=other, sid="s-2")
    user = (read_session(context, browser) or {})["user"]

    assert (True, act, "s-1") == (user["email_verified"], user["act"], user["sid"])


def test_newer_end(context: Context, clock: Clock, browser: Browser) -> None:
    """A newer session_expiry ends the session when it says."""
    clock.wait(3_600)
    refresh_with_id_token(context, browser, session_expiry=int(clock.now) + 100)
    clock.wait(99)
    alive = read_session(context, browser)
    clock.wait(1)

    assert alive is not None
    assert read_session(context, browser) is None


@pytest.mark.parametrize("left", [0, 30], ids=["expired", "not quite expired"])
def test_end_that_has_passed(
    context: Context, clock: Clock, browser: Browser, left: int
) -> None:
    """A session_expiry that has passed ends the session at once."""
    clock.wait(3_600 - left)
    newer = sign_id_token(exp=int(NOW) + 9_000, session_expiry=int(clock.now) - 1)
    error, _ = ask_in_vain(
        context,
        browser,
        build_refresh_response(id_token=newer),
        build_jwks_response("key-1"),
    )

    assert isinstance(error, LoginRequiredError)
    assert "ended" in error.message
    assert read_session(context, browser) is None


def test_end_that_is_no_date(context: Context, clock: Clock, browser: Browser) -> None:
    """With an end that is not a date the tokens are kept, and the ID token that was."""
    before = read_session(context, browser) or {}
    clock.wait(3_600)
    token, _ = refresh_with_id_token(context, browser, session_expiry="soon", name="B")
    after = read_session(context, browser) or {}

    assert ("a-2", "r-2") == (token, after["refresh_token"])
    assert (before["id_token"], before["user"]) == (after["id_token"], after["user"])


@pytest.mark.parametrize("org_id", [4711, ["org_1"], {"id": "org_1"}, True, 0.5])
def test_odd_organization(context: Context, clock: Clock, org_id: object) -> None:
    """An org_id of another type, which nobody asked for, does not keep a session from renewal."""
    browser = Browser()
    log_in(context, browser, OFFLINE, org_id=org_id)
    clock.wait(3_600)
    token, _ = refresh_with_id_token(context, browser, org_id=org_id)

    assert "a-2" == token


@pytest.mark.parametrize("organization", ["org_1", "acme"])
def test_organization(context: Context, clock: Clock, organization: str) -> None:
    """A session of an organization stays one."""
    browser = Browser()
    log_in(context, browser, OFFLINE, org_id=organization)
    clock.wait(3_600)
    token, _ = refresh_with_id_token(context, browser, org_id=organization)
    clock.wait(3_600)
    newer = sign_id_token(org_id="org_2")
    error, _ = ask_in_vain(
        context,
        browser,
        build_refresh_response(3, id_token=newer),
        build_jwks_response("key-1"),
    )

    assert "a-2" == token
    assert isinstance(error, IdTokenError)
    assert "org_id" in error.message


# A token with what is known of it.


def ask_for_token_set(
    context: Context, browser: Browser, *replies: Any, **wanted: Any
) -> AccessTokenSet:
    """Ask for an access token, with what is known of it."""
    return play(get_token_set(context, browser.request(), **wanted), *replies)[0]


def test_token_set(context: Context, clock: Clock, browser: Browser) -> None:
    """An access token comes with its expiry and scope, the one at hand or a new one."""
    at_hand = ask_for_token_set(context, browser)
    clock.wait(3_600)
    new = ask_for_token_set(
        context, browser, build_refresh_response(scope="openid read:data")
    )
    token, nothing = ask_for_token(context, browser)

    assert at_hand == AccessTokenSet(
        access_token=SECRETS["access_token"],
        expires_at=int(NOW) + 3_600,
        scope="openid read:data",
        audience=None,
        token_type="Bearer",
    )
    assert ("a-2", int(NOW) + 7_200) == (new.access_token, new.expires_at)
    assert (token, []) == (new.access_token, nothing.requests)
    assert "a-2" not in repr(new)


@pytest.mark.parametrize(
    ("login", "asked", "names", "audience"),
    [
        (API, None, [API], API),
        (API, API, [f"{ISSUER}userinfo", API], API),
        (None, None, [f"{ISSUER}userinfo", API], API),
        (None, None, [f"{ISSUER}userinfo"], f"{ISSUER}userinfo"),
        (API, "urn:b", [API, "urn:b"], "urn:b"),
    ],
)
def test_audience_of_a_token_set(
    context: Context,
    clock: Clock,
    login: str | None,
    asked: str | None,
    names: list[str],
    audience: str,
) -> None:
    """A token set's audience is the API that its token names."""
    browser = Browser()
    options = {} if login is None else {"audience": login}
    log_in(context, browser, OFFLINE, options)
    clock.wait(3_600)
    token = build_access_token(*names)
    found = ask_for_token_set(
        context, browser, build_refresh_response(access_token=token), audience=asked
    )

    assert (token, audience) == (found.access_token, found.audience)


def test_audience_of_an_opaque_token(context: Context, browser: Browser) -> None:
    """A token that does not say whom it is for is returned, its audience unknown."""
    found = ask_for_token_set(context, browser, build_refresh_response(), audience=API)

    assert ("a-2", None) == (found.access_token, found.audience)


def test_token_set_of_unknown_lifetime(context: Context) -> None:
    """A token set says what is not known as None."""
    browser = Browser()
    log_in(context, browser, {"expires_in": ...})

    assert ask_for_token_set(context, browser).expires_at is None


def test_token_set_of_nobody(context: Context) -> None:
    """Without a session there is no token set either, and bad input is refused first."""
    error, _ = fail(get_token_set(context, Browser().request()))
    bad, asked = fail(get_token_set(context, Browser().request(), scope=""))

    assert isinstance(error, LoginRequiredError)
    assert isinstance(bad, InvalidInputError)
    assert [] == list(asked)


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


def test_another_process_is_refused(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Who gets the lock after another's refresh token was refused sends nothing more."""
    one, other, browser = shared
    refusal = build_refusal(403, "invalid_grant")
    store.before["set"] = lambda: ask_in_vain(other, browser, refusal)
    error, asked = ask_in_vain(one, browser)

    assert isinstance(error, LoginRequiredError)
    assert "spent" in error.message
    assert [] == asked.requests


def test_another_process_was_faster_and_then_refused(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """A session that another process has renewed serves, though it has no refresh token."""
    one, other, browser = shared

    def go_ahead() -> None:
        ask_for_token(other, browser, build_refresh_response())
        ask_in_vain(other, browser, build_refusal(403, "invalid_grant"), audience=API)

    store.before["set"] = go_ahead
    token, asked = ask_for_token(one, browser)

    assert ("a-2", []) == (token, asked.requests)


def test_another_process_has_lost_the_answer(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Who gets the lock after another has lost a refresh's answer refreshes."""
    one, other, browser = shared
    store.before["set"] = lambda: ask_in_vain(other, browser, AmbiguousError("lost"))
    token, _ = ask_for_token(one, browser, build_refresh_response())

    assert "a-2" == token


def test_another_process_was_faster_without_rotation(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Where refresh tokens are not rotated, the access token tells that another was faster."""
    one, other, browser = shared
    response = build_refresh_response(refresh_token=...)
    store.before["set"] = lambda: ask_for_token(other, browser, response)
    token, asked = ask_for_token(one, browser)

    assert ("a-2", []) == (token, asked.requests)


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

    def set_in_vain(key: str, value: bytes, **named: Any) -> bool:
        # The lock can be had, but the session cannot be saved.
        return b"~" in value and real(key, value, **named)

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
        store.failing = [failing_after] * 20
        if failing_after == "get":
            # Somebody else's write has the session read again.
            (key,) = store.list_sessions()
            value, until = store.values[key]
            store.values[key] = (value + b" ", until)
        return build_refresh_response()

    error, _ = fail(get_access_token(one, browser.request()), respond)
    store.failing.clear()
    if failing_after == "get":
        (key,) = store.list_sessions()
        value, until = store.values[key]
        store.values[key] = (value.strip(), until)
    # The lock could not be released either, and ends by itself.
    token, asked = play(get_access_token(one, browser.request()), clock=clock)

    assert isinstance(error, StoreError)
    assert error.tokens_issued
    assert ("a-2", []) == (token, asked.requests)


def test_store_that_fails(
    clock: Clock, store: PaperStore, shared: tuple[Context, Context, Browser]
) -> None:
    """Without the lock nothing is sent."""
    one, _, browser = shared
    store.failing = ["set", "set"]
    error, asked = fail(get_access_token(one, browser.request()))

    assert isinstance(error, StoreError)
    assert [] == asked.requests
