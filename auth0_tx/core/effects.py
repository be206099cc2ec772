"""Effects, a flow's requests to the outside world: inert values, each typed by its reply.

A flow writes ``response = yield from Send(...)``.  A driver performs the effect and sends
the reply back in, or throws the failure in where it happened.  So a flow holds the whole of
a conversation and none of its I/O: a test plays it against replies written beforehand, and
both clients run the same one.

An effect is the only thing that a flow may yield.  An interrupt (``KeyboardInterrupt``, a
cancelled task, what a signal handler raises) is thrown in as well.  So a flow that holds
something catches ``BaseException``, gives it back with an effect, and raises the interrupt
again.  ``GeneratorExit`` is different: the flow is being closed, no driver is there to perform
anything, and nothing may be yielded.
"""

from __future__ import annotations

import math
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
"""The headers of every request, the same in both worlds."""

T = TypeVar("T")

Flow: TypeAlias = Generator[Any, Any, T]
"""A conversation: yields effects, is sent their replies, returns ``T``."""


def _to_secret_bytes(value: bytes) -> bytes:
    # Both transports wrap a body as they read it, and to wrap it again would copy it.
    return value if type(value) is SecretBytes else SecretBytes(value)


@attrs.define(eq=False, repr=False)
class Request(Unpicklable):
    """A whole HTTP request.

    Attributes:
        method: ``GET`` or ``POST``.
        url: where it goes.
        headers: its header fields.
        body: its body, if it has one.
        latest: when it must have begun to leave, on the context's monotonic clock; later it
            is not sent at all.
    """

    method: str
    url: str
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    latest: float = math.inf


@attrs.define(eq=False, repr=False)
class Response(Unpicklable):
    """A whole HTTP response, or one that was cut at the limit of its ``Send``.

    Attributes:
        status: its status code.
        headers: its header fields, in order.
        body: its body.
        oversized: whether the body was longer than the limit, and is cut.
        seconds: how long it took, from the moment the request began to leave.
    """

    status: int
    headers: Iterable[tuple[str, str]] = attrs.field(repr=False)
    # It carries tokens, and a traceback shows the locals of every frame that it passes.
    body: bytes = attrs.field(converter=_to_secret_bytes, repr=False)
    oversized: bool = False
    seconds: float = 0.0


@attrs.define(eq=False, repr=False)
class Send:
    """Put a request on the wire; the reply is the whole response.

    The request is *prepared* only when a connection may be had for it.  So an assertion is
    signed when it is sent, and ten thousand callers that wait for a connection hold no
    bodies.

    Attributes:
        prepare: builds the request, anew for each attempt.
        deadline: when to give up, on the context's monotonic clock.
        limit: the most bytes of body to read.
        first: whether it goes before others that wait for a connection, because they may
            all need its answer.
    """

    prepare: Callable[[], Request]
    deadline: float
    limit: int
    first: bool = False

    def __iter__(self) -> Flow[Response]:
        reply: Response = yield self
        return reply


@attrs.define(eq=False, repr=False)
class Sleep:
    """Let *seconds* pass."""

    seconds: float

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.define(eq=False, repr=False)
class Invoke(Generic[T]):
    """Call the application's own *function*, which may be async in the async world."""

    function: Callable[..., T | Awaitable[T]]
    arguments: tuple[Any, ...] = attrs.field(default=(), repr=False)

    def __iter__(self) -> Flow[T]:
        reply: T = yield self
        return reply


@attrs.define(eq=False, repr=False)
class Share(Generic[T]):
    """Run *flow* once for all concurrent callers who ask under the same *key*.

    When its caller goes away, those who wait for a flow carry it on.  When it fails, one of
    them tries it once more, and everyone shares the second failure.

    A flow that spends a token for one use *outlives its callers*.  If all of them are
    cancelled, it still runs to its end, because what it was issued would be lost.  Whoever
    asks under the same key meanwhile joins it.  (A thread that is interrupted cannot go on:
    only tasks can be outlived.)

    Attributes:
        key: equal for callers who ask for the same thing.
        flow: makes the flow that one of them runs.
        deadline: when this caller stops waiting, on the context's monotonic clock.
        too_late: the message of the error for a caller whose deadline passed meanwhile.
        phase: the phase of that error.
        outlives_callers: whether the flow runs to its end although nobody waits for it.
    """

    key: Hashable
    flow: Callable[[], Flow[T]]
    deadline: float
    too_late: str = (
        "another call was still fetching the tenant's documents at the deadline"
    )
    phase: Phase = "discover"
    outlives_callers: bool = False

    def __iter__(self) -> Flow[T]:
        reply: T = yield self
        return reply


@attrs.define(eq=False, repr=False)
class Accompany(Generic[T]):
    """Run *flow*, and *companion* beside it every few *seconds* until it ends.

    The reply is what *flow* returns.  A companion renews what the flow holds, such as a lock,
    while the flow waits for something else.  It runs in another thread or task, and what it
    raises is only logged.

    Attributes:
        flow: makes the flow to run.
        companion: makes a flow, anew for each time.
        seconds: how long after the start, and after each other, companions run.
    """

    flow: Callable[[], Flow[T]]
    companion: Callable[[], Flow[None]]
    seconds: float

    def __iter__(self) -> Flow[T]:
        reply: T = yield self
        return reply


@attrs.define(eq=False, repr=False)
class Begin:
    """Run *flow* beside the call from now on; there is no reply to wait for.

    It runs in a task or a thread of its own, and not at all if there is no thread to be had.
    A call that needs its result asks for it under the key of a ``Share``.  It handles its own
    errors; any other exception is only logged.

    Attributes:
        flow: makes the flow.
    """

    flow: Callable[[], Flow[None]]

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.define(eq=False, repr=False)
class Postpone:
    """Run *flow* when the call has its answer; there is no reply to wait for.

    In asyncio the flow runs in a task of its own.  A thread runs it before the call returns,
    so it must be short.  It also runs after one of the library's errors, but not after an
    interrupt.  It handles its own errors.  In a thread any other exception may be an interrupt,
    so it reaches the caller; in asyncio it is logged.

    Attributes:
        flow: makes the flow.
    """

    flow: Callable[[], Flow[None]]

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.define(eq=False, repr=False)
class Emit:
    """Hand an *event* to the application's subscriber; its exceptions are only logged."""

    event: object

    def __iter__(self) -> Flow[None]:
        yield self


@attrs.define(eq=False, repr=False)
class Warn:
    """Write a warning to the application's log about something no caller can act on.

    Attributes:
        logger: its name.
        message: what happened; never a secret.
    """

    logger: str
    message: str

    def __iter__(self) -> Flow[None]:
        yield self


Effect: TypeAlias = (
    Send
    | Sleep
    | Invoke[Any]
    | Share[Any]
    | Accompany[Any]
    | Begin
    | Postpone
    | Emit
    | Warn
)
