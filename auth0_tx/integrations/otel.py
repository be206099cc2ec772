"""OpenTelemetry: a span for each exchange, and metrics of all that a client tells.

    client = ServerClient(..., on_event=OpenTelemetrySubscriber())

No token is in an event, and so none is in a span.  A span begins in the context of who
exchanges, and is not made the current one: a call that is cancelled would leave it so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError
from ..events import (
    CacheFailed,
    CacheHit,
    CacheJoined,
    CacheMissed,
    Event,
    ExchangeFinished,
    ExchangeRetried,
    ExchangeStarted,
    KeysFetched,
    MetadataFetched,
    SessionRotated,
)
from ..version import __version__

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError:
    raise ConfigurationError(
        "opentelemetry is not installed: pip install 'auth0-tx[otel]'",
        parameter="on_event",
    ) from None

SPAN_NAME = "auth0_tx.exchange"

_MOST_OPEN = 10_000
"""Spans that may be open at once; a call that was cancelled never ends its own."""

_CACHE = {CacheHit: "hit", CacheMissed: "miss", CacheJoined: "joined"}
_FETCHED = {MetadataFetched: "metadata", KeysFetched: "keys"}


class OpenTelemetrySubscriber:
    """Tell OpenTelemetry what a client tells; give each client one of its own.

    Spans are named ``auth0_tx.exchange``.  Metrics are ``auth0_tx.exchange.duration`` and
    ``auth0_tx.fetch.duration`` (histograms, in seconds), and the counters
    ``auth0_tx.exchange.retries``, ``auth0_tx.cache.lookups``, ``auth0_tx.cache.failures`` and
    ``auth0_tx.session.rotations``.

    Args:
        tracer_provider: the global one where it is ``None``.
        meter_provider: the global one where it is ``None``.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("auth0_tx", __version__, tracer_provider)
        meter = metrics.get_meter("auth0_tx", __version__, meter_provider)
        self._open: OrderedDict[int, trace.Span] = OrderedDict()
        self._exchanges = meter.create_histogram(
            "auth0_tx.exchange.duration", "s", "How long exchanges took."
        )
        self._fetches = meter.create_histogram(
            "auth0_tx.fetch.duration", "s", "How long metadata and keys took to fetch."
        )
        self._retries = meter.create_counter(
            "auth0_tx.exchange.retries", "1", "Attempts that failed and were followed."
        )
        self._lookups = meter.create_counter(
            "auth0_tx.cache.lookups", "1", "What the token cache had."
        )
        self._failures = meter.create_counter(
            "auth0_tx.cache.failures", "1", "How often the token cache failed."
        )
        self._rotations = meter.create_counter(
            "auth0_tx.session.rotations", "1", "Sessions that were to get new tokens."
        )

        self._takers: dict[type, Callable[[Any], None]] = {
            ExchangeStarted: self._started,
            ExchangeRetried: self._retried,
            ExchangeFinished: self._finished,
            MetadataFetched: self._fetched,
            KeysFetched: self._fetched,
            SessionRotated: self._rotated,
            CacheHit: self._looked_up,
            CacheMissed: self._looked_up,
            CacheJoined: self._looked_up,
            CacheFailed: self._failed,
        }

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._takers[type(event)](event)

    def _fetched(self, event: MetadataFetched | KeysFetched) -> None:
        attributes = {"auth0_tx.document": _FETCHED[type(event)], **_outcome(event)}
        self._fetches.record(event.seconds, attributes)

    def _rotated(self, event: SessionRotated) -> None:
        self._rotations.add(1, {"auth0_tx.by": event.by, **_outcome(event)})

    def _looked_up(self, event: CacheHit | CacheMissed | CacheJoined) -> None:
        attributes = {
            "auth0_tx.result": _CACHE[type(event)],
            "server.address": event.domain,
        }
        self._lookups.add(1, attributes)

    def _failed(self, event: CacheFailed) -> None:
        self._failures.add(1, {"error.type": event.kind})

    def _started(self, event: ExchangeStarted) -> None:
        attributes: dict[str, Any] = {
            "server.address": event.domain,
            "auth0_tx.subject_token_type": event.subject_token_type,
            "auth0_tx.actor": event.actor,
        }
        if event.audience is not None:
            attributes["auth0_tx.audience"] = event.audience
        span = self._tracer.start_span(
            SPAN_NAME, kind=SpanKind.CLIENT, attributes=attributes
        )
        self._open[event.exchange_id] = span
        while len(self._open) > _MOST_OPEN:
            _, oldest = self._open.popitem(last=False)
            oldest.end()

    def _retried(self, event: ExchangeRetried) -> None:
        attributes = _outcome(event)
        self._retries.add(1, attributes)
        span = self._open.get(event.exchange_id)
        if span is not None:
            span.add_event("retry", {"auth0_tx.attempt": event.attempt, **attributes})

    def _finished(self, event: ExchangeFinished) -> None:
        attributes = _outcome(event)
        self._exchanges.record(event.seconds, attributes)
        span = self._open.pop(event.exchange_id, None)
        if span is None:
            return
        if event.code is not None:
            span.set_attributes(attributes)
            span.set_status(Status(StatusCode.ERROR, event.code))
        span.end()


def _outcome(event: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {"server.address": event.domain}
    if event.code is not None:
        # A server's code may be anything, and each would be a metric of its own.
        attributes["error.type"] = event.code[:64]
        if getattr(event, "status", None) is not None:
            attributes["http.response.status_code"] = event.status
    return attributes
