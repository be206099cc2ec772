"""Client authentication at the token endpoint (RFC 6749 2.3, RFC 7523).

A request presents exactly one set of credentials: a Basic header, a secret in the body,
an assertion, or a bare ``client_id``. ``_read_credentials`` finds out which, and
``authenticate_client`` checks it against the application. As at Auth0, a wrong secret
is ``access_denied``, while an unknown application, a method that is not allowed and an
invalid assertion are all ``invalid_client``; the tenant's log says which.
"""

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
    peek_client_id,
)
from .http_messages import ReceivedRequest
from .parameters import Parameters
from .state import TenantState
from .wording import RequestRefused

# RFC 6749 5.2: a 401 to an Authorization header names the scheme it wants.
_CHALLENGE = (("WWW-Authenticate", 'Basic realm="auth0"'),)


@frozen
class AuthenticatedClient:
    """An application, and the method with which it authenticated."""

    application: Application
    method: AuthMethod


@frozen
class _Credentials:
    method: AuthMethod
    client_id: str
    secret: str = field(default="", repr=False)


def authenticate_client(
    state: TenantState, request: ReceivedRequest, parameters: Parameters
) -> AuthenticatedClient:
    """Return the application that sent ``request``.

    Raises:
        RequestRefused: The application is unknown, uses a method that it may not use,
            or does not prove its identity.
    """
    challenge = _CHALLENGE if "authorization" in request.headers else ()
    failure = state.wording.client_authentication_failed.to_exception(headers=challenge)
    credentials = _read_credentials(state, request, parameters, failure)
    application = state.applications.get(credentials.client_id)
    if application is None or not application.accepts(credentials.method):
        raise failure
    if credentials.method == "private_key_jwt":
        try:
            check_assertion(
                credentials.secret,
                application,
                audience=state.issuer,
                now=state.clock(),
                used=state.used_assertions,
            )
        except InvalidAssertion as error:
            failure.log = f"Invalid client_assertion: {error}"
            raise failure from error
    elif credentials.method != "none":
        secret = application.client_secret or ""
        # In constant time: a comparison that stops early lets secrets be guessed.
        if not hmac.compare_digest(secret.encode(), credentials.secret.encode()):
            raise state.wording.bad_client_secret.to_exception(headers=challenge)
    return AuthenticatedClient(application, credentials.method)


def _read_credentials(
    state: TenantState,
    request: ReceivedRequest,
    parameters: Parameters,
    failure: RequestRefused,
) -> _Credentials:
    authorization = request.headers.get("authorization")
    secret = parameters.get("client_secret")
    assertion = parameters.get("client_assertion")
    # RFC 6749 2.3: MUST NOT use more than one authentication method in each request.
    present = [
        value for value in (authorization, secret, assertion) if value is not None
    ]
    if len(present) > 1:
        raise state.wording.several_client_authentications.to_exception()
    if authorization is not None:
        credentials = _parse_basic(authorization, failure)
    elif assertion is not None:
        if parameters.require("client_assertion_type") != ASSERTION_TYPE:
            raise failure
        # RFC 7521 4.2: client_id is optional, the assertion's subject names the client.
        client_id = peek_client_id(assertion)
        if client_id is None:
            raise failure
        credentials = _Credentials("private_key_jwt", client_id, assertion)
    elif secret is not None:
        client_id = parameters.require("client_id")
        credentials = _Credentials("client_secret_post", client_id, secret)
    else:
        credentials = _Credentials("none", parameters.require("client_id"))
    # RFC 7521 4.2: a client_id in the body must identify the same client.
    if parameters.get("client_id") not in (None, credentials.client_id):
        raise failure
    return credentials


def _parse_basic(authorization: str, failure: RequestRefused) -> _Credentials:
    scheme, _, encoded = authorization.partition(" ")
    # RFC 9110 11.1: the scheme is case-insensitive.
    if scheme.lower() != "basic":
        raise failure
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = decoded.partition(":")
        # RFC 6749 2.3.1: both are form-encoded before they are put together.
        credentials = _Credentials(
            "client_secret_basic", _decode_form(client_id), _decode_form(secret)
        )
    except ValueError as error:
        raise failure from error
    if not colon:
        raise failure
    return credentials


def _decode_form(value: str) -> str:
    # Not unquote_plus(): it replaces bytes that are not UTF-8 instead of raising.
    return unquote_to_bytes(value.replace("+", " ")).decode()
