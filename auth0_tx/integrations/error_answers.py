"""The answer to a request that failed: one table of errors for every host.

An API answers with a status, a code and header fields, without details: a caller can change its
own token and its login, and everything between this service and Auth0 goes to the service's log.
The order of the rules matters: the first that holds decides.

A browser that opens a page is sent to the login page instead, if the application has named one
(see ``login_redirects``).
"""

from __future__ import annotations

import logging
import re
from math import ceil

import attrs

from ..errors import (
    Auth0Error,
    BackchannelLogoutError,
    BlockedError,
    CustomTokenExchangeErrorCode,
    DiscoveryError,
    InsufficientScopeError,
    InvalidInputError,
    LoginRefusedError,
    LoginRequiredError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
    SigningKeyError,
    StoreError,
    TransportError,
)

# Auth0's answers to a wrong client secret, and to a grant that the application may not use:
# the credentials and the settings are this service's, not the caller's.
_SERVICE_REFUSED = ((401, "access_denied"), (403, "unauthorized_client"))

# Tokens that the caller sent, by the name of the parameter that they became.  An actor token
# is the application's.
_TOKENS_OF_CALLERS = ("authorization", "access_token", "subject_token")

NO_STORE = {"Cache-Control": "no-store"}
"""The header field of a response that no cache may keep."""

LOGIN_REQUIRED = "login_required"
"""The code of the answer to a request that needs a login."""

_INVALID_TOKEN = 'Bearer error="invalid_token"'

# RFC 6750 section 3: the characters of a scope, so that it stays within its quotes.
_is_scope = re.compile(
    r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*"
).fullmatch

log: logging.Logger = logging.getLogger("auth0_tx.answers")


@attrs.frozen(kw_only=True)
class ErrorAnswer:
    """The answer to a request that failed.

    Attributes:
        status: the HTTP status.
        error: a code that says who can do something about it.
        headers: the header fields of the answer; ``Cache-Control: no-store`` among them always,
            and ``WWW-Authenticate`` with a 401 (RFC 9110 section 15.5.2).
    """

    status: int
    error: str
    headers: dict[str, str] = attrs.field(factory=NO_STORE.copy)

    @property
    def body(self) -> dict[str, str]:
        """The answer as JSON."""
        return {"error": self.error}


def answer_for(error: Auth0Error) -> ErrorAnswer:
    """Return the answer to a request that failed with *error*, and log the details.

    An error of this service itself is logged with its traceback, like an unhandled one.
    """
    answer = _choose_answer(error)
    if answer.status == 500:
        log.error("responded with status 500: %s", error, exc_info=error)
    elif answer.status > 500:
        log.warning("responded with status %d: %s", answer.status, error)
    else:
        log.info("responded with status %d: %s", answer.status, error)
    return answer


def wants_page(method: str, accept: str | None, fetch_mode: str | None) -> bool:
    """Return whether a request comes from a browser that opens a page.

    Such a request is redirected to the login page; any other gets the table's JSON.

    Args:
        method: the request's method.
        accept: its ``Accept`` field.
        fetch_mode: its ``Sec-Fetch-Mode`` field, which browsers add to say who asks: a script's
            ``fetch`` would follow a redirect, and take the login page for the answer.
    """
    return (
        method in ("GET", "HEAD")
        and fetch_mode in (None, "", "navigate")
        and any(map(_accepts_html, (accept or "").split(",")))
    )


def _choose_answer(error: Auth0Error) -> ErrorAnswer:
    if isinstance(error, LoginRequiredError):
        # RFC 6750 section 3.1: the challenge has no error code if no token was sent.
        return _make_unauthorized("Bearer", LOGIN_REQUIRED)
    if isinstance(error, LoginRefusedError):
        # The user has logged in, and another token would change nothing.
        return ErrorAnswer(status=403, error="access_denied")
    if isinstance(error, BackchannelLogoutError):
        # OpenID Connect Back-Channel Logout 1.0 section 2.8.
        return ErrorAnswer(status=400, error="invalid_request")
    if isinstance(error, InvalidInputError) and error.parameter in _TOKENS_OF_CALLERS:
        return _choose_answer_to_token(error)
    if isinstance(error, InsufficientScopeError):
        return _make_forbidden(error.scope)
    if isinstance(error, MfaRequiredError):
        return ErrorAnswer(status=403, error="mfa_required")
    if isinstance(error, RateLimitError | BlockedError) or error.status == 503:
        return _make_unavailable(error, 503)
    if isinstance(error, RefusedError):
        return _choose_refusal(error)
    if isinstance(error, TransportError):
        return _make_unavailable(error, 504 if error.code == "timeout" else 502)
    is_other_server = isinstance(error, StoreError | DiscoveryError | SigningKeyError)
    if is_other_server and error.retry_safe:
        # A server that is down comes back; one that is set up wrongly does not.
        return _make_unavailable(error, 503)
    # A setting, an invalid response of Auth0: not the caller's fault.
    return ErrorAnswer(status=500, error="server_error")


def _choose_answer_to_token(error: InvalidInputError) -> ErrorAnswer:
    if error.code == CustomTokenExchangeErrorCode.INVALID_TOKEN_FORMAT:
        return _make_unauthorized(_INVALID_TOKEN, "invalid_token")
    if error.parameter == "authorization":
        return _make_unauthorized("Bearer", "invalid_request")
    return ErrorAnswer(status=500, error="server_error")


def _choose_refusal(error: RefusedError) -> ErrorAnswer:
    if error.code == "invalid_client" or (error.status, error.code) in _SERVICE_REFUSED:
        return ErrorAnswer(status=500, error="server_error")
    if error.status is not None and error.status >= 500:
        return _make_unavailable(error, 502)
    # Without a code of Auth0's it is a gateway's page, which says nothing of the caller.
    if error.code == CustomTokenExchangeErrorCode.TOKEN_EXCHANGE_FAILED:
        return ErrorAnswer(status=500, error="server_error")
    if error.status == 403:
        return ErrorAnswer(status=403, error="access_denied")
    return _make_unauthorized(_INVALID_TOKEN, "invalid_token")


def _make_unauthorized(challenge: str, error: str) -> ErrorAnswer:
    headers = {**NO_STORE, "WWW-Authenticate": challenge}
    return ErrorAnswer(status=401, error=error, headers=headers)


def _make_forbidden(scope: str | None) -> ErrorAnswer:
    """Return the answer to a token without the scope that is required (RFC 6750 3.1)."""
    challenge = 'Bearer error="insufficient_scope"'
    if scope and _is_scope(scope):
        challenge += f', scope="{scope}"'
    headers = {**NO_STORE, "WWW-Authenticate": challenge}
    return ErrorAnswer(status=403, error="insufficient_scope", headers=headers)


def _make_unavailable(error: Auth0Error, status: int) -> ErrorAnswer:
    headers = {**NO_STORE}
    if error.retry_after is not None:
        # RFC 9110 section 10.2.3 has whole seconds; less than asked for would be too early.
        headers["Retry-After"] = str(ceil(error.retry_after))
    return ErrorAnswer(status=status, error="temporarily_unavailable", headers=headers)


def _accepts_html(media_range: str) -> bool:
    """Return whether one part of an ``Accept`` field names HTML (RFC 9110 section 12.5.1)."""
    media_type, *parameters = media_range.lower().replace(" ", "").split(";")
    return media_type == "text/html" and not any(
        re.fullmatch(r"q=0(\.0{0,3})?", parameter) for parameter in parameters
    )
