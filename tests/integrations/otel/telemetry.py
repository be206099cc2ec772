"""Providers of OpenTelemetry that keep what they are told, and the exchanges that tell it."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from auth0_tx import CustomTokenExchangeOptions
from auth0_tx.integrations import otel
from auth0_tx.integrations.otel import OpenTelemetrySubscriber
from auth0_tx.tenant import Tenant

API = "https://api.example.com"


class Telemetry:
    """Providers that keep spans and metrics in memory."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])
        self.subscriber = OpenTelemetrySubscriber(self.tracers, self.meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of exchanges that have ended."""
        return [span for span in self.list_spans() if span.name == otel.SPAN_NAME]

    def list_spans(self) -> tuple[ReadableSpan, ...]:
        """Return all spans that have ended, those of others too."""
        return self._spans.get_finished_spans()

    def counts(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return each metric's points: the attributes, and the sum or the count."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: [
                (
                    dict(point.attributes or {}),
                    getattr(point, "value", None) or point.count,
                )  # type: ignore[union-attr]
                for point in metric.data.data_points
            ]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def make_settings(tenant: Tenant, telemetry: Telemetry, **more: Any) -> dict[str, Any]:
    """Return the keywords of a client that tells OpenTelemetry."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "on_event": telemetry.subscriber,
        **more,
    }


def options(tenant: Tenant, **changes: Any) -> CustomTokenExchangeOptions:
    """Return the options of an exchange."""
    given = {
        "subject_token": tenant.subject_token("auth0|alice"),
        "subject_token_type": "urn:acme:legacy-token",
        "audience": API,
    }
    return CustomTokenExchangeOptions(**{**given, **changes})
