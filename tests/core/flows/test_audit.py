"""Audit events: what they have, whose session they are about, and what they never have."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.context import CachedDocument, Context
from auth0_tx.core.effects import Flow
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.audit import report, run_reported
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.logout import (
    end_sessions,
    handle_backchannel_logout,
    logout,
)
from auth0_tx.core.flows.session import get_user
from auth0_tx.core.session.lock import first_mark
from auth0_tx.core.session.pseudonyms import derive_pseudonym_key, make_pseudonym
from auth0_tx.errors import RefusedError, StoreError
from auth0_tx.events import (
    AuditEvent,
    BackchannelLogoutFinished,
    CookieProblem,
    LoginFinished,
    LogoutFinished,
    LogoutTokenRefused,
    SessionCookieRefused,
    SessionRotated,
    SessionsEnded,
)
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    COOKIE,
    OLD_SECRET,
    SECRET,
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
)
from tests.core.flows.test_backchannel_logout import sign_logout_token
from tests.core.id_tokens import build_jwks_response
from tests.core.vectors_tokens import OTHER_RSA
from tests.core.world import (
    DOMAIN,
    METADATA,
    SECRETS,
    Clock,
    build_client,
    build_refusal,
    build_response,
    fail,
    list_kinds,
    play,
    start,
)

KEY = derive_pseudonym_key("the-client", None, [SECRET])
STATE: dict[str, Any] = {
    "user": {"sub": "auth0|user"},
    "domain": DOMAIN,
    "internal": {"id": "the-session"},
    "refresh_token": SECRETS["refresh_token"],
}


def list_audited(asked: Any) -> list[AuditEvent]:
    """Return the audit events among the effects that a flow asked for."""
    return [event for event in asked.events if isinstance(event, AuditEvent)]


def report_alone(context: Context, **given: Any) -> AuditEvent:
    """Report a logout, and return the event."""
    _, asked = play(report(context.begin_call(), LogoutFinished, **given))
    (event,) = asked.events
    assert isinstance(event, LogoutFinished)
    return event


def test_pseudonyms(clock: Clock) -> None:
    """User and session are keyed hashes, which every process computes alike."""
    context = build_session_client(clock, on_event=print)
    event = report_alone(context, state=STATE, started=clock.now - 2)

    assert (
        LogoutFinished(
            domain=DOMAIN,
            client_id="the-client",
            subject=make_pseudonym(KEY, "subject", DOMAIN, "auth0|user"),
            session=make_pseudonym(KEY, "session", DOMAIN, "the-session"),
            seconds=2.0,
        )
        == event
    )


def test_clear(clock: Clock) -> None:
    """An application may ask for them in clear; a text that is too long is cut."""
    context = build_session_client(clock, on_event=print, audit_identifiers="clear")
    event = report_alone(context, state=STATE, started=0.0)
    longest = report_alone(context, subject="u" * 9_000, started=0.0)

    assert ("auth0|user", "the-session") == (event.subject, event.session)
    assert ("u" * 255, None) == (longest.subject, longest.session)


def test_public_client(clock: Clock) -> None:
    """Where nothing is secret, the key is one of the process."""
    context = build_client(
        clock,
        client_auth="none",
        client_secret=None,
        state_store=PaperStore(clock),
        on_event=print,
    )
    event = report_alone(context, subject="auth0|user", started=0.0)

    assert (
        make_pseudonym(context.process_key, "subject", DOMAIN, "auth0|user")
        == event.subject
    )


def test_failure(clock: Clock) -> None:
    """A failure has its code, cut if a server made it long, and Auth0's id of the request."""
    context = build_session_client(clock, on_event=print)
    error = RefusedError("no", "c" * 900, correlation_id="correlation-1")
    event = report_alone(context, error=error, started=0.0)

    assert ("c" * 128, "correlation-1") == (event.code, event.correlation_id)
    assert (None, None) == (event.subject, event.session)


def test_resolver(clock: Clock) -> None:
    """With a resolver, the domain is the session's; before it is known it is empty."""
    context = build_session_client(clock, on_event=print, domain=lambda options: DOMAIN)

    assert DOMAIN == report_alone(context, state=STATE, started=0.0).domain
    assert "" == report_alone(context, started=0.0).domain


def test_no_subscriber(clock: Clock) -> None:
    """Without a subscriber nothing is computed, and nothing is emitted."""
    context = build_session_client(clock)
    call = attrs.evolve(context.begin_call(), context=None)

    # Whatever it looked at would fail.
    assert (None, []) == play(report(call, LogoutFinished, state={}, started=0.0))


def test_outcome(clock: Clock) -> None:
    """A flow that succeeds is reported with what describes its result."""
    call = build_session_client(clock, on_event=print).begin_call()

    def work() -> Flow[str]:
        clock.wait(3)
        yield from ()
        return "result"

    flow = run_reported(
        call, LogoutFinished, work(), lambda result: {"subject": result}, subject="no"
    )
    result, asked = play(flow)
    (event,) = list_audited(asked)

    assert "result" == result
    assert make_pseudonym(KEY, "subject", DOMAIN, "result") == event.subject
    assert (None, 3.0) == (event.code, event.seconds)  # type: ignore[attr-defined]


@pytest.mark.parametrize("subscriber", [None, print])
def test_error(clock: Clock, subscriber: Any) -> None:
    """An error passes as it is, without a context; it is reported if there is a subscriber."""
    context = build_session_client(clock, on_event=subscriber)
    failure = StoreError("no")

    def refuse() -> Flow[None]:
        yield from ()
        raise failure

    flow = run_reported(context.begin_call(), LogoutFinished, refuse(), dict)
    error, asked = fail(flow)

    assert error is failure
    assert (None, None) == (error.__cause__, error.__context__)
    assert [event.code for event in list_audited(asked)] == (
        [] if subscriber is None else ["store_failed"]
    )


def start_login(context: Context, browser: Browser, **changes: Any) -> Flow[Any]:
    """Return the flow of a login."""
    options = build_login_options(**changes)
    return start(login_with_custom_token_exchange, context, options, browser.request())


@pytest.mark.parametrize("store", [False, True], ids=["cookies", "store"])
def test_login(clock: Clock, store: bool) -> None:
    """A login is told of when it has succeeded, with whose session it made."""
    context = build_session_client(
        clock, on_event=print, state_store=PaperStore(clock) if store else None
    )
    replies = build_token_response(sub="auth0|user"), build_jwks_response("key-1")
    _, asked = play(start_login(context, Browser()), *replies)
    (event,) = list_audited(asked)

    assert isinstance(event, LoginFinished)
    assert (DOMAIN, "the-client", None, None) == (
        event.domain,
        event.client_id,
        event.code,
        event.correlation_id,
    )
    assert make_pseudonym(KEY, "subject", DOMAIN, "auth0|user") == event.subject
    assert event == asked.events[-1]


@pytest.mark.parametrize(
    ("changes", "replies", "code", "correlation_id"),
    [
        (
            {},
            [build_refusal(403, "access_denied", x_correlation_id="cor-1")],
            "access_denied",
            "cor-1",
        ),
        ({"subject_token": " spaced"}, [], "invalid_token_format", None),
        (
            {},
            [build_token_response(aud="another-client"), build_jwks_response("key-1")],
            "invalid_id_token",
            None,
        ),
    ],
    ids=["refused", "bad-input", "bad-id-token"],
)
def test_failed_login(
    clock: Clock,
    changes: dict[str, Any],
    replies: list[Any],
    code: str,
    correlation_id: str | None,
) -> None:
    """A login that fails is told of too, and names nobody: nobody is proven."""
    context = build_session_client(clock, on_event=print)
    _, asked = fail(start_login(context, Browser(), **changes), *replies)
    (event,) = list_audited(asked)

    assert (
        LoginFinished(
            domain=DOMAIN,
            client_id="the-client",
            code=code,
            correlation_id=correlation_id,
            seconds=0.0,
        )
        == event
    )


def test_unwatched_login(clock: Clock) -> None:
    """Without a subscriber a login asks for the same effects, less the events."""
    kinds = []
    for subscriber in (None, print):
        context = build_session_client(clock, on_event=subscriber)
        replies = build_token_response(), build_jwks_response("key-1")
        _, asked = play(start_login(context, Browser()), *replies)
        kinds.append([k.__name__ for k in list_kinds(asked) if k.__name__ != "Emit"])

    assert kinds[0] == kinds[1]


def log_in_watched(
    clock: Clock, store: PaperStore | None, **keywords: Any
) -> tuple[Context, Browser]:
    """Return a client with a subscriber, and a browser that is logged in."""
    context = build_session_client(clock, on_event=print, state_store=store, **keywords)
    browser = Browser()
    log_in(context, browser, {"refresh_token": SECRETS["refresh_token"]})
    return context, browser


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_refused_refresh(clock: Clock, stored: bool) -> None:
    """A refresh that is refused can be found in the tenant's logs."""
    context, browser = log_in_watched(clock, PaperStore(clock) if stored else None)
    clock.wait(3_600)
    flow = get_access_token(context, browser.request(), "https://other.example.com")
    refusal = build_refusal(403, "invalid_grant", x_correlation_id="cor-2")
    error, asked = fail(flow, refusal)
    (event,) = list_audited(asked)

    assert isinstance(event, SessionRotated)
    assert ("invalid_grant", "cor-2") == (event.code, event.correlation_id)
    assert "cor-2" == error.correlation_id


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_logout(clock: Clock, stored: bool) -> None:
    """A logout is told of with whose session it ended."""
    store = PaperStore(clock) if stored else None
    context, browser = log_in_watched(clock, store)
    _, asked = play(logout(context, browser.request()))
    (event,) = list_audited(asked)

    assert isinstance(event, LogoutFinished)
    assert make_pseudonym(KEY, "subject", DOMAIN, "auth0|user") == event.subject
    assert (None, 0.0) == (event.code, event.seconds)


def test_logout_of_nobody(clock: Clock) -> None:
    """A visitor without a session is no event; one with an old cookie is, and has no name."""
    context, browser = log_in_watched(clock, None)
    _, asked = play(logout(context, Browser().request()))
    assert [] == list_audited(asked)

    clock.wait(30 * 86_400)
    _, asked = play(logout(context, browser.request()))
    (event,) = list_audited(asked)
    assert (LogoutFinished, None) == (type(event), event.subject)


@pytest.mark.parametrize("policy", ["raise", "no_session"])
def test_logout_that_fails(clock: Clock, policy: Any) -> None:
    """A store that fails is told of, also if the application called that no session."""
    store = PaperStore(clock)
    context, browser = log_in_watched(
        clock, store, session_policy=SessionPolicy(store_failure=policy)
    )
    store.failing = ["delete", "delete"]
    flow = logout(context, browser.request(), revoke=False)
    asked = (fail(flow) if policy == "raise" else play(flow))[1]
    (event,) = list_audited(asked)

    assert (LogoutFinished, "store_failed") == (type(event), event.code)
    assert make_pseudonym(KEY, "subject", DOMAIN, "auth0|user") == event.subject


def test_logout_without_a_domain(clock: Clock) -> None:
    """If the resolver names no tenant, the browser is logged out, which is an event."""
    _, browser = log_in_watched(clock, None)
    context = build_session_client(clock, on_event=print, domain=lambda options: "")
    error, asked = fail(logout(context, browser.request()))
    (event,) = list_audited(asked)

    assert (LogoutFinished, error.code, "") == (type(event), event.code, event.domain)
    assert browser.is_logged_out


def test_backchannel_logout(clock: Clock) -> None:
    """A logout token is told of with the user that it names, and how many sessions ended."""
    store = PaperStore(clock)
    context, _ = log_in_watched(clock, store)
    log_in(context, Browser())
    token = sign_logout_token()
    audited = [
        list_audited(played(handle_backchannel_logout(context, token))[1])
        for played in (play, fail)
    ]
    subject = make_pseudonym(KEY, "subject", DOMAIN, "auth0|user")
    who = {"domain": DOMAIN, "client_id": "the-client", "subject": subject}

    assert [
        [BackchannelLogoutFinished(**who, sessions=2, seconds=0.0)],
        [
            LogoutTokenRefused(
                **who,
                code="invalid_logout_token",
                reason="replayed",
                rule="the logout token has been used before",
            )
        ],
    ] == audited


@pytest.mark.parametrize(
    ("token", "rule"),
    [
        ("eyJhbGciOiJub25lIn0.e30.", "the token's alg is not an accepted algorithm"),
        (sign_logout_token(key=OTHER_RSA), "the token's signature is invalid"),
        (sign_logout_token(jti=None), "the logout token's jti is not a string"),
        ("x" * 70_000, "the token is longer than"),
    ],
    ids=["none", "forged", "no-jti", "long"],
)
def test_refused_logout_token(clock: Clock, token: str, rule: str) -> None:
    """A token that is refused is told of with the rule it breaks, and names nobody."""
    context, _ = log_in_watched(clock, PaperStore(clock))
    _, asked = fail(handle_backchannel_logout(context, token))
    (event,) = list_audited(asked)

    assert isinstance(event, LogoutTokenRefused)
    assert ("invalid_logout_token", "invalid") == (event.code, event.reason)
    assert (None, None) == (event.subject, event.session)
    assert event.rule.startswith(rule)
    assert 256 >= len(event.rule)


@pytest.mark.parametrize(
    ("failing", "replies", "code", "is_verified"),
    [
        ("delete", [], "store_failed", True),
        ("", [build_response(b"", 404)], "signing_key_unavailable", False),
    ],
    ids=["store", "keys"],
)
def test_backchannel_logout_that_fails(
    clock: Clock, failing: str, replies: list[Any], code: str, is_verified: bool
) -> None:
    """A failure that is not the token's is told of as one of the logout."""
    store = PaperStore(clock)
    context, _ = log_in_watched(clock, store)
    store.failing = [failing] * 2
    if not is_verified:
        context = build_session_client(clock, on_event=print, state_store=store)
    flow = handle_backchannel_logout(context, sign_logout_token())
    _, asked = fail(flow, *replies)
    (event,) = list_audited(asked)

    assert isinstance(event, BackchannelLogoutFinished)
    assert (code, 0, is_verified) == (
        event.code,
        event.sessions,
        event.subject is not None,
    )


def test_end_sessions(clock: Clock) -> None:
    """Logging a user out everywhere is told of with how many sessions ended, also if none."""
    store = PaperStore(clock)
    context, _ = log_in_watched(clock, store)
    log_in(context, Browser())
    events = [
        list_audited(played(end_sessions(context, sub="auth0|user"))[1])
        for played in (play, play)
    ]
    log_in(context, Browser())
    store.failing = ["delete"]
    events.append(list_audited(fail(end_sessions(context, sub="auth0|user"))[1]))
    subject = make_pseudonym(KEY, "subject", DOMAIN, "auth0|user")

    def expect(sessions: int, code: str | None = None) -> list[AuditEvent]:
        return [
            SessionsEnded(
                domain=DOMAIN,
                client_id="the-client",
                subject=subject,
                code=code,
                by="end_sessions",
                sessions=sessions,
                seconds=0.0,
            )
        ]

    assert [expect(2), expect(0), expect(0, "store_failed")] == events


def test_surplus_sessions(clock: Clock) -> None:
    """A login that ends older sessions is told of with the session that it made."""
    store = PaperStore(clock)
    context, _ = log_in_watched(
        clock, store, session_policy=SessionPolicy(max_sessions=2)
    )
    audited: list[list[AuditEvent]] = []
    for failing in ("", "", "read_index"):
        store.failing = [failing]
        _, asked = play(
            start_login(context, Browser()),
            build_token_response(),
            lambda request: build_jwks_response("key-1"),
        )
        audited.append(list_audited(asked))
    (first,), (ended, login), (failed, _) = audited

    assert (LoginFinished, LoginFinished) == (type(first), type(login))
    assert ended == attrs.evolve(
        SessionsEnded(
            domain=DOMAIN,
            client_id="the-client",
            by="max_sessions",
            sessions=1,
            seconds=0.0,
        ),
        subject=login.subject,
        session=login.session,
    )
    assert isinstance(failed, SessionsEnded)
    assert ("store_failed", 0) == (failed.code, failed.sessions)


def read(context: Context, browser: Browser) -> list[AuditEvent]:
    """Read a browser's session, which must be none, and return what an audit is told."""
    user, asked = play(get_user(context, browser.request()))
    assert user is None
    return list_audited(asked)


def expect_refusal(reason: CookieProblem, state: Any = None) -> list[AuditEvent]:
    """Return the event about a cookie that is not a session, or is that of *state*."""
    session_id = None if state is None else state["internal"]["id"]
    return [
        SessionCookieRefused(
            domain=DOMAIN,
            client_id="the-client",
            subject=session_id
            and make_pseudonym(KEY, "subject", DOMAIN, state["user"]["sub"]),
            session=session_id and make_pseudonym(KEY, "session", DOMAIN, session_id),
            code="login_required",
            reason=reason,
        )
    ]


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_reading(clock: Clock, stored: bool) -> None:
    """Reading a valid session is no event, and neither is a visitor without one."""
    context, browser = log_in_watched(clock, PaperStore(clock) if stored else None)
    clock.wait(3 * 3_600)
    user, asked = play(get_user(context, browser.request()))

    assert user is not None
    assert [] == asked.events
    assert [] == read(context, Browser())
    assert [] == read(context, Browser({"another": "cookie", f"{COOKIE}.used": "x"}))


JUNK: list[tuple[str, dict[str, str]]] = [
    ("text", {COOKIE: "made-up"}),
    ("empty", {COOKIE: ""}),
    ("id", {COOKIE: "A" * 44}),
    ("jwe", {COOKIE: "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA"}),
    ("long", {COOKIE: "x" * 200_000}),
    ("gap", {f"{COOKIE}.1": "x"}),
    ("chunks", {f"{COOKIE}.{number}": "x" for number in range(50)}),
    ("lone surrogate", {COOKIE: "\ud800"}),
]


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
@pytest.mark.parametrize(
    "cookies", [j for _, j in JUNK], ids=[name for name, _ in JUNK]
)
def test_junk(clock: Clock, cookies: dict[str, str], stored: bool) -> None:
    """A made-up cookie is one event, which has nothing of it."""
    context, _ = log_in_watched(clock, PaperStore(clock) if stored else None)

    assert expect_refusal("unreadable") == read(context, Browser(cookies))


@given(st.dictionaries(st.sampled_from([COOKIE, f"{COOKIE}.0"]), st.text(), min_size=1))
def test_any_cookie(cookies: dict[str, str]) -> None:
    """Whatever a visitor makes up is one event."""
    clock = Clock()
    context = build_session_client(clock, on_event=print)

    assert expect_refusal("unreadable") == read(context, Browser(cookies))


def test_altered_cookie(clock: Clock) -> None:
    """A cookie that was altered, or sealed with a secret that is gone, is unreadable."""
    context, browser = log_in_watched(clock, None)
    altered = browser.copy()
    altered.cookies[COOKIE] = altered.cookies[COOKIE][:-1]
    later = build_session_client(clock, on_event=print, secret=OLD_SECRET)

    assert expect_refusal("unreadable") == read(context, altered)
    assert ["unreadable"] == [event.reason for event in read(later, browser)]  # type: ignore[attr-defined]


def test_unknown_id(clock: Clock) -> None:
    """An id that the store does not know is told of as such."""
    store = PaperStore(clock)
    context, browser = log_in_watched(clock, store)
    browser.cookies[COOKIE] = "A" * 43
    assert expect_refusal("not_found") == read(context, browser)


def test_stored_junk(clock: Clock) -> None:
    """What somebody else wrote to the store is unreadable."""
    store = PaperStore(clock)
    context, browser = log_in_watched(clock, store)
    (key,) = store.list_sessions()
    store.values[key] = (b"\xff junk", clock.now + 60)

    assert expect_refusal("unreadable") == read(context, browser)


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_expired_session(clock: Clock, stored: bool) -> None:
    """A session that is over is told of with whose it was."""
    store = PaperStore(clock) if stored else None
    context = build_session_client(clock, on_event=print, state_store=store)
    browser = Browser()
    state = log_in(context, browser)
    # Of another policy: a store forgets by itself when the time is over by its own.
    shorter = build_session_client(
        clock,
        on_event=print,
        state_store=store,
        session_policy=SessionPolicy(idle_seconds=60),
    )
    clock.wait(60)

    assert expect_refusal("expired", state) == read(shorter, browser)


def test_locked_session(clock: Clock) -> None:
    """The mark of a lock does not hide why a stored session is none."""
    store = PaperStore(clock)
    context = build_session_client(clock, on_event=print, state_store=store)
    browser = Browser()
    state = log_in(context, browser)
    (key,) = store.list_sessions()
    value, until = store.values[key]
    store.values[key] = (value + first_mark(b"owner"), until)
    shorter = build_session_client(
        clock,
        on_event=print,
        state_store=store,
        session_policy=SessionPolicy(idle_seconds=60),
    )
    clock.wait(60)

    assert expect_refusal("expired", state) == read(shorter, browser)


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_ended_session(clock: Clock, stored: bool) -> None:
    """A session that the browser has logged out of, and that a late answer brought back."""
    store = PaperStore(clock) if stored else None
    context = build_session_client(
        clock, on_event=print, state_store=store, legacy_secret="their secret"
    )
    browser = Browser()
    state = log_in(context, browser)
    browser.cookies[f"{COOKIE}.current"] = "none"

    assert expect_refusal("ended", state) == read(context, browser)


def test_session_of_another_application(clock: Clock) -> None:
    """A cookie of another application with the same secret is told from junk."""
    context, _ = log_in_watched(clock, None)
    other = build_session_client(clock, client_id="another-client")
    browser = Browser()
    log_in(other, browser, aud="another-client")

    assert expect_refusal("other_application") == read(context, browser)


def test_session_of_another_domain(clock: Clock) -> None:
    """A cookie of another tenant of the same client is told from one of another application."""
    domain = [DOMAIN]
    context = build_session_client(
        clock, on_event=print, domain=lambda options: domain[0]
    )
    context.metadata.add(DOMAIN, CachedDocument(METADATA, clock.now, clock.now + 1e9))
    browser = Browser()
    log_in(context, browser)
    domain[0] = "other.us.auth0.com"
    (event,) = read(context, browser)

    assert isinstance(event, SessionCookieRefused)
    assert ("other.us.auth0.com", "other_domain") == (event.domain, event.reason)
    assert (None, None) == (event.subject, event.session)


def test_legacy_cookie(clock: Clock) -> None:
    """A cookie of Auth0's own SDK that does not open is told of, if such are expected."""
    cookies = {"_a0_session_0": "x" * 50}
    watched = [
        build_session_client(clock, on_event=print, legacy_secret=secret)
        for secret in (None, "their secret")
    ]

    assert [[], expect_refusal("unreadable")] == [
        read(context, Browser(dict(cookies))) for context in watched
    ]


@pytest.mark.parametrize("stored", [False, True], ids=["cookies", "store"])
def test_unwatched_cookie(clock: Clock, stored: bool) -> None:
    """Without a subscriber nobody looks for the reason."""
    store = PaperStore(clock) if stored else None
    context = build_session_client(clock, state_store=store)
    _, asked = play(get_user(context, Browser({COOKIE: "A" * 43}).request()))

    assert [] == asked.events
    assert not stored or ["get"] == store.calls  # type: ignore[union-attr]
