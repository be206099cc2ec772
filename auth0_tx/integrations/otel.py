"""OpenTelemetry: a span for each exchange, and metrics of all events of a client.

    client = ServerClient(..., on_event=OpenTelemetrySubscriber())

The span of an exchange goes like this.

1. ``ExchangeStarted`` starts it below the caller's span, and makes it the current one of the
   thread or the task.  So the spans of all that the exchange does are below it: of its HTTP
   requests with their retries, and of Redis, if a token cache is there.
2. ``ExchangeFinished`` ends it, and makes the caller's the current one again.  A client sends
   this event also if a call is cancelled or interrupted.
3. Only a coroutine that is closed while it waits sends none.  Its context goes away with it,
   and its span is ended when too many are open.

A call that shares an exchange with others has no span of its own; the exchange is below the
span of the call that leads it.

Events have no tokens, so spans have none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..events import (
    AuditEvent,
    BackchannelLogoutFinished,
    CacheFailed,
    CacheHit,
    CacheJoined,
    CacheMissed,
    Event,
    ExchangeFinished,
    ExchangeRetried,
    ExchangeStarted,
    KeysFetched,
    LoginFinished,
    LogoutFinished,
    LogoutTokenRefused,
    MetadataFetched,
    SessionCookieRefused,
    SessionRotated,
    SessionsEnded,
)
from ..version import __version__

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ImportError:
    raise ConfigurationError(
        "opentelemetry is not installed: pip install 'auth0-tx[otel]'",
        parameter="on_event",
    ) from None

SPAN_NAME = "auth0_tx.exchange"

_MOST_OPEN = 10_000
"""Spans that may be open at once: a coroutine that is closed never ends its own."""

_CACHE = {CacheHit: "hit", CacheMissed: "miss", CacheJoined: "joined"}
_FETCHED = {MetadataFetched: "metadata", KeysFetched: "keys"}
_AUDITED: dict[type[AuditEvent], str] = {
    LoginFinished: "login",
    SessionRotated: "rotation",
    LogoutFinished: "logout",
    BackchannelLogoutFinished: "backchannel_logout",
    LogoutTokenRefused: "logout_token",
    SessionCookieRefused: "session_cookie",
    SessionsEnded: "ended_sessions",
}


class _OpenSpan(NamedTuple):
    """A span that has not ended, the context in which it is current, and the caller's."""

    span: trace.Span
    current: context.Context
    callers: context.Context


class OpenTelemetrySubscriber:
    """Report a client's events to OpenTelemetry; give each client its own subscriber.

    Spans are named ``auth0_tx.exchange``, and are the current one while the exchange lasts.
    So call the subscriber where an event arrives, and not in another thread.

    Metrics are ``auth0_tx.exchange.duration`` and ``auth0_tx.fetch.duration`` (histograms, in
    seconds), and the counters ``auth0_tx.exchange.retries``, ``auth0_tx.cache.lookups``,
    ``auth0_tx.cache.failures``, ``auth0_tx.session.rotations``, ``auth0_tx.session.ended`` and
    ``auth0_tx.audit.events``.
    No user and no session is an attribute: metrics keep each value for ever.

    Args:
        tracer_provider: the global one if it is ``None``.
        meter_provider: the global one if it is ``None``.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("auth0_tx", __version__, tracer_provider)
        meter = metrics.get_meter("auth0_tx", __version__, meter_provider)
        self._open: OrderedDict[int, _OpenSpan] = OrderedDict()
        self._exchanges = meter.create_histogram(
            "auth0_tx.exchange.duration", "s", "Duration of exchanges."
        )
        self._fetches = meter.create_histogram(
            "auth0_tx.fetch.duration", "s", "Duration of fetches of metadata and keys."
        )
        self._retries = meter.create_counter(
            "auth0_tx.exchange.retries",
            "1",
            "Attempts that failed and were followed by another.",
        )
        self._lookups = meter.create_counter(
            "auth0_tx.cache.lookups", "1", "Lookups in the token cache, by result."
        )
        self._failures = meter.create_counter(
            "auth0_tx.cache.failures", "1", "Failures of the token cache."
        )
        self._rotations = meter.create_counter(
            "auth0_tx.session.rotations",
            "1",
            "Attempts to renew the tokens of a session.",
        )
        self._ended = meter.create_counter(
            "auth0_tx.session.ended",
            "1",
            "Sessions in a store that were ended other than by their users.",
        )
        self._audited = meter.create_counter(
            "auth0_tx.audit.events",
            "1",
            "Logins, logouts and other events of sessions, by kind and outcome.",
        )

        self._handlers: dict[type, Callable[[Any], None]] = {
            ExchangeStarted: self._start_span,
            ExchangeRetried: self._record_retry,
            ExchangeFinished: self._finish_span,
            MetadataFetched: self._record_fetch,
            KeysFetched: self._record_fetch,
            **dict.fromkeys(_AUDITED, self._count_audited),
            SessionRotated: self._count_rotation,
            BackchannelLogoutFinished: self._count_ended,
            SessionsEnded: self._count_ended,
            CacheHit: self._count_lookup,
            CacheMissed: self._count_lookup,
            CacheJoined: self._count_lookup,
            CacheFailed: self._count_failure,
        }

    def __call__(self, event: Event) -> None:
        """Report an event."""
        self._handlers[type(event)](event)

    def _record_fetch(self, event: MetadataFetched | KeysFetched) -> None:
        attributes = {
            "auth0_tx.document": _FETCHED[type(event)],
            **_outcome_attributes(event),
        }
        self._fetches.record(event.seconds, attributes)

    def _count_rotation(self, event: SessionRotated) -> None:
        self._rotations.add(1, {"auth0_tx.by": event.by, **_outcome_attributes(event)})
        self._count_audited(event)

    def _count_ended(self, event: BackchannelLogoutFinished | SessionsEnded) -> None:
        by = getattr(event, "by", "backchannel_logout")
        attributes = {"auth0_tx.by": by, "server.address": event.domain}
        self._ended.add(event.sessions, attributes)
        self._count_audited(event)

    def _count_audited(self, event: AuditEvent) -> None:
        attributes = {
            "auth0_tx.event": _AUDITED[type(event)],
            **_outcome_attributes(event),
        }
        for name in ("by", "reason"):
            if hasattr(event, name):
                attributes[f"auth0_tx.{name}"] = getattr(event, name)
        self._audited.add(1, attributes)

    def _count_lookup(self, event: CacheHit | CacheMissed | CacheJoined) -> None:
        attributes = {
            "auth0_tx.result": _CACHE[type(event)],
            "server.address": event.domain,
        }
        self._lookups.add(1, attributes)

    def _count_failure(self, event: CacheFailed) -> None:
        self._failures.add(1, {"error.type": event.kind})

    def _start_span(self, event: ExchangeStarted) -> None:
        attributes: dict[str, Any] = {
            "server.address": event.domain,
            "auth0_tx.subject_token_type": event.subject_token_type,
            "auth0_tx.actor": event.actor,
        }
        if event.audience is not None:
            attributes["auth0_tx.audience"] = event.audience
        callers = context.get_current()
        span = self._tracer.start_span(
            SPAN_NAME, callers, kind=SpanKind.CLIENT, attributes=attributes
        )
        current = trace.set_span_in_context(span, callers)
        self._open[event.exchange_id] = _OpenSpan(span, current, callers)
        context.attach(current)
        # The oldest are those whose end nobody tells; what is ended late is still exported.
        while len(self._open) > _MOST_OPEN:
            _, oldest = self._open.popitem(last=False)
            oldest.span.end()

    def _record_retry(self, event: ExchangeRetried) -> None:
        attributes = _outcome_attributes(event)
        self._retries.add(1, attributes)
        opened = self._open.get(event.exchange_id)
        if opened is not None:
            opened.span.add_event(
                "retry", {"auth0_tx.attempt": event.attempt, **attributes}
            )

    def _finish_span(self, event: ExchangeFinished) -> None:
        attributes = _outcome_attributes(event)
        opened = self._open.pop(event.exchange_id, None)
        try:
            # While the span is the current one, so that it can be the measurement's example.
            self._exchanges.record(event.seconds, attributes)
            if opened is not None:
                if event.code is not None:
                    opened.span.set_attributes(attributes)
                    opened.span.set_status(Status(StatusCode.ERROR, event.code))
                opened.span.end()
        finally:
            # Not by the token of ``attach``, which is good only in the context that it is from,
            # and only where the span is the current one: in another thread it never was.
            if opened is not None and context.get_current() is opened.current:
                context.attach(opened.callers)


def _outcome_attributes(event: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {"server.address": event.domain}
    if event.code is not None:
        # A server chooses its codes, and metrics keep each value for ever: a bound.
        attributes["error.type"] = event.code[:64]
        if getattr(event, "status", None) is not None:
            attributes["http.response.status_code"] = event.status
    return attributes
