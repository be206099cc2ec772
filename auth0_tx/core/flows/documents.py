"""Fetching the documents that a tenant publishes: its metadata and its keys."""

from __future__ import annotations

from typing import Any

import attrs

from ...errors import (
    AmbiguousError,
    ClientClosedError,
    CustomTokenExchangeError,
    DiscoveryError,
    InvalidResponseError,
    NotSentError,
    RateLimitError,
    RefusedError,
    TransportError,
)
from ..context import Context
from ..effects import Flow, Response, Send
from ..wire.metadata import (
    DOCUMENT_LIMIT,
    document_request,
    freshness,
    read_document,
)
from ..wire.reading import parse_retry_after
from .attempts import attempted

LONGEST_FETCH = 5.0
"""Seconds, the most that one document may take of a call's own time."""

RETRY_AFTER_FAILURE = 30.0
"""Seconds during which a kept document is used although its refresh failed."""

LONGEST_STALE = 86_400.0
"""Seconds, the most that a document may outlive failing refreshes."""


@attrs.frozen
class Document:
    """A JSON object, and how many seconds it may be used."""

    members: dict[str, Any] = attrs.field(repr=False)
    fresh_for: float


def fetched(
    context: Context, domain: str, url: str, deadline: float, default_age: float
) -> Flow[Document]:
    """Fetch a JSON object; a GET may be sent again whatever became of it.

    Raises:
        NotSentError: no answer came, so no grant was sent either.
        DiscoveryError: the answer is not such a document.
    """
    send = Send(
        lambda: document_request(url),
        min(deadline, context.monotonic() + LONGEST_FETCH),
        DOCUMENT_LIMIT,
        first=True,
    )

    def read(response: Response) -> Document | CustomTokenExchangeError:
        members, rule = read_document(response)
        if rule is None:
            return Document(members, freshness(response, default_age))
        return _failure(response, rule, context.clock())

    try:
        return (yield from attempted(context, domain, send, read, "reusable"))
    except CustomTokenExchangeError as error:
        failure = error
    raise _as_discovery(failure)


def _failure(response: Response, rule: str, now: float) -> CustomTokenExchangeError:
    """Make the error that an answer without a document means, by whether it may pass."""
    value = response.header("retry-after")
    wait = None if value is None else parse_retry_after(value, now)
    status = response.status
    if status == 429:
        return RateLimitError(rule, status=status, retry_safe=True, retry_after=wait)
    if status in (408, 425):
        return RefusedError(rule, status=status, retry_safe=True, retry_after=wait)
    if status >= 500:
        return AmbiguousError(rule, status=status, retry_safe=True, retry_after=wait)
    if status == 200:
        return InvalidResponseError(rule, status=status)
    return DiscoveryError(rule, status=status)


def _as_discovery(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Say of a failed fetch what it means for the exchange: that nothing was sent."""
    if isinstance(error, ClientClosedError):
        return error
    if isinstance(error, TransportError) and error.status is None:
        return NotSentError(
            error.message,
            error.code,
            retry_safe=error.retry_safe,
            phase="discover",
            hint=error.hint,
        )
    return DiscoveryError(
        f"a document of the tenant cannot be fetched: {error.message}",
        status=error.status,
        retry_safe=error.retry_safe,
        retry_after=error.retry_after,
    )
