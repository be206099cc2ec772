"""Logging in with an exchanged token.

The user is whom the verified ID token names, so a login needs one and the exchange asks for
``openid``.  All that can fail without Auth0 is checked before the exchange, because it may
spend the subject token; what fails after it carries the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import IdTokenError, StoreError
from ...events import LoginFinished
from ...session_values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    SessionData,
)
from ...values import TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow
from ..session.state import ceiling_problem, conceal_tokens, create_state
from ..wire.grants import check_exchange, with_openid
from ..wire.metadata import Metadata
from .audit import run_reported
from .exchange import make_exchange_grant, run_exchange
from .session import check_writable, open_keeper
from .session_keeper import SessionKeeper
from .verification import verify_id_token


def login_with_custom_token_exchange(
    context: Context,
    options: LoginWithCustomTokenExchangeOptions,
    store_options: StoreOptions | None = None,
) -> Flow[LoginWithCustomTokenExchangeResult]:
    """Exchange a token for Auth0 tokens, and log its user in.

    The user is whom the verified ID token names; ``openid`` is added to the scope if it is
    missing.  The browser gets a new session, and an earlier session of it ends.

    Args:
        options: whose token, of what type, for which API.
        store_options: ``request`` and ``response``, as your framework has them: cookies
            are read from the one and set on the other.

    Returns:
        The session that was made.

    Raises:
        ConfigurationError: the client keeps no sessions; nothing was sent.
        InvalidInputError: an option breaks a rule, or there is no response; nothing was sent.
        IdTokenError: the ID token is missing or invalid; no session was made.
        StoreError: the session could not be kept; its ``response`` has the tokens.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    call = context.begin_call(store_options)
    login = _log_in(call, options)
    return (yield from run_reported(call, LoginFinished, login, _describe))


def _log_in(
    call: Call, options: LoginWithCustomTokenExchangeOptions
) -> Flow[LoginWithCustomTokenExchangeResult]:
    # First of all: without sessions, or a response to set cookies on, the exchange would
    # spend the subject token for nothing.
    keeper = open_keeper(call)
    yield from check_writable(call)
    options = with_openid(options)
    # After openid was added, because the scope is checked as it will be sent.
    check_exchange(options)

    def finish(
        metadata: Metadata, tokens: TokenExchangeResponse
    ) -> Flow[LoginWithCustomTokenExchangeResult]:
        claims = yield from verify_id_token(
            call, metadata, tokens, options.organization
        )
        return (
            yield from _create_session(call, keeper, options, metadata, tokens, claims)
        )

    grant = make_exchange_grant(call.context, options, needs_keys=True)
    return (yield from run_exchange(call, grant, finish))


def _describe(result: LoginWithCustomTokenExchangeResult) -> Mapping[str, Any]:
    return {"state": result.state_data}


def _create_session(
    call: Call,
    keeper: SessionKeeper,
    options: LoginWithCustomTokenExchangeOptions,
    metadata: Metadata,
    tokens: TokenExchangeResponse,
    claims: dict[str, Any],
) -> Flow[LoginWithCustomTokenExchangeResult]:
    now = call.context.clock()
    # An Action may set a ceiling that has passed or is not a date.  A session that ends at
    # once, or never, would be worse than none.
    problem = ceiling_problem(claims, now)
    if problem is not None:
        raise IdTokenError(f"the ID token's {problem}", tokens_issued=True)
    state = create_state(
        tokens,
        claims,
        audience=options.audience,
        scope=options.scope,
        domain=metadata.domain,
        now=now,
        policy=call.settings.session_policy,
        # An exchange makes no session at Auth0, so its ID token usually has no sid.
        session_id=call.context.new_id(),
    )
    try:
        session = yield from keeper.create(state)
    except StoreError as error:
        # Without its traceback, which keeps this frame, and the tokens in it.
        failure = error.with_traceback(None)
    else:
        return LoginWithCustomTokenExchangeResult(
            state_data=cast(SessionData, conceal_tokens(session.state))
        )
    # Outside the handler: what carries the tokens replaces the store's error, and has no
    # context.  To log in again would be to exchange again.
    again = failure.retry_safe and options.subject_token_reusable
    raise failure.evolve(tokens_issued=True, retry_safe=again).with_response(tokens)
