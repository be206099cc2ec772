"""Every error this library raises.

    Auth0Error
    ├── SessionError                     a login session cannot do what was asked of it
    │   ├── LoginRequiredError           the user's turn: there is no session that can
    │   └── BackchannelLogoutError       the logout token does not hold; answer 400
    └── CustomTokenExchangeError         any failure of an exchange: one ``except`` for all
        ├── StoreError                   the session store failed
        ├── InvalidInputError            yours: refused before a byte was sent (a ValueError)
        │   └── ConfigurationError       yours: a keyword of the client itself
        ├── ClientClosedError            yours: the client was used after ``close()``
        ├── TransportError               nobody's: no complete answer came back
        │   ├── NotSentError             the grant never left; sending it again is safe
        │   └── AmbiguousError           the grant left; whether it took effect is unknown
        ├── DiscoveryError               the tenant's metadata cannot be had or trusted
        ├── InvalidResponseError         the server's: an answer that is not what it must be
        ├── RefusedError                 the server's, or your Action's: it said no
        │   ├── MfaRequiredError         continue with ``mfa_token`` and the MFA API
        │   ├── RateLimitError           wait, then try again
        │   └── BlockedError             the source IP is blocked; trying again makes it worse
        └── IdTokenError                 the ID token does not hold
            └── SigningKeyError          the tenant's signing keys cannot be had

All state is positional in ``args``, so that ``pickle``, ``copy`` and Celery's result
backends keep it, and no part of it is ever a secret.  Anything raised that is not in
this tree is a bug of the library.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, Self

from .secret import secret

Phase = Literal["validate", "discover", "send", "reply", "verify", "store"]
"""The step of an exchange that failed."""


class CustomTokenExchangeErrorCode(StrEnum):
    """The codes this library gives; a server's own ``error`` value is kept verbatim beside them."""

    INVALID_TOKEN_FORMAT = "invalid_token_format"
    """A token is empty, padded, too long, has a ``Bearer`` prefix or characters no token has."""
    MISSING_ACTOR_TOKEN_TYPE = "missing_actor_token_type"
    """``actor_token`` was given without ``actor_token_type``."""
    MISSING_ACTOR_TOKEN = "missing_actor_token"
    """``actor_token_type`` was given without ``actor_token``."""
    TOKEN_EXCHANGE_FAILED = "token_exchange_failed"
    """The exchange failed, and the server gave no usable code of its own."""
    INVALID_RESPONSE = "invalid_response"
    """The server's answer is not a token response (RFC 6749 section 5.1) or an error (5.2)."""
    INVALID_ARGUMENT = "invalid_argument"
    """An argument other than a token breaks a rule."""
    RESERVED_PARAMETER = "reserved_parameter"
    """``authorization_params`` names a parameter that the library sets itself."""
    INVALID_CONFIGURATION = "invalid_configuration"
    """A keyword of the client breaks a rule."""
    CLIENT_CLOSED = "client_closed"
    """The client was closed before, or during, the call."""
    CONNECTION_FAILED = "connection_failed"
    """No connection could be made; nothing was sent."""
    TLS_FAILED = "tls_failed"
    """The server's certificate or TLS version is not acceptable; nothing was sent."""
    TIMEOUT = "timeout"
    """The deadline passed."""
    CONNECTION_LOST = "connection_lost"
    """The connection ended after the request had left and before its answer was whole."""
    DISCOVERY_FAILED = "discovery_failed"
    """The tenant's metadata could not be fetched or does not hold."""
    RATE_LIMITED = "rate_limited"
    """A rate limit, where the server gave no usable code of its own."""
    INVALID_ID_TOKEN = "invalid_id_token"
    """The ID token is malformed, badly signed, or says something it must not."""
    MISSING_ID_TOKEN = "missing_id_token"
    """An ID token was needed and the server sent none."""
    SIGNING_KEY_UNAVAILABLE = "signing_key_unavailable"
    """The key that would verify the ID token cannot be had."""
    STORE_FAILED = "store_failed"
    """The session store could not be read or written."""
    SESSION_TOO_LARGE = "session_too_large"
    """The session does not fit into the cookies that may hold it."""
    LOGIN_REQUIRED = "login_required"
    """There is no session, or it can give no token any more."""
    INVALID_LOGOUT_TOKEN = "invalid_logout_token"
    """The logout token is malformed, badly signed, replayed, or not for this client."""
    ACTOR_UNAVAILABLE = "actor_unavailable"
    """No actor token was given, and no session has an ID token that would do."""
    SETACTOR_REQUIRED = "setactor_required"
    """The profile's Action set no actor, which a session transfer token needs."""
    SESSION_TRANSFER_DISABLED = "session_transfer_disabled"
    """The tenant or the application may not issue session transfer tokens."""


Code = CustomTokenExchangeErrorCode


class Auth0Error(Exception):
    """The root of this library's errors.

    Attributes:
        code: a :class:`CustomTokenExchangeErrorCode`, or the server's ``error`` verbatim.
        message: what happened, in words; never a token, a secret or their like.
        status: the HTTP status of the answer, where there was one.
        retry_safe: whether the same call, sent again, can do no harm and may succeed.
        retry_after: seconds the server asked to wait, at most 86,400.
        phase: the step that failed.
        tokens_issued: whether the server had issued, or may have issued, tokens by then.
        correlation_id: Auth0's id of the request, for its logs and support.
        hint: what to do about it, where the cause is known.
        parameter: the argument that was refused, where one was.
    """

    default_code: str = Code.TOKEN_EXCHANGE_FAILED
    default_phase: Phase = "reply"

    def __init__(
        self,
        message: str = "",
        code: str | None = None,
        status: int | None = None,
        retry_safe: bool = False,
        retry_after: float | None = None,
        phase: Phase | None = None,
        tokens_issued: bool = False,
        correlation_id: str | None = None,
        hint: str | None = None,
        parameter: str | None = None,
    ) -> None:
        self.message = message
        self.code: str = known_code(code or self.default_code)
        self.status = status
        self.retry_safe = retry_safe
        self.retry_after = retry_after
        self.phase: Phase = phase or self.default_phase
        self.tokens_issued = tokens_issued
        self.correlation_id = correlation_id
        self.hint = hint
        self.parameter = parameter
        super().__init__(
            message,
            str(self.code),
            status,
            retry_safe,
            retry_after,
            self.phase,
            tokens_issued,
            correlation_id,
            hint,
            parameter,
        )

    def evolve(self, **changes: Any) -> Self:
        """Copy the error with some of its attributes changed."""
        state = dict(zip(_STATE, self.args, strict=True))
        return type(self)(**(state | changes))

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        hint = f" Hint: {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{status}{hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The args are the whole state: __dict__ is left out, as an MFA token may be in it.
        return type(self), self.args


_STATE = (
    "message",
    "code",
    "status",
    "retry_safe",
    "retry_after",
    "phase",
    "tokens_issued",
    "correlation_id",
    "hint",
    "parameter",
)


class CustomTokenExchangeError(Auth0Error):
    """An exchange, or a login made of one, failed."""


class InvalidInputError(CustomTokenExchangeError, ValueError):
    """An argument breaks a rule; nothing was sent."""

    default_code: str = Code.INVALID_ARGUMENT
    default_phase: Phase = "validate"


class ConfigurationError(InvalidInputError):
    """A keyword of the client breaks a rule, or does not go with another."""

    default_code: str = Code.INVALID_CONFIGURATION


class ClientClosedError(CustomTokenExchangeError):
    """The client is closed; make a new one."""

    default_code: str = Code.CLIENT_CLOSED
    default_phase: Phase = "send"


class TransportError(CustomTokenExchangeError):
    """No complete answer came back."""

    default_phase: Phase = "send"


class NotSentError(TransportError):
    """The request did not leave: no connection, no TLS session, or no time for one."""

    default_code: str = Code.CONNECTION_FAILED


class AmbiguousError(TransportError):
    """The request left and its answer was lost, so it may have taken effect."""

    default_code: str = Code.CONNECTION_LOST


class DiscoveryError(CustomTokenExchangeError):
    """The tenant's metadata cannot be had, or does not belong to the configured domain."""

    default_code: str = Code.DISCOVERY_FAILED
    default_phase: Phase = "discover"


class InvalidResponseError(CustomTokenExchangeError):
    """The answer is not what the protocol says it must be."""

    default_code: str = Code.INVALID_RESPONSE


class RefusedError(CustomTokenExchangeError):
    """The authorization server, or an Action, refused (RFC 6749 section 5.2)."""


class MfaRequiredError(RefusedError):
    """A second factor is needed before tokens are issued (Auth0's ``mfa_required``).

    ``mfa_token`` goes to the MFA API.  It does not print, and a pickled or copied error
    no longer has it.
    """

    mfa_token: str | None = None
    mfa_requirements: dict[str, Any] | None = None

    def with_mfa(
        self, token: str | None, requirements: dict[str, Any] | None
    ) -> MfaRequiredError:
        """Attach what the MFA API needs; return the error itself."""
        self.mfa_token = secret(token)
        self.mfa_requirements = requirements
        return self


class RateLimitError(RefusedError):
    """Too many requests; ``retry_after`` says how long to wait, where the server said it."""

    default_code: str = Code.RATE_LIMITED


class BlockedError(RefusedError):
    """Auth0 blocks this source IP after repeated refused tokens (``too_many_attempts``)."""


class IdTokenError(CustomTokenExchangeError):
    """The ID token is malformed, badly signed, or its claims do not hold."""

    default_code: str = Code.INVALID_ID_TOKEN
    default_phase: Phase = "verify"


class SigningKeyError(IdTokenError):
    """The keys that would verify the ID token cannot be had."""

    default_code: str = Code.SIGNING_KEY_UNAVAILABLE


class StoreError(CustomTokenExchangeError):
    """The session store could not be read or written.

    ``response`` has the tokens of a login that could not be kept.  It does not print, and a
    pickled or copied error no longer has it.
    """

    default_code: str = Code.STORE_FAILED
    default_phase: Phase = "store"
    response: Any = None

    def with_response(self, response: Any) -> StoreError:
        """Attach the tokens that were issued; return the error itself."""
        self.response = response
        return self


class SessionError(Auth0Error):
    """A login session cannot do what was asked of it."""

    default_code: str = Code.LOGIN_REQUIRED
    default_phase: Phase = "store"


class LoginRequiredError(SessionError):
    """There is no session, or it can give no token any more: the user must log in."""


class BackchannelLogoutError(SessionError):
    """A logout token does not hold (OpenID Connect Back-Channel Logout 1.0 section 2.6)."""

    default_code: str = Code.INVALID_LOGOUT_TOKEN
    default_phase: Phase = "verify"


def known_code(code: str) -> str:
    """Give the enum's member where *code* is one of ours, else the text as it is."""
    try:
        return CustomTokenExchangeErrorCode(code)
    except ValueError:
        return code
