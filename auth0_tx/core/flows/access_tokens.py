"""Access tokens of a logged-in user: fresh when asked for, renewed by one for all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...errors import Auth0Error, LoginRequiredError
from ...values import CustomTokenExchangeOptions
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from ..session.state import find_token
from ..wire.grants import check_access_token_options
from .exchanging_again import Supplier, exchanged_again
from .renewing import refreshed
from .session_state import Session, session_for


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
    """Give an access token of the logged-in user that is good for a while yet.

    One that is about to expire is renewed: with the session's refresh token, or, where
    there is none, by another exchange.  However many ask at once, one asks Auth0.

    Args:
        store_options: ``request`` and ``response``; without a response a session in cookies
            cannot keep what is renewed.
        audience: the API; the one that the login was for where it is ``None``.
        scope: space-separated scopes that the token must have been asked for with.
        subject_token_supplier: gives the options of another exchange for the same user, in
            a session without a refresh token: Auth0 issues none where an actor acts.  Its
            audience and scope count where none are given here.

    Returns:
        The access token.

    Raises:
        LoginRequiredError: there is no session, or nothing to renew its tokens with.
        InvalidInputError: an argument breaks a rule, or a token must be renewed and there is
            no response to keep it with.
        ConfigurationError: no sessions are kept.
        StoreError: the store failed.
        CustomTokenExchangeError: the token could not be renewed, this time.
    """
    check_access_token_options(audience, scope)
    session = yield from session_for(context, store_options)
    if session is None:
        raise LoginRequiredError("there is no session")
    now, margin = context.clock(), context.settings.session_policy.refresh_margin
    token = find_token(session.state, audience, scope, now + margin)
    if token is not None:
        return token
    try:
        return (
            yield from _renewed(
                context, store_options, session, audience, scope, subject_token_supplier
            )
        )
    except Auth0Error as error:
        failure = error
    # It has a moment left, which is more than a failure has.
    token = find_token(session.state, audience, scope, now)
    if token is None:
        raise failure
    return token


def _renewed(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    audience: str | None,
    scope: str | None,
    supplier: Supplier | None,
) -> Flow[str]:
    deadline = context.monotonic() + context.settings.timeout
    if session.state["refresh_token"] is not None:
        session = yield from refreshed(
            context, store_options, session, audience, scope, deadline
        )
        token = find_token(session.state, audience, scope, context.clock())
        assert token is not None
        return token
    if supplier is not None:
        return (
            yield from exchanged_again(
                context, store_options, session, audience, scope, supplier
            )
        )
    lost = "refresh_lost_at" in session.state["internal"]
    raise LoginRequiredError(
        "the access token has expired, and the refresh token is spent"
        if lost
        else "the access token has expired, and the session has no refresh token",
        hint=None if lost else _NO_REFRESH_TOKEN,
    )


_NO_REFRESH_TOKEN = (
    "ask for offline_access at login, or give subject_token_supplier: where an actor "
    "acts, Auth0 issues no refresh token."
)
