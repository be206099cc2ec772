"""Logging out: from the application, and from Auth0's side (Back-Channel Logout 1.0).

A logout ends the session here before Auth0 is told anything: its cookies first, then what is
stored, then the refresh token is revoked as a courtesy that nobody waits for long.

A logout token is verified as an ID token is, then claimed by its ``jti`` so that nobody can
send it a second time, then its sessions are deleted.  If that fails the claim is withdrawn,
and Auth0 may send the same token again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...errors import (
    Auth0Error,
    BackchannelLogoutError,
    ConfigurationError,
    IdTokenError,
    StoreError,
)
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Request, Send
from ..session.cookies import CookieStore
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_label,
    logout_token_key,
)
from ..wire.grants import grant_request, revocation_form
from ..wire.metadata import DOCUMENT_LIMIT, Metadata
from ..wire.redirects import build_logout_url
from .session import check_writable, load_session, open_keeper
from .session_keeper import Session
from .stored_sessions import call_store, store_value
from .tenant_documents import load_metadata, resolve_domain
from .verification import ID_TOKEN_ALGORITHMS, verify_with_keys

if TYPE_CHECKING:
    from ..jose.keys import KeySet
    from ..jose.logout_token import LogoutToken

LONGEST_REVOCATION = 3.0
"""Seconds that a logout waits for the refresh token to be revoked."""


def logout(
    context: Context,
    store_options: StoreOptions | None = None,
    *,
    return_to: str | None = None,
    revoke: bool = True,
) -> Flow[str]:
    """End the session, and return the URL that ends Auth0's own.

    Args:
        store_options: ``request`` and ``response``.
        return_to: where Auth0 sends the browser afterwards; one of the application's
            Allowed Logout URLs.
        revoke: whether the session's refresh token is revoked (RFC 7009); if that fails the
            user is logged out all the same.

    Returns:
        The URL to redirect the browser to.

    Raises:
        ConfigurationError: the client keeps no sessions.
        InvalidInputError: *return_to* is not a URL, or there is no response.
        StoreError: the session could not be deleted from its store; its cookie was.  Not
            raised if the policy says that a store which fails means no session.
    """
    call = context.begin_call(store_options)
    keeper = open_keeper(call)
    # A logout that cannot delete the cookies would leave the browser logged in.
    yield from check_writable(call)
    domain = yield from resolve_domain(call)
    # Before anything ends: a bad return_to must be refused while the user is still logged
    # in, and not half-way through.
    url = build_logout_url(domain, context.settings.client_id, return_to)
    session: Session | None = None
    if revoke:
        try:
            session = yield from load_session(call, keeper)
        except StoreError:
            # Without the session there is nothing to revoke; it still ends below.
            session = None
    try:
        yield from keeper.end()
    except StoreError:
        # The cookies are gone by now, so this browser is logged out either way.
        if context.settings.session_policy.store_failure == "raise":
            raise
    # Last, as it is the only step that waits for Auth0 and the only one nobody depends on.
    if session is not None and session.state["refresh_token"] is not None:
        yield from _revoke(call, domain, session.state["refresh_token"])
    return url


def handle_backchannel_logout(
    context: Context, logout_token: str, store_options: StoreOptions | None = None
) -> Flow[None]:
    """End every session that a logout token names, by its user or its ``sid``.

    Answer the request with 200 when this returns, and with 400 when it raises
    ``BackchannelLogoutError`` (OpenID Connect Back-Channel Logout 1.0 section 2.8).

    Args:
        logout_token: the form's ``logout_token``.
        store_options: handed to the domain resolver if the client has one.

    Raises:
        BackchannelLogoutError: the token is invalid, or has been used before.
        ConfigurationError: sessions are kept in cookies, which nobody else can end.
        StoreError: the sessions could not be deleted; Auth0 may send the token again.
        CustomTokenExchangeError: the tenant's keys cannot be fetched to verify the token.
    """
    store = context.settings.state_store
    if store is None or isinstance(store, CookieStore):
        raise ConfigurationError(
            "state_store must be a store on the server to end sessions from Auth0's side",
            parameter="state_store",
        )
    # Here and not at the top: most applications never get a logout token, and the JOSE
    # library takes longer to import than all of the core.
    from ..jose.logout_token import read_logout_token

    call = context.begin_call(store_options)
    domain = yield from resolve_domain(call)
    metadata = yield from load_metadata(call, domain)

    def verify(keys: KeySet) -> LogoutToken | IdTokenError:
        return read_logout_token(
            logout_token,
            keys,
            issuer=metadata.issuer,
            client_id=context.settings.client_id,
            now=context.clock(),
            algorithms=ID_TOKEN_ALGORITHMS,
        )

    token = yield from verify_with_keys(call, metadata, logout_token, verify)
    if isinstance(token, IdTokenError):
        raise BackchannelLogoutError(token.message)
    yield from _end_sessions(context, store, token)


def _end_sessions(
    context: Context, store: StateStore | AsyncStateStore, token: LogoutToken
) -> Flow[None]:
    claim = logout_token_key(token.issuer, token.token_id)
    lasts = max(token.expires_at - context.clock(), 1.0) + token.leeway
    # Back-Channel Logout 1.0 section 2.6, 8: the same jti must not be accepted twice.
    if not (
        yield from store_value(context, store, claim, b"used", ttl=lasts, expected=None)
    ):
        raise BackchannelLogoutError("the logout token has been used before")
    try:
        # The index is taken before the sessions are deleted, so a session that is created
        # meanwhile is not in it: it began after the logout.
        for label in _list_labels(token):
            keys = yield from call_store(store.take_index, label)
            for key in keys:
                yield from call_store(store.delete, key)
    except StoreError:
        yield from _withdraw_claim(store, claim)
        raise


def _withdraw_claim(store: StateStore | AsyncStateStore, claim: str) -> Flow[None]:
    """Let the sender try again with the same token."""
    try:
        yield from call_store(store.delete, claim, expected=b"used")
    except StoreError:
        # The first failure is the one to tell; the claim ends with the token.
        return


def _list_labels(token: LogoutToken) -> list[str]:
    """Return the labels of the sessions to end (Back-Channel Logout 1.0 section 2.7)."""
    if token.session_id is None:
        assert token.subject is not None
        return [index_label("sub", token.issuer, token.subject)]
    labels = [index_label("sid", token.issuer, token.session_id)]
    if token.subject is not None:
        # An exchange makes no session at Auth0, so those it began have no sid to match.
        labels.append(index_label("sub without sid", token.issuer, token.subject))
    return labels


def _revoke(call: Call, domain: str, refresh_token: str) -> Flow[None]:
    """Revoke a refresh token, as a courtesy: within three seconds, and without an error."""
    # With time of its own: a store that took all of the call's must not leave a refresh token
    # valid that nobody can end any more.
    call = call.context.begin_call(call.store_options)
    call = call.limit_to(call.started + LONGEST_REVOCATION)
    try:
        metadata = yield from load_metadata(call, domain)
        # RFC 8414 section 2: the endpoint is optional.
        if metadata.revocation_endpoint is None:
            return
        prepare = partial(
            _build_revocation,
            call,
            metadata,
            metadata.revocation_endpoint,
            refresh_token,
        )
        yield from Send(prepare, call.deadline, DOCUMENT_LIMIT)
    except Auth0Error:
        # The user is logged out already, and can do nothing about it.
        return


def _build_revocation(
    call: Call, metadata: Metadata, url: str, refresh_token: str
) -> Request:
    return grant_request(
        url,
        revocation_form(refresh_token),
        call.settings.authentication,
        metadata.issuer,
        call.context.clock,
        call.context.new_id,
    )
