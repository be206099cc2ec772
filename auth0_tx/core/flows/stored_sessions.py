"""Sessions in a store, under an id that the browser has.

The store has a session under the hash of its id, sealed with a key that the id is part of.
So neither store nor browser is of use without the other, and nobody's session opens with
another's id.

All requests share a session.  A save compares with what was read, so of two writers one
finds out.  The one refresh among all processes holds a lock.  A lock's holder may die, so a
lock ends by itself, and nothing is done under it that takes longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs

from ...errors import Auth0Error, LoginRequiredError, NotSentError, StoreError
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import secret
from ..context import Call, Context
from ..effects import Flow, Invoke, Sleep
from ..session.state import State, seconds_left
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_labels,
    is_session_id,
    lock_key,
    session_key,
)
from .session_keeper import (
    Session,
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

    def load(self, cookies: Mapping[str, str], now: float) -> Flow[Session | None]:
        """Read the session whose id the browser has: one command to the store."""
        session_id = cookies.get(self.call.settings.session_cookie, "")
        # A made-up value costs the store nothing: only text of the right shape is looked up.
        if not is_session_id(session_id):
            return None
        domain = self.call.settings.domain or (yield from resolve_domain(self.call))
        return (yield from self._read(domain, session_id, now))

    def create(self, state: State) -> Flow[Session]:
        """Store a session under a new id, then delete the browser's earlier one.

        The new id is the defence against session fixation: an id that somebody planted in
        the browser before the login names nothing afterwards.
        """
        context, name = self.call.context, self.call.settings.session_cookie
        cookies = yield from Invoke(context.cookies.read, (self.call.store_options,))
        # 256 random bits: it is all that a browser shows to be somebody.
        new = Session(state, secret(context.new_secret()))
        session = yield from self.save(new, state)
        if session is None:
            raise StoreError("the session store refused a new session")
        old = cookies.get(name, "")
        if is_session_id(old):
            try:
                key = self._find_key(state["domain"], old)
                yield from delete_value(context, self.store, key)
            except StoreError:
                # The browser has a new id by now: the old session lasts its time, unused.
                return session
        return session

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Store the state if the store still has what was read.

        A new session is put in the index for back-channel logout before its cookie is set:
        a session that a browser has can be ended from Auth0's side.
        """
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
        if session.value is None:
            lasts = self.call.settings.session_policy.absolute_seconds
            application = get_application(context, state["domain"])
            for label in index_labels(application, state):
                # For the longest that a session may last, as it may be used until then.
                yield from call_store(self.store.add_to_index, label, key, ttl=lasts)
            cookie = {self.call.settings.session_cookie: session.id}
            yield from set_cookies(self.call, cookie, state)
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
        session_id = cookies.get(self.call.settings.session_cookie, "")
        if not is_session_id(session_id):
            return
        domain = yield from resolve_domain(self.call)
        key = self._find_key(domain, session_id)
        yield from delete_value(self.call.context, self.store, key)
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
        key = self._find_key(domain, session_id)
        value: Any = yield from call_store(self.store.get, key)
        if not isinstance(value, bytes):
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


def delete_value(
    context: Context, store: StateStore | AsyncStateStore, key: str
) -> Flow[None]:
    """Delete a value, and try once more if that fails at once.

    Raises:
        StoreError: it could not be deleted.
    """
    started = context.monotonic()
    try:
        yield from call_store(store.delete, key)
    except StoreError:
        # As for writes: nobody waits for two timeouts.
        if context.monotonic() - started >= _AT_ONCE:
            raise
    else:
        return
    yield from call_store(store.delete, key)


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
