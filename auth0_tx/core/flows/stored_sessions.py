"""Sessions in a store, under an id that the browser has.

The store has a session under the hash of its id, sealed with a key that the id is part of.
So neither store nor browser is of use without the other, and nobody's session opens with
another's id.

All requests share a session.  A save compares with what was read, so of two writers one
finds out.  The one refresh among all processes holds a lock, which is a part of the stored
value (``session.lock``), and renews it for as long as it takes (``session_lock``).
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
from ..context import Call
from ..effects import Accompany, Flow, Invoke, Sleep
from ..session.legacy import derive_legacy_id
from ..session.lock import BEAT_SECONDS, split_mark
from ..session.state import State, note_use, seconds_left, shed_tokens
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_labels,
    is_session_id,
    session_key,
)
from .audit import run_reported
from .session_keeper import (
    RefusedCookie,
    Session,
    can_write,
    explain_refusal,
    get_application,
    may_count,
    open_session,
    seal_session,
    set_cookies,
)
from .session_lock import SessionLock
from .store_calls import AT_ONCE, call_repeatable, call_store, store_value
from .tenant_documents import resolve_domain

T = TypeVar("T")

_LOOK_AGAIN = 0.02
"""Seconds, on average, between two looks of who waits for a lock."""

_MOST_SAVES = 5
"""Attempts at a save that others are faster than, or that the store fails: others seldom
write, and one bad moment of the store must not lose the tokens that were issued."""

_PAUSE_AFTER_FAILURE = 0.1
"""Seconds before a save is tried again that failed at once, twice."""


@attrs.frozen(eq=False)
class StoredSessions:
    """Sessions in a store, under an id that the browser has."""

    call: Call
    store: StateStore | AsyncStateStore
    is_shared: bool = attrs.field(init=False, default=True)
    most_chunks: int = attrs.field(init=False, default=0)

    @property
    def may_come_back(self) -> bool:
        """Whether an answer that is late can bring back a session that has ended.

        Only one that a request of before takes over once more, from the cookies of Auth0's
        own SDK.
        """
        return self.call.settings.legacy_secret is not None

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
        if session is not None and may_count(self, session.state, cookies):
            return session
        if value is None:
            return RefusedCookie("not_found")
        return explain_refusal(
            self, domain, session_id, _to_sealed_text(value), cookies
        )

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
        yield from set_cookies(self, {name: session.id}, state, "login")
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
        failure = None
        try:
            yield from self._list_under_labels(key, state)
        except StoreError as error:
            failure = error.with_traceback(None)
        if failure is None:
            return
        # If that fails too, the session expires unused: nobody has its id.
        with suppress(StoreError):
            yield from call_store(self.store.delete, key)
        raise failure

    def _list_under_labels(self, key: str, state: State) -> Flow[None]:
        # For the longest that a session may last, as it may be used until then.
        lasts = self.call.settings.session_policy.absolute_seconds
        application = get_application(self.call.context, state["domain"])
        add = partial(call_repeatable, self.call.context, self.store.add_to_index)
        for label in index_labels(application, state):
            yield from add(label, key, ttl=lasts)

    def take_over(self, state: State, session_id: str) -> Flow[Session | None]:
        """Store the session, or return it as it is stored: each request finds the same id.

        So an answer that is late cannot bring an older copy of it back.
        """
        call = self.call
        new = Session(state, session_id, origin="sdk")
        is_writable = yield from can_write(call)
        cookie = {call.settings.session_cookie: session_id}
        stored = None
        if is_writable:
            stored = yield from self.save(new, state)
        if stored is None:
            stored = yield from self._read(state["domain"], session_id, call.now)
        if stored is None:
            # Without a response, the next request that has one takes it over.  With one, it
            # is there and does not open: another secret sealed it.
            return None if is_writable else attrs.evolve(new, id="")
        if is_writable:
            # Also if another request has stored it, which may have failed before it got here.
            key = self._find_key(state["domain"], session_id)
            yield from self._list_under_labels(key, stored.state)
            yield from set_cookies(self, cookie, stored.state, "sdk")
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
        """Store the state if the store still has what was read; release the session's lock.

        Who does not have the lock keeps that of whoever has it.
        """
        sealed = seal_session(self.call.context, session.id, state).encode()
        if session.lock is not None and session.has_lock:
            saved = Session(state, session.id, sealed)
            return saved if (yield from session.lock.save(session, saved)) else None
        _, mark = split_mark(session.value or b"")
        saved = Session(state, session.id, sealed + mark)
        return saved if (yield from self.write(saved, session.value)) else None

    def _save_what_fits(self, session: Session, state: State) -> Flow[Session | None]:
        """Store as many of a session's tokens as the store has room for.

        A store may bound the size of a value.  A refresh token that was rotated must be kept,
        even where the access token beside it has no room.
        """
        failure: StoreError | None = None
        for kept in shed_tokens(state):
            try:
                saved = yield from self.save(session, kept)
            except StoreError as error:
                if error.code != Code.SESSION_TOO_LARGE:
                    raise
                # Without its traceback, which keeps this frame, and the tokens in it.
                failure = error.with_traceback(None)
            else:
                # With all of its tokens: who asked for one gets it.
                return None if saved is None else attrs.evolve(saved, state=state)
        assert failure is not None
        raise failure

    def save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        """Apply the change to what is stored, again whenever others were faster."""
        try:
            return (yield from self._save_change(session, change))
        except (GeneratorExit, Auth0Error):
            raise
        except BaseException:
            # An interrupt must not lose the tokens that were issued: they are saved before it
            # goes on, whether or not the command that was interrupted has taken effect.
            with suppress(StoreError):
                yield from self._save_change(session, change)
            raise

    def _save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        failure = StoreError("others write the session faster than it can be renewed")
        monotonic = self.call.context.monotonic
        for _ in range(_MOST_SAVES):
            state, started = change(session.state), monotonic()
            try:
                saved = yield from self._save_what_fits(session, state)
                if saved is not None:
                    return saved
                latest = yield from self._look_again(session)
            except StoreError as error:
                # Without its traceback, which keeps this frame, and the tokens in it.
                failure = error.with_traceback(None)
            else:
                if latest is None:
                    # It was ended meanwhile, and a late write must not bring it back.
                    return attrs.evolve(session, state=state)
                session = latest
                continue
            is_passing = failure.code == Code.STORE_FAILED
            # A hanging store is not asked again: the caller would wait once more.
            if not is_passing or monotonic() - started >= AT_ONCE:
                break
            yield from Sleep(_PAUSE_AFTER_FAILURE)
        # Outside the handler, so that what says that tokens were issued has no context.
        raise failure.evolve(tokens_issued=True)

    def run_exclusively(
        self,
        session: Session,
        deadline: float,
        act: Callable[[Session, float], Flow[T]],
        find: Callable[[Session], T | None],
    ) -> Flow[T]:
        """Act under the session's lock, which is renewed meanwhile."""
        lock = SessionLock(self.call.context.new_id().encode(), self)
        try:
            while True:
                locked = yield from self._try_to_lock(session, lock, deadline)
                if locked is not None:
                    break
                latest = yield from self.look(session)
                if latest is None:
                    raise LoginRequiredError("the session has ended")
                found = find(latest)
                if found is not None:
                    return found
                session = latest
            act_alone = partial(act, locked, deadline)
            result: T = yield from Accompany(act_alone, lock.renew, BEAT_SECONDS)
            # Within the ``try``, so that no interrupt finds the lock between the two.
            yield from lock.release()
        except GeneratorExit:
            # The store cannot be asked any more.  The mark stays the same, and others take over.
            raise
        except BaseException:
            yield from lock.release()
            raise
        return result

    def _try_to_lock(
        self, session: Session, lock: SessionLock, deadline: float
    ) -> Flow[Session | None]:
        """Take the lock, or wait a moment and return ``None``.

        Raises:
            NotSentError: the *deadline* has passed.
        """
        context = self.call.context
        key = self._find_key(session.state["domain"], session.id)
        _, mark = split_mark(session.stored_value)
        if context.lock_watches.is_free(key, mark, context.monotonic()):
            locked = yield from lock.take(session)
            if locked is not None:
                return locked
        if context.monotonic() >= deadline:
            raise NotSentError(
                "the session was locked until the deadline",
                Code.TIMEOUT,
                retry_safe=True,
            )
        # Jitter, so that those who wait do not look in the same instant.
        yield from Sleep(_LOOK_AGAIN * (0.5 + context.random()))
        return None

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
        text = _to_sealed_text(value)
        session = open_session(self.call.context, domain, session_id, text, now)
        return None if session is None else attrs.evolve(session, value=value)

    def look(self, session: Session) -> Flow[Session | None]:
        """Return a session as it is stored by now, or ``None`` if it has ended.

        Whoever waits for a lock looks again and again: as long as the sealed text is the
        same, it is not opened.

        Raises:
            StoreError: the store failed.
        """
        domain, now = session.state["domain"], self.call.context.clock()
        value = yield from self._read_value(domain, session.id)
        sealed, _ = split_mark(session.stored_value)
        if value is not None and split_mark(value)[0] == sealed:
            return attrs.evolve(session, value=value, lock=None)
        return self._open(domain, session.id, value, now)

    def write(
        self, session: Session, expected: bytes | None, *, may_repeat: bool = True
    ) -> Flow[bool]:
        """Store a session where *expected* is stored; return whether it was.

        Args:
            session: the session, with the value to store.
            expected: the value that is to be there; ``None`` if none is.
            may_repeat: whether to try again if the store fails at once.

        Raises:
            StoreError: the store failed.
        """
        context, state = self.call.context, session.state
        key, value = self._find_key(state["domain"], session.id), session.stored_value
        # The store forgets a session when it has expired, without a job that sweeps.
        left = seconds_left(state, context.clock(), self.call.settings.session_policy)
        if may_repeat:
            return (
                yield from store_value(
                    context, self.store, key, value, ttl=left, expected=expected
                )
            )
        write = partial(self.store.set, key, value, ttl=left, expected=expected)
        return bool((yield from call_store(write)))

    def _look_again(self, session: Session) -> Flow[Session | None]:
        """Return a session that others have written, with its lock if that is still held."""
        if session.lock is not None and session.has_lock:
            return (yield from session.lock.read_again(session))
        return (yield from self.look(session))


def _to_sealed_text(value: bytes) -> str:
    """Return the sealed text of a stored value, without the mark of a lock."""
    sealed, _ = split_mark(value)
    # A store may be written by others: what is not ours becomes text that does not open.
    return sealed.decode("ascii", "replace")


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
