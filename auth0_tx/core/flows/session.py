"""The login session of a request: loaded, kept alive, and shown to the application.

Whatever a browser sends is never an error.  If a session does not open, has expired or
is of another tenant, there is no session.

A session that is used lasts longer: now and then its use is noted, which is a write.  It is
all that a read writes: no cookie that holds tokens is set or deleted by it (see
``session_keeper``).  In a store, a read also seals a session anew if an older secret sealed it,
and takes over one of Auth0's own SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...errors import ConfigurationError, InvalidInputError, StoreError
from ...errors import CustomTokenExchangeErrorCode as Code
from ...events import SessionCookieRefused
from ...session_values import SessionData, UserClaims
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Invoke
from ..session.cookies import CookieStore
from ..session.legacy import derive_legacy_id, read_legacy_session
from ..session.state import State, conceal_tokens, is_alive
from ..session.store import AsyncStateStore, StateStore
from .audit import report
from .session_keeper import (
    CookieSessions,
    RefusedCookie,
    Session,
    SessionKeeper,
    can_write,
    has_session_cookie,
)
from .stored_sessions import StoredSessions
from .tenant_documents import resolve_domain


def get_user(
    context: Context, store_options: StoreOptions | None = None
) -> Flow[UserClaims | None]:
    """Return the logged-in user: the claims of the ID token, ``act`` among them.

    Args:
        store_options: ``request``, and ``response`` if there is one yet: a session that is
            used lasts longer, and its cookie must say so.

    Returns:
        The user's claims, or ``None`` if there is no valid session.

    Raises:
        ConfigurationError: the client keeps no sessions.
        StoreError: the store cannot be read.
    """
    call = context.begin_call(store_options)
    session = yield from load_session(call, open_keeper(call))
    user: UserClaims | None = None if session is None else session.state["user"]
    return user


def get_session(
    context: Context, store_options: StoreOptions | None = None
) -> Flow[SessionData | None]:
    """Return the session: ``user``, ``id_token``, ``refresh_token``, ``token_sets``, ``domain``.

    Args:
        store_options: ``request``, and ``response`` if there is one yet.

    Returns:
        The session, its tokens as text that does not print, or ``None`` if there is none.

    Raises:
        ConfigurationError: the client keeps no sessions.
        StoreError: the store cannot be read.
    """
    call = context.begin_call(store_options)
    session = yield from load_session(call, open_keeper(call))
    if session is None:
        return None
    shown = conceal_tokens(session.state)
    return cast(
        SessionData,
        {name: value for name, value in shown.items() if name != "internal"},
    )


def load_session(call: Call, keeper: SessionKeeper) -> Flow[Session | None]:
    """Return the session of a request, or ``None`` if none is valid.

    Raises:
        StoreError: the store cannot be read, and the policy does not call that no session.
    """
    cookies: Mapping[str, str]
    # Read through the driver: a framework's request may parse its header lazily.
    cookies = yield Invoke(call.context.cookies.read, (call.store_options,))
    try:
        found = yield from keeper.load(cookies, call.now)
    except StoreError:
        # For pages that also work without a user: an outage of Redis then shows them as to a
        # visitor, and not as an error.
        if call.settings.session_policy.store_failure == "no_session":
            return None
        raise
    if isinstance(found, Session):
        return (yield from keeper.keep_alive(found))
    session = yield from _load_legacy_session(call, keeper, cookies)
    if session is None and call.settings.on_event is not None:
        yield from _report_refusal(keeper, cookies, found)
    return session


def find_session(
    call: Call, keeper: SessionKeeper, cookies: Mapping[str, str]
) -> Flow[Session | None]:
    """Return the session that is about to end, of Auth0's own SDK too; nothing is written.

    Raises:
        StoreError: the store cannot be read.
    """
    found = yield from keeper.load(cookies, call.now)
    if isinstance(found, Session):
        return found
    secret = call.settings.legacy_secret
    if secret is None:
        return None
    domain = yield from resolve_domain(call)
    state = _read_legacy_session(call, cookies, domain, secret)
    return None if state is None else Session(state, origin="sdk")


def open_keeper(call: Call) -> SessionKeeper:
    """Return the keeper of a call's session.

    Raises:
        ConfigurationError: the client has neither *secret* nor *state_store*.
    """
    settings = call.settings
    if settings.state_store is None:
        raise ConfigurationError(
            "secret or state_store must be given to keep login sessions",
            parameter="secret",
        )
    if not isinstance(settings.state_store, CookieStore):
        return StoredSessions(call, settings.state_store)
    if not settings.secrets:
        raise ConfigurationError(
            "secret must be given to keep login sessions in cookies",
            parameter="secret",
        )
    return CookieSessions(call, settings.state_store)


def get_server_store(context: Context) -> StateStore | AsyncStateStore:
    """Return the store on the server.

    Raises:
        ConfigurationError: there is none.
    """
    store = context.settings.state_store
    if store is None or isinstance(store, CookieStore):
        raise ConfigurationError(
            "state_store must be a store on the server to end sessions of other browsers",
            parameter="state_store",
        )
    return store


def check_writable(call: Call) -> Flow[None]:
    """Refuse a call that must set cookies and cannot, before anything is sent.

    Raises:
        InvalidInputError: *store_options* has no response.
    """
    if not (yield from can_write(call)):
        raise InvalidInputError(
            "store_options must have a response to set the session's cookies on",
            hint="add the middleware of your framework, or pass the response. Once a "
            "WebSocket is accepted, or a response has begun, no cookie can be set: get "
            "tokens before, or keep sessions in a store on the server.",
            parameter="store_options",
        )


def _report_refusal(
    keeper: SessionKeeper,
    cookies: Mapping[str, str],
    refused: RefusedCookie | None,
) -> Flow[None]:
    """Report that a request has no session although it has a session cookie."""
    if refused is None:
        # A visitor who never was logged in is no event.
        if not has_session_cookie(keeper, cookies):
            return
        refused = RefusedCookie("unreadable")
    yield from report(
        keeper.call,
        SessionCookieRefused,
        state=refused.state,
        code=str(Code.LOGIN_REQUIRED),
        reason=refused.reason,
    )


def _load_legacy_session(
    call: Call, keeper: SessionKeeper, cookies: Mapping[str, str]
) -> Flow[Session | None]:
    """Return the session of Auth0's own SDK, which the keeper takes over when it can."""
    secret = call.settings.legacy_secret
    if secret is None:
        return None
    domain = yield from resolve_domain(call)
    state = _read_legacy_session(call, cookies, domain, secret)
    if state is None:
        return None
    session_id = derive_legacy_id(cookies, secret, "stored session")
    return (yield from keeper.take_over(state, session_id))


def _read_legacy_session(
    call: Call, cookies: Mapping[str, str], domain: str, secret: str
) -> State | None:
    policy, now = call.settings.session_policy, call.context.clock()
    state = read_legacy_session(
        cookies,
        secret,
        domain=domain,
        now=now,
        policy=policy,
        session_id=derive_legacy_id(cookies, secret, "session"),
    )
    return state if state is not None and is_alive(state, now, policy) else None
