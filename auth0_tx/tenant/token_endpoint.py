"""``POST /oauth/token``: the part that every grant shares, and the list of grants.

Theory of operation. A request passes the rate limit first, which costs least; then its
parameters are parsed, its grant found and its client authenticated, and the grant's
handler answers. Each of these steps may refuse by raising ``RequestRefused``, and one
place turns that into a reply. Around all of it go the headers that every reply has, and
last the alteration that a test may have set: it sees what a client would see.

A new grant is a module with a function of the shape ``GrantHandler``, and a line in
``_GRANTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .applications import REFRESH_TOKEN, TOKEN_EXCHANGE
from .client_authentication import AuthenticatedClient, authenticate_client
from .http_messages import ReceivedRequest, Reply
from .parameters import Parameters, parse_parameters
from .refresh import redeem_refresh_token
from .state import TenantState
from .token_exchange import exchange_token
from .wording import RequestRefused

PATH = "/oauth/token"

GrantHandler = Callable[
    [TenantState, ReceivedRequest, AuthenticatedClient, Parameters], Reply
]

_GRANTS: Mapping[str, GrantHandler] = {
    TOKEN_EXCHANGE: exchange_token,
    REFRESH_TOKEN: redeem_refresh_token,
}

# RFC 6749 5.1: both MUST be on any response that holds tokens or credentials.
_NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


def answer_token_request(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a token request, whatever it contains."""
    reply = _answer_within_limit(state, request).with_headers(_NO_STORE)
    # Refusals, too: a test may want to see a malformed one.
    if state.reply_alteration is not None:
        reply = state.reply_alteration(reply)
    return reply


def _answer_within_limit(state: TenantState, request: ReceivedRequest) -> Reply:
    if state.rate_limiter is None:
        return _answer(state, request)
    # Auth0 has the headers on every reply: a client can slow down before it is refused.
    refusal, headers = state.rate_limiter.count_request(state.clock())
    return (refusal or _answer(state, request)).with_headers(headers)


def _answer(state: TenantState, request: ReceivedRequest) -> Reply:
    try:
        return _run_grant(state, request)
    except RequestRefused as refused:
        return refused.reply


def _run_grant(state: TenantState, request: ReceivedRequest) -> Reply:
    wording = state.wording
    parameters = parse_parameters(
        request, wording, refuse_repeated=state.settings.refuse_repeated_parameters
    )
    grant_type = parameters.require("grant_type")
    run_grant = _GRANTS.get(grant_type)
    # No client is needed to refuse a grant that no client may use.
    if run_grant is None:
        raise wording.unsupported_grant_type.to_exception()
    client = authenticate_client(state, request, parameters)
    # RFC 6749 5.2: unauthorized_client, only once it is known which client asks.
    if grant_type not in client.application.grant_types:
        raise wording.grant_type_not_allowed.to_exception(grant_type=grant_type)
    return run_grant(state, request, client, parameters)
