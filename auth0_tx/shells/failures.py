"""Failures of the transport: exceptions of the HTTP libraries, read and then dropped.

Exceptions of ``requests``, ``urllib3`` and ``aiohttp`` refer to the request, with its body
and headers.  So they are neither a cause nor a context of ours: they are read here, and a
new error is made that says three things:

- whether anything of the request left.  If so, a one-time grant may have been used, and the
  call must not be made again blindly: ``AmbiguousError``.  If not, it is ``NotSentError``.
- whether trying again can help.  It cannot where TLS refused the server for good.
- whether time ran out, which is the caller's to change.

The libraries wrap what they caught: as the cause, the context, the first argument or
``reason``.  ``iterate_causes`` walks all of these.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from ..clocks import read_monotonic
from ..core.wire.hints import TOO_MANY_AT_ONCE
from ..errors import (
    AmbiguousError,
    ClientClosedError,
    NotSentError,
    Phase,
    TransportError,
)
from ..errors import CustomTokenExchangeErrorCode as Code

# TLS that was cut off, or that is not complete yet: another attempt may succeed.
_PASSING_TLS_ERRORS = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    # asyncio is handling one of these when it raises a reset, so they are its context.
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)


class TooLateError(TimeoutError):
    """A request whose answer could not come in time any more did not begin to leave."""


def to_transport_error(
    error: BaseException, *, sent: bool, timed_out: bool, deadline: float
) -> TransportError:
    """Return our error for an exception of an HTTP library.

    Args:
        error: what the library raised.
        sent: whether anything of the request left.
        timed_out: whether the library says that time ran out.
        deadline: of the call, on the monotonic clock.
    """
    late = timed_out or read_monotonic() >= deadline
    if sent:
        if late:
            return AmbiguousError(
                "timed out before the server's response was complete", Code.TIMEOUT
            )
        return AmbiguousError("the connection closed before the response was complete")
    if is_tls_refusal(error):
        return NotSentError(
            "TLS handshake failed: the server's certificate or TLS version is not accepted",
            Code.TLS_FAILED,
            hint="if a CA of your own issued the certificate, pass its bundle as verify=, or "
            "set it in your session=.",
        )
    if any(isinstance(cause, TooLateError) for cause in iterate_causes(error)):
        return crowded_error()
    if late:
        return timeout_error("timed out while connecting to the server")
    return NotSentError("could not connect to the server", retry_safe=True)


def timeout_error(message: str, phase: Phase = "send") -> NotSentError:
    """Return the error for a request that had not left when its time was up."""
    return NotSentError(message, Code.TIMEOUT, retry_safe=True, phase=phase)


def crowded_error() -> NotSentError:
    """Return the error for a request whose time passed while others had the connections."""
    return NotSentError(
        "timed out waiting for a free connection",
        Code.TIMEOUT,
        retry_safe=True,
        hint=TOO_MANY_AT_ONCE,
    )


def client_closed_error(what: str = "the client") -> ClientClosedError:
    """Return the error for a call on something that is closed, or was closed meanwhile."""
    return ClientClosedError(f"{what} is closed")


def is_tls_refusal(error: BaseException) -> bool:
    """Return whether TLS refused the server, so that trying again cannot help.

    A wrong certificate or version does; a connection that broke during the handshake does
    not, though both are an ``ssl.SSLError``.
    """
    for cause in iterate_causes(error):
        if isinstance(cause, ssl.SSLError):
            timed_out = isinstance(cause, TimeoutError) or "timed out" in str(cause)
            return not timed_out and not isinstance(cause, _PASSING_TLS_ERRORS)
    return False


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that the HTTP libraries wrapped in it, outermost first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    # A library may wrap an exception in one that it is itself the context of.
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = _find_cause(cause)


def _find_cause(error: BaseException) -> BaseException | None:
    """Return the exception that *error* wraps, wherever its library keeps it."""
    for cause in (
        getattr(error, "reason", None),
        *error.args[:1],
        getattr(error, "certificate_error", None),
        error.__cause__,
        error.__context__,
    ):
        if isinstance(cause, BaseException):
            return cause
    return None
