"""What an API answers to its caller when an exchange fails: a status, and no detail.

A caller can do something about its own token, and about nothing else; what went wrong
between this service and Auth0 goes to its log.
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

# What Auth0 says to a wrong secret, and of a grant that the application may not use: the
# credentials and the settings are this service's own.
_OF_THE_CLIENT = ((401, "access_denied"), (403, "unauthorized_client"))

log: logging.Logger = logging.getLogger("auth0_tx.answers")


@attrs.frozen(kw_only=True)
class ErrorAnswer:
    """An answer to a request that failed.

    Attributes:
        status: the HTTP status.
        error: a code that says whose affair it is.
        headers: what goes with the status.
    """

    status: int
    error: str
    headers: dict[str, str] = attrs.field(factory=dict)

    @property
    def body(self) -> dict[str, str]:
        """The answer as JSON."""
        return {"error": self.error}


def answer_for(error: Auth0Error) -> ErrorAnswer:
    """Give what to answer to a request that failed by *error*, and log what the caller is not told.

    An error of this service's own is logged with its traceback, as one that nobody caught is.
    """
    answer = _answer(error)
    if answer.status == 500:
        log.error("answered 500 to %s", error, exc_info=error)
    elif answer.status > 500:
        log.warning("answered %d to %s", answer.status, error)
    else:
        log.info("answered %d to %s", answer.status, error)
    return answer


def _answer(error: Auth0Error) -> ErrorAnswer:
    if isinstance(error, LoginRequiredError):
        return ErrorAnswer(status=401, error="login_required")
    if isinstance(error, BackchannelLogoutError):
        # OpenID Connect Back-Channel Logout 1.0 section 2.8.
        return ErrorAnswer(status=400, error="invalid_request")
    if isinstance(error, InvalidInputError) and error.parameter == "authorization":
        # RFC 6750 section 3.1: no code where no token was sent.
        return _unauthorized("Bearer", "invalid_request")
    if isinstance(error, MfaRequiredError):
        return ErrorAnswer(status=403, error="mfa_required")
    if isinstance(error, RateLimitError | BlockedError) or error.status == 503:
        return _unavailable(error, 503)
    if isinstance(error, RefusedError):
        return _refused(error)
    if isinstance(error, TransportError):
        return _unavailable(error, 504 if error.code == "timeout" else 502)
    # A setting, a store, an answer that is none: ours, and not the caller's.
    return ErrorAnswer(status=500, error="server_error")


def _refused(error: RefusedError) -> ErrorAnswer:
    if error.code == "invalid_client" or (error.status, error.code) in _OF_THE_CLIENT:
        return ErrorAnswer(status=500, error="server_error")
    if error.status == 403:
        return ErrorAnswer(status=403, error="access_denied")
    if error.status is not None and error.status >= 500:
        return _unavailable(error, 502)
    return _unauthorized('Bearer error="invalid_token"', "invalid_token")


def _unauthorized(challenge: str, error: str) -> ErrorAnswer:
    return ErrorAnswer(status=401, error=error, headers={"WWW-Authenticate": challenge})


def _unavailable(error: Auth0Error, status: int) -> ErrorAnswer:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(ceil(error.retry_after))
    return ErrorAnswer(status=status, error="temporarily_unavailable", headers=headers)
