"""The state of a new tenant, and the content that it starts with.

The content is one of everything that a first try needs: an application, an API, three
users, an organization and two profiles. A test adds to it or changes it through the
registries.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .applications import Application
from .client_assertion import UsedAssertions
from .directory import DATABASE, Api, Connection, Organization, User
from .keys import KeySupply, SigningKeys
from .legacy_system import LegacySystem
from .limits import AttemptThrottle, RateLimit, RateLimiter, Throttle
from .opaque_tokens import OpaqueTokens
from .profiles import MAX_PROFILES, Profile, check_not_reserved
from .refresh_tokens import RefreshTokens
from .registry import History, Registry
from .state import Settings, TenantState
from .wording import Wording


def create_state(
    *,
    clock: Callable[[], float],
    new_id: Callable[[], str],
    wording: Wording,
    settings: Settings,
    keys: KeySupply,
    throttle: Throttle | None,
    rate_limit: RateLimit | None,
) -> TenantState:
    """Return the state of a tenant without any content."""
    users: Registry[User] = Registry("user", lambda user: user.user_id)

    # A closure: what a profile may be depends on the tenant's settings, and their
    # number on the registry that calls this.
    def check_profile(profile: Profile) -> None:
        check_not_reserved(profile, by_prefix=settings.reserved_by_prefix)
        if len(profiles) >= MAX_PROFILES:
            raise ValueError(f"a tenant has at most {MAX_PROFILES} profiles")

    profiles: Registry[Profile] = Registry(
        "profile", lambda profile: profile.subject_token_type, check_profile
    )
    return TenantState(
        clock=clock,
        new_id=new_id,
        wording=wording,
        settings=settings,
        keys=SigningKeys(keys, new_id),
        legacy=LegacySystem(
            # RFC 7518 3.2: an HS256 key has 256 bits or more.
            secrets.token_bytes(32),
            clock=clock,
            new_id=new_id,
            knows_user=users.__contains__,
        ),
        applications=Registry("application", lambda application: application.client_id),
        apis=Registry("API", lambda api: api.identifier),
        users=users,
        user_connections=Registry("connection", lambda connection: connection.name),
        organizations=Registry("organization", lambda organization: organization.id),
        profiles=profiles,
        refresh_tokens=RefreshTokens(),
        access_tokens=OpaqueTokens(settings.history),
        session_transfers=OpaqueTokens(settings.history),
        used_assertions=UsedAssertions(),
        logs=History(settings.history),
        throttle=AttemptThrottle(throttle) if throttle else None,
        rate_limiter=RateLimiter(rate_limit) if rate_limit else None,
    )


def add_default_content(
    state: TenantState, *, client_id: str, client_secret: str
) -> None:
    """Add the default application, API, users, organization and profiles."""
    state.applications.add(Application(client_id, client_secret, name="Default App"))
    state.apis.add(
        Api(
            "https://api.example.com",
            scopes=("read:data", "write:data"),
            allow_offline_access=True,
        )
    )
    state.user_connections.add(Connection(DATABASE))
    state.users.add(_create_user("alice", "Alice", "Adams"))
    state.users.add(_create_user("bob", "Bob", "Brown"))
    state.users.add(_create_user("support_agent", "Sam", "Support"))
    state.organizations.add(
        Organization(
            "org_abc1234", "acme", display_name="Acme", members=["auth0|alice"]
        )
    )
    state.profiles.add(Profile("urn:acme:mcp-token", name="mcp-token"))
    state.profiles.add(Profile("urn:acme:legacy-token", name="legacy-token"))


def _create_user(nickname: str, given_name: str, family_name: str) -> User:
    return User(
        f"auth0|{nickname}",
        email=f"{nickname}@example.com",
        email_verified=True,
        name=f"{given_name} {family_name}",
        nickname=nickname,
        given_name=given_name,
        family_name=family_name,
    )
