"""The events that a client passes to ``on_event``: frozen, typed, without any token."""

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

    Attributes:
        domain: the tenant's domain.
        seconds: its duration, including all attempts and the waits between them.
        code: the error's code, or ``None`` for success.
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
class SessionRotated:
    """A login session got new tokens, or its renewal failed.

    Attributes:
        domain: the tenant's domain.
        by: ``refresh_token``, or ``exchange`` for a session without a refresh token.
        seconds: its duration.
        code: the error's code, or ``None`` for success.
    """

    domain: str
    by: Literal["refresh_token", "exchange"]
    seconds: float
    code: str | None = None


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
    | SessionRotated
    | CacheHit
    | CacheMissed
    | CacheJoined
    | CacheFailed
)
