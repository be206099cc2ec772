"""Every error this library raises.

    Auth0Error
    ├── SessionError                     a login session can't do what was asked
    │   ├── LoginRequiredError           no usable session: send the user to log in
    │   └── BackchannelLogoutError       the logout token is invalid: respond with 400
    └── CustomTokenExchangeError         any failure of an exchange: one ``except`` for all
        ├── StoreError                   the session store failed
        ├── InvalidInputError            a wrong argument; nothing was sent (a ValueError)
        │   └── ConfigurationError       a wrong keyword of the client itself
        ├── ClientClosedError            the client was used after ``close()``
        ├── BulkStoppedError             a bulk exchange stopped before its input's end
        ├── TransportError               no complete response arrived
        │   ├── NotSentError             the request was not sent: safe to retry
        │   └── AmbiguousError           the request was sent and may have taken effect
        ├── DiscoveryError               the tenant's metadata is unavailable or untrusted
        ├── InvalidResponseError         the server's response breaks the protocol
        ├── RefusedError                 Auth0 or your Action refused the request
        │   ├── MfaRequiredError         continue with ``mfa_token`` and the MFA API
        │   ├── RateLimitError           wait, then retry
        │   └── BlockedError             the source IP is blocked: retries make it worse
        ├── WrongAudienceError           the access token is for another API
        ├── InsufficientScopeError       the user, or the token, lacks a scope
        ├── LoginRefusedError            your application does not let the user in
        └── IdTokenError                 the ID token failed verification
            └── SigningKeyError          the tenant's signing keys are unavailable

All state is positional in ``args``: ``pickle``, ``copy`` and Celery's result backends
rebuild an exception from its ``args``.  So the order of the parameters is part of the
format, since a task's error may be written by one version and read by another.  No part of
it is ever a secret.  An exception that is not in this tree is a bug in the library.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Self

from .secret import secret

if TYPE_CHECKING:
    from .values import TokenExchangeResponse

Phase = Literal["validate", "discover", "send", "reply", "verify", "store"]
"""The step of an exchange that failed."""


class CustomTokenExchangeErrorCode(StrEnum):
    """The library's own codes; an error may instead have the server's ``error`` verbatim."""

    INVALID_TOKEN_FORMAT = "invalid_token_format"
    """A token is empty or too long, starts with ``Bearer``, or has spaces around or in it."""
    MISSING_ACTOR_TOKEN_TYPE = "missing_actor_token_type"
    """``actor_token`` is set and ``actor_token_type`` is not."""
    MISSING_ACTOR_TOKEN = "missing_actor_token"
    """``actor_token_type`` is set and ``actor_token`` is not."""
    TOKEN_EXCHANGE_FAILED = "token_exchange_failed"
    """The exchange failed, and the server sent no usable ``error`` code."""
    INVALID_RESPONSE = "invalid_response"
    """The server's response is neither a token response (RFC 6749 section 5.1) nor an error (5.2)."""
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
    """The server's certificate or TLS version isn't accepted; nothing was sent."""
    TIMEOUT = "timeout"
    """The deadline passed."""
    CONNECTION_LOST = "connection_lost"
    """The server closed the connection before the response was complete."""
    DISCOVERY_FAILED = "discovery_failed"
    """The tenant's metadata could not be fetched, or it failed a check."""
    RATE_LIMITED = "rate_limited"
    """The server limits the rate of requests, and sent no usable ``error`` code."""
    INVALID_ID_TOKEN = "invalid_id_token"
    """The ID token is malformed, its signature is invalid, or a claim failed a check."""
    MISSING_ID_TOKEN = "missing_id_token"
    """The server sent no ID token, and the call needs one."""
    INSUFFICIENT_SCOPE = "insufficient_scope"
    """The user's access token was not granted a scope that the endpoint requires."""
    WRONG_AUDIENCE = "wrong_audience"
    """The server issued an access token for another API than was asked for."""
    SIGNING_KEY_UNAVAILABLE = "signing_key_unavailable"
    """The key that verifies the ID token is unavailable."""
    STORE_FAILED = "store_failed"
    """The session store could not be read or written."""
    SESSION_TOO_LARGE = "session_too_large"
    """The session is larger than its cookies may be."""
    LOGIN_REFUSED = "login_refused"
    """Auth0 vouches for the user, but the application does not let the user in."""
    LOGIN_REQUIRED = "login_required"
    """There is no session, or its tokens have expired and can't be renewed."""
    INVALID_LOGOUT_TOKEN = "invalid_logout_token"
    """The logout token is malformed, badly signed, replayed, or not for this client."""
    ACTOR_UNAVAILABLE = "actor_unavailable"
    """There is no actor token, and no session with a valid ID token to use instead."""
    SETACTOR_REQUIRED = "setactor_required"
    """The profile's Action didn't call ``setActor``, as session transfer requires."""
    SESSION_TRANSFER_DISABLED = "session_transfer_disabled"
    """Session transfer tokens are not enabled for the tenant or the application."""


Code = CustomTokenExchangeErrorCode


class Auth0Error(Exception):
    """The base class of all errors that this library raises.

    Attributes:
        code: a :class:`CustomTokenExchangeErrorCode`, or the server's ``error`` verbatim.
        message: a description of the failure; never contains a token or another secret.
        status: the HTTP status of the response, if there was one.
        retry_safe: whether the same call can be made again without harm and may succeed.
        retry_after: seconds that the server asked to wait, at most 86,400.
        phase: the step that failed.
        tokens_issued: whether the server issued tokens, or may have issued them.
        correlation_id: Auth0's id of the request, to find it in the tenant's logs or to
            name it to support.
        hint: the next step to take, if the cause is known.
        parameter: the name of the argument that was refused, if one was.
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
        self.code: str = parse_code(code or self.default_code)
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
        """Return a copy of the error for another caller, with some attributes changed.

        A raised error collects the frames that it passes, so no two callers share one.  The
        copy has what was attached to the error too: an MFA token, a login's tokens, notes.
        """
        state = dict(zip(_STATE, self.args, strict=True))
        copy = type(self)(**(state | changes))
        for name, value in vars(self).items():
            if name not in _STATE:
                # A list or dictionary of its own, as its caller may add to it.
                own = value.copy() if isinstance(value, (list, dict)) else value
                setattr(copy, name, own)
        return copy

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        hint = f" Hint: {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{status}{hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The args are the whole state.  Not ``__dict__``, which may hold an MFA token or a
        # login's tokens: a pickle of them would end up in a task queue's backend.
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
    """An exchange, or a login with an exchanged token, failed."""


class InvalidInputError(CustomTokenExchangeError, ValueError):
    """An argument breaks a rule; nothing was sent."""

    default_code: str = Code.INVALID_ARGUMENT
    default_phase: Phase = "validate"


class ConfigurationError(InvalidInputError):
    """A keyword of the client breaks a rule, or can't be combined with another."""

    default_code: str = Code.INVALID_CONFIGURATION


class ClientClosedError(CustomTokenExchangeError):
    """The client is closed; create a new one."""

    default_code: str = Code.CLIENT_CLOSED
    default_phase: Phase = "send"


class BulkStoppedError(CustomTokenExchangeError):
    """``exchange_many`` stopped before the end of its input, because each row would fail alike.

    ``next_index`` is the index of the first row that was not read.  Each row below it was
    yielded, with its response or its error, and the input still has the rest.  The other
    attributes are those of the error that stopped it, with ``retry_after`` if the server named a
    time.  A copied or pickled error has ``next_index`` too.
    """

    next_index: int = 0

    def with_next_index(self, index: int) -> BulkStoppedError:
        """Attach the index of the first row that was not read; return the error itself."""
        self.next_index = index
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # An index is not a secret, and ``__setstate__`` of the base adds it to the attributes.
        return type(self), self.args, {"next_index": self.next_index}


class TransportError(CustomTokenExchangeError):
    """No complete response arrived."""

    default_phase: Phase = "send"


class NotSentError(TransportError):
    """The request was not sent: no connection, no TLS session, or no time left for one."""

    default_code: str = Code.CONNECTION_FAILED


class AmbiguousError(TransportError):
    """The request was sent and its response was lost, so it may have taken effect."""

    default_code: str = Code.CONNECTION_LOST


class DiscoveryError(CustomTokenExchangeError):
    """The tenant's metadata is unavailable, or is not that of the configured domain."""

    default_code: str = Code.DISCOVERY_FAILED
    default_phase: Phase = "discover"


class InvalidResponseError(CustomTokenExchangeError):
    """The server's response breaks the protocol.

    ``refresh_token`` is the refresh token of a response that was issued but is otherwise
    broken, if it has one: with rotation, the one that was sent is spent.  A session keeps it.
    It is redacted when it prints, and a pickled or copied error no longer has it.
    """

    default_code: str = Code.INVALID_RESPONSE
    refresh_token: str | None = None

    def with_refresh_token(self, token: str | None) -> InvalidResponseError:
        """Attach the refresh token that was issued; return the error itself."""
        self.refresh_token = secret(token)
        return self


class RefusedError(CustomTokenExchangeError):
    """Auth0, or one of your Actions, refused the request (RFC 6749 section 5.2)."""


class MfaRequiredError(RefusedError):
    """Auth0 requires a second factor before it issues tokens (``mfa_required``).

    Pass ``mfa_token`` to the MFA API.  It is redacted when it prints, and a pickled or
    copied error no longer has it.
    """

    mfa_token: str | None = None
    mfa_requirements: dict[str, Any] | None = None

    def with_mfa(
        self, token: str | None, requirements: dict[str, Any] | None
    ) -> MfaRequiredError:
        """Attach the token and the requirements for the MFA API; return the error itself."""
        self.mfa_token = secret(token)
        self.mfa_requirements = requirements
        return self


class RateLimitError(RefusedError):
    """Too many requests; wait ``retry_after`` seconds, if the server named a time."""

    default_code: str = Code.RATE_LIMITED


class BlockedError(RefusedError):
    """Auth0 blocks this source IP after repeatedly refused tokens (``too_many_attempts``)."""


class WrongAudienceError(CustomTokenExchangeError):
    """The server issued an access token for another API than was asked for.

    Auth0 answers a refresh for an API that the application's refresh token policies do not
    name with a token for the first API.  It is not returned as the other's.  A session keeps
    what was issued, the new refresh token included; without a session, ``response`` has the
    tokens.  They are redacted when they print, and a pickled or copied error no longer has them.
    """

    default_code: str = Code.WRONG_AUDIENCE
    response: TokenExchangeResponse | None = None

    def with_response(self, response: TokenExchangeResponse) -> WrongAudienceError:
        """Attach the tokens that were issued; return the error itself."""
        self.response = response
        return self


class InsufficientScopeError(CustomTokenExchangeError):
    """The user's access token was not granted a scope that the endpoint requires.

    ``scope`` is the scope that is required, space-separated, for the challenge of the answer
    (RFC 6750 section 3).  A copied or pickled error has it too.
    """

    default_code: str = Code.INSUFFICIENT_SCOPE
    default_phase: Phase = "verify"
    scope: str | None = None

    def with_scope(self, scope: str) -> InsufficientScopeError:
        """Attach the scope that is required; return the error itself."""
        self.scope = scope
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A scope is not a secret, and ``__setstate__`` of the base adds it to the attributes.
        return type(self), self.args, {"scope": self.scope}


class LoginRefusedError(CustomTokenExchangeError):
    """The application itself does not let a user in whom Auth0 vouches for.

    Django's login raises it for an inactive user, and if no backend returns one; Flask's login
    does, where Flask-Login is connected.  Its session has ended, and its refresh token was
    revoked.
    """

    default_code: str = Code.LOGIN_REFUSED
    default_phase: Phase = "verify"


class IdTokenError(CustomTokenExchangeError):
    """The ID token is malformed, its signature is invalid, or a claim failed a check."""

    default_code: str = Code.INVALID_ID_TOKEN
    default_phase: Phase = "verify"


class SigningKeyError(IdTokenError):
    """The keys that verify the ID token are unavailable."""

    default_code: str = Code.SIGNING_KEY_UNAVAILABLE


class StoreError(CustomTokenExchangeError):
    """The session store could not be read or written.

    After a login whose session could not be written, ``response`` has the tokens.  They are
    redacted when they print, and a pickled or copied error no longer has them.
    """

    default_code: str = Code.STORE_FAILED
    default_phase: Phase = "store"
    response: TokenExchangeResponse | None = None

    def with_response(self, response: TokenExchangeResponse) -> StoreError:
        """Attach the tokens that were issued; return the error itself."""
        self.response = response
        return self


class SessionError(Auth0Error):
    """A login session can't do what was asked."""

    default_code: str = Code.LOGIN_REQUIRED
    default_phase: Phase = "store"


class LoginRequiredError(SessionError):
    """There is no usable session, or its tokens can't be renewed: the user must log in."""


class BackchannelLogoutError(SessionError):
    """A logout token is invalid (OpenID Connect Back-Channel Logout 1.0 section 2.6)."""

    default_code: str = Code.INVALID_LOGOUT_TOKEN
    default_phase: Phase = "verify"


def parse_code(code: str) -> str:
    """Return the enum's member if the library has *code*, else the text itself."""
    try:
        return CustomTokenExchangeErrorCode(code)
    except ValueError:
        return code
