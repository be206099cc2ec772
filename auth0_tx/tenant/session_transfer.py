"""Session transfer tokens: the rules of an exchange for one, and its reply.

A session transfer token lets an actor into another application in a user's name, once.
An exchange for the audience ``urn:<tenant's domain>:session_transfer`` issues one, if
its Action sets an actor. At Auth0, /authorize redeems the token; here, a test does,
with ``tenant.redeem_session_transfer_token``.
"""

from __future__ import annotations

from .applications import Application
from .client_authentication import AuthenticatedClient
from .http_messages import Reply
from .opaque_tokens import SessionTransfer
from .state import TenantState
from .tokens import Grant

TOKEN_TYPE = "urn:auth0:params:oauth:token-type:session_transfer_token"
# Seconds; as Auth0 documents it.
LIFETIME = 60


def is_session_transfer_audience(state: TenantState, audience: str) -> bool:
    """Return whether ``audience`` asks for a session transfer token of this tenant."""
    return audience == f"urn:{state.domain}:session_transfer"


def check_client(state: TenantState, client: AuthenticatedClient) -> None:
    """Check that ``client`` may request a session transfer token.

    Raises:
        RequestRefused: It is public, or not enabled for it.
    """
    application: Application = client.application
    if not application.can_create_session_transfer_token:
        raise state.wording.session_transfer_disabled.to_exception()
    # The token opens a user's session: whoever requests it must have authenticated.
    if client.method == "none":
        raise state.wording.session_transfer_public.to_exception()


def check_actor(state: TenantState, grant: Grant) -> None:
    """Check that the Action has set one actor, with no earlier actor inside.

    Raises:
        RequestRefused: It has set none, or a chain of them.
    """
    if grant.actor is None:
        raise state.wording.setactor_required.to_exception()
    if "act" in grant.actor:
        raise state.wording.session_transfer_nested_actor.to_exception()


def issue_session_transfer(state: TenantState, grant: Grant, ip: str) -> Reply:
    """Issue a session transfer token and return the reply, which carries it alone.

    Args:
        state: The tenant.
        grant: The grant; its actor was checked.
        ip: The address that it is issued to.
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
            # RFC 8693 2.2.1: the member has this name whatever kind of token it holds.
            "access_token": token,
            "issued_token_type": TOKEN_TYPE,
            # RFC 8693 2.2.1: N_A, since this is not an access token.
            "token_type": "N_A",
            "expires_in": LIFETIME,
        }
    )
