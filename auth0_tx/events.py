"""What a client tells its ``on_event`` subscriber: frozen, typed, and never a token."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs


@attrs.frozen(kw_only=True)
class ExchangeStarted:
    """An exchange passed validation and is about to be sent.

    Attributes:
        domain: the tenant's domain.
        subject_token_type: the type of the token exchanged.
        audience: the API asked for, if one was.
        actor: whether an actor token goes with it.
        exchange_id: tells the exchanges of one client apart, in its process; 0 for
            none, as a refresh is.
    """

    domain: str
    subject_token_type: str
    audience: str | None
    actor: bool
    exchange_id: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class ExchangeRetried:
    """An attempt failed and another follows.

    Attributes:
        domain: the tenant's domain.
        attempt: the number of the attempt that failed, from 1.
        code: the error's code.
        status: the HTTP status, where there was an answer.
        delay: seconds until the next attempt.
        exchange_id: tells the exchanges of one client apart, in its process; 0 for
            none, as a refresh is.
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
        seconds: how long it took, from its start.
        code: the error's code, or ``None`` for success.
        status: the HTTP status of the last answer to fail, if any.
        exchange_id: tells the exchanges of one client apart, in its process; 0 for
            none, as a refresh is.
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
        seconds: how long it took.
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
        seconds: how long it took.
        code: the error's code, or ``None`` for success.
    """

    domain: str
    seconds: float
    code: str | None = None


@attrs.frozen(kw_only=True)
class SessionRotated:
    """A login session was to get new tokens: it has them, or it failed.

    Attributes:
        domain: the tenant's domain.
        by: ``refresh_token``, or ``exchange`` where the session has none.
        seconds: how long it took.
        code: the error's code, or ``None`` for success.
    """

    domain: str
    by: Literal["refresh_token", "exchange"]
    seconds: float
    code: str | None = None


@attrs.frozen(kw_only=True)
class CacheHit:
    """An exchange was answered from the token cache.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheMissed:
    """The token cache had no answer to an exchange.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheJoined:
    """A call shared how the exchange of another ended, which was under way.

    Attributes:
        domain: the tenant's domain.
    """

    domain: str


@attrs.frozen(kw_only=True)
class CacheFailed:
    """The token cache could not be read, written or locked.

    Attributes:
        kind: the name of what it failed with.
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
