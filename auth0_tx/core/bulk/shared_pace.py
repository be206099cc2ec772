"""The pace of a bulk exchange that several processes share.

Each row asks for its turn before its deadline begins.  The pace books a moment for it, after all
moments that it booked before, and the row sleeps until then.  It asks once more when it wakes
up, because another process may have met the server's limit meanwhile: then the moment that was
booked lies within a pause, and the row gets a later one.

A row whose turn is further away than the pace's *longest_wait* is not sent, and the pace books no
such turn.  Every further row would wait as long, so the schedule stops: whoever runs it comes
back later.  The rows that have a turn by then are still sent.  To give them up would leave holes
that nobody can fill, and each return would book turns behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from ...errors import (
    Auth0Error,
    BlockedError,
    CustomTokenExchangeError,
    NotSentError,
    RateLimitError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ..context import Context
from ..effects import Flow, Invoke, Sleep, Warn

Turn: TypeAlias = tuple[float, int]
"""The seconds until a row may be sent, and what to ask with when they have passed."""

_LONGEST_NAP = 1.0
"""Seconds after which a row that waits looks whether it is still to be sent."""


@runtime_checkable
class SharedPace(Protocol):
    """A pace that all processes ask which have the same one.

    For ``AsyncServerClient`` its methods return awaitables.
    """

    @property
    def longest_wait(self) -> float:
        """The most seconds that a row waits for its turn."""
        ...

    def take_turn(self, booked: int) -> Turn | Awaitable[Turn]:
        """Book a turn, or confirm the one that was *booked*; 0 for none.

        A turn that is further away than *longest_wait* is told, and not booked.
        """
        ...

    def pause(self, seconds: float) -> Awaitable[None] | None:
        """Let nobody have a turn for *seconds*."""
        ...


def wait_for_turn(
    context: Context, pace: SharedPace, is_stopped: Callable[[], bool]
) -> Flow[None]:
    """Wait until the row may be sent.

    Args:
        context: the client's.
        pace: books the turn.
        is_stopped: whether the row is not to be sent any more.

    Raises:
        NotSentError: the turn is too far away, the pace failed, or the row was stopped.
    """
    booked, ends = 0, context.monotonic() + pace.longest_wait
    while True:
        delay, booked = yield from _ask(pace, booked)
        if delay <= 0:
            return
        wakes_at = context.monotonic() + delay
        if wakes_at > ends:
            raise NotSentError(
                "not sent: the processes that share the pace have to wait",
                Code.RATE_LIMITED,
                retry_safe=True,
                retry_after=delay,
            )
        while (left := wakes_at - context.monotonic()) > 0:
            yield from Sleep(min(left, _LONGEST_NAP))
            if is_stopped():
                raise NotSentError(
                    "not sent: the bulk exchange was stopped", retry_safe=True
                )


def tell_pace(
    context: Context, pace: SharedPace, error: CustomTokenExchangeError
) -> Flow[None]:
    """Have all processes pause after an error of a row that asks for it."""
    if isinstance(error, BlockedError):
        # Auth0's block of a source IP rarely says how long it lasts.
        seconds = error.retry_after or context.settings.retry.blocked_seconds
    elif isinstance(error, RateLimitError) and error.status == 429:
        seconds = error.retry_after or 1.0
    else:
        return
    try:
        yield from Invoke(pace.pause, (seconds,))
    except Exception as failure:
        # The row has its outcome, whatever becomes of the others.
        kind = type(failure).__name__
        yield from Warn("auth0_tx", f"the shared pace could not be paused: {kind}")


def is_pace_error(error: CustomTokenExchangeError) -> bool:
    """Return whether a row was not sent because of the pace, as no further row would be."""
    return isinstance(error, NotSentError) and is_pace_code(error.code)


def is_pace_code(code: str) -> bool:
    """Return whether an error's code says that nothing may be sent for a while."""
    return code in (Code.RATE_LIMITED, Code.STORE_FAILED)


def is_turn_too_far(error: CustomTokenExchangeError) -> bool:
    """Return whether a row was not sent because its turn was too far away."""
    return isinstance(error, NotSentError) and error.code == Code.RATE_LIMITED


def _ask(pace: SharedPace, booked: int) -> Flow[Turn]:
    kind = ""
    try:
        return (yield from Invoke(pace.take_turn, (booked,)))
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    # Outside of the handler, so that the store's error is not its context.
    raise NotSentError(
        f"not sent: the shared pace failed: {kind}", Code.STORE_FAILED, retry_safe=True
    )
