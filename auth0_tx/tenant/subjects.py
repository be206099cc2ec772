"""For whom tokens are issued: the user an Action named, found or created."""

from __future__ import annotations

from typing import Any

import attrs

from .action_api import UserByConnection, UserById
from .applications import Application
from .directory import Organization, User
from .membership import admit
from .state import TenantState

# What an Action may set; user_id, connection, blocked and mfa are the tenant's.
_SETTABLE = frozenset(
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


def settled_user(
    state: TenantState,
    application: Application,
    named: UserById | UserByConnection | None,
    organization: Organization | None,
) -> User:
    """Return the user that *named* stands for.

    Raises:
        Refused: The Action named nobody, or somebody who may not have tokens.
    """
    if named is None:
        raise state.wording.user_not_set.refused()
    if isinstance(named, UserById):
        user = state.users.get(named.user_id)
        if user is None:
            raise state.wording.user_not_found.refused()
    else:
        user = _by_connection(state, named)
    if user.blocked:
        raise state.wording.user_blocked.refused()
    enabled = application.connections
    if enabled is not None and user.connection not in enabled:
        raise state.wording.connection_not_enabled.refused(connection=user.connection)
    if organization is not None:
        admit(state, organization, user, arrives=isinstance(named, UserByConnection))
    return user


def _by_connection(state: TenantState, named: UserByConnection) -> User:
    connection = state.user_connections.get(named.connection)
    if connection is None:
        raise state.wording.unknown_connection.refused(connection=named.connection)
    if connection.import_mode:
        raise state.wording.import_mode_connection.refused(connection=connection.name)
    user_id = f"{connection.strategy}|{named.attributes['user_id']}"
    attributes: dict[str, Any] = {
        name: value for name, value in named.attributes.items() if name in _SETTABLE
    }
    user = state.users.get(user_id)
    if user is not None and user.connection == connection.name:
        if named.replaces:
            user = state.users.change(user_id, **attributes)
        return user
    if user is not None or not named.creates:
        raise state.wording.user_not_found.refused()
    created = attrs.evolve(User(user_id, connection=connection.name), **attributes)
    return state.users.add(created)
