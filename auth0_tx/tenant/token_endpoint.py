"""`POST /oauth/token`: what is common to every grant, and which grants there are.

A new grant is a module with a function of the shape `GrantHandler`, and a line below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .applications import REFRESH_TOKEN, TOKEN_EXCHANGE
from .client_authentication import AuthenticatedClient, authenticate_client
from .http_messages import ReceivedRequest, Reply
from .parameters import Parameters, read_parameters
from .refresh_grant import refresh
from .state import TenantState
from .token_exchange import exchange
from .wording import Refused

PATH = "/oauth/token"

GrantHandler = Callable[
    [TenantState, ReceivedRequest, AuthenticatedClient, Parameters], Reply
]

_GRANTS: Mapping[str, GrantHandler] = {
    TOKEN_EXCHANGE: exchange,
    REFRESH_TOKEN: refresh,
}

# RFC 6749 5.1: both MUST be on any response that holds tokens or credentials.
_NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


def token(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a token request, whatever it says."""
    reply = _limited(state, request).with_headers(_NO_STORE)
    if state.reply_alteration is not None:
        reply = state.reply_alteration(reply)
    return reply


def _limited(state: TenantState, request: ReceivedRequest) -> Reply:
    if state.rate_limiter is None:
        return _answered(state, request)
    refusal, headers = state.rate_limiter.admit(state.clock())
    return (refusal or _answered(state, request)).with_headers(headers)


def _answered(state: TenantState, request: ReceivedRequest) -> Reply:
    try:
        return _granted(state, request)
    except Refused as refused:
        return refused.reply


def _granted(state: TenantState, request: ReceivedRequest) -> Reply:
    wording = state.wording
    parameters = read_parameters(
        request, wording, refuse_repeated=state.settings.refuse_repeated_parameters
    )
    grant_type = parameters.require("grant_type")
    handler = _GRANTS.get(grant_type)
    if handler is None:
        raise wording.unsupported_grant_type.refused()
    client = authenticate_client(state, request, parameters)
    if grant_type not in client.application.grant_types:
        raise wording.grant_type_not_allowed.refused(grant_type=grant_type)
    return handler(state, request, client, parameters)
