"""The values that go in and come out: frozen, and silent about their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from .errors import IdTokenError
from .secret import REDACTED, Unpicklable, secret


def _redacted(value: object) -> str:
    return "None" if value is None else REDACTED


def _names_only(value: object) -> str:
    return (
        f"<{', '.join(map(repr, value))}>" if isinstance(value, Mapping) else REDACTED
    )


def _text(value: Any) -> Any:
    """Take a subclass of ``str``, such as a ``TokenType``, by its characters."""
    if isinstance(value, str) and type(value) is not str:
        return str.__str__(value)
    return value


def _own_copy(value: Any) -> Any:
    """Copy a mapping, so that what is validated is what is sent; refuse others later."""
    if isinstance(value, Mapping):
        return MappingProxyType(
            {_text(name): secret(text) for name, text in value.items()}
        )
    return value


@attrs.frozen(kw_only=True)
class CustomTokenExchangeOptions(Unpicklable):
    """One exchange: whose token, of what type, for which API.

    Every text is checked when the exchange starts, before anything is sent.

    Attributes:
        subject_token: the external or legacy token; opaque to this library.
        subject_token_type: the URI that your Token Exchange Profile is mapped to
            (RFC 8693 section 2.1; Auth0: Custom Token Exchange).
        audience: the identifier of the API the access token is for; the tenant's default
            audience when ``None``.
        scope: space-separated scopes; ``openid`` brings an ID token.
        actor_token: the token of the party that acts for the subject; with it goes
            *actor_token_type*, and no refresh token is issued.
        actor_token_type: the URI that says what *actor_token* is.
        organization: the id (``org_…``), or name, of the organization to log in to.
        authorization_params: extension parameters, which the Action finds in
            ``event.request.body``; none that the library sets itself.
        subject_token_reusable: whether the Action accepts the same subject token twice.
            Only then is a request sent again whose answer was lost.
    """

    subject_token: str = attrs.field(converter=secret, repr=_redacted)
    subject_token_type: str = attrs.field(converter=_text)
    audience: str | None = attrs.field(default=None, converter=_text)
    scope: str | None = attrs.field(default=None, converter=_text)
    actor_token: str | None = attrs.field(
        default=None, converter=secret, repr=_redacted
    )
    actor_token_type: str | None = attrs.field(default=None, converter=_text)
    organization: str | None = attrs.field(default=None, converter=_text)
    authorization_params: Mapping[str, str] | None = attrs.field(
        default=None, converter=_own_copy, repr=_names_only
    )
    subject_token_reusable: bool = False


@attrs.frozen(kw_only=True)
class LoginWithCustomTokenExchangeOptions(CustomTokenExchangeOptions):
    """One exchange that logs its user in: the options of an exchange, with their meaning.

    ``openid`` is added to *scope* where it is missing: the user is whom the ID token names.
    """


@attrs.frozen(kw_only=True)
class TokenExchangeResponse(Unpicklable):
    """What the exchange brought (RFC 8693 section 2.2.1).

    Attributes:
        access_token: the token for the API; it may be opaque.
        token_type: ``Bearer``; ``N_A`` for a token that is no access token.
        expires_in: the access token's lifetime in seconds, where the server said it.
        scope: the scope granted: the one requested, where the server names no other.
        issued_token_type: what ``access_token`` is, where the server said it.
        id_token: present when ``openid`` was granted.
        refresh_token: present when ``offline_access`` was granted; never with an actor.
        act: the ``act`` claim of the *verified* ID token: the acting party, and nested in
            it those who acted before (RFC 8693 section 4.1).
        act_error: why ``act`` is ``None`` although an actor token was sent.
    """

    access_token: str = attrs.field(converter=secret, repr=_redacted)
    token_type: str
    expires_in: int | None = None
    scope: str | None = None
    issued_token_type: str | None = None
    id_token: str | None = attrs.field(default=None, converter=secret, repr=_redacted)
    refresh_token: str | None = attrs.field(
        default=None, converter=secret, repr=_redacted
    )
    act: dict[str, Any] | None = None
    act_error: IdTokenError | None = None


@attrs.frozen(kw_only=True)
class LoginWithCustomTokenExchangeResult(Unpicklable):
    """What a login made.

    Attributes:
        state_data: the session: ``user`` (the claims of the verified ID token, ``act`` among
            them), ``id_token``, ``refresh_token``, ``token_sets``, ``domain`` and
            ``internal``.
    """

    state_data: dict[str, Any] = attrs.field(repr=_names_only)


@attrs.frozen(kw_only=True)
class SessionTransferToken(Unpicklable):
    """A token that logs an actor in to another application, as the user, once.

    Attributes:
        session_transfer_token: opaque, and good for one use within *expires_in* seconds.
        issued_token_type: always the session transfer token's own type.
        token_type: ``N_A``, as it is no access token.
        expires_in: its lifetime in seconds.
        scope: the scope granted, where the server named one.
    """

    session_transfer_token: str = attrs.field(converter=secret, repr=_redacted)
    issued_token_type: str
    token_type: str = "N_A"
    expires_in: int | None = None
    scope: str | None = None


@attrs.frozen(kw_only=True)
class SessionPolicy:
    """How long a login session lasts, and what its cookies are like.

    Attributes:
        idle_seconds: how long a session lasts that nobody uses.
        absolute_seconds: how long it lasts at the most; an ID token's ``session_expiry``
            may end it sooner.
        refresh_margin: seconds before its expiry at which an access token is renewed.
        cookie_name: its name, before the prefix that browsers enforce.
        cookie_domain: the domain whose hosts share it; ``None`` for this host alone.
        cookie_path: the paths that it is sent to.
        cookie_secure: whether it is sent over https alone; ``False`` is for plain http on
            a developer's machine.
        cookie_same_site: ``lax``, ``strict`` or ``none``.
        store_failure: whether a store that cannot be read is an error (``raise``) or means
            that there is no session (``no_session``).
    """

    idle_seconds: float = 86_400.0
    absolute_seconds: float = 259_200.0
    refresh_margin: float = 60.0
    cookie_name: str = "auth0_tx"
    cookie_domain: str | None = None
    cookie_path: str = "/"
    cookie_secure: bool = True
    cookie_same_site: Literal["lax", "strict", "none"] = "lax"
    store_failure: Literal["raise", "no_session"] = "raise"


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a failed request is sent again, and how soon.

    A subject token may be good for one use, so a request whose answer was lost is sent
    again only for options that say ``subject_token_reusable=True``.

    Attributes:
        attempts: the most sends for one call, the first included; 1 turns retries off.
        transient_delay: seconds, the upper bound of the first random wait after a failed
            connection; it doubles with each attempt.
        throttled_delay: the same, after a rate limit that named no time.
        longest_delay: seconds, the most to wait between two attempts, and the longest
            ``Retry-After`` to sit out.
        retry_429: send again after a rate limit (the limiter answers before the Action).
        retry_503: send again after a 503 that names a ``Retry-After``, also with a
            subject token that may be good for one use.
        budget: what retries may cost a client in each process before successes have to
            pay for more: each costs 5, after a timeout 10; each success returns 1.
            0 turns the budget off.
        fail_fast: after a rate limit that named a time, refuse further calls to that
            domain locally until then.
        blocked_seconds: with *fail_fast*, how long a block of the source IP holds.
        remember_refusals_seconds: how long a refused subject token is refused locally, by
            a keyed hash; 0 turns it off.
    """

    attempts: int = 3
    transient_delay: float = 0.1
    throttled_delay: float = 1.0
    longest_delay: float = 5.0
    retry_429: bool = True
    retry_503: bool = False
    budget: int = 50
    fail_fast: bool = False
    blocked_seconds: float = 600.0
    remember_refusals_seconds: float = 0.0


@attrs.frozen(kw_only=True)
class CachePolicy:
    """How long exchanged tokens are cached, where a client has a ``token_cache``.

    Attributes:
        margin_seconds: seconds before its expiry from which a token is not given any more.
        renew_seconds: the most seconds before that in which one caller renews a token while
            all others still get it; only for a subject token that may be exchanged again.
            0 turns early renewal off.
        max_age: seconds after which a token is exchanged anew, however long it lasts;
            ``None`` for no such limit.  Auth0 learns of a use no sooner.
        failure: whether a cache that fails is passed over (``ignore``), with a warning once
            a minute, or is an error (``raise``).
    """

    margin_seconds: float = 30.0
    renew_seconds: float = 180.0
    max_age: float | None = None
    failure: Literal["ignore", "raise"] = "ignore"
