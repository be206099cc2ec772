"""An API's answer to a failed exchange: a status and a code, without details.

A caller can change its own token and its login; everything between this service and Auth0 goes
to the service's log.  The order of the rules matters: the first that holds decides.
"""

from __future__ import annotations

import logging
from math import ceil

import attrs

from ..errors import (
    Auth0Error,
    BackchannelLogoutError,
    BlockedError,
    InvalidInputError,
    LoginRequiredError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
    TransportError,
)

# Auth0's answers to a wrong client secret, and to a grant that the application may not use:
# the credentials and the settings are this service's, not the caller's.
_SERVICE_REFUSED = ((401, "access_denied"), (403, "unauthorized_client"))

log: logging.Logger = logging.getLogger("auth0_tx.answers")


@attrs.frozen(kw_only=True)
class ErrorAnswer:
    """The answer to a request that failed.

    Attributes:
        status: the HTTP status.
        error: a code that says who can do something about it.
        headers: the header fields that belong to the status.
    """

    status: int
    error: str
    headers: dict[str, str] = attrs.field(factory=dict)

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


def _choose_answer(error: Auth0Error) -> ErrorAnswer:
    if isinstance(error, LoginRequiredError):
        return ErrorAnswer(status=401, error="login_required")
    if isinstance(error, BackchannelLogoutError):
        # OpenID Connect Back-Channel Logout 1.0 section 2.8.
        return ErrorAnswer(status=400, error="invalid_request")
    if isinstance(error, InvalidInputError) and error.parameter == "authorization":
        # RFC 6750 section 3.1: the challenge has no error code if no token was sent.
        return _make_unauthorized("Bearer", "invalid_request")
    if isinstance(error, MfaRequiredError):
        return ErrorAnswer(status=403, error="mfa_required")
    if isinstance(error, RateLimitError | BlockedError) or error.status == 503:
        return _make_unavailable(error, 503)
    if isinstance(error, RefusedError):
        return _choose_refusal(error)
    if isinstance(error, TransportError):
        return _make_unavailable(error, 504 if error.code == "timeout" else 502)
    # A setting, a store, an invalid response of Auth0: not the caller's fault.
    return ErrorAnswer(status=500, error="server_error")


def _choose_refusal(error: RefusedError) -> ErrorAnswer:
    if error.code == "invalid_client" or (error.status, error.code) in _SERVICE_REFUSED:
        return ErrorAnswer(status=500, error="server_error")
    if error.status == 403:
        return ErrorAnswer(status=403, error="access_denied")
    if error.status is not None and error.status >= 500:
        return _make_unavailable(error, 502)
    return _make_unauthorized('Bearer error="invalid_token"', "invalid_token")


def _make_unauthorized(challenge: str, error: str) -> ErrorAnswer:
    return ErrorAnswer(status=401, error=error, headers={"WWW-Authenticate": challenge})


def _make_unavailable(error: Auth0Error, status: int) -> ErrorAnswer:
    headers = {}
    if error.retry_after is not None:
        # RFC 9110 section 10.2.3 has whole seconds; less than asked for would be too early.
        headers["Retry-After"] = str(ceil(error.retry_after))
    return ErrorAnswer(status=status, error="temporarily_unavailable", headers=headers)
