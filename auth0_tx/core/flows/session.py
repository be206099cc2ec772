"""The login session of a request: loaded, kept alive, and shown to the application.

Whatever a browser sends is never an error.  If a session does not open, has expired or
is of another tenant, there is no session.

A session that is used lasts longer: now and then its use is noted, which is a write.  In
the same way it is sealed anew when it was sealed with an older secret, and a session of
Auth0's own SDK is replaced by one of this library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...errors import ConfigurationError, InvalidInputError, StoreError
from ...values import SessionData, UserClaims
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Invoke
from ..session.cookies import CookieStore
from ..session.legacy import read_legacy_session
from ..session.state import State, conceal_tokens, is_alive, note_use
from ..session.store import is_session_id
from .session_keeper import CookieSessions, Session, SessionKeeper, forget_cookies
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
        session = yield from keeper.load(cookies, call.now)
    except StoreError:
        # For pages that also work without a user: an outage of Redis then shows them as to a
        # visitor, and not as an error.
        if call.settings.session_policy.store_failure == "no_session":
            return None
        raise
    if session is None:
        return (yield from _load_legacy_session(call, keeper, cookies))
    return (yield from _keep_alive(call, keeper, session))


def find_session(
    call: Call, keeper: SessionKeeper, cookies: Mapping[str, str]
) -> Flow[Session | None]:
    """Return the session that is about to end, of Auth0's own SDK too; nothing is written.

    Raises:
        StoreError: the store cannot be read.
    """
    session = yield from keeper.load(cookies, call.now)
    secret = call.settings.legacy_secret
    if session is not None or secret is None:
        return session
    domain = yield from resolve_domain(call)
    state = _read_legacy_session(call, cookies, domain, secret)
    return None if state is None else Session(state)


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


def check_writable(call: Call) -> Flow[None]:
    """Refuse a call that must set cookies and cannot, before anything is sent.

    Raises:
        InvalidInputError: *store_options* has no response.
    """
    if not (yield from _can_write(call)):
        raise InvalidInputError(
            "store_options must have a response to set the session's cookies on",
            parameter="store_options",
        )


def _can_write(call: Call) -> Flow[bool]:
    return (yield from Invoke(call.context.cookies.can_write, (call.store_options,)))


def _keep_alive(call: Call, keeper: SessionKeeper, session: Session) -> Flow[Session]:
    """Note the use of a session now and then, and seal it anew with a new secret."""
    state = note_use(session.state, call.now, call.settings.session_policy)
    # Each note is a write, so only a tenth of the idle time makes one.
    if state is None and not session.is_stale:
        return session
    # A read without a response is common, and no reason to refuse.
    if not keeper.is_shared and not (yield from _can_write(call)):
        return session
    try:
        saved = yield from keeper.save(session, state or session.state)
    except StoreError:
        # The session was read and is valid; its use can be noted the next time.
        return session
    # ``None`` means that another request noted its use in the same moment.
    return saved or session


def _load_legacy_session(
    call: Call, keeper: SessionKeeper, cookies: Mapping[str, str]
) -> Flow[Session | None]:
    """Replace a session of Auth0's own SDK, or forget cookies that hold none."""
    name = call.settings.session_cookie
    state: State | None = None
    if call.settings.legacy_secret is not None:
        domain = yield from resolve_domain(call)
        state = _read_legacy_session(call, cookies, domain, call.settings.legacy_secret)
    if state is None:
        # The id of a session that is gone stays: another request may by now have been
        # answered with a new one, and deleting that would log its user out.
        keep = name if is_session_id(cookies.get(name, "")) else ""
        yield from forget_cookies(call, name, cookies, keep=keep)
        return None
    # The session is usable; the next request that has a response replaces it.
    if not (yield from _can_write(call)):
        return Session(state)
    session = yield from keeper.create(state)
    yield from forget_cookies(call, "", cookies)
    return session


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
        session_id=call.context.new_id(),
    )
    return state if state is not None and is_alive(state, now, policy) else None
