"""Sessions in a store, under an id that the browser has.

The store has a session under the hash of its id, sealed with a key that the id is part of.
So neither store nor browser is of use without the other, and nobody's session opens with
another's id.

All requests share a session.  A save compares with what was read, so of two writers one
finds out.  The one refresh among all processes holds a lock.  A lock's holder may die, so a
lock ends by itself, and nothing is done under it that takes longer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from ...errors import Auth0Error, LoginRequiredError, NotSentError, StoreError
from ...errors import CustomTokenExchangeErrorCode as Code
from ...events import SessionsEnded
from ...secret import secret
from ..context import Call, Context
from ..effects import Flow, Invoke, Sleep
from ..session.legacy import derive_legacy_id
from ..session.state import State, note_use, seconds_left
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_labels,
    is_session_id,
    lock_key,
    session_key,
)
from .audit import run_reported
from .session_keeper import (
    RefusedCookie,
    Session,
    can_write,
    counts,
    explain_refusal,
    get_application,
    open_session,
    seal_session,
    set_cookies,
)
from .tenant_documents import resolve_domain

T = TypeVar("T")

LOCK_SECONDS = 6.0
"""How long a lock lasts whose holder has died."""

_RESERVE = 1.0
"""Seconds of it that are left for saving what was done under it."""

_LOOK_AGAIN = 0.02
"""Seconds, on average, between two looks of who waits for a lock."""

_MOST_SAVES = 5
"""Attempts at a save that others are faster than: they hold no lock, but seldom write."""

_AT_ONCE = 0.25
"""Seconds within which a write must have failed to be tried again.  One bad moment must
not lose the tokens that were issued, and no caller should wait twice for a store that hangs."""


@attrs.frozen(eq=False)
class StoredSessions:
    """Sessions in a store, under an id that the browser has."""

    call: Call
    store: StateStore | AsyncStateStore
    is_shared: bool = attrs.field(init=False, default=True)

    def load(
        self, cookies: Mapping[str, str], now: float
    ) -> Flow[Session | RefusedCookie | None]:
        """Read the session whose id the browser has: one command to the store."""
        session_id = cookies.get(self.call.settings.session_cookie, "")
        # A made-up value costs the store nothing: only text of the right shape is looked up.
        if not is_session_id(session_id):
            return None
        domain = self.call.settings.domain or (yield from resolve_domain(self.call))
        value = yield from self._read_value(domain, session_id)
        session = self._open(domain, session_id, value, now)
        if session is not None and counts(self.call, session.state, cookies):
            return session
        if value is None:
            return RefusedCookie("not_found")
        sealed = value.decode("ascii", "replace")
        return explain_refusal(self.call, domain, session_id, sealed, cookies)

    def create(self, state: State) -> Flow[Session]:
        """Store a session under a new id, then delete the browser's earlier one.

        The new id is the defence against session fixation: an id that somebody planted in
        the browser before the login names nothing afterwards.

        The session is stored first, then listed in the index, then the cookie is set.  An
        index that lists what is not stored yet might be read in between, and a logout token
        be obeyed that ends nothing.  And a session that a browser has is listed: it can be
        ended from Auth0's side.
        """
        context, name = self.call.context, self.call.settings.session_cookie
        cookies = yield from Invoke(context.cookies.read, (self.call.store_options,))
        # 256 random bits: it is all that a browser shows to be somebody.
        new = Session(state, secret(context.new_secret()), origin="login")
        session = yield from self.save(new, state)
        if session is None:
            raise StoreError("the session store refused a new session")
        key = self._find_key(state["domain"], session.id)
        yield from self._add_to_index(key, state)
        yield from set_cookies(self.call, {name: session.id}, state, "login")
        # Whatever fails from here on, the browser has a session.
        old = cookies.get(name, "")
        try:
            if is_session_id(old):
                # The browser has a new id by now: should this fail, the old session lasts
                # its time, unused.
                old_key = self._find_key(state["domain"], old)
                yield from call_repeatable(context, self.store.delete, old_key)
            yield from run_reported(
                self.call,
                SessionsEnded,
                self._end_surplus(key, state),
                lambda ended: {"sessions": ended} if ended else None,
                state=state,
                by="max_sessions",
                sessions=0,
            )
        except StoreError:
            return session
        return session

    def _add_to_index(self, key: str, state: State) -> Flow[None]:
        """List a new session under its labels; if that fails, delete it."""
        context, failure = self.call.context, None
        # For the longest that a session may last, as it may be used until then.
        lasts = self.call.settings.session_policy.absolute_seconds
        application = get_application(context, state["domain"])
        add = partial(call_repeatable, context, self.store.add_to_index)
        try:
            for label in index_labels(application, state):
                yield from add(label, key, ttl=lasts)
        except StoreError as error:
            failure = error.with_traceback(None)
        if failure is None:
            return
        # If that fails too, the session expires unused: nobody has its id.
        with suppress(StoreError):
            yield from call_store(self.store.delete, key)
        raise failure

    def take_over(self, state: State, session_id: str) -> Flow[Session | None]:
        """Store the session, or return it as it is stored: each request finds the same id.

        So an answer that is late cannot bring an older copy of it back.
        """
        call = self.call
        new = Session(state, session_id, origin="sdk")
        is_writable = yield from can_write(call)
        cookie = {call.settings.session_cookie: session_id}
        if is_writable:
            saved = yield from self.save(new, state)
            if saved is not None:
                key = self._find_key(state["domain"], session_id)
                yield from self._add_to_index(key, state)
                yield from set_cookies(call, cookie, state, "sdk")
                return saved
        stored = yield from self._read(state["domain"], session_id, call.now)
        if stored is None:
            # Without a response, the next request that has one takes it over.  With one, it
            # is there and does not open: another secret sealed it.
            return None if is_writable else attrs.evolve(new, id="")
        if is_writable:
            yield from set_cookies(call, cookie, stored.state, "sdk")
        return stored

    def keep_alive(self, session: Session) -> Flow[Session]:
        """Note the use in the store, and seal the session anew with a new secret."""
        policy = self.call.settings.session_policy
        state = note_use(session.state, self.call.now, policy)
        # Each note is a write, so only a tenth of the idle time makes one.
        if state is None and not session.is_stale:
            return session
        try:
            saved = yield from self.save(session, state or session.state)
        except StoreError:
            # The session was read and is valid; its use can be noted the next time.
            return session
        # ``None`` means that another request noted its use in the same moment.
        return saved or session

    def _end_surplus(self, new: str, state: State) -> Flow[int]:
        """End the user's oldest sessions, if there are more than the policy allows.

        Of several logins at once, each ends what is older than the newest sessions that it
        sees, and never its own.  The last that is listed sees all others, so the bound holds
        when all of them are done.

        Args:
            new: the key of the session that has just begun.
            state: its content.

        Returns:
            How many sessions ended.
        """
        most = self.call.settings.session_policy.max_sessions
        if most is None:
            return 0
        application = get_application(self.call.context, state["domain"])
        label, *_ = index_labels(application, state)
        keys = yield from call_store(self.store.read_index, label)
        living = 0
        surplus: list[str] = []
        gone: list[str] = []
        # From the newest back: a session that has ended may still be listed, and is not
        # counted.  Beyond the bound nobody needs to look.
        for key in reversed(list(keys)):
            if living == most:
                surplus.append(key)
            elif key == new or (yield from call_store(self.store.get, key)) is not None:
                living += 1
            else:
                gone.append(key)
        ended = [key for key in reversed(surplus) if key != new]
        for key in ended:
            yield from call_store(self.store.delete, key)
        if ended or gone:
            yield from call_store(self.store.remove_from_index, label, [*ended, *gone])
        return len(ended)

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Store the state if the store still has what was read."""
        context = self.call.context
        value = seal_session(context, session.id, state).encode()
        # The store forgets a session when it has expired, without a job that sweeps.
        left = seconds_left(state, context.clock(), self.call.settings.session_policy)
        key = self._find_key(state["domain"], session.id)
        if not (
            yield from store_value(
                context, self.store, key, value, ttl=left, expected=session.value
            )
        ):
            return None
        return Session(state, session.id, value)

    def save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        """Apply the change to what is stored, again whenever others were faster."""
        failure = StoreError("others write the session faster than it can be renewed")
        for _ in range(_MOST_SAVES):
            state = change(session.state)
            try:
                saved = yield from self.save(session, state)
                if saved is not None:
                    return saved
                latest = yield from self._read(
                    state["domain"], session.id, self.call.context.clock()
                )
            except StoreError as error:
                # Without its traceback, which keeps this frame, and the tokens in it.
                failure = error.with_traceback(None)
                break
            if latest is None:
                # It was ended meanwhile, and a late write must not bring it back.
                return attrs.evolve(session, state=state)
            session = latest
        # Outside the handler, so that what says that tokens were issued has no context.
        raise failure.evolve(tokens_issued=True)

    def run_exclusively(
        self,
        session: Session,
        deadline: float,
        act: Callable[[Session, float], Flow[T]],
    ) -> Flow[T]:
        """Act under the session's lock, on what is stored by then."""
        context, domain = self.call.context, session.state["domain"]
        key = lock_key(get_application(context, domain), session.id)
        owner = context.new_id().encode()
        while not (
            yield from store_value(
                context, self.store, key, owner, ttl=LOCK_SECONDS, expected=None
            )
        ):
            if context.monotonic() >= deadline:
                raise NotSentError(
                    "the session was locked until the deadline",
                    Code.TIMEOUT,
                    retry_safe=True,
                )
            # Jitter, so that those who wait do not look in the same instant.
            yield from Sleep(_LOOK_AGAIN * (0.5 + context.random()))
        # Whoever acts past the end of the lock would no longer be the only one.
        until = min(deadline, context.monotonic() + LOCK_SECONDS - _RESERVE)
        try:
            latest = yield from self._read(domain, session.id, context.clock())
            if latest is None:
                raise LoginRequiredError("the session has ended")
            result = yield from act(latest, until)
        except Auth0Error:
            yield from self._unlock(key, owner)
            raise
        yield from self._unlock(key, owner)
        return result

    def end(self, cookies: Mapping[str, str], session: Session | None) -> Flow[None]:
        """Delete the session from the store, then from the index.

        In this order: a session that is there can be found by its user, whatever fails.
        """
        settings = self.call.settings
        session_id = cookies.get(settings.session_cookie, "")
        if not is_session_id(session_id):
            if settings.legacy_secret is None:
                return
            # Another request may take it over, whose answer has not arrived yet.
            session_id = derive_legacy_id(
                cookies, settings.legacy_secret, "stored session"
            )
        domain = yield from resolve_domain(self.call)
        key = self._find_key(domain, session_id)
        yield from call_repeatable(self.call.context, self.store.delete, key)
        if session is None:
            return
        application = get_application(self.call.context, domain)
        try:
            for label in index_labels(application, session.state):
                yield from call_store(self.store.remove_from_index, label, [key])
        except StoreError:
            # The session has ended.  Its entries in the index name nothing, and expire.
            return

    def _find_key(self, domain: str, session_id: str) -> str:
        """Return the key of a session of the client's application at *domain*."""
        return session_key(get_application(self.call.context, domain), session_id)

    def _read(self, domain: str, session_id: str, now: float) -> Flow[Session | None]:
        value = yield from self._read_value(domain, session_id)
        return self._open(domain, session_id, value, now)

    def _read_value(self, domain: str, session_id: str) -> Flow[bytes | None]:
        key = self._find_key(domain, session_id)
        value: Any = yield from call_store(self.store.get, key)
        return value if isinstance(value, bytes) else None

    def _open(
        self, domain: str, session_id: str, value: bytes | None, now: float
    ) -> Session | None:
        if value is None:
            return None
        # A store may be written by others: what is not ours becomes text that does not open.
        sealed = value.decode("ascii", "replace")
        session = open_session(self.call.context, domain, session_id, sealed, now)
        return None if session is None else attrs.evolve(session, value=value)

    def _unlock(self, key: str, owner: bytes) -> Flow[None]:
        try:
            yield from call_store(self.store.delete, key, expected=owner)
        except StoreError:
            # Its time ends it.
            return


def call_store(
    function: Callable[..., Any], *arguments: Any, **keywords: Any
) -> Flow[Any]:
    """Call a method of a store.

    Raises:
        StoreError: it failed.  The store's own error may hold its arguments, so neither its
            words nor the error itself are passed on.
    """
    try:
        return (yield from Invoke(partial(function, *arguments, **keywords)))
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    raise StoreError(f"the session store failed: {kind}", retry_safe=True)


def call_repeatable(
    context: Context, function: Callable[..., Any], *arguments: Any, **keywords: Any
) -> Flow[None]:
    """Call a method of a store that may be called again; do so if it fails at once.

    Raises:
        StoreError: it failed twice, or once and slowly.
    """
    started = context.monotonic()
    call = partial(call_store, function, *arguments, **keywords)
    try:
        yield from call()
    except StoreError:
        # A hanging store is not asked twice: its caller would wait for two timeouts.
        if context.monotonic() - started >= _AT_ONCE:
            raise
    else:
        return
    yield from call()


def end_listed_sessions(
    store: StateStore | AsyncStateStore, named: Collection[str], others: Collection[str]
) -> Flow[int]:
    """End the sessions that the index lists, and return how many it listed.

    Each step may be repeated, so a caller to whom this failed can start over.

    Args:
        store: where they are.
        named: the labels under which to look for them.
        others: further labels that they may be listed under.

    Raises:
        StoreError: the store failed; some sessions may have ended.
    """
    keys: dict[str, None] = {}
    for label in named:
        # A session that is created after this look began after the logout.
        keys.update(dict.fromkeys((yield from call_store(store.read_index, label))))
    for key in keys:
        yield from call_store(store.delete, key)
    if keys:
        # Not before all of them are deleted: whoever has to start over must find them.
        for label in (*named, *others):
            yield from call_store(store.remove_from_index, label, list(keys))
    return len(keys)


def store_value(
    context: Context,
    store: StateStore | AsyncStateStore,
    key: str,
    value: bytes,
    *,
    ttl: float,
    expected: bytes | None,
) -> Flow[bool]:
    """Store a value where *expected* is; try once more if that fails at once.

    Raises:
        StoreError: it could not be stored.
    """
    # A hanging store is not asked twice: its caller would wait for two timeouts.
    started = context.monotonic()
    write = partial(call_store, store.set, key, value, ttl=ttl, expected=expected)
    try:
        return bool((yield from write()))
    except StoreError:
        if context.monotonic() - started >= _AT_ONCE:
            raise
    if (yield from write()):
        return True
    # The first write may have taken effect although its answer was lost.
    return bool(value == (yield from call_store(store.get, key)))
