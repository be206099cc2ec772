"""The records of a tenant's users, connections, organizations and APIs.

Records are frozen: ``tenant.users.change(user_id, blocked=True)`` replaces one, so that
a request in progress sees one state of it. Fields are named as in Auth0's Management
API, in snake_case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from .keys import SigningAlgorithm

# The database connection that Auth0 creates in every new tenant.
DATABASE = "Username-Password-Authentication"

TokenDialect = Literal["access_token", "rfc9068_profile"]


def _to_tuple(values: Iterable[str]) -> tuple[str, ...]:
    # A string iterates over its characters: refuse it instead of storing letters.
    if isinstance(values, str):
        raise TypeError("expected several strings, not one")
    return tuple(values)


def _check_identifier(instance: Any, attribute: Any, value: str) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must not be empty")


@frozen
class User:
    """A user of the tenant.

    Args:
        user_id: The full identifier with its prefix, such as "auth0|alice".
        email: Issued with the ``email`` scope.
        email_verified: Issued with the ``email`` scope.
        name: Issued with the ``profile`` scope, as the next five are.
        nickname: See ``name``.
        given_name: See ``name``.
        family_name: See ``name``.
        username: See ``name``; called ``preferred_username`` in tokens.
        picture: See ``name``.
        phone_number: Issued with the ``phone`` scope.
        connection: The name of the connection that the user comes from.
        blocked: Whether every exchange for the user is refused.
        mfa: Whether an exchange for the user answers ``mfa_required``.
    """

    user_id: str = field(validator=_check_identifier)
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
        """Return the standard claims that ``scopes`` release (OIDC Core 5.4)."""
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
        # phone_number_verified is left out, as the tenant has no such record.
        if "phone" in granted:
            claims |= {"phone_number": self.phone_number}
        # OIDC Core 5.3.2: leave out a claim without a value, rather than send null.
        return {name: value for name, value in claims.items() if value is not None}


@frozen
class Connection:
    """A source of users: a database or an identity provider.

    Args:
        name: The connection's name.
        strategy: The prefix of its users' identifiers, as in "auth0|alice".
        import_mode: Whether it is a custom database with import mode on, which
            ``set_user_by_connection`` may not use.
    """

    name: str = field(validator=_check_identifier)
    strategy: str = field(default="auth0", kw_only=True)
    import_mode: bool = field(default=False, kw_only=True)


def _to_frozenset(values: Iterable[str]) -> frozenset[str]:
    return frozenset(_to_tuple(values))


def _check_organization_id(instance: Any, attribute: Any, value: str) -> None:
    if not value.startswith("org_"):
        raise ValueError("an organization's id begins with 'org_'")


def _to_lower_case(name: str) -> str:
    return name.lower()


@frozen
class Organization:
    """An organization.

    Args:
        id: Its identifier, which begins with "org_".
        name: Its name; kept in lower case, as at Auth0.
        display_name: The name shown to people.
        members: The identifiers of its members.
        connections: The connections enabled for it.
        auto_membership: Those of them whose users become members on arrival.
        metadata: Shown to Actions.
    """

    id: str = field(validator=_check_organization_id)
    name: str = field(converter=_to_lower_case)
    display_name: str = field(default="", kw_only=True)
    members: frozenset[str] = field(
        factory=frozenset, kw_only=True, converter=_to_frozenset
    )
    connections: tuple[str, ...] = field(
        default=(DATABASE,), kw_only=True, converter=_to_tuple
    )
    auto_membership: tuple[str, ...] = field(
        default=(), kw_only=True, converter=_to_tuple
    )
    metadata: Mapping[str, str] = field(factory=dict, kw_only=True)


@frozen
class Api:
    """An API, called a resource server in tokens and events.

    Args:
        identifier: Its audience.
        scopes: The scopes it defines; others are not granted.
        allow_offline_access: Whether refresh tokens may be issued for it.
        skip_consent: Whether first-party applications need no consent.
        token_lifetime: How long an access token lives, in seconds.
        signing_algorithm: The algorithm that signs its access tokens.
        token_dialect: Auth0's own profile of claims, or that of RFC 9068.
    """

    identifier: str = field(validator=_check_identifier)
    scopes: tuple[str, ...] = field(default=(), kw_only=True, converter=_to_tuple)
    allow_offline_access: bool = field(default=False, kw_only=True)
    skip_consent: bool = field(default=True, kw_only=True)
    token_lifetime: int = field(default=86400, kw_only=True)
    signing_algorithm: SigningAlgorithm = field(default="RS256", kw_only=True)
    token_dialect: TokenDialect = field(default="access_token", kw_only=True)
