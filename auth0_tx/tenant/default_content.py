"""A new tenant's state, and what it holds unless told otherwise.

One of everything a first try needs: an application, an API, three users, an
organization, two profiles.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .applications import Application
from .client_assertion import UsedAssertions
from .directory import DATABASE, Api, Connection, Organization, User
from .history import History
from .keys import KeySupply, SigningKeys
from .legacy_system import LegacySystem
from .limits import AttemptThrottle, RateLimit, RateLimiter, Throttle
from .opaque_tokens import OpaqueTokens
from .profiles import MOST_PROFILES, Profile, check_not_reserved
from .refresh_tokens import RefreshTokens
from .registry import Registry
from .settings import Settings
from .state import TenantState
from .wording import Wording


def new_state(
    *,
    clock: Callable[[], float],
    new_id: Callable[[], str],
    wording: Wording,
    settings: Settings,
    keys: KeySupply,
    throttle: Throttle | None,
    rate_limit: RateLimit | None,
) -> TenantState:
    """Return the state of a tenant that holds nothing yet."""
    users: Registry[User] = Registry("user", lambda one: one.user_id)

    def admit(profile: Profile) -> None:
        check_not_reserved(profile, by_prefix=settings.reserved_by_prefix)
        if len(profiles) >= MOST_PROFILES:
            raise ValueError(f"a tenant has at most {MOST_PROFILES} profiles")

    profiles: Registry[Profile] = Registry(
        "profile", lambda one: one.subject_token_type, admit
    )
    return TenantState(
        clock=clock,
        new_id=new_id,
        wording=wording,
        settings=settings,
        keys=SigningKeys(keys, new_id),
        legacy=LegacySystem(
            secrets.token_bytes(32),
            clock=clock,
            new_id=new_id,
            knows=users.__contains__,
        ),
        applications=Registry("application", lambda one: one.client_id),
        apis=Registry("API", lambda one: one.identifier),
        users=users,
        user_connections=Registry("connection", lambda one: one.name),
        organizations=Registry("organization", lambda one: one.id),
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
    state.users.add(_user("alice", "Alice", "Adams"))
    state.users.add(_user("bob", "Bob", "Brown"))
    state.users.add(_user("support_agent", "Sam", "Support"))
    state.organizations.add(
        Organization(
            "org_abc1234", "acme", display_name="Acme", members=["auth0|alice"]
        )
    )
    state.profiles.add(Profile("urn:acme:mcp-token", name="mcp-token"))
    state.profiles.add(Profile("urn:acme:legacy-token", name="legacy-token"))


def _user(nickname: str, given_name: str, family_name: str) -> User:
    return User(
        f"auth0|{nickname}",
        email=f"{nickname}@example.com",
        email_verified=True,
        name=f"{given_name} {family_name}",
        nickname=nickname,
        given_name=given_name,
        family_name=family_name,
    )
