"""The state that the flows of one client share, and that the steps of one call share.

A ``Context`` lives as long as its client: settings, clocks, chance, and what the client has
learnt.  A ``Call`` lives as long as one call of a public method: when it started, when it
must end, and what the application handed in.  Every step of a flow takes the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from ..bounded import BoundedDict
from ..secret import Unpicklable
from .cache.cache_state import CacheState
from .configuration import Settings, StoreOptions
from .effects import Response
from .session.lock import LockWatches
from .session.rotations import Rotations
from .wire.answer_times import AnswerTime
from .wire.renewal_pauses import RenewalPauses
from .wire.retries import RetryState

if TYPE_CHECKING:
    # A key set brings the JOSE library, which most exchanges never need.
    from .jose.keys import KeySet
    from .session.cookies import Cookies
    from .session.seal import Sealer
    from .wire.metadata import Metadata

V = TypeVar("V")

# A sealer with all of its keys takes some 100 KB, and a resolver may name many domains.
_MOST_SEALERS = 100


@attrs.define(eq=False, repr=False)
class CachedDocument(Generic[V]):
    """A document of the tenant, and its age.

    Attributes:
        value: what was read from it.
        fetched_at: epoch seconds of the fetch.
        fresh_until: epoch seconds until which no call waits for a fetch.
        refresh_at: epoch seconds from which whoever uses it has it refreshed afterwards.
        retry_at: epoch seconds before which a failed refresh is not tried again.
        asked_again_at: epoch seconds of the last fetch for something missing in it.
    """

    value: V
    fetched_at: float
    fresh_until: float
    refresh_at: float = float("inf")
    retry_at: float = 0.0
    asked_again_at: float = float("-inf")

    def is_fresh(self, now: float) -> bool:
        """Return whether it may be used at once; a clock set back makes it stale."""
        return self.fetched_at <= now < self.fresh_until or (
            self.fetched_at <= now < self.retry_at
        )

    def is_due(self, now: float) -> bool:
        """Return whether it should be refreshed, although it may be used at once."""
        return now >= self.refresh_at


class BoundedCache(BoundedDict[str, CachedDocument[V]]):
    """Documents by key; to make room, the one that was stored first is forgotten."""

    def find_fresh(self, key: str, now: float) -> V | None:
        """Return the value under *key* if it is fresh and no refresh is due, or ``None``."""
        cached = self.get(key)
        if cached is None or now >= cached.refresh_at or not cached.is_fresh(now):
            return None
        return cached.value

    def replace(self, key: str, document: CachedDocument[V]) -> None:
        """Store *document* as the newest, in one step for those who look for it meanwhile."""
        self[key] = document
        self.renew(key)
        self.trim()


@attrs.define(eq=False, repr=False)
class Context:
    """The state that the flows of one client share.

    Attributes:
        settings: the client's settings.
        clock: returns epoch seconds.
        monotonic: returns seconds that never go back; deadlines are on it.
        random: returns a number at least 0 and less than 1.
        new_id: returns an id that it never returned before.
        new_secret: returns 256 random bits as text that nobody can guess.
        process_key: a random key for hashes that never leave this process.
        metadata: discovery documents by domain.
        key_sets: signing keys by their URL.
        fetches_beside: when documents were last fetched beside a grant, by domain; on the
            monotonic clock.
        retries: what earlier calls mean for the next.
        answer_times: how long token endpoints take to answer, by domain.
        rotations: the outcome of recent refreshes.
        lock_watches: the locks of sessions that calls wait for.
        sealers: open and seal sessions, by purpose and the tenant's domain.
        cache_state: whether the token cache works, and which of its locks are ours.
        warned: the warnings that are given once for each client, and were.
        renewal_pauses: when tokens that an API refused were replaced.
        exchange_ids: numbers by which a subscriber joins the events of one exchange.
    """

    settings: Settings
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    process_key: bytes = attrs.field(repr=False)
    _cookies: Cookies | None
    metadata: BoundedCache[Metadata] = attrs.field(
        factory=lambda: BoundedCache["Metadata"](100)
    )
    key_sets: BoundedCache[KeySet] = attrs.field(
        factory=lambda: BoundedCache["KeySet"](100)
    )
    fetches_beside: BoundedDict[str, float] = attrs.field(
        factory=lambda: BoundedDict[str, float](100)
    )
    retries: RetryState = attrs.field(init=False)
    answer_times: BoundedDict[str, AnswerTime] = attrs.field(
        factory=lambda: BoundedDict[str, AnswerTime](100)
    )
    rotations: Rotations = attrs.field(factory=Rotations)
    lock_watches: LockWatches = attrs.field(factory=LockWatches)
    sealers: BoundedDict[tuple[str, str], Sealer] = attrs.field(
        factory=lambda: BoundedDict[tuple[str, str], "Sealer"](_MOST_SEALERS)
    )
    cache_state: CacheState = attrs.field(factory=CacheState)
    warned: set[str] = attrs.field(factory=set)
    renewal_pauses: RenewalPauses = attrs.field(factory=RenewalPauses)
    exchange_ids: Iterator[int] = attrs.field(factory=partial(count, 1))

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "retries", RetryState(self.settings.retry))

    @property
    def cookies(self) -> Cookies:
        """Return what reads and sets the cookies of the application's messages.

        Only a client that keeps sessions has it, and only their flows ask.
        """
        assert self._cookies is not None
        return self._cookies

    def describe(self, kind: str) -> str:
        """Return how a client of some *kind* shows itself: its domain and its client id."""
        settings = self.settings
        domain = "<resolver>" if settings.domain is None else repr(settings.domain)
        return f"{kind}(domain={domain}, client_id={settings.client_id!r})"

    def begin_call(
        self,
        store_options: StoreOptions | None = None,
        settings: Settings | None = None,
        started: float | None = None,
    ) -> Call:
        """Return the call that begins now; its one deadline covers all that it takes.

        Args:
            store_options: what the application handed in.
            settings: the call's, if they differ from the client's.
            started: when it was made, on the monotonic clock, if it had to wait for its turn.
        """
        settings = settings or self.settings
        if started is None:
            started = self.monotonic()
        deadline = started + settings.timeout
        return Call(self, settings, store_options, self.clock(), started, deadline)


@attrs.define(eq=False, repr=False)
class Call(Unpicklable):
    """One call of a public method, as each of its steps needs to know it.

    Attributes:
        context: the client's.
        settings: the client's, at hand.
        store_options: what the application handed in: its request, its response.
        now: when the call was made, in epoch seconds: what is fresh or alive is so by then.
        started: the same moment on the context's monotonic clock.
        deadline: when it must have ended, on the same clock.
        exchange_id: the number of its exchange in events; 0 for none, as a refresh has.
        domain: what the resolver returned for it, once it has been asked.
        on_answer: takes each response of the token endpoint, as the pace of a bulk exchange
            follows the server's rate limit.
        refused_token: an access token that an API refused; another one is needed.
        refreshes_end: when the refreshes after its answer must have ended, once one has begun.
    """

    context: Context
    settings: Settings
    store_options: StoreOptions | None = attrs.field(repr=False)
    now: float
    started: float
    deadline: float
    exchange_id: int = 0
    domain: str | None = None
    on_answer: Callable[[Response], None] | None = attrs.field(default=None, repr=False)
    refused_token: str | None = attrs.field(default=None, repr=False)
    refreshes_end: float | None = None

    def limit_to(self, deadline: float) -> Call:
        """Return this call with an earlier *deadline*, for a part of it that isn't an exchange."""
        return Call(
            self.context,
            self.settings,
            self.store_options,
            self.now,
            self.started,
            min(deadline, self.deadline),
            domain=self.domain,
            refused_token=self.refused_token,
        )
