"""A session that no login at Auth0 has begun, for an application's own tests.

``auth0_tx.testing`` begins it through the application's own client, so that it is sealed and
stored as any other: whoever has no client with the application's secret cannot make one, and
whoever has one could seal a session anyway.

No request is sent.  The access tokens are text that no API accepts, they are kept under the
audiences that the test names, and there is no refresh token to renew them with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import InvalidInputError
from ...session_values import LoginWithCustomTokenExchangeResult, SessionData
from ...values import TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow
from ..session.state import (
    add_access_token,
    ceiling_problem,
    conceal_tokens,
    create_state,
)
from ..wire.domains import issuer_url
from .session import check_writable, open_keeper
from .tenant_documents import resolve_domain

TOKEN_PREFIX = "access-token-of-a-test."
"""The beginning of such an access token: nobody who sees one takes it for a real one."""


def begin_local_session(
    context: Context,
    claims: Mapping[str, Any],
    access_tokens: Mapping[str | None, str | None],
    expires_in: int,
    store_options: StoreOptions | None = None,
) -> Flow[LoginWithCustomTokenExchangeResult]:
    """Begin a session without a request to Auth0.

    Args:
        claims: what an ID token would say of the user; ``sub`` at least.
        access_tokens: the scope of an access token for each audience; the first is the
            login's.
        expires_in: seconds that the access tokens last.
        store_options: ``request`` and ``response``, as for a login.

    Returns:
        The session that was made.

    Raises:
        ConfigurationError: the client keeps no sessions.
        InvalidInputError: a claim is not fit for a session, or there is no response.
        StoreError: the session could not be kept.
    """
    call = context.begin_call(store_options)
    keeper = open_keeper(call)
    yield from check_writable(call)
    domain = yield from resolve_domain(call)
    now = context.clock()
    claims = {
        "iss": issuer_url(domain),
        "aud": call.settings.client_id,
        "iat": int(now),
        "exp": int(now) + expires_in,
        **claims,
    }
    problem = ceiling_problem(claims, now)
    if problem is None and not (isinstance(claims.get("sub"), str) and claims["sub"]):
        problem = "sub must be a string that is not empty"
    if problem is not None:
        raise InvalidInputError(f"user: {problem}", parameter="user")
    (audience, scope), *others = access_tokens.items()
    state = create_state(
        _make_tokens(call, scope, expires_in),
        claims,
        audience=audience,
        scope=scope,
        domain=domain,
        now=now,
        policy=call.settings.session_policy,
        session_id=context.new_id(),
    )
    for audience, scope in others:
        state = add_access_token(
            state,
            _make_tokens(call, scope, expires_in),
            audience=audience,
            scope=None,
            now=now,
        )
    session = yield from keeper.create(state)
    shown = cast(SessionData, conceal_tokens(session.state))
    return LoginWithCustomTokenExchangeResult(state_data=shown)


def _make_tokens(
    call: Call, scope: str | None, expires_in: int
) -> TokenExchangeResponse:
    return TokenExchangeResponse(
        access_token=TOKEN_PREFIX + call.context.new_secret(),
        token_type="Bearer",  # noqa: S106
        expires_in=expires_in,
        expires_at=int(call.now) + expires_in,
        scope=scope,
    )
