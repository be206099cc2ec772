"""The events that a client passes to ``on_event``: frozen, typed, without any token.

Some are about the machinery: exchanges, caches, documents.  The others are for an audit:
each :class:`AuditEvent` says what happened to a login session, of which application, whether
it succeeded, and whose session it was.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs


@attrs.frozen(kw_only=True)
class ExchangeStarted:
    """An exchange passed its checks and is about to be sent.

    Attributes:
        domain: the tenant's domain.
        subject_token_type: the type of the subject token.
        audience: the requested audience, if there is one.
        actor: whether the request has an actor token.
        exchange_id: a number that no other exchange of this client has in this process;
            0 for a request that isn't an exchange, such as a refresh.
    """

    domain: str
    subject_token_type: str
    audience: str | None
    actor: bool
    exchange_id: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class ExchangeRetried:
    """An attempt failed, and another one follows after *delay*.

    Attributes:
        domain: the tenant's domain.
        attempt: the number of the failed attempt; the first is 1.
        code: the error's code.
        status: the HTTP status, if there was a response.
        delay: seconds until the next attempt.
        exchange_id: a number that no other exchange of this client has in this process;
            0 for a request that isn't an exchange, such as a refresh.
    """

    domain: str
    attempt: int
    code: str
    status: int | None
    delay: float
    exchange_id: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class ExchangeFinished:
    """An exchange ended.

    It follows each :class:`ExchangeStarted`, in the same thread or task, also if the call is
    cancelled or interrupted.

    Attributes:
        domain: the tenant's domain.
        seconds: its duration, including all attempts and the waits between them.
        code: the error's code; the name of the exception's class if the call was interrupted,
            such as ``CancelledError`` or ``KeyboardInterrupt``; or ``None`` for success.
        status: the HTTP status of the error's response, if there was one.
        exchange_id: a number that no other exchange of this client has in this process;
            0 for a request that isn't an exchange, such as a refresh.
    """

    domain: str
    seconds: float
    code: str | None = None
    status: int | None = None
    exchange_id: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class MetadataFetched:
    """A tenant's discovery document was fetched.

    Attributes:
        domain: the tenant's domain.
        seconds: its duration.
        code: the error's code, or ``None`` for success.
    """

    domain: str
    seconds: float
    code: str | None = None


@attrs.frozen(kw_only=True)
class KeysFetched:
    """A tenant's signing keys were fetched.

    Attributes:
        domain: the tenant's domain.
        seconds: its duration.
        code: the error's code, or ``None`` for success.
    """

    domain: str
    seconds: float
    code: str | None = None


@attrs.frozen(kw_only=True)
class AuditEvent:
    """Something that an audit needs to know of; the base class of such events.

    ``subject`` and ``session`` are keyed hashes, the same in all processes of an application,
    or clear text if the client was given ``audit_identifiers="clear"``.

    Attributes:
        domain: the tenant's domain; empty if a resolver had not returned it by then.
        client_id: the application's id.
        subject: the user's ``sub``, or ``None`` if it is not known.
        session: the id of the session, which no cookie and no token has in clear; ``None``
            if it is not known.
        code: the error's code, or ``None`` for success.
        correlation_id: Auth0's id of the request that failed, if there was one.
    """

    domain: str
    client_id: str
    subject: str | None = None
    session: str | None = None
    code: str | None = None
    correlation_id: str | None = None


@attrs.frozen(kw_only=True)
class LoginFinished(AuditEvent):
    """A login with an exchanged token succeeded or failed.

    Attributes:
        seconds: its duration, with the exchange.
    """

    seconds: float


@attrs.frozen(kw_only=True)
class SessionRotated(AuditEvent):
    """A login session got new tokens, or its renewal failed.

    Attributes:
        by: ``refresh_token``, or ``exchange`` for a session without a refresh token.
        seconds: its duration.
    """

    by: Literal["refresh_token", "exchange"]
    seconds: float


@attrs.frozen(kw_only=True)
class LogoutFinished(AuditEvent):
    """A logout of the application's own ended a session, or failed.

    Attributes:
        seconds: its duration, with the revocation of the refresh token.
    """

    seconds: float


@attrs.frozen(kw_only=True)
class BackchannelLogoutFinished(AuditEvent):
    """A valid logout token of Auth0 was acted on, or that failed.

    Attributes:
        sessions: how many sessions it named, all of which have ended; 0 if it failed.
        seconds: its duration.
    """

    sessions: int
    seconds: float


@attrs.frozen(kw_only=True)
class LogoutTokenRefused(AuditEvent):
    """A logout token was refused.

    An invalid one names nobody, as nothing in it is believed.

    Attributes:
        reason: ``invalid``, or ``replayed`` for a valid one that was used before.
        rule: the rule that it breaks, which quotes nothing of it.
    """

    reason: Literal["invalid", "replayed"]
    rule: str


CookieProblem: TypeAlias = Literal[
    "unreadable",
    "not_found",
    "expired",
    "ended",
    "other_application",
    "other_domain",
]
"""The reason why a session cookie is not a session."""


@attrs.frozen(kw_only=True)
class SessionCookieRefused(AuditEvent):
    """A browser's session cookie is not a session; its request goes on without a user.

    Attributes:
        reason: ``unreadable`` if the cookie was not sealed with a secret of the client, or
            was altered; ``not_found`` if the store has no session under its id;
            ``expired`` if the session's time is over; ``ended`` if the browser logged out
            of it; ``other_application`` or ``other_domain`` if the session is of another
            application or tenant.
    """

    reason: CookieProblem


@attrs.frozen(kw_only=True)
class SessionsEnded(AuditEvent):
    """Sessions of a user in a store were ended by the application, or that failed.

    Attributes:
        by: ``end_sessions``, or ``max_sessions`` for those beyond the number that the
            policy allows; then ``session`` is the new one that the others made room for.
        sessions: how many sessions ended; 0 if it failed.
        seconds: its duration.
    """

    by: Literal["end_sessions", "max_sessions"]
    sessions: int
    seconds: float


@attrs.frozen(kw_only=True)
class CacheHit:
    """The token cache had the tokens, so no exchange was sent.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheMissed:
    """The token cache did not have the tokens.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheJoined:
    """A call waited for the same exchange of another call and took over its result.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheFailed:
    """The token cache could not be read, written or locked.

    Attributes:
        kind: the name of the exception's class.
    """

    kind: str


Event: TypeAlias = (
    ExchangeStarted
    | ExchangeRetried
    | ExchangeFinished
    | MetadataFetched
    | KeysFetched
    | LoginFinished
    | SessionRotated
    | LogoutFinished
    | BackchannelLogoutFinished
    | LogoutTokenRefused
    | SessionCookieRefused
    | SessionsEnded
    | CacheHit
    | CacheMissed
    | CacheJoined
    | CacheFailed
)
