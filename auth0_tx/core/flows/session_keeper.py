"""Where a session is kept, and sessions whole in the browser's cookies.

A keeper loads, creates, saves and ends the session of one call.  Flows know nothing else of
where sessions are: there is one in cookies here, and one in a store (``stored_sessions``).

In cookies, the browser has the session whole, sealed.  Each request has a copy of its own,
and only its own response can replace it.  Answers may arrive in another order than their requests
were sent in, so the rules are strict:

1. Only a login and a refresh set the session's cookies; they, and a logout, delete those that
   hold nothing any more.
2. A read sets the time of last use alone, in a cookie of its own.  It deletes nothing: cookies
   that do not open may be those of a newer secret, which this process doesn't have yet.
3. A login and a logout say which session counts from then on (see ``session.notes``).

A session that gets too long loses access tokens, oldest first, then its ID token.  The caller
gets each token that was issued all the same, and the refresh token always stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import StoreError
from ...events import CookieProblem
from ...secret import secret
from ..context import Call, Context
from ..effects import Flow, Invoke, Warn
from ..session.cookies import CookieStore, SetCookie, join, list_session_cookies, split
from ..session.legacy import LEGACY_COOKIE, MOST_CHUNKS
from ..session.notes import (
    NO_SESSION,
    current_cookie,
    extend_use,
    is_current,
    name_session,
    used_cookie,
    write_use,
)
from ..session.state import (
    State,
    is_alive,
    note_use,
    read_session,
    shed_tokens,
    write_session,
)
from ..session.store import Application
from ..wire.domains import issuer_url
from .tenant_documents import resolve_domain

if TYPE_CHECKING:
    from ..session.seal import Sealer
    from .session_lock import SessionLock

T = TypeVar("T")

_LOGGER = "auth0_tx.session"

_HINT_TOO_LARGE = "keep sessions in a store on your server, such as RedisStore."

Origin = Literal["kept", "login", "sdk"]
"""Where a session comes from: as it was kept, a login, or the cookies of Auth0's own SDK."""


@attrs.frozen(eq=False)
class Session:
    """A session as it was read.

    Attributes:
        state: its content.
        id: the browser's secret for it; empty if the browser has it whole.
        value: what is stored, which a save must find unchanged; it may have the mark of a
            lock behind it.
        is_stale: whether it is sealed with a secret that is no longer the newest.
        origin: where it comes from.
        lock: the lock by which a run uses it alone.
    """

    state: State = attrs.field(repr=False)
    id: str = attrs.field(default="", repr=False)
    value: bytes | None = attrs.field(default=None, repr=False)
    is_stale: bool = False
    origin: Origin = "kept"
    lock: SessionLock | None = attrs.field(default=None, repr=False)

    @property
    def stored_value(self) -> bytes:
        """The stored value of a session that was read from a store, or is to be written."""
        assert self.value is not None
        return self.value

    @property
    def has_lock(self) -> bool:
        """Whether the lock is still held: a save releases it, and others may take it over."""
        return self.lock is not None and self.lock.held is not None


@attrs.frozen(eq=False)
class RefusedCookie:
    """A session cookie that is not a session, for whoever watches.

    Attributes:
        reason: why it is none.
        state: the session that it was, if it opened.
    """

    reason: CookieProblem
    state: State | None = attrs.field(default=None, repr=False)


class SessionKeeper(Protocol):
    """Where the session of one call is kept."""

    @property
    def call(self) -> Call:
        """The call whose session it is."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether all requests of a browser see what one of them saves."""
        ...

    @property
    def most_chunks(self) -> int:
        """The maximum number of cookies that a session is split over; 0 if it never is."""
        ...

    @property
    def may_come_back(self) -> bool:
        """Whether an answer that is late can bring back a session that has ended."""
        ...

    def load(
        self, cookies: Mapping[str, str], now: float
    ) -> Flow[Session | RefusedCookie | None]:
        """Return the session that *cookies* hold or name, if it is valid *now*.

        If it is not, return the reason if there is a subscriber to report it to, else
        ``None``.  ``None`` is also returned if there is nothing that could be a session.

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

    def take_over(self, state: State, session_id: str) -> Flow[Session | None]:
        """Take over a session of Auth0's own SDK, as soon as it can be kept.

        Args:
            state: the session.
            session_id: a secret id for it, the same at each look.

        Returns:
            The session, kept or not yet; ``None`` if what is stored under its id does not
            open, as another secret sealed it.

        Raises:
            StoreError: it cannot be kept.
        """
        ...

    def keep_alive(self, session: Session) -> Flow[Session]:
        """Note that a session is used, if the last note is not recent."""
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
        find: Callable[[Session], T | None],
    ) -> Flow[T]:
        """Act on a session while no other process that shares it does.

        Args:
            session: the session.
            deadline: when to have ended, on the context's monotonic clock.
            act: takes the session as it is by then, and the deadline.
            find: returns the result if others have left one in the session meanwhile; then
                nobody acts.

        Returns:
            The result of *act* or of *find*.

        Raises:
            NotSentError: others acted until the *deadline*.
            LoginRequiredError: the session has ended.
            StoreError: the store failed.
        """
        ...

    def end(self, cookies: Mapping[str, str], session: Session | None) -> Flow[None]:
        """Delete what is stored of a session whose cookies have been deleted.

        Args:
            cookies: the browser's cookies, as they were before.
            session: the session, if it could be read.

        Raises:
            StoreError: the store failed.
        """
        ...


@attrs.frozen(eq=False)
class CookieSessions:
    """Sessions whole in the browser's cookies."""

    call: Call
    store: CookieStore
    is_shared: bool = attrs.field(init=False, default=False)
    may_come_back: bool = attrs.field(init=False, default=True)

    @property
    def most_chunks(self) -> int:
        """The maximum number of cookies that a session is split over."""
        return self.store.most_chunks

    def load(
        self, cookies: Mapping[str, str], now: float
    ) -> Flow[Session | RefusedCookie | None]:
        """Join the session's cookies and open them."""
        settings = self.call.settings
        name = settings.session_cookie
        sealed = join(name, cookies, self.store)
        if sealed is None:
            return None
        # Not before there is something to open: a resolver may take its time.
        domain = settings.domain or (yield from resolve_domain(self.call))
        session = unseal_session(self.call.context, domain, "", sealed)
        if session is None or not is_current(
            session.state, cookies.get(current_cookie(name))
        ):
            return explain_refusal(self, domain, "", sealed, cookies)
        # Most reads are of a session that was used a moment ago, and open nothing more.
        if note_use(session.state, now, settings.session_policy) is not None:
            used = cookies.get(used_cookie(name), "")
            opened = find_sealer(self.call.context, domain, "used").open(used)
            if opened is not None:
                state = extend_use(session.state, opened.payload, now)
                session = attrs.evolve(session, state=state)
        if is_alive(session.state, now, settings.session_policy):
            return session
        return explain_refusal(self, domain, "", sealed, cookies)

    def create(self, state: State) -> Flow[Session]:
        """Set cookies in place of those that the browser has."""
        session = yield from self.save(Session(state, origin="login"), state)
        assert session is not None
        return session

    def take_over(self, state: State, session_id: str) -> Flow[Session | None]:
        """Return the session as the SDK keeps it: the next write sets cookies of ours."""
        yield from ()
        return Session(state, origin="sdk")

    def keep_alive(self, session: Session) -> Flow[Session]:
        """Set the cookie that has the last use."""
        call = self.call
        state = note_use(session.state, call.now, call.settings.session_policy)
        # A read without a response is common, and no reason to refuse.
        if state is None or not (yield from can_write(call)):
            return session
        sealer = find_sealer(call.context, state["domain"], "used")
        sealed: str = secret(sealer.seal(write_use(state)))
        name = used_cookie(call.settings.session_cookie)
        cookie = _make_cookie(call, name, sealed, _find_max_age(call, state))
        yield from Invoke(call.context.cookies.write, (call.store_options, [cookie]))
        return attrs.evolve(session, state=state)

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Set the session's cookies, with all of its tokens that they have room for."""
        sealer = find_sealer(self.call.context, state["domain"])
        for kept in shed_tokens(state):
            sealed: str = secret(sealer.seal(write_session(kept)))
            # Browsers take 4,096 bytes for each cookie (RFC 6265bis section 5.6).
            chunks = split(self.call.settings.session_cookie, sealed, self.store)
            if chunks is not None and sealer.may_open(sealed):
                break
        else:
            raise StoreError(
                f"the session takes more than {self.store.most_chunks} cookies of "
                f"{self.store.longest_chunk} characters, even without access tokens",
                Code.SESSION_TOO_LARGE,
                hint=_HINT_TOO_LARGE,
            )
        if kept is not state:
            yield from self._warn_of_dropped_tokens()
        yield from set_cookies(self, chunks, state, session.origin)
        # The state with all of its tokens: who asked for one gets it.
        return Session(state)

    def save_change(
        self, session: Session, change: Callable[[State], State]
    ) -> Flow[Session]:
        """Save the changed copy of this request."""
        state = change(session.state)
        try:
            saved = yield from self.save(session, state)
        except StoreError as error:
            # Without its traceback, which keeps this frame, and the tokens in it.
            failure = error.with_traceback(None)
        else:
            return saved or attrs.evolve(session, state=state)
        # Newer claims of the user do not fit.  A refresh token that was rotated must not be
        # lost with them: the session stays as it was but for that.
        rotated = {**session.state, "refresh_token": state["refresh_token"]}
        try:
            yield from self.save(session, rotated)
        except StoreError:
            pass
        else:
            return Session(state)
        # Outside the handler, so that what says that tokens were issued has no context.
        raise failure.evolve(tokens_issued=True)

    def _warn_of_dropped_tokens(self) -> Flow[None]:
        """Write to the application's log, once for each client."""
        warned = self.call.context.warned
        if "dropped tokens" not in warned:
            warned.add("dropped tokens")
            yield from Warn(
                _LOGGER,
                "a session does not fit its cookies: access tokens are left out, and each "
                f"use of one is a refresh; {_HINT_TOO_LARGE}",
            )

    def run_exclusively(
        self,
        session: Session,
        deadline: float,
        act: Callable[[Session, float], Flow[T]],
        find: Callable[[Session], T | None],
    ) -> Flow[T]:
        """Act on this request's copy: nothing tells of the copies of others."""
        return (yield from act(session, deadline))

    def end(self, cookies: Mapping[str, str], session: Session | None) -> Flow[None]:
        """Do nothing: the cookies were all there was."""
        yield from ()


def can_write(call: Call) -> Flow[bool]:
    """Return whether there is a response to set cookies on."""
    return (yield from Invoke(call.context.cookies.can_write, (call.store_options,)))


def forget_cookies(keeper: SessionKeeper, cookies: Mapping[str, str]) -> Flow[None]:
    """Delete the browser's session, and say that none counts any more.

    Args:
        keeper: the keeper of a logout's session; its call has a response.
        cookies: those that the browser sent.
    """
    call = keeper.call
    name = call.settings.session_cookie
    ours = list_session_cookies(name, cookies, most=keeper.most_chunks)
    changes = [
        # Also if it was not sent: the answer to a login may arrive before this one.
        *(_make_cookie(call, sent, "", 0) for sent in dict.fromkeys([name, *ours])),
        *_list_deletions_of_notes(call, cookies),
        *_list_legacy_deletions(call, cookies),
    ]
    if keeper.may_come_back:
        changes.append(_make_note(call, NO_SESSION))
    yield from Invoke(call.context.cookies.write, (call.store_options, changes))


def set_cookies(
    keeper: SessionKeeper, values: Mapping[str, str], state: State, origin: Origin
) -> Flow[None]:
    """Set a session's cookies for as long as it lasts; delete what the browser had besides.

    Args:
        keeper: the keeper of the session.
        values: the cookies, by name.
        state: the session.
        origin: where the session comes from.
    """
    call = keeper.call
    port, options = call.context.cookies, call.store_options
    cookies = yield from Invoke(port.read, (options,))
    name = call.settings.session_cookie
    most = keeper.most_chunks
    # A session that got shorter leaves chunks behind, which would be joined to the next.
    surplus = list_session_cookies(name, cookies, most=most)
    if len(values) > 1:
        # Also if they were not sent: the answer to another request may have set them since, and
        # its one cookie would hide these, or its next chunk be joined to them.
        next_chunk = [f"{name}.{len(values)}"] if len(values) < most else []
        surplus = list(dict.fromkeys([name, *next_chunk, *surplus]))
    lasts = _find_max_age(call, state)
    changes = [
        *(_make_cookie(call, chunk, text, lasts) for chunk, text in values.items()),
        *(_make_cookie(call, chunk, "", 0) for chunk in surplus if chunk not in values),
        *_list_legacy_deletions(call, cookies),
    ]
    if origin == "login":
        changes += _list_deletions_of_notes(call, cookies)
    # A session of the SDK counts from its take-over on if there was a logout before it began.
    # Else nothing is said: this answer may be late, and arrive after that of a logout.
    if keeper.may_come_back and (
        origin == "login" or (origin == "sdk" and current_cookie(name) in cookies)
    ):
        changes.append(_make_note(call, name_session(state)))
    yield from Invoke(port.write, (options, changes))


def may_count(keeper: SessionKeeper, state: State, cookies: Mapping[str, str]) -> bool:
    """Return whether the browser's notes let a session count that was found otherwise."""
    name = current_cookie(keeper.call.settings.session_cookie)
    return not keeper.may_come_back or is_current(state, cookies.get(name))


def _find_max_age(call: Call, state: State) -> int:
    left = state["internal"]["expires_at"] - call.context.clock()
    # Max-Age of 0 would delete the cookie (RFC 6265bis section 5.4).
    return max(int(left), 1)


def _list_deletions_of_notes(call: Call, cookies: Mapping[str, str]) -> list[SetCookie]:
    used = used_cookie(call.settings.session_cookie)
    return [_make_cookie(call, used, "", 0)] if used in cookies else []


def _list_legacy_deletions(call: Call, cookies: Mapping[str, str]) -> list[SetCookie]:
    """Return what deletes the cookies of Auth0's own SDK."""
    if call.settings.legacy_secret is None:
        return []
    sent = list_session_cookies(LEGACY_COOKIE, cookies, mark="_", most=MOST_CHUNKS)
    # Browsers take no secure cookie over plain http, not even to delete one.
    secure = call.settings.session_policy.cookie_secure
    return [SetCookie(name=name, value="", max_age=0, secure=secure) for name in sent]


def _make_note(call: Call, value: str) -> SetCookie:
    # As long as any session that an answer may bring back.
    lasts = ceil(call.settings.session_policy.absolute_seconds)
    name = current_cookie(call.settings.session_cookie)
    return _make_cookie(call, name, value, lasts)


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


def seal_session(context: Context, session_id: str, state: State) -> str:
    """Return a session as sealed text, for a store under *session_id*.

    Raises:
        StoreError: it is too large.
    """
    sealer = find_sealer(context, state["domain"])
    sealed: str = secret(sealer.seal(write_session(state), session_id.encode()))
    # It would be kept, and never open: its user would be logged out at once.
    if not sealer.may_open(sealed):
        raise StoreError(
            f"the session has {len(sealed):,} characters, which is too long to be opened",
            Code.SESSION_TOO_LARGE,
        )
    return sealed


def open_session(
    context: Context, domain: str, session_id: str, sealed: str, now: float
) -> Session | None:
    """Return the session in a sealed text, or ``None`` if it does not open or has expired."""
    session = unseal_session(context, domain, session_id, sealed)
    # What a browser has can be older than its Max-Age: the time is checked where the seal
    # cannot be forged.
    if session is None or not is_alive(
        session.state, now, context.settings.session_policy
    ):
        return None
    return session


def unseal_session(
    context: Context, domain: str, session_id: str, sealed: str
) -> Session | None:
    """Return the session in a sealed text, expired or not, or ``None`` if it does not open.

    It opens for the application that it was sealed for: the client's, in its tenant at
    *domain*.
    """
    opened = find_sealer(context, domain).open(sealed, session_id.encode())
    state = None if opened is None else read_session(opened.payload)
    if opened is None or state is None:
        return None
    # With a resolver one client serves many tenants: a session belongs to one of them.
    if state["domain"] != domain:
        return None
    return Session(state, session_id, is_stale=not opened.is_current)


def explain_refusal(
    keeper: SessionKeeper,
    domain: str,
    session_id: str,
    sealed: str,
    cookies: Mapping[str, str],
) -> RefusedCookie | None:
    """Return why a sealed text is not a session, or ``None`` if there is no subscriber.

    Args:
        keeper: the keeper that found it.
        domain: the tenant's.
        session_id: the id that it is stored under; empty if the browser has it whole.
        sealed: the text, which does not open, has expired, or no longer counts.
        cookies: those that the browser sent.
    """
    call = keeper.call
    if call.settings.on_event is None:
        return None
    session = unseal_session(call.context, domain, session_id, sealed)
    if session is not None:
        is_counted = may_count(keeper, session.state, cookies)
        return RefusedCookie("expired" if is_counted else "ended", session.state)
    if not find_sealer(call.context, domain).is_foreign(sealed):
        return RefusedCookie("unreadable")
    # With a resolver, one client serves many tenants: a browser may go from one to the other.
    others = call.context.sealers.list_values()
    is_known = any(sealer.is_own(sealed) for sealer in others)
    return RefusedCookie("other_domain" if is_known else "other_application")


def has_session_cookie(keeper: SessionKeeper, cookies: Mapping[str, str]) -> bool:
    """Return whether the browser sent a cookie that could have a session, or a part of one."""
    name = keeper.call.settings.session_cookie
    return bool(
        list_session_cookies(name, cookies, most=keeper.most_chunks)
        or _list_legacy_deletions(keeper.call, cookies)
    )


def get_application(context: Context, domain: str) -> Application:
    """Return the client's application, in the tenant at *domain*."""
    return Application(issuer_url(domain), context.settings.client_id)


def find_sealer(context: Context, domain: str, kind: str = "session") -> Sealer:
    """Return what seals the sessions, or the *kind*, of the application in one tenant."""
    # Deriving a key takes as long as sealing with it, so it is done once.
    purpose = f"{kind} {context.settings.session_cookie}"
    found = context.sealers.get((purpose, domain))
    if found is None:
        from ..session.seal import sealer

        # Without a secret, the id alone makes the key: 256 bits that the store does not have.
        secrets = context.settings.secrets or ("",)
        found = sealer(secrets, purpose, get_application(context, domain))
        context.sealers.add((purpose, domain), found)
    return found
