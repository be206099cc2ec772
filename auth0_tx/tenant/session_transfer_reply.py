"""The rules of a token exchange for a session transfer token, and its reply."""

from __future__ import annotations

from .applications import Application
from .client_authentication import AuthenticatedClient
from .http_messages import Reply
from .session_transfers import LIFETIME, TOKEN_TYPE, SessionTransfer
from .state import TenantState
from .tokens import Grant


def is_session_transfer(state: TenantState, audience: str) -> bool:
    """Tell whether *audience* asks for a session transfer token of this tenant."""
    return audience == f"urn:{state.domain}:session_transfer"


def check_client(state: TenantState, client: AuthenticatedClient) -> None:
    """Check that *client* may ask for a session transfer token.

    Raises:
        Refused: It is public, or not allowed to.
    """
    application: Application = client.application
    if not application.can_create_session_transfer_token:
        raise state.wording.session_transfer_disabled.refused()
    if client.method == "none":
        raise state.wording.session_transfer_public.refused()


def check_actor(state: TenantState, grant: Grant) -> None:
    """Check that the Action has set an actor, and one alone.

    Raises:
        Refused: It has not.
    """
    if grant.actor is None:
        raise state.wording.setactor_required.refused()
    if "act" in grant.actor:
        raise state.wording.session_transfer_nested_actor.refused()


def session_transfer_reply(state: TenantState, grant: Grant, ip: str) -> Reply:
    """Issue a session transfer token and return the reply that carries it alone.

    Args:
        state: The tenant.
        grant: What was decided; its actor is checked.
        ip: The address it is issued to.
    """
    token = state.new_id()
    transfer = SessionTransfer(
        client_id=grant.application.client_id,
        user_id=grant.user.user_id,
        actor=dict(grant.actor or {}),
        organization=grant.organization.id if grant.organization else None,
        ip=ip,
        expires_at=state.clock() + LIFETIME,
    )
    state.session_transfers.add(token, transfer)
    return Reply.of(
        {
            "access_token": token,
            "issued_token_type": TOKEN_TYPE,
            # RFC 8693 2.2.1: what is issued is no access token.
            "token_type": "N_A",
            "expires_in": LIFETIME,
        }
    )
