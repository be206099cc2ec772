"""Where a session is kept: whole in the browser's cookies, or in a store under an id.

A keeper loads, creates, saves and ends the session of one call.  Flows know nothing else of
where sessions are.

In cookies, the browser has the session whole, sealed.  Each request has a copy of its own,
and only its own response can replace it.

In a store, the browser has a random id, and the store has the session under the hash of the
id, sealed with a key that the id is part of.  So neither is of use without the other, and
nobody's session opens with another's id.  All requests share it: a save compares with what
was read, and the one refresh among all processes holds a lock.  A lock's holder may die, so
a lock ends by itself, and nothing is done under it that takes longer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import attrs

from ...errors import (
    Auth0Error,
    ConfigurationError,
    LoginRequiredError,
    NotSentError,
    StoreError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import secret
from ..context import Call, Context
from ..effects import Flow, Invoke, Sleep
from ..session.cookies import CookieStore, SetCookie, join, list_session_cookies, split
from ..session.legacy import LEGACY_COOKIE
from ..session.state import State, is_alive, read_session, seconds_left, write_session
from ..session.store import (
    AsyncStateStore,
    StateStore,
    index_labels,
    is_session_id,
    lock_key,
    session_key,
)

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
"""Seconds within which a write must have failed to be tried again.  What was issued must not
be lost to one bad moment, nor a caller wait twice for a store that hangs."""


@attrs.frozen(eq=False)
class Session:
    """A session as it was read.

    Attributes:
        state: its content.
        id: the browser's secret for it; empty if the browser has it whole.
        value: what is stored, which a save must find unchanged.
        is_stale: whether it is sealed with a secret that is no longer the newest.
    """

    state: State = attrs.field(repr=False)
    id: str = attrs.field(default="", repr=False)
    value: bytes | None = attrs.field(default=None, repr=False)
    is_stale: bool = False


class SessionKeeper(Protocol):
    """Where the session of one call is kept."""

    @property
    def is_shared(self) -> bool:
        """Whether all requests of a browser see what one of them saves."""
        ...

    def load(self, cookies: Mapping[str, str]) -> Flow[Session | None]:
        """Return the session that *cookies* hold or name, or ``None`` if none is valid.

        Raises:
            StoreError: the store cannot be read.
        """
        ...

    def create(self, state: State) -> Flow[Session]:
        """Create a session under a new id; the browser's earlier one ends.

        Raises:
            StoreError: it cannot be kept.
        """
        ...

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Replace a session's state; return ``None`` if somebody else did meanwhile.

        Raises:
            StoreError: it cannot be written, or is too large.
        """
        ...

    def save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        """Apply a change to a session, over whatever others saved meanwhile.

        Raises:
            StoreError: it cannot be written, although tokens were issued.
        """
        ...

    def run_exclusively(
        self,
        session: Session,
        deadline: float,
        act: Callable[[Session, float], Flow[T]],
    ) -> Flow[T]:
        """Act on a session as the only one who does, if others can at all.

        Args:
            session: the session, as it was read before.
            deadline: when to give up waiting, on the context's monotonic clock.
            act: is given the session as it is by then, and until when it may act.

        Raises:
            LoginRequiredError: the session has ended.
            NotSentError: others held the lock until the deadline.
            StoreError: the store failed.
        """
        ...

    def end(self) -> Flow[None]:
        """End the browser's session: delete its cookies, and what is stored.

        Raises:
            StoreError: the store did not take it; the cookies are deleted all the same.
        """
        ...


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


@attrs.frozen(eq=False)
class CookieSessions:
    """Sessions whole in the browser's cookies."""

    call: Call
    store: CookieStore
    is_shared: bool = attrs.field(init=False, default=False)

    def load(self, cookies: Mapping[str, str]) -> Flow[Session | None]:
        """Join the session's cookies and open them."""
        yield from ()
        sealed = join(self.call.settings.session_cookie, cookies, self.store)
        return None if sealed is None else _open(self.call.context, "", sealed)

    def create(self, state: State) -> Flow[Session]:
        """Set cookies in place of those that the browser has."""
        session = yield from self.save(Session(state), state)
        assert session is not None
        return session

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Set the whole session as cookies, and delete those that it does not need."""
        sealed = _seal(self.call.context, "", state)
        chunks = split(self.call.settings.session_cookie, sealed, self.store)
        if chunks is None:
            raise StoreError(
                f"the session takes more than {self.store.most_chunks} cookies of "
                f"{self.store.longest_chunk} characters",
                Code.SESSION_TOO_LARGE,
                hint="keep sessions in a store on your server, such as RedisStore.",
            )
        yield from _set_cookies(self.call, chunks, state)
        return attrs.evolve(session, state=state, is_stale=False)

    def save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        """Save the changed copy of this request."""
        state = change(session.state)
        saved = yield from self.save(session, state)
        return saved or attrs.evolve(session, state=state)

    def run_exclusively(
        self,
        session: Session,
        deadline: float,
        act: Callable[[Session, float], Flow[T]],
    ) -> Flow[T]:
        """Act at once: no other process can see this copy."""
        return (yield from act(session, deadline))

    def end(self) -> Flow[None]:
        """Delete the session's cookies."""
        name, context = self.call.settings.session_cookie, self.call.context
        cookies = yield from Invoke(context.cookies.read, (self.call.store_options,))
        yield from forget_cookies(self.call, name, cookies)


@attrs.frozen(eq=False)
class StoredSessions:
    """Sessions in a store, under an id that the browser has."""

    call: Call
    store: StateStore | AsyncStateStore
    is_shared: bool = attrs.field(init=False, default=True)

    def load(self, cookies: Mapping[str, str]) -> Flow[Session | None]:
        """Read the session whose id the browser has: one command to the store."""
        session_id = cookies.get(self.call.settings.session_cookie, "")
        if not is_session_id(session_id):
            return None
        return (yield from self._read(session_id))

    def create(self, state: State) -> Flow[Session]:
        """Store a session under a new id, then delete the browser's earlier one.

        The new id is the defence against session fixation: an id that somebody planted in
        the browser before the login names nothing afterwards.
        """
        context, name = self.call.context, self.call.settings.session_cookie
        cookies = yield from Invoke(context.cookies.read, (self.call.store_options,))
        new = Session(state, secret(context.new_secret()))
        session = yield from self.save(new, state)
        if session is None:
            raise StoreError("the session store refused a new session")
        old = cookies.get(name, "")
        if is_session_id(old):
            try:
                yield from call_store(self.store.delete, session_key(old))
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
        value = _seal(context, session.id, state).encode()
        left = seconds_left(state, context.clock(), self.call.settings.session_policy)
        key = session_key(session.id)
        if not (
            yield from store_value(
                context, self.store, key, value, ttl=left, expected=session.value
            )
        ):
            return None
        if session.value is None:
            lasts = self.call.settings.session_policy.absolute_seconds
            for label in index_labels(state):
                yield from call_store(self.store.add_to_index, label, key, ttl=lasts)
            cookie = {self.call.settings.session_cookie: session.id}
            yield from _set_cookies(self.call, cookie, state)
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
                latest = yield from self._read(session.id)
            except StoreError as error:
                failure = error
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
        context = self.call.context
        key, owner = lock_key(session.id), context.new_id().encode()
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
        until = min(deadline, context.monotonic() + LOCK_SECONDS - _RESERVE)
        try:
            latest = yield from self._read(session.id)
            if latest is None:
                raise LoginRequiredError("the session has ended")
            result = yield from act(latest, until)
        except Auth0Error:
            yield from self._unlock(key, owner)
            raise
        yield from self._unlock(key, owner)
        return result

    def end(self) -> Flow[None]:
        """Delete the cookies first: a store that fails must not keep the browser logged in."""
        name, context = self.call.settings.session_cookie, self.call.context
        cookies = yield from Invoke(context.cookies.read, (self.call.store_options,))
        yield from forget_cookies(self.call, name, cookies)
        session_id = cookies.get(name, "")
        if is_session_id(session_id):
            yield from call_store(self.store.delete, session_key(session_id))

    def _read(self, session_id: str) -> Flow[Session | None]:
        value: Any = yield from call_store(self.store.get, session_key(session_id))
        if not isinstance(value, bytes):
            return None
        sealed = value.decode("ascii", "replace")
        session = _open(self.call.context, session_id, sealed)
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
        StoreError: it failed.  What it raised may hold what it was given, so neither its
            words nor the error itself go on.
    """
    try:
        return (yield from Invoke(partial(function, *arguments, **keywords)))
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    raise StoreError(f"the session store failed: {kind}", retry_safe=True)


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


def forget_cookies(
    call: Call, name: str, cookies: Collection[str], *, keep: str = ""
) -> Flow[None]:
    """Delete a session's cookies but the one to *keep*, and those of Auth0's own SDK.

    Nothing is done if there are none, or no response to do it on.
    """
    names = list_session_cookies(name, cookies) if name else []
    changes = [_make_cookie(call, each, "", 0) for each in names if each != keep]
    if call.settings.legacy_secret is not None:
        secure = call.settings.session_policy.cookie_secure
        changes += [
            SetCookie(name=legacy, value="", max_age=0, secure=secure)
            # What else begins with the name is not theirs, and may be no name to set.
            for legacy in list_session_cookies(LEGACY_COOKIE, cookies, "_")
        ]
    port, options = call.context.cookies, call.store_options
    if changes and (yield from Invoke(port.can_write, (options,))):
        yield from Invoke(port.write, (options, changes))


def _set_cookies(call: Call, values: Mapping[str, str], state: State) -> Flow[None]:
    """Set a session's cookies for as long as it lasts; delete what else it had."""
    port, options = call.context.cookies, call.store_options
    cookies = yield from Invoke(port.read, (options,))
    name = call.settings.session_cookie
    surplus = [
        chunk for chunk in list_session_cookies(name, cookies) if chunk not in values
    ]
    left = state["internal"]["expires_at"] - call.context.clock()
    seconds = max(int(left), 1)
    changes = [
        *(_make_cookie(call, chunk, text, seconds) for chunk, text in values.items()),
        *(_make_cookie(call, chunk, "", 0) for chunk in surplus),
    ]
    yield from Invoke(port.write, (options, changes))


def _make_cookie(call: Call, name: str, value: str, max_age: int) -> SetCookie:
    policy = call.settings.session_policy
    return SetCookie(
        name=name,
        value=value,
        max_age=max_age,
        path=policy.cookie_path,
        domain=policy.cookie_domain,
        secure=policy.cookie_secure,
        same_site=policy.cookie_same_site,
    )


def _seal(context: Context, session_id: str, state: State) -> str:
    from ..session.seal import MAX_SEALED_LENGTH

    sealed: str = secret(_find_sealer(context, session_id).seal(write_session(state)))
    # Or it would be kept, and never open: its user would be logged out at once.
    if len(sealed) > MAX_SEALED_LENGTH:
        raise StoreError(
            f"the session is longer than {MAX_SEALED_LENGTH:,} characters",
            Code.SESSION_TOO_LARGE,
        )
    return sealed


def _open(context: Context, session_id: str, sealed: str) -> Session | None:
    opened = _find_sealer(context, session_id).open(sealed)
    state = None if opened is None else read_session(opened.payload)
    if opened is None or state is None:
        return None
    if not is_alive(state, context.clock(), context.settings.session_policy):
        return None
    return Session(state, session_id, is_stale=not opened.is_current)


def _find_sealer(context: Context, session_id: str) -> Any:
    """Return what seals sessions: one sealer for all cookies, or one for each stored id."""
    from ..session.seal import sealer

    purpose = f"session {context.settings.session_cookie}"
    # Without a secret, the id alone makes the key: 256 bits that the store does not have.
    secrets = context.settings.secrets or ("",)
    if session_id:
        return sealer(secrets, purpose, session_id.encode())
    found = context.sealers.get(purpose)
    if found is None:
        found = context.sealers[purpose] = sealer(secrets, purpose)
    return found
