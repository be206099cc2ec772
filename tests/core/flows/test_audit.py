"""Audit events: what they have, whose session they are about, and what they never have."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow
from auth0_tx.core.flows.audit import report, run_reported
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.session.pseudonyms import derive_pseudonym_key, make_pseudonym
from auth0_tx.errors import RefusedError, StoreError
from auth0_tx.events import AuditEvent, LoginFinished, LogoutFinished
from tests.core.browser import (
    SECRET,
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DOMAIN,
    SECRETS,
    Clock,
    build_client,
    build_refusal,
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


def succeed(result: Any) -> Flow[Any]:
    """Return a result, as a flow."""
    yield from ()
    return result


def test_outcome(clock: Clock) -> None:
    """A flow that succeeds is reported with what describes its result."""
    context = build_session_client(clock, on_event=print)
    call = context.begin_call()
    clock.wait(3)
    flow = run_reported(
        call, LogoutFinished, succeed("result"), lambda result: {"subject": result}
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
