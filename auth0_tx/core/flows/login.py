"""Logging in with an exchanged token, and asking who is logged in."""

from __future__ import annotations

from typing import Any

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import IdTokenError, StoreError
from ...values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
)
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from ..session.state import ceiling_problem, conceal_tokens, create_state
from ..wire.grants import with_openid
from .granting import Exchanged, exchange_grant, exchanged
from .session_state import begin, check_keeping, check_writable, session_for
from .verification import verified_claims


def login_with_custom_token_exchange(
    context: Context,
    options: LoginWithCustomTokenExchangeOptions,
    store_options: StoreOptions | None = None,
) -> Flow[LoginWithCustomTokenExchangeResult]:
    """Exchange a token for Auth0 tokens, and log its user in.

    The user is whom the verified ID token names; ``openid`` is asked for where it is
    missing.  The browser gets a new session, and whatever session it had is at an end.

    Args:
        options: whose token, of what type, for which API.
        store_options: ``request`` and ``response``, as your framework has them: cookies
            are read from the one and set on the other.

    Returns:
        The session that was made.

    Raises:
        ConfigurationError: no sessions are kept; nothing was sent.
        InvalidInputError: an option breaks a rule, or there is no response; nothing was sent.
        IdTokenError: no ID token came, or it does not hold; no session was made.
        StoreError: the session could not be kept; its ``response`` has the tokens.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    check_keeping(context)
    yield from check_writable(context, store_options)
    options = with_openid(options)

    def complete(issued: Exchanged) -> Flow[LoginWithCustomTokenExchangeResult]:
        return (yield from _logged_in(context, options, store_options, issued))

    return (
        yield from exchanged(
            context, exchange_grant(context, options), store_options, complete
        )
    )


def get_user(
    context: Context, store_options: StoreOptions | None = None
) -> Flow[dict[str, Any] | None]:
    """Give the user who is logged in: the claims of the ID token, ``act`` among them.

    Args:
        store_options: ``request``, and ``response`` where there is one yet: a session that
            is used lasts longer, which a cookie must say.

    Returns:
        The user, or ``None`` where there is no session that holds.

    Raises:
        ConfigurationError: no sessions are kept.
        StoreError: the store cannot be read.
    """
    session = yield from session_for(context, store_options)
    return None if session is None else session.state["user"]


def get_session(
    context: Context, store_options: StoreOptions | None = None
) -> Flow[dict[str, Any] | None]:
    """Give the session: ``user``, ``id_token``, ``refresh_token``, ``token_sets``, ``domain``.

    Args:
        store_options: ``request``, and ``response`` where there is one yet.

    Returns:
        The session, its tokens as text that does not print, or ``None`` where there is none.

    Raises:
        ConfigurationError: no sessions are kept.
        StoreError: the store cannot be read.
    """
    session = yield from session_for(context, store_options)
    if session is None:
        return None
    return {k: v for k, v in conceal_tokens(session.state).items() if k != "internal"}


def _logged_in(
    context: Context,
    options: LoginWithCustomTokenExchangeOptions,
    store_options: StoreOptions | None,
    issued: Exchanged,
) -> Flow[LoginWithCustomTokenExchangeResult]:
    response = issued.response
    if response.id_token is None:
        raise _NO_ID_TOKEN.evolve()
    try:
        claims = yield from verified_claims(
            context, issued.metadata, response, options.organization, issued.deadline
        )
    except IdTokenError as error:
        failure = error
    else:
        return (yield from _begun(context, options, store_options, issued, claims))
    raise failure.evolve(tokens_issued=True)


def _begun(
    context: Context,
    options: LoginWithCustomTokenExchangeOptions,
    store_options: StoreOptions | None,
    issued: Exchanged,
    claims: dict[str, Any],
) -> Flow[LoginWithCustomTokenExchangeResult]:
    now = context.clock()
    problem = ceiling_problem(claims, now)
    if problem is not None:
        raise IdTokenError(f"the ID token's {problem}", tokens_issued=True)
    state = create_state(
        issued.response,
        claims,
        audience=options.audience,
        scope=options.scope,
        domain=issued.metadata.domain,
        now=now,
        policy=context.settings.session_policy,
        session_id=context.new_id(),
    )
    try:
        session = yield from begin(context, store_options, state)
    except StoreError as error:
        failure = error
    else:
        return LoginWithCustomTokenExchangeResult(
            state_data=conceal_tokens(session.state)
        )
    # To log in again would be to exchange again.
    again = failure.retry_safe and options.subject_token_reusable
    failure = failure.evolve(tokens_issued=True, retry_safe=again)
    raise failure.with_response(issued.response)


_NO_ID_TOKEN = IdTokenError(
    "no ID token came, so nobody can be logged in",
    Code.MISSING_ID_TOKEN,
    tokens_issued=True,
    hint="check that the tenant grants the scope openid to this application.",
)
