"""The user and the organization that a grant is for.

The Action names a user: by identifier, and then the user must exist, or by connection
and attributes, and then the user may be created or changed. The request and the Action
may each name an organization; if both do, they must name the same one. A user must be a
member of the organization. Only a user who was named by connection can become one on
the way (Auth0's "auto-membership").
"""

from __future__ import annotations

from typing import Any

import attrs

from .action_api import UserByConnection, UserById
from .applications import Application
from .directory import Organization, User
from .state import TenantState

# What an Action may set; user_id, connection, blocked and mfa are the tenant's.
_SETTABLE_ATTRIBUTES = frozenset(
    {
        "email",
        "email_verified",
        "family_name",
        "given_name",
        "name",
        "nickname",
        "phone_number",
        "picture",
        "username",
    }
)


def resolve_user(
    state: TenantState,
    application: Application,
    named: UserById | UserByConnection | None,
    organization: Organization | None,
) -> User:
    """Return the user that an Action named, found, created or changed.

    Args:
        state: The tenant.
        application: The client.
        named: The user as the Action named them; ``None`` if it named nobody.
        organization: The organization of the grant, or ``None``.

    Raises:
        RequestRefused: The Action named nobody, or a user who may not have tokens.
    """
    if named is None:
        raise state.wording.user_not_set.to_exception()
    if isinstance(named, UserById):
        user = state.users.get(named.user_id)
        if user is None:
            raise state.wording.user_not_found.to_exception()
    else:
        user = _find_or_create_user(state, named)
    # Auth0 issues nothing for a blocked user, whoever vouches for them.
    if user.blocked:
        raise state.wording.user_blocked.to_exception()
    # Auth0: the user's connection must be enabled for the application.
    enabled = application.connections
    if enabled is not None and user.connection not in enabled:
        refusal = state.wording.connection_not_enabled
        raise refusal.to_exception(connection=user.connection)
    if organization is not None:
        check_membership(
            state, organization, user, may_join=isinstance(named, UserByConnection)
        )
    return user


def _find_or_create_user(state: TenantState, named: UserByConnection) -> User:
    connection = state.user_connections.get(named.connection)
    if connection is None:
        refusal = state.wording.unknown_connection
        raise refusal.to_exception(connection=named.connection)
    # In import mode the users are in somebody else's database; Auth0 refuses.
    if connection.import_mode:
        refusal = state.wording.import_mode_connection
        raise refusal.to_exception(connection=connection.name)
    # Auth0 puts the prefix before the identifier that the Action gives.
    user_id = f"{connection.strategy}|{named.attributes['user_id']}"
    attributes: dict[str, Any] = {
        name: value
        for name, value in named.attributes.items()
        if name in _SETTABLE_ATTRIBUTES
    }
    user = state.users.get(user_id)
    if user is not None and user.connection == connection.name:
        if named.replaces:
            user = state.users.change(user_id, **attributes)
        return user
    # Two connections of one strategy: the identifier is that of another one's user.
    if user is not None or not named.creates:
        raise state.wording.user_not_found.to_exception()
    new_user = attrs.evolve(User(user_id, connection=connection.name), **attributes)
    return state.users.add(new_user)


def find_requested_organization(
    state: TenantState, application: Application, requested: str | None
) -> Organization | None:
    """Return the organization that a request names by id, or by name if that is on.

    Raises:
        RequestRefused: It is unknown, or the application may not name one.
    """
    if requested is None:
        return None
    if application.organization_usage == "deny":
        raise state.wording.organization_not_allowed.to_exception()
    organization = _find_organization(state, requested)
    if organization is None:
        refusal = state.wording.unknown_organization
        raise refusal.to_exception(organization=requested)
    return organization


def resolve_organization(
    state: TenantState,
    application: Application,
    requested: Organization | None,
    set_by_action: str | None,
) -> Organization | None:
    """Return the organization of the grant, after the Action has run.

    Raises:
        RequestRefused: The Action's differs from the one requested, is unknown or not
            allowed; or the application requires one and there is none.
    """
    organization = requested
    if set_by_action is not None:
        organization = find_requested_organization(state, application, set_by_action)
        if requested is not None and organization != requested:
            raise state.wording.organization_mismatch.to_exception()
    # Only now: the Action may set an organization that the request left out.
    if organization is None and application.organization_usage == "require":
        raise state.wording.organization_required.to_exception()
    return organization


def check_membership(
    state: TenantState, organization: Organization, user: User, *, may_join: bool
) -> None:
    """Check that ``user`` belongs to ``organization``, or make them a member.

    Args:
        state: The tenant.
        organization: The organization.
        user: The user.
        may_join: Whether the Action named the user by connection: then a connection
            with auto-membership makes them a member.

    Raises:
        RequestRefused: The user's connection is not enabled for the organization, or
            the user is not a member.
    """
    # Auth0: a membership counts only for users of the organization's connections.
    if user.connection not in organization.connections:
        refusal = state.wording.connection_not_enabled
        raise refusal.to_exception(connection=user.connection)
    if user.user_id in organization.members:
        return
    if not (may_join and user.connection in organization.auto_membership):
        raise state.wording.not_a_member.to_exception(
            user_id=user.user_id, organization=organization.id
        )
    members = organization.members | {user.user_id}
    state.organizations.change(organization.id, members=members)


def _find_organization(state: TenantState, requested: str) -> Organization | None:
    if requested.startswith("org_"):
        return state.organizations.get(requested)
    # Auth0 takes names only with "Use Organization Names in Authentication API".
    if not state.settings.organization_names:
        return None
    name = requested.lower()
    return next(
        (known for known in state.organizations if known.name == name),
        None,
    )
