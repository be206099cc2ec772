"""Providers of OpenTelemetry for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.otel.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Return providers for one test."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()
