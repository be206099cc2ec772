"""The values that a client takes and returns: frozen, and redacted when they print.

The converters carry precise types because type checkers take the parameters of a generated
``__init__`` from them: a converter from ``Any`` would accept any argument.  At run time the
converters do not refuse anything.  The checks of ``core/wire/grants.py`` do, once for the
options as they will be sent, so that every wrong argument has the same kind of error.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from .errors import IdTokenError
from .secret import REDACTED, Unpicklable, secret, to_optional_secret, to_secret


def format_secret(value: object) -> str:
    """Return how a field that holds a secret prints."""
    return "None" if value is None else REDACTED


def format_names(value: object) -> str:
    """Return how a mapping with secrets prints: by its names alone."""
    return (
        f"<{', '.join(map(repr, value))}>" if isinstance(value, Mapping) else REDACTED
    )


def _to_text(value: str) -> str:
    # Nearly every text is a plain one.  Otherwise the characters of a ``TokenType``, or of
    # another subclass of ``str``, whose own ``__str__`` and ``__format__`` may say something
    # else.
    if type(value) is str or not isinstance(value, str):
        return value
    return str.__str__(value)


def _to_optional_text(value: str | None) -> str | None:
    # Half of an exchange's options are not given.
    return value if value is None or type(value) is str else _to_text(value)


def _copy_parameters(value: Mapping[str, str] | None) -> Mapping[str, str] | None:
    # Most exchanges have none, and to ask whether ``None`` is a ``Mapping`` takes longer than
    # all the rest of the options.
    if value is None or not isinstance(value, Mapping):
        return value
    # The caller may change its mapping between the check and the request.
    return MappingProxyType(
        {_to_text(name): secret(text) for name, text in value.items()}
    )


@attrs.frozen(kw_only=True)
class CustomTokenExchangeOptions(Unpicklable):
    """The options of one exchange: the token to exchange, its type, and the API to call.

    The client checks every value when the exchange starts, before it sends anything.

    Attributes:
        subject_token: the external or legacy token; the library does not read it.
        subject_token_type: the URI that your Token Exchange Profile is mapped to
            (RFC 8693 section 2.1; Auth0: Custom Token Exchange).
        audience: the identifier of the API that the access token is for; ``None`` for the
            tenant's default audience.
        scope: space-separated scopes; with ``openid`` an ID token is issued.
        actor_token: the token of the party that acts for the subject.  It requires
            *actor_token_type*, and Auth0 then issues no refresh token.
        actor_token_type: the URI that identifies the type of *actor_token*.
        organization: the id (``org_…``) or name of the organization to log in to.
        authorization_params: extension parameters, which the Action reads from
            ``event.request.body``.  Parameters that the library sets itself are refused.
        subject_token_reusable: whether the Action accepts the same subject token twice.
            Only then does the client send a request again whose response was lost.
    """

    subject_token: str = attrs.field(converter=to_secret, repr=format_secret)
    subject_token_type: str = attrs.field(converter=_to_text)
    audience: str | None = attrs.field(default=None, converter=_to_optional_text)
    scope: str | None = attrs.field(default=None, converter=_to_optional_text)
    actor_token: str | None = attrs.field(
        default=None, converter=to_optional_secret, repr=format_secret
    )
    actor_token_type: str | None = attrs.field(
        default=None, converter=_to_optional_text
    )
    organization: str | None = attrs.field(default=None, converter=_to_optional_text)
    authorization_params: Mapping[str, str] | None = attrs.field(
        default=None, converter=_copy_parameters, repr=format_names
    )
    subject_token_reusable: bool = False


@attrs.frozen(kw_only=True)
class TokenExchangeResponse(Unpicklable):
    """The tokens that an exchange returned (RFC 8693 section 2.2.1).

    Attributes:
        access_token: the token for the API; it may be opaque.
        token_type: ``Bearer``, or ``N_A`` if the issued token isn't an access token.
        expires_in: the access token's lifetime in seconds, if the server named it.
        expires_at: when the access token expires, in epoch seconds: by ``expires_in``, or by
            the token itself if the server named no lifetime and the token is a JWT.
        scope: the scope granted; the scope requested if the server named none.
        issued_token_type: the type of ``access_token``, if the server named it.
        id_token: present when ``openid`` was granted.
        refresh_token: present when ``offline_access`` was granted; never with an actor.
        act: the ``act`` claim of the *verified* ID token: the acting party, with earlier
            actors nested in it (RFC 8693 section 4.1).
        act_error: the reason why ``act`` is ``None`` although an actor token was sent.
    """

    access_token: str = attrs.field(converter=to_secret, repr=format_secret)
    token_type: str
    expires_in: int | None = None
    scope: str | None = None
    issued_token_type: str | None = None
    id_token: str | None = attrs.field(
        default=None, converter=to_optional_secret, repr=format_secret
    )
    refresh_token: str | None = attrs.field(
        default=None, converter=to_optional_secret, repr=format_secret
    )
    act: dict[str, Any] | None = None
    act_error: IdTokenError | None = None
    expires_at: int | None = None


@attrs.frozen(kw_only=True)
class SessionPolicy:
    """The lifetime of login sessions, and the attributes of their cookies.

    Attributes:
        idle_seconds: seconds after the last use when a session ends.
        absolute_seconds: seconds after the login when a session ends, used or not; the ID
            token's ``session_expiry`` may end it sooner.
        refresh_margin: seconds before its expiry at which an access token is renewed; at most
            a fifth of its lifetime counts.
        cookie_name: the cookie's name, without the ``__Host-`` or ``__Secure-`` prefix that
            the library adds.
        cookie_domain: the domain whose hosts share the cookie; ``None`` for this host only.
        cookie_path: the path below which browsers send the cookie.
        cookie_secure: whether browsers send it over https only; set it to ``False`` only
            for plain http on a developer's machine.
        cookie_same_site: ``lax``, ``strict`` or ``none``.
        store_failure: ``raise`` to raise an error if the store can't be read,
            ``no_session`` to treat the user as logged out.
        max_sessions: the maximum number of a user's sessions in a store on the server, for
            one application; a login ends the oldest beyond it.  ``None`` for no bound.
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
    max_sessions: int | None = None


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When the client sends a failed request again, and how soon.

    A subject token may be valid for one use only.  So a request whose response was lost is
    sent again only for options with ``subject_token_reusable=True``.

    Attributes:
        attempts: the most requests for one call, including the first; 1 turns retries off.
        transient_delay: the longest first wait, in seconds, after a failed connection; the
            wait is random, and its upper limit doubles with each attempt.
        throttled_delay: the same after a rate limit without a ``Retry-After``.
        longest_delay: the longest wait between two attempts, in seconds.  The client does
            not wait for a longer ``Retry-After`` but raises the error.  After a shorter one it
            waits up to half a second more, or a tenth of it, so that callers who were told
            the same do not come back together.
        retry_429: send again after a rate limit (Auth0's limiter answers before the Action
            runs, so the subject token is still unused).
        retry_503: send again after a 503 with a ``Retry-After``, even with a subject token
            that may be valid for one use only.
        budget: the retry allowance of a client in each process: a retry costs 5, after a
            timeout 10, and each success returns 1.  It keeps retries from making an outage
            worse.  0 turns it off.
        fail_fast: after a rate limit with a ``Retry-After``, refuse further calls to that
            domain locally until somewhat later.
        blocked_seconds: with *fail_fast*, how long to refuse calls locally after Auth0 has
            blocked the source IP.
        remember_refusals_seconds: how long to refuse a refused subject token locally; the
            client remembers it by a keyed hash.  0 turns it off.
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
    """How long a client with a ``token_cache`` caches exchanged tokens.

    Attributes:
        margin_seconds: seconds before its expiry when the cache stops returning a token.
        renew_seconds: the longest time, in seconds, before the cache stops returning a
            token, in which one caller renews it while all others still get it.  Only for
            options with ``subject_token_reusable=True``; 0 turns early renewal off.
        max_age: seconds after which a token is exchanged again even if it is still valid;
            ``None`` for no such limit.  Until then, nothing that changes at Auth0, such as a
            blocked user, affects the cached token.
        failure: ``ignore`` to exchange without a cache that fails, with a warning once a
            minute, or ``raise`` to raise an error.
    """

    margin_seconds: float = 30.0
    renew_seconds: float = 180.0
    max_age: float | None = None
    failure: Literal["ignore", "raise"] = "ignore"
