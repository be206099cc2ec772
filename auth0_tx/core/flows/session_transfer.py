"""Session transfer: logging an actor in to another application as the user (Auth0)."""

from __future__ import annotations

import attrs

from ...errors import (
    CustomTokenExchangeError,
    InvalidInputError,
    InvalidResponseError,
    LoginRequiredError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...token_types import TokenType
from ...values import CustomTokenExchangeOptions, SessionTransferToken
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from ..wire.grants import token_exchange
from ..wire.redirects import (
    name_refusal,
    read_session_transfer,
    session_transfer_audience,
)
from .discovery import domain_for
from .granting import Exchanged, exchange_grant, exchanged
from .renewing import with_fresh_id_token
from .session_state import session_for


def request_session_transfer_token(
    context: Context,
    subject_token: str,
    subject_token_type: str,
    *,
    actor_token: str | None = None,
    actor_token_type: str | None = None,
    scope: str | None = None,
    organization: str | None = None,
    store_options: StoreOptions | None = None,
) -> Flow[SessionTransferToken]:
    """Request a token that logs an actor in to another application, as the user, once.

    Pass it to ``build_session_transfer_redirect``; neither decode nor keep it.

    Args:
        subject_token: proof of who the user is, as your Action understands it.
        subject_token_type: the URI that your Token Exchange Profile is mapped to.
        actor_token: the acting party's token; that of the logged-in session where ``None``.
        actor_token_type: what *actor_token* is; an ID token where ``None``.
        scope: space-separated scopes.
        organization: the organization to log in to.
        store_options: ``request`` and ``response`` of the actor's session.

    Raises:
        InvalidInputError: an argument breaks a rule, or the client has no way to prove
            itself, which this needs; nothing was sent.
        CustomTokenExchangeError: with the code ``actor_unavailable`` where nobody is logged
            in, ``setactor_required`` or ``session_transfer_disabled`` where Auth0 says so.
    """
    if context.settings.client_auth == "none":
        raise InvalidInputError(
            "client_auth must not be 'none': a session transfer token is for applications "
            "that can prove themselves",
            parameter="client_auth",
        )
    given = actor_token is not None or actor_token_type is not None
    options = CustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type=subject_token_type,
        scope=scope,
        organization=organization,
        actor_token=actor_token,
        actor_token_type=(
            TokenType.ID_TOKEN
            if actor_token is not None and actor_token_type is None
            else actor_token_type
        ),
    )
    # Before anything is read or sent; the audience follows when the tenant is known.
    token_exchange(options)
    domain = yield from domain_for(context, store_options)
    if not given:
        options = attrs.evolve(
            options,
            actor_token=(yield from _actor(context, store_options)),
            actor_token_type=TokenType.ID_TOKEN,
        )
    options = attrs.evolve(options, audience=session_transfer_audience(domain))
    failure: CustomTokenExchangeError
    try:
        return (
            yield from exchanged(
                context, exchange_grant(context, options), store_options, _completed
            )
        )
    except CustomTokenExchangeError as error:
        failure = name_refusal(error)
    raise failure


def _completed(issued: Exchanged) -> Flow[SessionTransferToken]:
    yield from ()
    token = read_session_transfer(issued.response)
    if isinstance(token, InvalidResponseError):
        raise token
    return token


def _actor(context: Context, store_options: StoreOptions | None) -> Flow[str]:
    """Give the ID token of who is logged in, good for a while yet."""
    session = None
    if context.settings.state_store is not None:
        session = yield from session_for(context, store_options)
    if session is not None:
        try:
            return (yield from with_fresh_id_token(context, store_options, session))
        except LoginRequiredError:
            session = None
    raise CustomTokenExchangeError(
        "no actor_token was given, and no session has an ID token that would do",
        Code.ACTOR_UNAVAILABLE,
        phase="validate",
    )
