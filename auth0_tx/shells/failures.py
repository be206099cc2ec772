"""A transport's failures, in words that hold nothing of the request.

What ``requests`` and ``aiohttp`` raise carries the request, its body and its headers, so
their exceptions are read here and then let go: never a cause, never a context.
"""

from __future__ import annotations

import time

from ..errors import (
    AmbiguousError,
    ClientClosedError,
    NotSentError,
    Phase,
    TransportError,
)
from ..errors import CustomTokenExchangeErrorCode as Code
from .tls import is_permanent

TOO_LATE = "no connection was free before the deadline"


def transport_failure(
    error: BaseException, *, sent: bool, timed_out: bool, deadline: float
) -> TransportError:
    """Make our error of a library's.

    Args:
        error: what the library raised.
        sent: whether anything of the request left.
        timed_out: whether the library calls it a time-out.
        deadline: the deadline of the call, on the monotonic clock.
    """
    late = timed_out or time.monotonic() >= deadline
    if sent:
        if late:
            return AmbiguousError(
                "no whole answer came before the deadline", Code.TIMEOUT
            )
        return AmbiguousError("the connection ended before the answer was whole")
    if is_permanent(error):
        return NotSentError(
            "TLS: the server's certificate or protocol version is not acceptable",
            Code.TLS_FAILED,
            hint="if its certificate is of a CA of your own, give its bundle as verify=.",
        )
    if late:
        return out_of_time("no connection was made in time")
    return NotSentError("no connection could be made", retry_safe=True)


def out_of_time(message: str, phase: Phase = "send") -> NotSentError:
    """Make the error of a request that did not leave before its time was up."""
    return NotSentError(message, Code.TIMEOUT, retry_safe=True, phase=phase)


def closed(what: str = "the client") -> ClientClosedError:
    """Make the error of a call on a client that is closed, by then or before."""
    return ClientClosedError(f"{what} is closed")
