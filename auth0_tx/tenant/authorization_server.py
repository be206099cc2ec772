"""The whole tenant as one function from a request to a reply. No socket in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import logout, metadata, revocation, token_endpoint, userinfo
from .http_messages import ReceivedRequest, Reply
from .state import TenantState

_Endpoint = Callable[[TenantState, ReceivedRequest], Reply]

_ENDPOINTS: Mapping[tuple[str, str], _Endpoint] = {
    **{("GET", path): metadata.discovery for path in metadata.DISCOVERY_PATHS},
    ("GET", metadata.JWKS_PATH): metadata.jwks,
    ("POST", token_endpoint.PATH): token_endpoint.token,
    ("POST", revocation.PATH): revocation.revoke,
    ("GET", userinfo.PATH): userinfo.userinfo,
    ("POST", userinfo.PATH): userinfo.userinfo,
    ("GET", logout.PATH): logout.log_out,
}


def respond(state: TenantState, request: ReceivedRequest) -> Reply:
    """Return the tenant's reply to *request*."""
    # RFC 9110 9.3.2: HEAD is GET without the content.
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = _ENDPOINTS.get((method, request.path))
    if endpoint is None:
        body = {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        return Reply.of(body, status=404)
    return endpoint(state, request)
