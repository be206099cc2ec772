"""Reading a session, writing it, ending it: from cookies alone, or from a store by an id.

With a store, the browser has a random id and the store has the session, under the id's
hash and sealed with a key that the id is part of: neither is of use without the other, and
nobody's session opens with another's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import ConfigurationError, InvalidInputError, StoreError
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import secret
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Call, Flow
from ..session.cookies import CookieStore, cookie_name, join
from ..session.state import (
    State,
    is_alive,
    note_use,
    read_session,
    seconds_left,
    write_session,
)
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_labels,
    is_session_id,
    session_key,
)
from .discovery import domain_for
from .session_cookies import forget_cookies, legacy_session, set_cookies, set_state
from .stored import stored, stored_value

if TYPE_CHECKING:
    from ..session.seal import Sealer


@attrs.frozen(eq=False)
class Session:
    """A session as it was read.

    Attributes:
        state: what is in it.
        id: the browser's secret for it; empty where the browser has it whole.
        value: what is stored, which a write must find unchanged.
        is_stale: whether it is sealed with a secret that is no longer the newest.
    """

    state: State = attrs.field(repr=False)
    id: str = attrs.field(default="", repr=False)
    value: bytes | None = attrs.field(default=None, repr=False)
    is_stale: bool = False


def check_keeping(context: Context) -> None:
    """Refuse a call that needs sessions where none are kept.

    Raises:
        ConfigurationError: the client has neither *secret* nor *state_store*.
    """
    settings = context.settings
    if settings.state_store is None:
        raise ConfigurationError(
            "secret or state_store must be given to keep login sessions",
            parameter="secret",
        )
    if isinstance(settings.state_store, CookieStore) and not settings.secrets:
        raise ConfigurationError(
            "secret must be given to keep login sessions in cookies",
            parameter="secret",
        )


def check_writable(context: Context, store_options: StoreOptions | None) -> Flow[None]:
    """Refuse a call that must set cookies and cannot, before anything is sent.

    Raises:
        InvalidInputError: *store_options* has no response.
    """
    if not (yield from Call(context.cookies.can_write, (store_options,))):
        raise InvalidInputError(
            "store_options must have a response to set the session's cookies on",
            parameter="store_options",
        )


def session_for(
    context: Context, store_options: StoreOptions | None
) -> Flow[Session | None]:
    """Give the session of a request; ``None`` where there is none that holds.

    Whatever a browser sends is never an error: what does not open, has expired or is of
    another tenant is no session.

    Raises:
        StoreError: the store cannot be read, and the policy does not call that no session.
    """
    check_keeping(context)
    cookies = yield from Call(context.cookies.read, (store_options,))
    try:
        session = yield from _read(context, cookies)
    except StoreError as error:
        failure = error
    else:
        if session is None:
            return (yield from _without_session(context, store_options, cookies))
        domain = yield from domain_for(context, store_options)
        if domain != session.state["domain"]:
            return None
        return (yield from _kept_alive(context, store_options, session))
    if context.settings.session_policy.store_failure == "no_session":
        return None
    raise failure


def begin(
    context: Context, store_options: StoreOptions | None, state: State
) -> Flow[Session]:
    """Begin a session under a new id; what the browser had before is at an end.

    Raises:
        StoreError: it cannot be kept.
    """
    cookies = yield from Call(context.cookies.read, (store_options,))
    store = context.settings.state_store
    in_cookies = isinstance(store, CookieStore)
    fresh = Session(state, "" if in_cookies else secret(context.new_secret()))
    written = yield from write(context, store_options, fresh, state)
    if written is None:
        raise StoreError("the session store refused a new session")
    old = cookies.get(session_cookie(context), "")
    if not isinstance(store, CookieStore) and store is not None and is_session_id(old):
        try:
            yield from stored(store.delete, session_key(old))
        except StoreError:
            # The browser has a new id by now: the old session lasts its time, unused.
            return written
    return written


def write(
    context: Context,
    store_options: StoreOptions | None,
    session: Session,
    state: State,
) -> Flow[Session | None]:
    """Write a session's new state; ``None`` where somebody else wrote it meanwhile.

    Raises:
        StoreError: it cannot be written, or is too large.
    """
    store = context.settings.state_store
    if isinstance(store, CookieStore) or store is None:
        sealed = _sealed(context, "", state)
        yield from set_state(
            context, store_options, session_cookie(context), sealed, state
        )
        return attrs.evolve(session, state=state, is_stale=False)
    value = _sealed(context, session.id, state).encode()
    left = seconds_left(state, context.clock(), context.settings.session_policy)
    key = session_key(session.id)
    if not (
        yield from stored_value(
            context, store, key, value, ttl=left, expected=session.value
        )
    ):
        return None
    if session.value is None:
        lasts = context.settings.session_policy.absolute_seconds
        for label in index_labels(state):
            yield from stored(store.add_to_index, label, key, ttl=lasts)
        named = {session_cookie(context): session.id}
        yield from set_cookies(context, store_options, named, state)
    return Session(state, session.id, value)


def end(context: Context, store_options: StoreOptions | None) -> Flow[None]:
    """End the browser's session: its cookies are deleted, and so is what is stored.

    Raises:
        StoreError: the store did not take it; the cookies are deleted all the same.
    """
    name = session_cookie(context)
    cookies = yield from Call(context.cookies.read, (store_options,))
    yield from forget_cookies(context, store_options, name, cookies)
    store, session_id = context.settings.state_store, cookies.get(name, "")
    if isinstance(store, CookieStore) or store is None or not is_session_id(session_id):
        return
    yield from stored(store.delete, session_key(session_id))


def reread(context: Context, session: Session) -> Flow[Session | None]:
    """Read a stored session again, as others may have written it meanwhile.

    Raises:
        StoreError: the store cannot be read.
    """
    store = context.settings.state_store
    assert store is not None
    assert not isinstance(store, CookieStore)
    return (yield from _read_stored(context, store, session.id))


def session_cookie(context: Context) -> str:
    """Give the name of the session's cookie."""
    policy = context.settings.session_policy
    return cookie_name(
        policy.cookie_name,
        secure=policy.cookie_secure,
        domain=policy.cookie_domain,
        path=policy.cookie_path,
    )


def _sealer(context: Context, session_id: str) -> Sealer:
    """Give what seals sessions: one for all cookies, or one for each stored session."""
    from ..session.seal import sealer

    purpose = f"session {session_cookie(context)}"
    # Without a secret, the id alone makes the key: 256 bits that the store does not have.
    secrets = context.settings.secrets or ("",)
    if session_id:
        return sealer(secrets, purpose, session_id.encode())
    found = context.sealers.get(purpose)
    if found is None:
        found = context.sealers[purpose] = sealer(secrets, purpose)
    return found


def _sealed(context: Context, session_id: str, state: State) -> str:
    from ..session.seal import MAX_SEALED_LENGTH

    sealed: str = secret(_sealer(context, session_id).seal(write_session(state)))
    # Or it would be kept, and never open: its user would be logged out at once.
    if len(sealed) > MAX_SEALED_LENGTH:
        raise StoreError(
            f"the session is longer than {MAX_SEALED_LENGTH:,} characters",
            Code.SESSION_TOO_LARGE,
        )
    return sealed


def _read(context: Context, cookies: Mapping[str, str]) -> Flow[Session | None]:
    store, name = context.settings.state_store, session_cookie(context)
    assert store is not None
    if not isinstance(store, CookieStore):
        session_id = cookies.get(name, "")
        if not is_session_id(session_id):
            return None
        return (yield from _read_stored(context, store, session_id))
    sealed = join(name, cookies, store)
    return None if sealed is None else _opened(context, "", sealed)


def _read_stored(
    context: Context, store: StateStore | AsyncStateStore, session_id: str
) -> Flow[Session | None]:
    value: Any = yield from stored(store.get, session_key(session_id))
    if not isinstance(value, bytes):
        return None
    session = _opened(context, session_id, value.decode("ascii", "replace"))
    return None if session is None else attrs.evolve(session, value=value)


def _opened(context: Context, session_id: str, sealed: str) -> Session | None:
    opened = _sealer(context, session_id).open(sealed)
    state = None if opened is None else read_session(opened.payload)
    if opened is None or state is None:
        return None
    if not is_alive(state, context.clock(), context.settings.session_policy):
        return None
    return Session(state, session_id, is_stale=not opened.is_current)


def _kept_alive(
    context: Context, store_options: StoreOptions | None, session: Session
) -> Flow[Session]:
    """Note the use of a session now and then, and seal it anew with a new secret."""
    policy = context.settings.session_policy
    state = note_use(session.state, context.clock(), policy)
    if state is None and not session.is_stale:
        return session
    if isinstance(context.settings.state_store, CookieStore) and not (
        yield from Call(context.cookies.can_write, (store_options,))
    ):
        return session
    try:
        written = yield from write(
            context, store_options, session, state or session.state
        )
    except StoreError:
        # It was read, and holds; that it was used can be noted the next time.
        return session
    return written or session


def _without_session(
    context: Context, store_options: StoreOptions | None, cookies: Mapping[str, str]
) -> Flow[Session | None]:
    """Take over a session of Auth0's own SDK, or forget cookies that hold none."""
    name = session_cookie(context)
    state: State | None = None
    if context.settings.legacy_secret is not None:
        domain = yield from domain_for(context, store_options)
        state = legacy_session(context, cookies, domain)
    if state is None:
        # The id of a session that is gone stays: another request may by now have been
        # answered with a new one, which to delete would log its user out.
        kept = name if is_session_id(cookies.get(name, "")) else ""
        yield from forget_cookies(context, store_options, name, cookies, kept=kept)
        return None
    if not (yield from Call(context.cookies.can_write, (store_options,))):
        return Session(state)
    session = yield from begin(context, store_options, state)
    yield from forget_cookies(context, store_options, "", cookies)
    return session
