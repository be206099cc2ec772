"""What a flow may ask of the outside world: inert values, each typed by its own reply.

A flow writes ``response = yield from Send(...)``.  A driver performs the effect and sends
the reply back in, or throws the failure in where it happened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Hashable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from ..errors import Phase
from ..secret import SecretBytes, Unpicklable
from ..version import __version__

COMMON_HEADERS = {
    "Accept": "application/json",
    # A compressed answer could inflate without bound.
    "Accept-Encoding": "identity",
    "User-Agent": f"auth0-tx/{__version__}",
}
"""What every request says of itself, in both worlds alike."""

T = TypeVar("T")

Flow: TypeAlias = Generator[Any, Any, T]
"""A conversation: yields effects, is sent their replies, returns ``T``."""


def _unprinted(body: bytes) -> SecretBytes:
    return SecretBytes(body)


@attrs.frozen
class Request(Unpicklable):
    """An HTTP request, whole."""

    method: str
    url: str
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Response(Unpicklable):
    """An HTTP response, whole, or cut where it passed the limit of its ``Send``."""

    status: int
    headers: Iterable[tuple[str, str]] = attrs.field(repr=False)
    body: bytes = attrs.field(converter=_unprinted, repr=False)
    oversized: bool = False

    def header(self, name: str) -> str | None:
        """Give a field's value, repeated fields joined as RFC 9110 section 5.3 says."""
        size = len(name)
        values = [
            value
            for key, value in self.headers
            if len(key) == size and key.lower() == name
        ]
        return ", ".join(values) if values else None


@attrs.frozen
class Send:
    """Put a request on the wire; the reply is the whole response.

    The request is *prepared* only when a connection may be had for it, so that an
    assertion is signed when it is sent, and ten thousand waiting callers hold no bodies.

    Attributes:
        prepare: builds the request, anew for each attempt.
        deadline: when to give up, on the context's monotonic clock.
        limit: the most bytes of body to read.
        first: whether it goes before others that wait for a connection: they may all
            need what it brings.
    """

    prepare: Callable[[], Request]
    deadline: float
    limit: int
    first: bool = False

    def __iter__(self) -> Flow[Response]:
        reply: Response = yield self
        return reply


@attrs.frozen
class Turn:
    """Let a call go on when its turn has come, where many more have begun than may send.

    Asked for before anything is built, so that a crowd waits with next to nothing in hand.

    Attributes:
        deadline: when to give up, on the context's monotonic clock.
    """

    deadline: float

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.frozen
class Sleep:
    """Let *seconds* pass."""

    seconds: float

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.frozen
class Call(Generic[T]):
    """Call the application's own *function*, which may be async in the async world."""

    function: Callable[..., T | Awaitable[T]]
    arguments: tuple[Any, ...] = attrs.field(default=(), repr=False)

    def __iter__(self) -> Flow[T]:
        reply: T = yield self
        return reply


@attrs.frozen
class Share(Generic[T]):
    """Run *flow* once for all concurrent callers who ask under the same *key*.

    A flow whose caller goes away is carried on by those who wait for it; one that fails is
    tried once more by one of them, and its second failure is everyone's.

    Attributes:
        key: what makes two callers' wishes the same.
        flow: makes the flow that one of them runs.
        deadline: when this caller stops waiting, on the context's monotonic clock.
        too_late: what is said to a caller whose deadline passed meanwhile.
        phase: the step that the flow is of a call.
    """

    key: Hashable
    flow: Callable[[], Flow[T]]
    deadline: float
    too_late: str = (
        "another call was still fetching the tenant's documents at the deadline"
    )
    phase: Phase = "discover"

    def __iter__(self) -> Flow[T]:
        reply: T = yield self
        return reply


@attrs.frozen
class Emit:
    """Tell the application's subscriber of an *event*; what it raises is logged only."""

    event: object

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.frozen
class Warn:
    """Write a warning to the application's log, of what is no caller's affair.

    Attributes:
        logger: its name.
        message: what happened; never a secret.
    """

    logger: str
    message: str

    def __iter__(self) -> Flow[None]:
        yield self


Effect: TypeAlias = Send | Turn | Sleep | Call[Any] | Share[Any] | Emit | Warn
