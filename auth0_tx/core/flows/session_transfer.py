"""Session transfer: logging an actor in to another application as the user (Auth0).

It is a Custom Token Exchange for the tenant's own audience ``urn:<tenant>:session_transfer``.
Who acts is the logged-in user, unless an actor token is given.
"""

from __future__ import annotations

import attrs

from ...errors import (
    CustomTokenExchangeError,
    InvalidInputError,
    InvalidResponseError,
    LoginRequiredError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...session_values import SessionTransferToken
from ...token_types import TokenType
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow
from ..wire.grants import check_exchange
from ..wire.metadata import Metadata
from ..wire.redirects import (
    name_refusal,
    read_session_transfer,
    session_transfer_audience,
)
from .exchange import make_exchange_grant, run_exchange
from .refresh import refresh_id_token
from .session import load_session, open_keeper
from .tenant_documents import resolve_domain


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
        actor_token: the acting party's token; ``None`` for the ID token of the logged-in
            session.
        actor_token_type: the type of *actor_token*; ``None`` for an ID token.
        scope: space-separated scopes.
        organization: the organization to log in to.
        store_options: ``request`` and ``response`` of the actor's session.

    Raises:
        InvalidInputError: an argument breaks a rule, or the client has no way to prove
            itself, which this needs; nothing was sent.
        CustomTokenExchangeError: with the code ``actor_unavailable`` where nobody is logged
            in, ``setactor_required`` or ``session_transfer_disabled`` where Auth0 says so.
    """
    # Auth0 issues these tokens to confidential clients alone.
    if context.settings.client_auth == "none":
        raise InvalidInputError(
            "client_auth must not be 'none': a session transfer token is issued only to "
            "clients that authenticate",
            parameter="client_auth",
        )
    call = context.begin_call(store_options)
    is_given = actor_token is not None or actor_token_type is not None
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
    check_exchange(options)
    domain = yield from resolve_domain(call)
    # After the domain is known, and before the exchange: the actor's ID token may have to
    # be refreshed first.
    if not is_given:
        options = attrs.evolve(
            options,
            actor_token=(yield from _find_actor(call)),
            actor_token_type=TokenType.ID_TOKEN,
        )
    options = attrs.evolve(options, audience=session_transfer_audience(domain))
    # Again, as the actor's token comes from a session.
    check_exchange(options)
    grant = make_exchange_grant(context, options)
    # Reading the actor's session, and refreshing it, is not the exchange's time.
    own = context.begin_call(store_options)
    try:
        return (yield from run_exchange(own, grant, _finish, domain))
    except CustomTokenExchangeError as error:
        failure = name_refusal(error)
    # Outside the handler: the error with the announced code has no context.
    raise failure


def _finish(
    _metadata: Metadata, tokens: TokenExchangeResponse
) -> Flow[SessionTransferToken]:
    yield from ()
    # An Action may have issued an ordinary access token, which must not go into a URL.
    token = read_session_transfer(tokens)
    if isinstance(token, InvalidResponseError):
        raise token
    return token


def _find_actor(call: Call) -> Flow[str]:
    """Return the logged-in user's ID token, valid for a while yet.

    Raises:
        CustomTokenExchangeError: nobody is logged in, or no ID token can be had.
    """
    session = None
    # A client without sessions is not misconfigured here: its actor may be given.
    if call.settings.state_store is not None:
        keeper = open_keeper(call)
        session = yield from load_session(call, keeper)
        if session is not None:
            try:
                return (yield from refresh_id_token(call, keeper, session))
            except LoginRequiredError:
                session = None
    raise CustomTokenExchangeError(
        "no actor_token was given, and no session has an ID token that would do",
        Code.ACTOR_UNAVAILABLE,
        phase="validate",
    )
