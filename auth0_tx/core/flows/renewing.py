"""Renewing a session's tokens: one request for all who ask, and nothing sent twice.

A refresh token may be good for one use, and a second use ends its whole family (RFC 9700
section 4.14.2).  So threads and tasks share a flight, processes a lock in the store, and
late requests of the same browser are answered with what an earlier one brought.
"""

from __future__ import annotations

from collections.abc import Callable
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
    StoreError,
)
from ...events import SessionRotated
from ...values import TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Emit, Flow, Share
from ..session.cookies import CookieStore
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
from .discovery import metadata_for
from .granting import granted, own_secrets
from .session_lock import locked
from .session_state import Session, check_writable, reread, write
from .verification import verified_claims

_TRIES = 5
"""Of a write that others are faster than; they hold no lock, but do not write often."""


def refreshed(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    audience: str | None,
    scope: str | None,
    deadline: float,
) -> Flow[Session]:
    """Give the session with a new access token, got with its refresh token.

    Raises:
        LoginRequiredError: the refresh token is refused, or the session has ended.
        CustomTokenExchangeError: how the refresh failed.
    """
    in_cookies = isinstance(context.settings.state_store, CookieStore)
    failure: Auth0Error
    if in_cookies or not session.id:
        # What is rotated must be kept, or the next refresh ends the family.
        yield from check_writable(context, store_options)
    while True:
        spend = partial(_refreshed, context, session, audience, scope, deadline)
        try:
            found: Any = yield from Share(
                ("refresh", _key(context, session)), spend, deadline
            )
        except Auth0Error as error:
            failure = error
        else:
            if in_cookies:
                found = yield from _joined(context, store_options, session, found)
            session = found
            if find_token(session.state, audience, scope, context.clock()) is not None:
                return session
            # What was refreshed was another audience's; its refresh token is the next.
            if session.state["refresh_token"] is None:
                raise LoginRequiredError("the refresh token is spent")
            continue
        if in_cookies and _is_spent(failure):
            state = without_refresh_token(session.state, context.clock())
            yield from write(context, store_options, session, state)
        raise failure


def with_fresh_id_token(
    context: Context, store_options: StoreOptions | None, session: Session
) -> Flow[str]:
    """Give the session's ID token, good for a while yet, refreshed where it is not.

    Raises:
        LoginRequiredError: the session has none, and cannot get one.
        CustomTokenExchangeError: how the refresh failed.
    """
    soon = context.clock() + context.settings.session_policy.refresh_margin
    if soon >= id_token_expiry(session.state):
        if session.state["refresh_token"] is None:
            raise LoginRequiredError("the session has no ID token that is still good")
        deadline = context.monotonic() + context.settings.timeout
        session = yield from refreshed(
            context, store_options, session, None, None, deadline
        )
    if context.clock() >= id_token_expiry(session.state):
        raise LoginRequiredError("the session has no ID token that is still good")
    id_token: str = session.state["id_token"]
    return id_token


def _key(context: Context, session: Session) -> bytes:
    return refresh_key(context.process_key, session.state["refresh_token"])


def _joined(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    outcome: RefreshOutcome,
) -> Flow[Session]:
    """Write into the cookies of this request what a refresh brought, whoever asked for it."""
    state = _with(session.state, outcome)
    written = yield from write(context, store_options, session, state)
    return written or attrs.evolve(session, state=state)


def _with(state: State, outcome: RefreshOutcome) -> State:
    return merge_tokens(
        state,
        outcome.response,
        audience=outcome.audience,
        scope=outcome.scope,
        now=outcome.at,
    )


def _refreshed(
    context: Context,
    session: Session,
    audience: str | None,
    scope: str | None,
    deadline: float,
) -> Flow[RefreshOutcome | Session]:
    """Refresh, as the one who does so for all; what is stored is written before this ends."""
    if isinstance(context.settings.state_store, CookieStore):
        return (yield from _outcome(context, session, audience, scope, deadline))

    def alone(latest: Session, until: float) -> Flow[Session]:
        if latest.state["refresh_token"] != session.state["refresh_token"]:
            # Another process was faster.
            return latest
        return (yield from _refreshed_alone(context, latest, audience, scope, until))

    return (yield from locked(context, session, deadline, alone))


def _refreshed_alone(
    context: Context,
    session: Session,
    audience: str | None,
    scope: str | None,
    deadline: float,
) -> Flow[Session]:
    try:
        outcome = yield from _outcome(context, session, audience, scope, deadline)
    except Auth0Error as error:
        failure = error
    else:
        return (yield from kept(context, session, lambda state: _with(state, outcome)))
    if _is_spent(failure):
        yield from kept(
            context,
            session,
            lambda state: without_refresh_token(state, context.clock()),
        )
    raise failure


def kept(
    context: Context, session: Session, change: Callable[[State], State]
) -> Flow[Session]:
    """Write a change into a stored session, over whatever others wrote meanwhile.

    Raises:
        StoreError: it could not be written; what was issued is remembered here for a while.
    """
    failure: StoreError | None = None
    for _ in range(_TRIES):
        state = change(session.state)
        try:
            written = yield from write(context, None, session, state)
            if written is not None:
                return written
            latest = yield from reread(context, session)
        except StoreError as error:
            failure = error
            break
        if latest is None:
            # It was ended meanwhile, and a late write must not bring it back.
            return attrs.evolve(session, state=state)
        session = latest
    if failure is None:
        failure = StoreError("others write the session faster than it can be renewed")
    raise failure.evolve(tokens_issued=True)


def _outcome(
    context: Context,
    session: Session,
    audience: str | None,
    scope: str | None,
    deadline: float,
) -> Flow[RefreshOutcome]:
    """Spend the refresh token, unless it was spent here a moment ago."""
    key = _key(context, session)
    known = context.rotations.get(key, context.monotonic())
    if isinstance(known, RefreshOutcome):
        return known
    if known is not None:
        raise known.evolve()
    failure: Auth0Error
    started = context.monotonic()
    try:
        found = yield from _sent(context, session.state, audience, scope, deadline)
    except CustomTokenExchangeError as error:
        failure = error
        if isinstance(error, RefusedError) and error.code == "invalid_grant":
            failure = LoginRequiredError(
                error.message, error.code, error.status, phase="reply"
            )
        if _is_spent(failure):
            context.rotations.put(key, failure.evolve(), context.monotonic())
    else:
        context.rotations.put(key, found, context.monotonic())
        yield from told_of_rotation(context, session, "refresh_token", started)
        return found
    yield from told_of_rotation(context, session, "refresh_token", started, failure)
    raise failure


def told_of_rotation(
    context: Context,
    session: Session,
    by: Literal["refresh_token", "exchange"],
    started: float,
    failure: Auth0Error | None = None,
) -> Flow[None]:
    """Tell a subscriber, where there is one, that a session got new tokens or failed to."""
    if context.settings.on_event is not None:
        yield from Emit(
            SessionRotated(
                domain=session.state["domain"],
                by=by,
                seconds=context.monotonic() - started,
                code=None if failure is None else str(failure.code),
            )
        )


def _sent(
    context: Context,
    state: State,
    audience: str | None,
    scope: str | None,
    deadline: float,
) -> Flow[RefreshOutcome]:
    metadata = yield from metadata_for(context, state["domain"], deadline)
    # RFC 6749 section 6: without a scope, the one that was granted before.
    asked = TokenRequestInfo(
        scope or find_scope(state, audience),
        secrets=[state["refresh_token"], *own_secrets(context)],
    )
    # What the refresh token was issued for needs no naming, and no further policy of Auth0's.
    named = None if audience == find_label(state, None) else audience
    form = refresh_form(state["refresh_token"], named, scope)
    response = yield from granted(context, metadata, form, asked, deadline, "refresh")
    response = yield from _with_own_id_token(
        context, metadata, state, response, deadline
    )
    return RefreshOutcome(audience, scope, response, context.clock())


def _with_own_id_token(
    context: Context,
    metadata: Metadata,
    state: State,
    response: TokenExchangeResponse,
    deadline: float,
) -> Flow[TokenExchangeResponse]:
    """Check an ID token that came with a refresh (OpenID Connect Core section 12.2).

    Raises:
        IdTokenError: it does not hold, or is of another user.
    """
    if response.id_token is None:
        return response
    organization = state["user"].get("org_id")
    try:
        claims = yield from verified_claims(
            context, metadata, response, organization, deadline
        )
    except SigningKeyError:
        # It cannot be checked now, so it does not replace the one that was.
        return attrs.evolve(response, id_token=None)
    except IdTokenError as error:
        failure = error
    else:
        if claims["sub"] == state["user"].get("sub"):
            return response
        failure = IdTokenError("the ID token is of another user than the session's")
    raise failure.evolve(tokens_issued=True)


def _is_spent(error: Auth0Error) -> bool:
    """Tell whether the refresh token must not be sent again after this."""
    return (
        isinstance(error, (AmbiguousError, IdTokenError))
        or (isinstance(error, InvalidResponseError) and error.tokens_issued)
        or error.code == "invalid_grant"
    )
