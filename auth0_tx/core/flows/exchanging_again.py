"""Exchanging again for a session that no refresh token can renew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import attrs

from ...errors import CustomTokenExchangeError, IdTokenError, InvalidInputError
from ...values import CustomTokenExchangeOptions
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Call, Flow, Share
from ..session.cookies import CookieStore
from ..session.rotations import RefreshOutcome
from ..session.state import State, find_login_audience, merge_tokens, with_user
from ..wire.grants import with_openid
from .granting import Exchanged, exchange_grant, exchanged
from .renewing import kept, told_of_rotation
from .session_state import Session, check_writable, write
from .verification import verified_claims

Supplier: TypeAlias = Callable[
    [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
]
"""The application's own function, which gives the options of another exchange."""


@attrs.frozen(eq=False)
class _Again:
    """What another exchange brought, and whom its ID token names."""

    refreshed: RefreshOutcome
    claims: dict[str, Any] = attrs.field(repr=False)


def exchanged_again(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    audience: str | None,
    scope: str | None,
    supplier: Supplier,
) -> Flow[str]:
    """Give an access token by way of another exchange, for the session's own user.

    Raises:
        IdTokenError: the exchange was for somebody else.
        CustomTokenExchangeError: how it failed.
    """
    in_cookies = isinstance(context.settings.state_store, CookieStore)
    if in_cookies or not session.id:
        yield from check_writable(context, store_options)
    deadline = context.monotonic() + context.settings.timeout
    internal = session.state["internal"]
    who = (session.id, session.state["user"]["sub"], internal["sid"])
    again: _Again = yield from Share(
        ("again", who, audience, scope),
        lambda: _exchanged(context, store_options, session, audience, scope, supplier),
        deadline,
    )

    def change(state: State) -> State:
        found = again.refreshed
        return with_user(
            merge_tokens(
                state,
                found.response,
                audience=found.audience,
                scope=found.scope,
                now=found.at,
            ),
            again.claims,
        )

    if in_cookies:
        yield from write(context, store_options, session, change(session.state))
    else:
        yield from kept(context, session, change)
    token: str = again.refreshed.response.access_token
    return token


def _exchanged(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    audience: str | None,
    scope: str | None,
    supplier: Supplier,
) -> Flow[_Again]:
    options = yield from Call(supplier)
    if not isinstance(options, CustomTokenExchangeOptions):
        raise InvalidInputError(
            "subject_token_supplier must give CustomTokenExchangeOptions",
            parameter="subject_token_supplier",
        )
    if audience is None:
        audience = options.audience or find_login_audience(session.state)
    options = with_openid(
        attrs.evolve(
            options,
            audience=audience,
            scope=options.scope if scope is None else scope,
        )
    )

    def complete(issued: Exchanged) -> Flow[_Again]:
        return (yield from _verified(context, session, options, audience, issued))

    grant, started = exchange_grant(context, options), context.monotonic()
    try:
        again = yield from exchanged(context, grant, store_options, complete)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        yield from told_of_rotation(context, session, "exchange", started)
        return again
    yield from told_of_rotation(context, session, "exchange", started, failure)
    raise failure


def _verified(
    context: Context,
    session: Session,
    options: CustomTokenExchangeOptions,
    audience: str | None,
    issued: Exchanged,
) -> Flow[_Again]:
    if issued.response.id_token is None:
        raise IdTokenError(
            "no ID token came to tell whose the tokens are", tokens_issued=True
        )
    try:
        claims = yield from verified_claims(
            context,
            issued.metadata,
            issued.response,
            options.organization,
            issued.deadline,
        )
    except IdTokenError as error:
        failure = error
    else:
        if claims["sub"] != session.state["user"]["sub"]:
            raise IdTokenError(
                "the tokens are of another user than the session's", tokens_issued=True
            )
        found = RefreshOutcome(
            audience, options.scope, issued.response, context.clock()
        )
        return _Again(found, claims)
    raise failure.evolve(tokens_issued=True)
