"""Who and what a tenant knows: users, connections, organizations and APIs.

Frozen records; `registry.change(key, ...)` is how one changes. Names are Auth0's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from .keys import SigningAlgorithm

DATABASE = "Username-Password-Authentication"

TokenDialect = Literal["access_token", "rfc9068_profile"]


def _tuple(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError("expected several strings, not one")
    return tuple(values)


def _identifier(instance: Any, attribute: Any, value: str) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must not be empty")


@frozen
class User:
    """Describe one user of the tenant.

    Args:
        user_id: The full identifier with its prefix, such as "auth0|alice".
        email: Issued with the `email` scope.
        email_verified: Issued with the `email` scope.
        name: Issued with the `profile` scope, as the following five are.
        nickname: See name.
        given_name: See name.
        family_name: See name.
        username: See name; called `preferred_username` in tokens.
        picture: See name.
        phone_number: Issued with the `phone` scope.
        connection: Where the user comes from.
        blocked: Whether every exchange for the user is refused.
        mfa: Whether an exchange for the user answers `mfa_required`.
    """

    user_id: str = field(validator=_identifier)
    email: str | None = field(default=None, kw_only=True)
    email_verified: bool = field(default=False, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    nickname: str | None = field(default=None, kw_only=True)
    given_name: str | None = field(default=None, kw_only=True)
    family_name: str | None = field(default=None, kw_only=True)
    username: str | None = field(default=None, kw_only=True)
    picture: str | None = field(default=None, kw_only=True)
    phone_number: str | None = field(default=None, kw_only=True)
    connection: str = field(default=DATABASE, kw_only=True)
    blocked: bool = field(default=False, kw_only=True)
    mfa: bool = field(default=False, kw_only=True)

    def claims(self, scopes: Iterable[str]) -> dict[str, Any]:
        """Return the standard claims that *scopes* release (OIDC Core 5.4)."""
        granted, claims = set(scopes), dict[str, Any]()
        if "profile" in granted:
            claims |= {
                "nickname": self.nickname,
                "name": self.name,
                "given_name": self.given_name,
                "family_name": self.family_name,
                "preferred_username": self.username,
                "picture": self.picture,
            }
        if "email" in granted and self.email is not None:
            claims |= {"email": self.email, "email_verified": self.email_verified}
        if "phone" in granted:
            claims |= {"phone_number": self.phone_number}
        return {name: value for name, value in claims.items() if value is not None}


@frozen
class Connection:
    """Describe where users come from: a database or an identity provider.

    Args:
        name: The connection's name.
        strategy: What the identifiers of its users begin with.
        import_mode: Whether it is a custom database with import mode on, which
            `set_user_by_connection` may not use.
    """

    name: str = field(validator=_identifier)
    strategy: str = field(default="auth0", kw_only=True)
    import_mode: bool = field(default=False, kw_only=True)


def _frozenset(values: Iterable[str]) -> frozenset[str]:
    return frozenset(_tuple(values))


def _organization_id(instance: Any, attribute: Any, value: str) -> None:
    if not value.startswith("org_"):
        raise ValueError("an organization's id begins with 'org_'")


def _lower(name: str) -> str:
    return name.lower()


@frozen
class Organization:
    """Describe an organization.

    Args:
        id: Its identifier, which begins with "org_".
        name: Its name, in lower case.
        display_name: What people call it.
        members: The identifiers of its members.
        connections: The connections enabled for it.
        auto_membership: Those of them whose users become members as they arrive.
        metadata: Shown to Actions.
    """

    id: str = field(validator=_organization_id)
    name: str = field(converter=_lower)
    display_name: str = field(default="", kw_only=True)
    members: frozenset[str] = field(
        factory=frozenset, kw_only=True, converter=_frozenset
    )
    connections: tuple[str, ...] = field(
        default=(DATABASE,), kw_only=True, converter=_tuple
    )
    auto_membership: tuple[str, ...] = field(default=(), kw_only=True, converter=_tuple)
    metadata: Mapping[str, str] = field(factory=dict, kw_only=True)


@frozen
class Api:
    """Describe an API, called a resource server in tokens and events.

    Args:
        identifier: Its audience.
        scopes: The scopes it defines; others are left out of what is granted.
        allow_offline_access: Whether refresh tokens may be issued for it.
        skip_consent: Whether first-party applications need no consent.
        token_lifetime: How long an access token lives, in seconds.
        signing_algorithm: What its access tokens are signed with.
        token_dialect: Auth0's own profile of claims, or RFC 9068's.
    """

    identifier: str = field(validator=_identifier)
    scopes: tuple[str, ...] = field(default=(), kw_only=True, converter=_tuple)
    allow_offline_access: bool = field(default=False, kw_only=True)
    skip_consent: bool = field(default=True, kw_only=True)
    token_lifetime: int = field(default=86400, kw_only=True)
    signing_algorithm: SigningAlgorithm = field(default="RS256", kw_only=True)
    token_dialect: TokenDialect = field(default="access_token", kw_only=True)
