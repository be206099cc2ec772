"""Where a session is kept, and sessions whole in the browser's cookies.

A keeper loads, creates, saves and ends the session of one call.  Flows know nothing else of
where sessions are: there is one in cookies here, and one in a store (``stored_sessions``).

In cookies, the browser has the session whole, sealed.  Each request has a copy of its own,
and only its own response can replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import (
    StoreError,
)
from ...secret import secret
from ..context import Call, Context
from ..effects import Flow, Invoke
from ..session.cookies import CookieStore, SetCookie, join, list_session_cookies, split
from ..session.legacy import LEGACY_COOKIE
from ..session.state import State, is_alive, read_session, write_session
from ..session.store import Application
from ..wire.domains import issuer_url
from .tenant_documents import resolve_domain

if TYPE_CHECKING:
    from ..session.seal import Sealer

T = TypeVar("T")


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

    def load(self, cookies: Mapping[str, str], now: float) -> Flow[Session | None]:
        """Return the session that *cookies* hold or name, or ``None`` if none is valid *now*.

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
        """Act on a session while no other process that shares it does.

        *act* takes the session as it is by then, and when it must have ended.

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

    def load(self, cookies: Mapping[str, str], now: float) -> Flow[Session | None]:
        """Join the session's cookies and open them."""
        sealed = join(self.call.settings.session_cookie, cookies, self.store)
        if sealed is None:
            return None
        # Not before there is something to open: a resolver may take its time.
        domain = self.call.settings.domain or (yield from resolve_domain(self.call))
        return open_session(self.call.context, domain, "", sealed, now)

    def create(self, state: State) -> Flow[Session]:
        """Set cookies in place of those that the browser has."""
        session = yield from self.save(Session(state), state)
        assert session is not None
        return session

    def save(self, session: Session, state: State) -> Flow[Session | None]:
        """Set the whole session as cookies, and delete those that it does not need."""
        sealed = seal_session(self.call.context, "", state)
        # Browsers take 4,096 bytes for each cookie (RFC 6265bis section 5.6).
        chunks = split(self.call.settings.session_cookie, sealed, self.store)
        if chunks is None:
            raise StoreError(
                f"the session takes more than {self.store.most_chunks} cookies of "
                f"{self.store.longest_chunk} characters",
                Code.SESSION_TOO_LARGE,
                hint="keep sessions in a store on your server, such as RedisStore.",
            )
        yield from set_cookies(self.call, chunks, state)
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
        """Act on this request's copy: nothing tells of the copies of others."""
        return (yield from act(session, deadline))

    def end(self, cookies: Mapping[str, str], session: Session | None) -> Flow[None]:
        """Do nothing: the cookies were all there was."""
        yield from ()


def forget_cookies(
    call: Call, name: str, cookies: Collection[str], *, keep: str = ""
) -> Flow[None]:
    """Delete a session's cookies but the one to *keep*, and those of Auth0's own SDK.

    Nothing is done if there are none, or no response to do it on.
    """
    names = list_session_cookies(name, cookies) if name else []
    changes = [_make_cookie(call, chunk, "", 0) for chunk in names if chunk != keep]
    if call.settings.legacy_secret is not None:
        secure = call.settings.session_policy.cookie_secure
        changes += [
            SetCookie(name=legacy, value="", max_age=0, secure=secure)
            # What else begins with the name is not theirs, and may be no name to set.
            for legacy in list_session_cookies(LEGACY_COOKIE, cookies, "_")
        ]
    port, options = call.context.cookies, call.store_options
    # A page that cannot set cookies keeps the stale ones; they hold nothing that opens.
    if changes and (yield from Invoke(port.can_write, (options,))):
        yield from Invoke(port.write, (options, changes))


def set_cookies(call: Call, values: Mapping[str, str], state: State) -> Flow[None]:
    """Set a session's cookies for as long as it lasts; delete what else it had."""
    port, options = call.context.cookies, call.store_options
    cookies = yield from Invoke(port.read, (options,))
    name = call.settings.session_cookie
    # A session that got shorter leaves chunks behind, which would be joined to the next.
    surplus = [
        chunk for chunk in list_session_cookies(name, cookies) if chunk not in values
    ]
    left = state["internal"]["expires_at"] - call.context.clock()
    # Max-Age of 0 would delete the cookie (RFC 6265bis section 5.4).
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


def seal_session(context: Context, session_id: str, state: State) -> str:
    """Return a session as sealed text, for a cookie, or for a store under *session_id*.

    Raises:
        StoreError: it is too large.
    """
    from ..session.seal import MAX_SEALED_LENGTH

    sealer = _find_sealer(context, state["domain"])
    sealed: str = secret(sealer.seal(write_session(state), session_id.encode()))
    # Or it would be kept, and never open: its user would be logged out at once.
    if len(sealed) > MAX_SEALED_LENGTH:
        raise StoreError(
            f"the session is longer than {MAX_SEALED_LENGTH:,} characters",
            Code.SESSION_TOO_LARGE,
        )
    return sealed


def open_session(
    context: Context, domain: str, session_id: str, sealed: str, now: float
) -> Session | None:
    """Return the session in a sealed text, or ``None`` if it does not open or has expired.

    It opens for the application that it was sealed for: the client's, in its tenant at
    *domain*.
    """
    opened = _find_sealer(context, domain).open(sealed, session_id.encode())
    state = None if opened is None else read_session(opened.payload)
    if opened is None or state is None:
        return None
    # With a resolver one client serves many tenants: a session belongs to one of them.
    if state["domain"] != domain:
        return None
    # What a browser has can be older than its Max-Age: the time is checked where the seal
    # cannot be forged.
    if not is_alive(state, now, context.settings.session_policy):
        return None
    return Session(state, session_id, is_stale=not opened.is_current)


def get_application(context: Context, domain: str) -> Application:
    """Return the client's application, in the tenant at *domain*."""
    return Application(issuer_url(domain), context.settings.client_id)


def _find_sealer(context: Context, domain: str) -> Sealer:
    """Return what seals the sessions of the client's application in one tenant."""
    # Deriving a key takes as long as sealing with it, so it is done once.
    purpose = f"session {context.settings.session_cookie}"
    found = context.sealers.get((purpose, domain))
    if found is None:
        from ..session.seal import sealer

        # Without a secret, the id alone makes the key: 256 bits that the store does not have.
        secrets = context.settings.secrets or ("",)
        found = sealer(secrets, purpose, get_application(context, domain))
        context.sealers.add((purpose, domain), found)
    return found
