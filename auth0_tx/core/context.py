"""What the flows of one client share: its settings, its clocks, and what it has learnt."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .cache.token_cache import CacheState
from .configuration import Settings
from .session.cookies import Cookies
from .session.rotations import Rotations
from .wire.metadata import Metadata
from .wire.retries import RetryState

if TYPE_CHECKING:
    # A key set brings the JOSE library, which most exchanges never need.
    from .jose.keys import KeySet
    from .session.seal import Sealer

V = TypeVar("V")


@attrs.frozen
class CachedDocument(Generic[V]):
    """A document and its age.

    Attributes:
        value: what was read of it.
        fetched_at: epoch seconds, when it came.
        fresh_until: epoch seconds, until when it is used unasked.
        retry_at: epoch seconds, before which a failed refresh is not tried again.
        asked_again_at: epoch seconds, when it was last fetched for want of something in it.
    """

    value: V
    fetched_at: float
    fresh_until: float
    retry_at: float = 0.0
    asked_again_at: float = float("-inf")

    def is_fresh(self, now: float) -> bool:
        """Tell whether it may be used unasked; a clock set back makes it stale."""
        return self.fetched_at <= now < self.fresh_until or (
            self.fetched_at <= now < self.retry_at
        )


class BoundedCache(Generic[V]):
    """A bounded mapping that forgets what was least recently stored.

    Each operation is one step of the interpreter's, so that threads need no lock.
    """

    __slots__ = ("_items", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[str, CachedDocument[V]] = OrderedDict()

    def get(self, key: str) -> CachedDocument[V] | None:
        """Give what is kept under *key*."""
        return self._items.get(key)

    def put(self, key: str, kept: CachedDocument[V]) -> None:
        """Keep a document, forgetting another where there are too many."""
        self._items.pop(key, None)
        self._items[key] = kept
        while len(self._items) > self._most:
            self._items.popitem(last=False)


@attrs.frozen(eq=False)
class Context:
    """What the flows of one client share.

    Attributes:
        settings: the client's settings.
        clock: gives epoch seconds.
        monotonic: gives seconds that never go back; deadlines are on it.
        random: gives a number at least 0 and less than 1.
        new_id: gives an id that was never given before.
        new_secret: gives 256 random bits as text that nobody can guess.
        process_key: a random key for hashes that never leave this process.
        cookies: the cookies of the application's requests and responses.
        metadata: discovery documents by domain.
        key_sets: signing keys by their URL.
        retries: what earlier calls mean for the next.
        rotations: what became of refresh tokens lately.
        sealers: what opens and seals sessions, by purpose.
        cache_state: whether the token cache works, and which of its locks are ours.
        exchange_ids: numbers that tell a subscriber which events are of one exchange.
    """

    settings: Settings
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    process_key: bytes = attrs.field(repr=False)
    cookies: Cookies
    metadata: BoundedCache[Metadata] = attrs.field(
        factory=lambda: BoundedCache[Metadata](100)
    )
    key_sets: BoundedCache[KeySet] = attrs.field(
        factory=lambda: BoundedCache["KeySet"](100)
    )
    retries: RetryState = attrs.field(init=False)
    rotations: Rotations = attrs.field(factory=Rotations)
    sealers: dict[str, Sealer] = attrs.field(factory=dict)
    cache_state: CacheState = attrs.field(factory=CacheState)
    exchange_ids: Iterator[int] = attrs.field(factory=partial(count, 1))

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "retries", RetryState(self.settings.retry))
