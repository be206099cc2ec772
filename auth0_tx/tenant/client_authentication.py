"""Who calls the token endpoint: client authentication as RFC 6749 2.3 and 7523 say."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from .applications import Application, AuthMethod
from .client_assertion import (
    ASSERTION_TYPE,
    InvalidAssertion,
    check_assertion,
    claimed_client_id,
)
from .http_messages import ReceivedRequest
from .parameters import Parameters
from .state import TenantState
from .wording import Refused

# RFC 6749 5.2: a 401 to an Authorization header names the scheme it wants.
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="auth0"'),)


@frozen
class AuthenticatedClient:
    """An application, and the method by which it proved to be itself."""

    application: Application
    method: AuthMethod


@frozen
class _Presented:
    method: AuthMethod
    client_id: str
    secret: str = field(default="", repr=False)


def authenticate_client(
    state: TenantState, request: ReceivedRequest, parameters: Parameters
) -> AuthenticatedClient:
    """Return who sent *request*.

    Raises:
        Refused: Nobody the tenant knows, not proven, or by a method not allowed.
    """
    challenge = _CHALLENGE if "authorization" in request.headers else ()
    failed = state.wording.client_authentication_failed.refused(headers=challenge)
    presented = _presented(state, request, parameters, failed)
    application = state.applications.get(presented.client_id)
    if application is None or not application.accepts(presented.method):
        raise failed
    if presented.method == "private_key_jwt":
        try:
            check_assertion(
                presented.secret,
                application,
                audience=state.issuer,
                now=state.clock(),
                used=state.used_assertions,
            )
        except InvalidAssertion as error:
            failed.log = f"Invalid client_assertion: {error}"
            raise failed from error
    elif presented.method != "none":
        secret = application.client_secret or ""
        if not hmac.compare_digest(secret.encode(), presented.secret.encode()):
            raise state.wording.bad_client_secret.refused(headers=challenge)
    return AuthenticatedClient(application, presented.method)


def _presented(
    state: TenantState,
    request: ReceivedRequest,
    parameters: Parameters,
    failed: Refused,
) -> _Presented:
    authorization = request.headers.get("authorization")
    secret = parameters.get("client_secret")
    assertion = parameters.get("client_assertion")
    # RFC 6749 2.3: MUST NOT use more than one authentication method in each request.
    if sum(one is not None for one in (authorization, secret, assertion)) > 1:
        raise state.wording.several_client_authentications.refused()
    if authorization is not None:
        presented = _from_basic(authorization, failed)
    elif assertion is not None:
        if parameters.require("client_assertion_type") != ASSERTION_TYPE:
            raise failed
        # RFC 7521 4.2: client_id is optional, the assertion's subject names it.
        claimed = claimed_client_id(assertion)
        if claimed is None:
            raise failed
        presented = _Presented("private_key_jwt", claimed, assertion)
    elif secret is not None:
        client_id = parameters.require("client_id")
        presented = _Presented("client_secret_post", client_id, secret)
    else:
        presented = _Presented("none", parameters.require("client_id"))
    if parameters.get("client_id") not in (None, presented.client_id):
        raise failed
    return presented


def _from_basic(authorization: str, failed: Refused) -> _Presented:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise failed
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
        client_id, colon, secret = decoded.partition(":")
        # RFC 6749 2.3.1: both are form-encoded before they are put together.
        presented = _Presented(
            "client_secret_basic", _form_decoded(client_id), _form_decoded(secret)
        )
    except ValueError as error:
        raise failed from error
    if not colon:
        raise failed
    return presented


def _form_decoded(value: str) -> str:
    return unquote_to_bytes(value.replace("+", " ")).decode()
