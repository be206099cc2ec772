"""Within which organization an exchange happens, and who may be there."""

from __future__ import annotations

from .applications import Application
from .directory import Organization, User
from .state import TenantState


def requested_organization(
    state: TenantState, application: Application, requested: str | None
) -> Organization | None:
    """Return the organization a request names by id, or by name where that is on.

    Raises:
        Refused: There is none, or the application may not name one.
    """
    if requested is None:
        return None
    if application.organization_usage == "deny":
        raise state.wording.organization_not_allowed.refused()
    found = _find(state, requested)
    if found is None:
        raise state.wording.unknown_organization.refused(organization=requested)
    return found


def settled_organization(
    state: TenantState,
    application: Application,
    requested: Organization | None,
    set_by_action: str | None,
) -> Organization | None:
    """Return the organization that holds after the Action has run.

    Raises:
        Refused: The Action's differs from the one requested, is unknown or not allowed;
            or the application requires one and there is none.
    """
    settled = requested
    if set_by_action is not None:
        settled = requested_organization(state, application, set_by_action)
        if requested is not None and settled != requested:
            raise state.wording.organization_mismatch.refused()
    if settled is None and application.organization_usage == "require":
        raise state.wording.organization_required.refused()
    return settled


def admit(
    state: TenantState, organization: Organization, user: User, *, arrives: bool
) -> None:
    """Check that *user* belongs to *organization*, or make it so.

    Args:
        state: The tenant.
        organization: Where.
        user: Who.
        arrives: Whether the Action named the user by connection; then a connection
            with auto-membership makes them a member.

    Raises:
        Refused: The user's connection is not enabled there, or they are no member.
    """
    if user.connection not in organization.connections:
        raise state.wording.connection_not_enabled.refused(connection=user.connection)
    if user.user_id in organization.members:
        return
    if not (arrives and user.connection in organization.auto_membership):
        raise state.wording.not_a_member.refused(
            user_id=user.user_id, organization=organization.id
        )
    members = organization.members | {user.user_id}
    state.organizations.change(organization.id, members=members)


def _find(state: TenantState, requested: str) -> Organization | None:
    if requested.startswith("org_"):
        return state.organizations.get(requested)
    # Names are accepted only with "Use Organization Names in Authentication API".
    if not state.settings.organization_names:
        return None
    name = requested.lower()
    return next((one for one in state.organizations if one.name == name), None)
