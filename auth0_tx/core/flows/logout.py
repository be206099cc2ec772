"""Logging out: from the application, and from Auth0's side (Back-Channel Logout 1.0).

A logout ends the session here before Auth0 is told anything:

1. Wrong input is refused, before anything ends.
2. The cookies are deleted.  Nothing can fail before that: whatever does afterwards, a resolver
   or the store, this browser is logged out.
3. The stored session is deleted, and removed from the index.
4. The refresh token is revoked, as a courtesy that nobody waits for long.
5. If the store failed, that is reported.

A logout token is verified as an ID token is.  Then:

1. Its ``jti`` is looked up: one that is marked was used before.
2. The index is read, the sessions in it are deleted, then they are removed from the index.
3. The ``jti`` is marked, so that nobody can send the token a second time.

Every step before the mark may be done again, and the mark is last.  So whatever fails, before
or after it took effect, Auth0 may send the same token again, and it starts over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import (
    Auth0Error,
    BackchannelLogoutError,
    IdTokenError,
    StoreError,
)
from ...events import (
    BackchannelLogoutFinished,
    LogoutFinished,
    LogoutTokenRefused,
    SessionsEnded,
)
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Invoke, Request, Send
from ..session.store import (
    Application,
    AsyncStateStore,
    StateStore,
    index_label,
    logout_token_key,
)
from ..wire.grants import revocation_form
from ..wire.metadata import DOCUMENT_LIMIT
from ..wire.problems import Problem, check_text
from ..wire.redirects import build_logout_url, check_return_to
from .audit import report, run_reported
from .sending import build_request, check_metadata
from .session import check_writable, find_session, get_server_store, open_keeper
from .session_keeper import (
    Session,
    SessionKeeper,
    forget_cookies,
    get_application,
    has_session_cookie,
)
from .store_calls import call_store, store_value
from .stored_sessions import end_listed_sessions
from .tenant_documents import load_metadata, resolve_domain
from .verification import ID_TOKEN_ALGORITHMS, verify_with_keys

if TYPE_CHECKING:
    from ..jose.keys import KeySet
    from ..jose.logout_token import LogoutToken

_LONGEST_RULE = 256
"""Characters.  A rule quotes what was expected, such as the tenant's issuer."""

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
    check_return_to(return_to)
    cookies = yield from Invoke(context.cookies.read, (store_options,))
    yield from forget_cookies(keeper, cookies)
    domain: str | Auth0Error
    try:
        domain = yield from resolve_domain(call)
    except Auth0Error as error:
        domain = error
    if isinstance(domain, Auth0Error):
        yield from _report_logout(call, keeper, cookies, None, domain)
        try:
            raise domain
        finally:
            # Or the frame keeps the error that keeps the frame.
            del domain
    session: Session | None = None
    failure: Auth0Error | None = None
    try:
        session = yield from find_session(call, keeper, cookies)
    except StoreError:
        # Without the session there is nothing to revoke; it still ends below.
        session = None
    try:
        yield from keeper.end(cookies, session)
    except Auth0Error as error:
        failure = error.with_traceback(None)
    # Also if the store failed: a session that is still there cannot renew its tokens then.
    if revoke and session is not None and session.state["refresh_token"] is not None:
        yield from _revoke(call, domain, session.state["refresh_token"])
    yield from _report_logout(call, keeper, cookies, session, failure)
    # The cookies are gone by now, so this browser is logged out either way.
    may_ignore = context.settings.session_policy.store_failure == "no_session"
    if failure is not None and not (may_ignore and isinstance(failure, StoreError)):
        raise failure
    return build_logout_url(domain, context.settings.client_id, return_to)


def _report_logout(
    call: Call,
    keeper: SessionKeeper,
    cookies: Mapping[str, str],
    session: Session | None,
    failure: Auth0Error | None,
) -> Flow[None]:
    """Report a logout, unless its visitor never was logged in."""
    if session is None and not has_session_cookie(keeper, cookies):
        return
    yield from report(
        call,
        LogoutFinished,
        state=None if session is None else session.state,
        error=failure,
        started=call.started,
    )


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
    store = get_server_store(context)
    call = context.begin_call(store_options)
    token: LogoutToken | None = None
    ended, failure = 0, None
    try:
        token = yield from _verify_logout_token(call, logout_token)
        ended = yield from _obey_logout_token(call, store, token)
    except Auth0Error as error:
        failure = error
    # Outside the handler, so that an error in here would not have this one as its context.
    yield from _report_logout_token(call, token, ended, failure)
    try:
        if failure is not None:
            raise failure
    finally:
        # Or the frame keeps the error that keeps the frame, and the token in it.
        del failure


def _verify_logout_token(call: Call, logout_token: str) -> Flow[LogoutToken]:
    # Here and not at the top: most applications never get a logout token, and the JOSE
    # library takes longer to import than all of the core.
    from ..jose.logout_token import read_logout_token

    context = call.context
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
    return token


def _report_logout_token(
    call: Call, token: LogoutToken | None, ended: int, failure: Auth0Error | None
) -> Flow[None]:
    """Report what became of a logout token; *token* is ``None`` if it was not verified."""
    subject = None if token is None else token.subject
    if isinstance(failure, BackchannelLogoutError):
        yield from report(
            call,
            LogoutTokenRefused,
            subject=subject,
            error=failure,
            reason="invalid" if token is None else "replayed",
            rule=failure.message[:_LONGEST_RULE],
        )
        return
    yield from report(
        call,
        BackchannelLogoutFinished,
        subject=subject,
        error=failure,
        started=call.started,
        sessions=ended,
    )


def end_sessions(
    context: Context, *, sub: str, store_options: StoreOptions | None = None
) -> Flow[int]:
    """End all sessions of a user: log out everywhere.

    Sessions end here, in the store that this client uses; Auth0's own session and the tokens
    that were issued stay.  A call that failed may be repeated.

    Args:
        sub: the user's ``sub``, such as ``auth0|alice``.
        store_options: handed to the domain resolver if the client has one.

    Returns:
        How many sessions were listed; some may have ended before.

    Raises:
        ConfigurationError: sessions are kept in cookies, which nobody else can end.
        InvalidInputError: *sub* is not a non-empty string.
        StoreError: not all of them could be ended.
    """
    store = get_server_store(context)
    rule = check_text(sub)
    if rule is not None:
        raise Problem("sub", rule).error()
    call = context.begin_call(store_options)
    ended = _end_sessions(call, store, sub)
    return (
        yield from run_reported(
            call,
            SessionsEnded,
            ended,
            lambda sessions: {"sessions": sessions},
            subject=sub,
            by="end_sessions",
            sessions=0,
        )
    )


def _end_sessions(
    call: Call, store: StateStore | AsyncStateStore, sub: str
) -> Flow[int]:
    application = get_application(call.context, (yield from resolve_domain(call)))
    return (
        yield from end_listed_sessions(store, *_list_labels(application, sub, None))
    )


def _obey_logout_token(
    call: Call, store: StateStore | AsyncStateStore, token: LogoutToken
) -> Flow[int]:
    """End the sessions that a verified logout token names, and mark it as used.

    Returns:
        How many sessions it named.
    """
    context = call.context
    application = get_application(context, (yield from resolve_domain(call)))
    key = logout_token_key(application, token.token_id)
    # Back-Channel Logout 1.0 section 2.6, 8: the same jti must not be accepted twice.
    if (yield from call_store(store.get, key)) is not None:
        raise BackchannelLogoutError("the logout token has been used before")
    ended = yield from end_listed_sessions(
        store, *_list_labels(application, token.subject, token.session_id)
    )
    # The value is new each time, so whoever finds it knows whose mark it is.
    mark = context.new_id().encode()
    lasts = max(token.expires_at - context.clock(), 1.0) + token.leeway
    try:
        is_first = yield from store_value(
            context, store, key, mark, ttl=lasts, expected=None
        )
    except StoreError:
        yield from _withdraw_mark(store, key, mark)
        raise
    if not is_first:
        # Another copy of the same token was quicker.  The sessions have ended all the same.
        raise BackchannelLogoutError("the logout token has been used before")
    return ended


def _withdraw_mark(
    store: StateStore | AsyncStateStore, key: str, mark: bytes
) -> Flow[None]:
    """Delete a mark that may have been set: the token's sender will try again."""
    try:
        yield from call_store(store.delete, key, expected=mark)
    except StoreError:
        # The first failure is the one to report; the mark ends with the token.
        return


def _list_labels(
    application: Application, subject: str | None, session_id: str | None
) -> tuple[list[str], list[str]]:
    """Return the labels of the sessions to end (Back-Channel Logout 1.0 section 2.7).

    Returns:
        Those to look under, and those that the same sessions may be listed under besides.
    """
    if subject is None:
        assert session_id is not None
        return [index_label("sid", application, session_id)], []
    of_user = index_label("sub", application, subject)
    # An exchange makes no session at Auth0, so those it began have no sid to match.
    of_exchanges = index_label("sub without sid", application, subject)
    if session_id is None:
        return [of_user], [of_exchanges]
    return [index_label("sid", application, session_id), of_exchanges], [of_user]


def _revoke(call: Call, domain: str, refresh_token: str) -> Flow[None]:
    """Revoke a refresh token, as a courtesy: within three seconds, and without an error."""
    # With time of its own: a store that took all of the call's must not leave a refresh token
    # valid that nobody can end any more.
    call = call.context.begin_call(call.store_options)
    call = call.limit_to(call.started + LONGEST_REVOCATION)
    try:
        metadata = yield from load_metadata(call, domain)
        # RFC 8414 section 2: the endpoint is optional.
        url = metadata.revocation_endpoint
        if url is None:
            return

        def prepare() -> Request:
            check_metadata(call.context, metadata)
            return build_request(call, metadata, url, revocation_form(refresh_token))

        yield from Send(prepare, call.deadline, DOCUMENT_LIMIT)
    except Auth0Error:
        # The user is logged out already, and can do nothing about it.
        return
