"""Answers to a refresh, in a table: by status, body and members, and what is kept of each.

A refresh token is dropped when Auth0 answers ``invalid_grant``, and for no other reason.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Response
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.errors import (
    AmbiguousError,
    Auth0Error,
    BlockedError,
    ClientClosedError,
    IdTokenError,
    InvalidResponseError,
    LoginRequiredError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.values import RetryPolicy
from tests.core.browser import (
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response, forge_id_token, sign_id_token
from tests.core.world import (
    NOW,
    SECRETS,
    Clock,
    build_refusal,
    build_response,
    fail,
    play,
)

LATER = int(NOW) + 3_600
MANY_KEYS = build_jwks_response("key-1", "key-2")


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock) -> Context:
    """A client that keeps sessions, in each of the two ways, and sends nothing again."""
    keeping = {} if request.param == "cookies" else {"state_store": PaperStore(clock)}
    return build_session_client(clock, retry=RetryPolicy(attempts=1), **keeping)


@pytest.fixture
def browser(context: Context, clock: Clock) -> Browser:
    """A browser whose access token has just expired, with a refresh token."""
    browser = Browser()
    log_in(context, browser, {"refresh_token": "r-1", "expires_in": 3_600})
    clock.wait(3_600)
    return browser


def build_tokens(**members: Any) -> Response:
    """Build the answer that issues tokens; members that are ``...`` are left out."""
    tokens = {
        "access_token": "a-2",
        "refresh_token": "r-2",
        "token_type": "Bearer",
        "expires_in": 3_600,
        "scope": "openid read:data",
        **members,
    }
    return build_response({k: v for k, v in tokens.items() if v is not ...})


def build_id_token(**claims: Any) -> str:
    """Build an ID token of the session's user, issued by the time of the refresh."""
    return sign_id_token(**{"iat": LATER, "exp": LATER + 36_000, **claims})


HTML = {"content_type": "text/html"}
PAGE = b"<html>The service is not available.</html>"

# Each row: the answer, the error that it means, whether the call may be made again, and the
# refresh token that the session has afterwards.
FAILURES: dict[str, tuple[Any, type[Auth0Error], bool, str | None]] = {
    # No answer at all.
    "not sent": (NotSentError("no", retry_safe=True), NotSentError, True, "r-1"),
    "lost": (AmbiguousError("lost"), AmbiguousError, True, "r-1"),
    "client closed": (ClientClosedError("closed"), ClientClosedError, False, "r-1"),
    # Refusals.
    **{
        f"invalid_grant with {status}": (
            build_refusal(status, "invalid_grant", "Unknown or invalid refresh token."),
            LoginRequiredError,
            False,
            None,
        )
        for status in (400, 401, 403)
    },
    **{
        f"{code} with {status}": (
            build_refusal(status, code),
            RefusedError,
            False,
            "r-1",
        )
        for status, code in (
            (400, "invalid_request"),
            (400, "invalid_scope"),
            (401, "invalid_client"),
            (401, "unauthorized_client"),
            (403, "access_denied"),
            (403, "unauthorized_client"),
            (403, "invalid_grants"),
        )
    },
    "mfa_required": (
        build_refusal(403, "mfa_required"),
        MfaRequiredError,
        False,
        "r-1",
    ),
    "408": (build_refusal(408, "request_timeout"), RefusedError, True, "r-1"),
    "408 without a body": (build_response(b"", 408), RefusedError, True, "r-1"),
    "429": (build_refusal(429, "too_many_requests"), RateLimitError, True, "r-1"),
    "429 with a page": (
        build_response(PAGE, 429, **HTML),
        RateLimitError,
        True,
        "r-1",
    ),
    "blocked": (build_refusal(429, "too_many_attempts"), BlockedError, False, "r-1"),
    # Bodies that say nothing: a code that is cut off is none.
    **{
        f"{status} with {name}": (
            build_response(body, status, **headers),
            RefusedError,
            False,
            "r-1",
        )
        for status in (400, 401, 403)
        for name, body, headers in (
            ("a page", PAGE, HTML),
            ("nothing", b"", {}),
            ("half of it", b'{"error":"invalid_grant"', {}),
            ("a list", b'["invalid_grant"]', {}),
        )
    },
    "a redirect": (
        build_response(b"", 302, location="https://login.example.com/"),
        InvalidResponseError,
        False,
        "r-1",
    ),
    # The server failed.
    **{
        f"{status} with {name}": (
            build_response(body, status, **headers),
            AmbiguousError,
            True,
            "r-1",
        )
        for status in (500, 502, 503, 504)
        for name, body, headers in (
            ("a page", PAGE, HTML),
            ("nothing", b"", {}),
            ("half of it", b'{"error":', {}),
            ("a list", b"[]", {}),
        )
    },
    **{
        f"{status} in JSON": (
            build_refusal(status, "server_error"),
            RefusedError,
            True,
            "r-1",
        )
        for status in (500, 502, 503, 504)
    },
    # A 200 that cannot be read, but for its refresh token: that one is a rotation's.
    **{
        f"200 with {name}": (answer, InvalidResponseError, False, refresh_token)
        for name, answer, refresh_token in (
            ("a page", build_response(PAGE, 200, **HTML), "r-1"),
            ("nothing", build_response(b""), "r-1"),
            (
                "half of it",
                build_response(b'{"access_token":"a-2","refresh_token":"r-2"'),
                "r-1",
            ),
            ("a list", build_response([]), "r-1"),
            ("no access token", build_tokens(access_token=...), "r-2"),
            ("an empty access token", build_tokens(access_token=""), "r-2"),
            ("another type", build_tokens(token_type="DPoP"), "r-2"),
            ("no type", build_tokens(token_type=...), "r-2"),
            ("a lifetime that is no number", build_tokens(expires_in="soon"), "r-2"),
            ("a lifetime of nothing", build_tokens(expires_in=0), "r-2"),
            ("a refresh token that is a number", build_tokens(refresh_token=7), "r-1"),
            ("an ID token that is a list", build_tokens(id_token=["x"]), "r-2"),
            ("a scope that is a list", build_tokens(scope=["openid"]), "r-2"),
            (
                "a type of token that is a list, and no rotation",
                build_tokens(issued_token_type=["x"], refresh_token=...),
                "r-1",
            ),
            (
                "a media type that is wrong",
                attrs.evolve(build_tokens(), headers=[("Content-Type", "text/plain")]),
                "r-2",
            ),
        )
    },
    "201 with tokens": (
        attrs.evolve(build_tokens(), status=201),
        InvalidResponseError,
        False,
        "r-2",
    ),
    "201": (build_response(b"{}", 201), InvalidResponseError, False, "r-1"),
    # An error with status 200.
    "200 with invalid_grant": (
        build_response({"error": "invalid_grant"}),
        LoginRequiredError,
        False,
        None,
    ),
    # An ID token that is not to be trusted: the refresh token is a rotation's.
    **{
        f"an ID token {name}": (
            [build_tokens(id_token=id_token), MANY_KEYS],
            IdTokenError,
            False,
            "r-2",
        )
        for name, id_token in {
            "of another issuer": build_id_token(iss="https://other.example/"),
            "for another client": build_id_token(aud="other"),
            "that has expired": build_id_token(iat=LATER - 9_000, exp=LATER - 100),
            "without a subject": build_id_token(sub=...),
            "that nobody signed": forge_id_token("key-1"),
            "of another user that nobody signed": forge_id_token(
                "key-1", sub="auth0|other"
            ),
        }.items()
    },
    "an ID token that is no JWT": (
        [build_tokens(id_token="opaque"), MANY_KEYS],
        IdTokenError,
        False,
        "r-2",
    ),
    "an invalid ID token, and no rotation": (
        [build_tokens(id_token=build_id_token(aud="x"), refresh_token=...), MANY_KEYS],
        IdTokenError,
        False,
        "r-1",
    ),
    # Nothing in the answer is this user's.
    "an ID token of another user": (
        [build_tokens(id_token=build_id_token(sub="auth0|other")), MANY_KEYS],
        IdTokenError,
        False,
        "r-1",
    ),
}


@pytest.mark.parametrize(
    ("replies", "kind", "retry_safe", "refresh_token"),
    FAILURES.values(),
    ids=FAILURES,
)
def test_failure(
    context: Context,
    clock: Clock,
    browser: Browser,
    replies: Any,
    kind: type[Auth0Error],
    retry_safe: bool,
    refresh_token: str | None,
) -> None:
    """After a failure the session has the refresh token that may still be good, and no token."""
    before = read_session(context, browser) or {}
    replies = replies if isinstance(replies, list) else [replies]
    error, _ = fail(get_access_token(context, browser.request()), *replies)
    after = read_session(context, browser) or {}

    assert (kind, retry_safe) == (type(error), error.retry_safe)
    assert refresh_token == after["refresh_token"]
    assert {**before, "refresh_token": refresh_token} == after
    again = get_access_token(context, browser.request())
    if refresh_token is None:
        # It is not sent again, in this process or another.
        refused, nothing = fail(again)
        assert isinstance(refused, LoginRequiredError)
        assert [] == nothing.requests
    else:
        token, _ = play(again, build_tokens(access_token="a-3"))
        assert "a-3" == token


@pytest.mark.parametrize(
    ("replies", "refresh_token"),
    [(row[0], row[3]) for row in FAILURES.values()],
    ids=FAILURES,
)
def test_failure_within_the_margin(
    context: Context,
    clock: Clock,
    browser: Browser,
    replies: Any,
    refresh_token: str | None,
) -> None:
    """While the token that was lasts, it is returned; what is kept is the same."""
    # The clock of the fixture stands at its end.
    clock.wait(-30)
    replies = replies if isinstance(replies, list) else [replies]
    token, asked = play(get_access_token(context, browser.request()), *replies)

    assert SECRETS["access_token"] == token
    assert len(asked.requests) >= 1
    assert refresh_token == (read_session(context, browser) or {})["refresh_token"]


NEWER = build_id_token(name="Alice B.")

# Each row: members of the answer, the refresh token, whether the ID token is the newer one,
# and the scope and the lifetime that the new token set has.
SUCCESSES: dict[str, tuple[dict[str, Any], str, bool, str | None, int | None]] = {
    "everything": ({"id_token": NEWER}, "r-2", True, "openid read:data", 3_600),
    "no ID token": ({}, "r-2", False, "openid read:data", 3_600),
    **{
        f"{name} is {absent!r}": (
            {"id_token": NEWER, name: absent},
            "r-1" if name == "refresh_token" else "r-2",
            name != "id_token",
            "openid read:data",
            None if name == "expires_in" else 3_600,
        )
        for name in ("refresh_token", "id_token", "scope", "issued_token_type")
        for absent in (..., None, "")
        if (name, absent) != ("scope", "")
    },
    "no scope at all": ({"scope": ""}, "r-2", False, "", 3_600),
    **{
        f"expires_in is {absent!r}": (
            {"expires_in": absent},
            "r-2",
            False,
            "openid read:data",
            None,
        )
        for absent in (..., None)
    },
    "the same refresh token": (
        {"refresh_token": "r-1"},
        "r-1",
        False,
        "openid read:data",
        3_600,
    ),
    "less scope": ({"scope": "openid"}, "r-2", False, "openid", 3_600),
    "more scope": ({"scope": "openid a b"}, "r-2", False, "openid a b", 3_600),
    "a quoted lifetime": ({"expires_in": "60"}, "r-2", False, "openid read:data", 60),
    "members that nobody knows": (
        {"ext_expires_in": 5, "error": None, "act": {"sub": "x"}},
        "r-2",
        False,
        "openid read:data",
        3_600,
    ),
}


@pytest.mark.parametrize(
    ("members", "refresh_token", "is_newer", "scope", "lifetime"),
    SUCCESSES.values(),
    ids=SUCCESSES,
)
def test_success(
    context: Context,
    browser: Browser,
    members: dict[str, Any],
    refresh_token: str,
    is_newer: bool,
    scope: str | None,
    lifetime: int | None,
) -> None:
    """What an answer brings is kept; for what it leaves out, what was there."""
    before = read_session(context, browser) or {}
    keys = [MANY_KEYS] if is_newer else []
    token, _ = play(
        get_access_token(context, browser.request()), build_tokens(**members), *keys
    )
    after = read_session(context, browser) or {}
    (token_set,) = after["token_sets"]

    assert "a-2" == token == token_set["access_token"]
    assert refresh_token == after["refresh_token"]
    assert (NEWER if is_newer else before["id_token"]) == after["id_token"]
    assert ("Alice B." if is_newer else None) == after["user"].get("name")
    expires_at = None if lifetime is None else LATER + lifetime
    assert (scope, LATER, expires_at) == (
        token_set["scope"],
        token_set["issued_at"],
        token_set["expires_at"],
    )


@pytest.mark.parametrize(
    "keys",
    [build_response(b"down", 404), build_response(PAGE, 500), AmbiguousError("lost")],
    ids=["not found", "down", "lost"],
)
def test_keys_that_are_unavailable(
    context: Context, browser: Browser, keys: Any
) -> None:
    """Without keys to tell, the tokens are kept, and the ID token and user that were."""
    before = read_session(context, browser) or {}
    newer = sign_id_token("key-2", iat=LATER, exp=LATER + 9_000, name="B")
    token, _ = play(
        get_access_token(context, browser.request()), build_tokens(id_token=newer), keys
    )
    after = read_session(context, browser) or {}

    assert ("a-2", "r-2") == (token, after["refresh_token"])
    assert (before["id_token"], before["user"]) == (after["id_token"], after["user"])


def test_rotation_with_an_invalid_id_token_is_remembered(clock: Clock) -> None:
    """Late requests with the old cookie go on with the refresh token that came."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser, {"refresh_token": "r-1", "expires_in": 3_600})
    late = browser.copy()
    clock.wait(3_600)
    bad = build_tokens(id_token=build_id_token(aud="other"))
    fail(get_access_token(context, browser.request()), bad, MANY_KEYS)

    def answer(request: Any) -> Response:
        assert b"refresh_token=r-2" in (request.body or b"")
        return build_tokens(access_token="a-3", refresh_token="r-3")

    token, asked = play(get_access_token(context, late.request()), answer)

    assert ("a-3", 1) == (token, len(asked.requests))
    assert "r-3" == (read_session(context, late) or {})["refresh_token"]
