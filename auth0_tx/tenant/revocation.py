"""`POST /oauth/revoke` (RFC 7009): ends a refresh token and its whole family."""

from __future__ import annotations

from .client_authentication import authenticate_client
from .http_messages import ReceivedRequest, Reply
from .logs import LogEvent
from .parameters import read_parameters
from .state import TenantState
from .wording import Refused

PATH = "/oauth/revoke"


def revoke(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a revocation; a token that is none is as good as revoked."""
    try:
        _revoked(state, request)
    except Refused as refused:
        return refused.reply
    return Reply(200)


def _revoked(state: TenantState, request: ReceivedRequest) -> None:
    parameters = read_parameters(
        request,
        state.wording,
        refuse_repeated=state.settings.refuse_repeated_parameters,
    )
    client_id = authenticate_client(state, request, parameters).application.client_id
    token = parameters.require("token")
    record = state.refresh_tokens.get(token)
    # RFC 7009 2.1: only its own client may revoke a token; 2.2: an invalid one is no
    # error. Another's is invalid to this client, who learns nothing of it.
    if record is None or record.client_id != client_id:
        return
    state.refresh_tokens.revoke(token)
    state.logs.append(
        LogEvent(
            type="srrt",
            date=state.clock(),
            client_id=client_id,
            user_id=record.user_id,
            ip=request.client_address[0],
        )
    )
