"""Logging out: from the application, and from Auth0's side (Back-Channel Logout 1.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import (
    Auth0Error,
    BackchannelLogoutError,
    ConfigurationError,
    IdTokenError,
    StoreError,
)
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow, Request, Send
from ..session.cookies import CookieStore
from ..session.store import AsyncStateStore, StateStore, index_label, logout_token_key
from ..wire.grants import grant_request, revocation_form
from ..wire.metadata import DOCUMENT_LIMIT
from ..wire.redirects import build_logout_url
from .discovery import domain_for, metadata_for
from .keys import keys_for
from .session_state import Session, check_keeping, check_writable, end, session_for
from .stored import stored, stored_value
from .verification import ID_TOKEN_ALGORITHMS

if TYPE_CHECKING:
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
    """End the session, and give the URL that ends Auth0's own.

    Args:
        store_options: ``request`` and ``response``.
        return_to: where Auth0 sends the browser afterwards; one of the application's
            Allowed Logout URLs.
        revoke: whether the session's refresh token is revoked (RFC 7009); where that fails
            the user is logged out all the same.

    Returns:
        The URL to redirect the browser to.

    Raises:
        ConfigurationError: no sessions are kept.
        InvalidInputError: *return_to* is no URL, or there is no response.
        StoreError: the session could not be deleted from its store; its cookie was.  Not
            where the policy says that a store which fails means no session.
    """
    check_keeping(context)
    yield from check_writable(context, store_options)
    domain = yield from domain_for(context, store_options)
    url = build_logout_url(domain, context.settings.client_id, return_to)
    session: Session | None = None
    if revoke:
        try:
            session = yield from session_for(context, store_options)
        except StoreError:
            session = None
    try:
        yield from end(context, store_options)
    except StoreError:
        if context.settings.session_policy.store_failure == "raise":
            raise
    if session is not None and session.state["refresh_token"] is not None:
        yield from _revoked(context, domain, session.state["refresh_token"])
    return url


def handle_backchannel_logout(
    context: Context, logout_token: str, store_options: StoreOptions | None = None
) -> Flow[None]:
    """End every session that a logout token of Auth0's names, by its user or its ``sid``.

    Answer the request with 200 when this returns, and with 400 when it raises
    ``BackchannelLogoutError`` (OpenID Connect Back-Channel Logout 1.0 section 2.8).

    Args:
        logout_token: the form's ``logout_token``.
        store_options: handed to the domain resolver, where the client has one.

    Raises:
        BackchannelLogoutError: the token does not hold, or has been used before.
        ConfigurationError: sessions are kept in cookies, which nobody else can end.
        StoreError: the sessions could not be deleted; Auth0 may send the token again.
        CustomTokenExchangeError: the tenant's keys cannot be had, so nobody can tell.
    """
    store = context.settings.state_store
    if store is None or isinstance(store, CookieStore):
        raise ConfigurationError(
            "state_store must be a store on the server to end sessions from Auth0's side",
            parameter="state_store",
        )
    from ..jose.jws import key_id
    from ..jose.logout_token import read_logout_token

    deadline = context.monotonic() + context.settings.timeout
    domain = yield from domain_for(context, store_options)
    metadata = yield from metadata_for(context, domain, deadline)
    keys = yield from keys_for(context, metadata, key_id(logout_token), deadline)
    read = read_logout_token(
        logout_token,
        keys,
        issuer=metadata.issuer,
        client_id=context.settings.client_id,
        now=context.clock(),
        algorithms=ID_TOKEN_ALGORITHMS,
    )
    if isinstance(read, IdTokenError):
        raise BackchannelLogoutError(read.message)
    yield from _ended_as_told(context, store, read)


def _ended_as_told(
    context: Context, store: StateStore | AsyncStateStore, told: LogoutToken
) -> Flow[None]:
    key = logout_token_key(told.issuer, told.token_id)
    lasts = max(told.expires_at - context.clock(), 1.0) + told.leeway
    # Back-Channel Logout 1.0 section 2.6, 8: the same jti must not be taken twice.
    if not (
        yield from stored_value(context, store, key, b"used", ttl=lasts, expected=None)
    ):
        raise BackchannelLogoutError("the logout token has been used before")
    try:
        for name in _labels(told):
            keys = yield from stored(store.take_index, name)
            for each in keys:
                yield from stored(store.delete, each)
    except StoreError as error:
        failure = error
    else:
        return
    try:
        # So that the sender may try again with the same token.
        yield from stored(store.delete, key, expected=b"used")
    except StoreError as error:
        failure = error
    raise failure


def _labels(told: LogoutToken) -> list[str]:
    """Give the labels of the sessions that end (Back-Channel Logout 1.0 section 2.7)."""
    if told.session_id is None:
        assert told.subject is not None
        return [index_label("sub", told.issuer, told.subject)]
    labels = [index_label("sid", told.issuer, told.session_id)]
    if told.subject is not None:
        # An exchange makes no session at Auth0, so those it began have no sid to match.
        labels.append(index_label("sub without sid", told.issuer, told.subject))
    return labels


def _revoked(context: Context, domain: str, refresh_token: str) -> Flow[None]:
    """Revoke a refresh token, as a courtesy: nobody is kept waiting for long, or told."""
    deadline = context.monotonic() + min(context.settings.timeout, LONGEST_REVOCATION)
    try:
        metadata = yield from metadata_for(context, domain, deadline)
        url = metadata.revocation_endpoint
        if url is None:
            return

        def prepare() -> Request:
            return grant_request(
                url,
                revocation_form(refresh_token),
                context.settings.authentication,
                metadata.issuer,
                context.clock,
                context.new_id,
            )

        yield from Send(prepare, deadline, DOCUMENT_LIMIT)
    except Auth0Error:
        return
