"""Access tokens of a logged-in user: fresh when asked for, renewed once for all who ask.

1. A token in the session that is valid for a while yet is returned.
2. Otherwise it is renewed: with the session's refresh token, or, without one, by another
   exchange whose options the application supplies.
3. If renewing fails and the old token is still valid for a moment, it is returned: a moment
   is more than the failure has.

A token that an API refused is renewed as if it had expired, if there is anything to renew it
with.  It is returned otherwise, and also for a while after it was renewed for that reason:
see ``RenewalPauses``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import Auth0Error, LoginRequiredError
from ...secret import secret
from ...session_values import AccessTokenSet
from ...values import CustomTokenExchangeOptions
from ..cache.tokens import cache_key
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow
from ..session.state import find_api, find_token_set
from ..wire.grants import check_access_token_options
from .reexchange import SubjectTokenSupplier, reexchange
from .refresh import RefreshRequest, is_outdated, refresh_session
from .session import load_session, open_keeper
from .session_keeper import Session, SessionKeeper


def get_access_token(
    context: Context,
    store_options: StoreOptions | None = None,
    audience: str | None = None,
    scope: str | None = None,
    *,
    subject_token_supplier: Callable[
        [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
    ]
    | None = None,
) -> Flow[str]:
    """Return an access token of the logged-in user that is valid for a while yet.

    A token that is about to expire is renewed: with the session's refresh token or, without
    one, by another exchange.  However many callers ask at once, one asks Auth0.

    Args:
        store_options: ``request`` and ``response``; without a response a session in cookies
            cannot keep what is renewed.
        audience: the API; ``None`` for the one that the login was for.
        scope: space-separated scopes that the token must have been granted or asked for with;
            ``None`` for those that a request without a scope gets, at first the login's.
        subject_token_supplier: returns the options of another exchange for the same user,
            for a session without a refresh token: Auth0 issues none where an actor acts.
            Its audience and scope count if none are given here.

    Returns:
        The access token.

    Raises:
        LoginRequiredError: there is no session, or nothing to renew its tokens with.
        InvalidInputError: an argument breaks a rule, or a token must be renewed and there is
            no response to keep it with.
        ConfigurationError: the client keeps no sessions.
        StoreError: the store failed.
        WrongAudienceError: Auth0 answered with a token for another API, which is kept as such;
            the application's refresh token policies do not name *audience*.
        CustomTokenExchangeError: the token could not be renewed this time.
    """
    check_access_token_options(audience, scope)
    call = context.begin_call(store_options)
    flow = find_or_renew(call, audience, scope, subject_token_supplier)
    _, token_set = yield from flow
    token: str = secret(token_set["access_token"])
    return token


def get_token_set(
    context: Context,
    store_options: StoreOptions | None = None,
    audience: str | None = None,
    scope: str | None = None,
    *,
    subject_token_supplier: Callable[
        [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
    ]
    | None = None,
) -> Flow[AccessTokenSet]:
    """Return an access token of the logged-in user, with its expiry, scope and audience.

    The token is the one that ``get_access_token`` returns, renewed in the same way.

    Args:
        store_options: ``request`` and ``response``; without a response a session in cookies
            cannot keep what is renewed.
        audience: the API; ``None`` for the one that the login was for.
        scope: space-separated scopes that the token must have been granted or asked for with;
            ``None`` for those that a request without a scope gets, at first the login's.
        subject_token_supplier: returns the options of another exchange for the same user,
            for a session without a refresh token.

    Returns:
        The access token, and what is known of it.

    Raises:
        LoginRequiredError: there is no session, or nothing to renew its tokens with.
        InvalidInputError: an argument breaks a rule, or a token must be renewed and there is
            no response to keep it with.
        ConfigurationError: the client keeps no sessions.
        StoreError: the store failed.
        WrongAudienceError: Auth0 answered with a token for another API, which is kept as such;
            the application's refresh token policies do not name *audience*.
        CustomTokenExchangeError: the token could not be renewed this time.
    """
    check_access_token_options(audience, scope)
    call = context.begin_call(store_options)
    flow = find_or_renew(call, audience, scope, subject_token_supplier)
    domain, token_set = yield from flow
    return AccessTokenSet(
        access_token=token_set["access_token"],
        expires_at=token_set["expires_at"],
        scope=token_set["scope"],
        audience=find_api(token_set, domain),
    )


def find_or_renew(
    call: Call,
    audience: str | None,
    scope: str | None,
    supplier: SubjectTokenSupplier | None,
) -> Flow[tuple[str, dict[str, Any]]]:
    """Return the tenant's domain, and a token set that is valid for a while yet.

    The audience and the scope were checked: bad input must be refused alike, whatever the
    session has.

    Raises:
        LoginRequiredError: there is no session, or nothing to renew its tokens with.
        CustomTokenExchangeError: the token could not be renewed this time.
    """
    context = call.context
    keeper = open_keeper(call)
    session = yield from load_session(call, keeper)
    if session is None:
        raise LoginRequiredError("there is no session")
    # The margin covers the time until the token is used: an API refuses one that expires
    # on its way.
    now, margin = context.clock(), context.settings.session_policy.refresh_margin
    token_set = find_token_set(session.state, audience, scope, now, margin)
    is_refused = _may_replace_refused(call, session, token_set, audience, supplier)
    # Also if the refresh token is known to be spent: of two answers with cookies the older one
    # arrived last, or a store did not take what was issued.  Nothing is sent to make up for it.
    if token_set is None or is_refused or is_outdated(context, session.state):
        request = RefreshRequest(
            audience, scope, refused=call.refused_token if is_refused else None
        )
        try:
            token_set = yield from _renew_token(
                call, keeper, session, request, supplier
            )
        # The margin is ours, so what failed to renew has not expired yet: an outage of Auth0
        # that is shorter than the margin is not seen by anybody.
        except Auth0Error:
            token_set = find_token_set(session.state, audience, scope, context.clock())
            if token_set is None or is_refused:
                raise
        finally:
            if is_refused:
                key = _make_pause_key(context, session, audience)
                context.renewal_pauses.note_renewal(key, context.monotonic())
        # Outside the handler above: a session that has ended has no token, however fresh.
        if token_set is None:
            raise LoginRequiredError("the session has ended")
    return session.state["domain"], token_set


def _may_replace_refused(
    call: Call,
    session: Session,
    token_set: dict[str, Any] | None,
    audience: str | None,
    supplier: SubjectTokenSupplier | None,
) -> bool:
    """Return whether the token is the one that an API refused, and is to be renewed for that."""
    if token_set is None or call.refused_token != token_set["access_token"]:
        return False
    if session.state["refresh_token"] is None and supplier is None:
        # No login is asked for: with an API that is set up wrongly, the next token would be
        # refused as well, and the user would log in again and again.
        return False
    key = _make_pause_key(call.context, session, audience)
    return call.context.renewal_pauses.may_renew(key, call.context.monotonic())


def _make_pause_key(context: Context, session: Session, audience: str | None) -> bytes:
    state = session.state
    user, sid = state["user"]["sub"], state["internal"]["sid"]
    # In cookies a session has no id, so the user and the session's own sid tell them apart.
    return cache_key(
        context.process_key,
        ("session", state["domain"], user, sid, audience),
    )


def _renew_token(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    request: RefreshRequest,
    supplier: SubjectTokenSupplier | None,
) -> Flow[dict[str, Any] | None]:
    """Return a new token set, or ``None`` if the session has ended."""
    if session.state["refresh_token"] is not None:
        refreshed = yield from refresh_session(call, keeper, session, request)
        return None if refreshed is None else refreshed.token_set
    if supplier is not None:
        audience, scope = request.audience, request.scope
        return (yield from reexchange(call, keeper, session, audience, scope, supplier))
    # Told apart because the remedies differ: a refused refresh token takes a login, and one
    # that was never issued takes a scope or a supplier.
    if "refresh_lost_at" in session.state["internal"]:
        raise LoginRequiredError(
            "the access token has expired, and the refresh token is spent"
        )
    raise LoginRequiredError(
        "the access token has expired, and the session has no refresh token",
        hint="ask for offline_access at login, or pass subject_token_supplier: where an "
        "actor acts, Auth0 issues no refresh token.",
    )
