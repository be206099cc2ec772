"""The values of a login session: what a login takes, and what a session holds.

They are apart from ``values``, so that a process that only exchanges tokens does not load
them.
"""

from __future__ import annotations

import sys
from typing import Any, NotRequired, Required

import attrs

from .secret import Unpicklable, to_secret
from .values import CustomTokenExchangeOptions, format_names, format_secret

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:
    # Pydantic, and so FastAPI, refuses the standard library's before Python 3.12.
    from typing_extensions import TypedDict


class UserClaims(TypedDict, total=False):
    """The logged-in user: the claims of the verified ID token.

    Only ``sub`` is always present; the other claims depend on the scope and on your Actions.
    Read a claim that an Action adds with ``get``, as type checkers know only these names.
    They are those of OpenID Connect Core 1.0 sections 2 and 5.1, RFC 8693 section 4.1
    (``act``) and Auth0's Organizations.
    """

    sub: Required[str]
    name: str
    given_name: str
    family_name: str
    middle_name: str
    nickname: str
    preferred_username: str
    profile: str
    picture: str
    website: str
    email: str
    email_verified: bool
    gender: str
    birthdate: str
    zoneinfo: str
    locale: str
    phone_number: str
    phone_number_verified: bool
    address: dict[str, Any]
    # A number of seconds in the specification, an ISO 8601 date in ID tokens of Auth0.
    updated_at: int | str
    iss: str
    aud: str | list[str]
    azp: str
    exp: int
    iat: int
    auth_time: int
    acr: str
    amr: list[str]
    sid: str
    org_id: str
    org_name: str
    # Set by an Action whose identity provider limits how long a session lasts.
    session_expiry: int | float
    act: dict[str, Any]


class TokenSet(TypedDict):
    """An access token that a session holds.

    ``audience`` is the API that it is for: one of ``aud``, the audiences that the token names,
    or the requested one if the token is opaque (``aud`` is ``None`` then); ``"default"`` if
    none was requested.  ``scope`` is the scope that was granted, ``requested_scope`` the scope
    that was requested.  ``issued_at`` and ``expires_at`` are seconds since the epoch;
    ``expires_at`` is ``None`` if neither Auth0 nor the token names one.
    """

    audience: str
    aud: list[str] | None
    access_token: str
    scope: str | None
    requested_scope: str | None
    issued_at: int
    expires_at: int | None


class SessionData(TypedDict):
    """A login session: its user, its tokens, and the tenant's ``domain``.

    ``refresh_token`` is ``None`` when none was issued, ``id_token`` when Auth0's own SDK
    began the session without one.  ``internal`` is the library's own record, which only the
    result of a login has.
    """

    user: UserClaims
    id_token: str | None
    refresh_token: str | None
    token_sets: list[TokenSet]
    domain: str
    internal: NotRequired[dict[str, Any]]


@attrs.frozen(kw_only=True)
class LoginWithCustomTokenExchangeOptions(CustomTokenExchangeOptions):
    """The options of an exchange that logs its user in: the same as for any exchange.

    The client adds ``openid`` to *scope* if it is missing, because the user is the subject
    of the ID token.
    """


@attrs.frozen(kw_only=True)
class AccessTokenSet(Unpicklable):
    """An access token of a session, and what is known of it.

    Attributes:
        access_token: the token for the API; it may be opaque.
        expires_at: when it expires, in epoch seconds; ``None`` if neither Auth0 nor the token
            says.
        scope: the scope granted, if it is known.
        audience: the API that the token names; ``None`` if it is opaque.
        token_type: ``Bearer``.
    """

    access_token: str = attrs.field(converter=to_secret, repr=format_secret)
    expires_at: int | None = None
    scope: str | None = None
    audience: str | None = None
    token_type: str = "Bearer"


@attrs.frozen(kw_only=True)
class LoginWithCustomTokenExchangeResult(Unpicklable):
    """The session that a login began.

    Attributes:
        state_data: the session: ``user`` (the claims of the verified ID token, including
            ``act``), ``id_token``, ``refresh_token``, ``token_sets``, ``domain`` and
            ``internal``.
    """

    state_data: SessionData = attrs.field(repr=format_names)


@attrs.frozen(kw_only=True)
class SessionTransferToken(Unpicklable):
    """A token that logs an actor in to another application, as the user, once.

    Attributes:
        session_transfer_token: opaque; valid for one use within *expires_in* seconds.
        issued_token_type: ``TokenType.SESSION_TRANSFER_TOKEN``.
        token_type: ``N_A``, because it isn't an access token.
        expires_in: its lifetime in seconds, if the server named it.
        scope: the scope granted, if the server named one.
    """

    session_transfer_token: str = attrs.field(converter=to_secret, repr=format_secret)
    issued_token_type: str
    token_type: str = "N_A"
    expires_in: int | None = None
    scope: str | None = None
