"""Refreshing a session's tokens: one request for all who ask, and nothing sent twice.

A refresh token may be good for one use, and a second use ends its whole family (RFC 9700
section 4.14.2).  So a refresh goes through four gates.

1. Threads and tasks of this process share a flight, by the refresh token.
2. Processes that share a store take turns under the session's lock.  Whoever comes second
   finds the session refreshed.
3. The outcome is remembered for a minute under a keyed hash of the refresh token.  Several
   requests of one browser may carry the same old cookie; those that come later are given
   what the first one brought.
4. The request is sent again only while it cannot have taken effect.

A refresh token that is spent, or may be, is taken out of the session: its access tokens
last their time, and the next renewal is told that a login is required.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import attrs

from ...errors import (
    AmbiguousError,
    Auth0Error,
    CustomTokenExchangeError,
    IdTokenError,
    InvalidResponseError,
    LoginRequiredError,
    RefusedError,
    SigningKeyError,
)
from ...events import SessionRotated
from ...values import TokenExchangeResponse
from ..context import Call, Context
from ..effects import Flow, Share
from ..session.rotations import RefreshOutcome, refresh_key
from ..session.state import (
    State,
    find_label,
    find_scope,
    find_token,
    id_token_expiry,
    merge_tokens,
    without_refresh_token,
)
from ..wire.grants import refresh_form
from ..wire.metadata import Metadata
from ..wire.replies import TokenRequestInfo
from .audit import report
from .sending import Grant, request_tokens
from .session import check_writable
from .session_keeper import Session, SessionKeeper
from .stored_sessions import StoredSessions
from .tenant_documents import load_metadata
from .verification import verify_id_token


def refresh_session(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    scope: str | None,
) -> Flow[Session]:
    """Return the session with a new access token, requested with its refresh token.

    Raises:
        LoginRequiredError: the refresh token is refused, or the session has ended.
        CustomTokenExchangeError: how the refresh failed.
    """
    if not keeper.is_shared or not session.id:
        # What is rotated must be kept, or the next refresh ends the family.
        yield from check_writable(call)
    while True:
        # By the refresh token and not the session: several cookies of one browser may carry
        # the same token, and it is the token that must not be used twice.
        flight: Share[Any] = Share(
            ("refresh", _hash_refresh_token(call.context, session)),
            partial(_refresh_for_all, call, keeper, session, audience, scope),
            call.deadline,
            outlives_callers=True,
        )
        try:
            result = yield from flight
        except Auth0Error as error:
            # A stored session was changed by whoever led; a cookie is this request's to change.
            if not keeper.is_shared and _is_spent(error):
                state = without_refresh_token(session.state, call.context.clock())
                yield from keeper.save(session, state)
            raise
        if isinstance(result, Session):
            session = result
        else:
            session = yield from keeper.save_change(
                session, partial(merge_outcome, outcome=result)
            )
        now = call.context.clock()
        if find_token(session.state, audience, scope, now) is not None:
            return session
        # The flight was for another audience; its refresh token is the next to use.
        if session.state["refresh_token"] is None:
            raise LoginRequiredError("the refresh token is spent")


def refresh_id_token(call: Call, keeper: SessionKeeper, session: Session) -> Flow[str]:
    """Return the session's ID token, refreshed if it is about to expire.

    Raises:
        LoginRequiredError: the session has none, and cannot get one.
        CustomTokenExchangeError: how the refresh failed.
    """
    # The token is sent on at once, but it must still be valid when Auth0 looks at it.
    soon = call.context.clock() + call.settings.session_policy.refresh_margin
    if soon >= id_token_expiry(session.state):
        if session.state["refresh_token"] is None:
            raise LoginRequiredError("the session has no ID token that is still valid")
        session = yield from refresh_session(call, keeper, session, None, None)
    if call.context.clock() >= id_token_expiry(session.state):
        raise LoginRequiredError("the session has no ID token that is still valid")
    id_token: str = session.state["id_token"]
    return id_token


def merge_outcome(state: State, outcome: RefreshOutcome) -> State:
    """Return a session's state with what a refresh, or another exchange, brought."""
    return merge_tokens(
        state,
        outcome.response,
        audience=outcome.audience,
        scope=outcome.scope,
        now=outcome.at,
    )


def report_rotation(
    call: Call,
    session: Session,
    by: Literal["refresh_token", "exchange"],
    started: float,
    error: Auth0Error | None = None,
) -> Flow[None]:
    """Emit that a session got new tokens, or failed to, if there is a subscriber."""
    yield from report(
        call, SessionRotated, state=session.state, error=error, started=started, by=by
    )


def _refresh_for_all(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    scope: str | None,
) -> Flow[RefreshOutcome | Session]:
    """Refresh as the one who does so for all; what is stored is saved before this ends.

    Returns:
        The session as it is stored by then.  Without a store, what the refresh brought:
        each request then saves it in its own cookies.
    """
    if not isinstance(keeper, StoredSessions):
        return (yield from _spend(call, session, audience, scope))

    def act(latest: Session, until: float) -> Flow[Session]:
        if latest.state["refresh_token"] != session.state["refresh_token"]:
            # Another process was faster.
            return latest
        own = call.limit_to(until)
        return (yield from _refresh_stored(own, keeper, latest, audience, scope))

    return (yield from keeper.run_exclusively(session, call.deadline, act))


def _refresh_stored(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    scope: str | None,
) -> Flow[Session]:
    try:
        outcome = yield from _spend(call, session, audience, scope)
    except Auth0Error as error:
        # In the store, so that other processes do not send it again.
        if _is_spent(error):
            yield from keeper.save_change(
                session,
                lambda state: without_refresh_token(state, call.context.clock()),
            )
        raise
    return (
        yield from keeper.save_change(session, partial(merge_outcome, outcome=outcome))
    )


def _spend(
    call: Call, session: Session, audience: str | None, scope: str | None
) -> Flow[RefreshOutcome]:
    """Use the refresh token, unless it was used here a moment ago."""
    context = call.context
    key, started = _hash_refresh_token(context, session), context.monotonic()
    # A browser sends several requests at once, all with the same old cookie.  The second
    # one would otherwise present a spent token, which Auth0 takes for a theft: it ends
    # the whole family (RFC 9700 section 4.14.2).
    known = context.rotations.get(key, started)
    if isinstance(known, RefreshOutcome):
        return known
    if known is not None:
        # A copy, as a raised error collects the frames of each caller it passes.
        raise known.evolve()
    failure: Auth0Error
    try:
        outcome = yield from _request_refresh(call, session.state, audience, scope)
    except CustomTokenExchangeError as error:
        failure = _to_login_required(error)
    else:
        context.rotations.add(key, outcome, context.monotonic())
        yield from report_rotation(call, session, "refresh_token", started)
        return outcome
    # Outside the handler: LoginRequiredError replaces the refusal, and has no context.
    if _is_spent(failure):
        context.rotations.add(key, failure.evolve(), context.monotonic())
    yield from report_rotation(call, session, "refresh_token", started, failure)
    try:
        raise failure
    finally:
        # Or the frame keeps the error that keeps the frame, and both keep the tokens.
        del failure


def _request_refresh(
    call: Call, state: State, audience: str | None, scope: str | None
) -> Flow[RefreshOutcome]:
    metadata = yield from load_metadata(call, state["domain"])
    refresh_token = state["refresh_token"]
    # What the refresh token was issued for needs no naming, and no further policy at Auth0.
    named = None if audience == find_label(state, None) else audience
    grant = Grant(
        partial(refresh_form, refresh_token, named, scope),
        TokenRequestInfo(
            # RFC 6749 section 6: without a scope, the one that was granted before.
            scope or find_scope(state, audience),
            secrets=[refresh_token, *call.settings.own_secrets],
        ),
        "refresh",
    )
    tokens = yield from request_tokens(call, metadata, grant)
    # After the tokens were issued, so a failure here has spent the refresh token.
    tokens = yield from _check_id_token(call, metadata, state, tokens)
    return RefreshOutcome(audience, scope, tokens, call.context.clock())


def _check_id_token(
    call: Call, metadata: Metadata, state: State, tokens: TokenExchangeResponse
) -> Flow[TokenExchangeResponse]:
    """Check an ID token that came with a refresh (OpenID Connect Core section 12.2).

    Raises:
        IdTokenError: it is invalid, or of another user.
    """
    if tokens.id_token is None:
        return tokens
    # A session of an organization must stay one: Auth0 advises to check it in each token.
    organization = state["user"].get("org_id")
    try:
        claims = yield from verify_id_token(call, metadata, tokens, organization)
    except SigningKeyError:
        # It cannot be checked now, so it does not replace the one that was.
        return attrs.evolve(tokens, id_token=None)
    # OpenID Connect Core 12.2: its sub MUST be the same as before.
    if claims["sub"] != state["user"].get("sub"):
        raise IdTokenError(
            "the ID token names another user than the session's", tokens_issued=True
        )
    return tokens


def _hash_refresh_token(context: Context, session: Session) -> bytes:
    return refresh_key(context.process_key, session.state["refresh_token"])


def _to_login_required(error: CustomTokenExchangeError) -> Auth0Error:
    """Return what a refused refresh token means: its user must log in."""
    # RFC 6749 section 5.2: invalid_grant is for a token that is invalid, expired or revoked.
    if isinstance(error, RefusedError) and error.code == "invalid_grant":
        return LoginRequiredError(
            error.message, error.code, error.status, phase="reply"
        )
    return error


def _is_spent(error: Auth0Error) -> bool:
    """Return whether the refresh token must not be sent again after this."""
    return (
        # An ambiguous answer may have rotated it, and a bad ID token came with a rotation.
        isinstance(error, (AmbiguousError, IdTokenError))
        or (isinstance(error, InvalidResponseError) and error.tokens_issued)
        or error.code == "invalid_grant"
    )
