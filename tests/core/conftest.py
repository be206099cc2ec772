"""Fixtures of the core's tests: a clock that stands still, and clients on it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from auth0_tx.core.context import Context
from tests.core.world import Clock, build_client

# An example's duration depends on the machine, so Hypothesis must not judge it.
settings.register_profile(
    "core", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("core")


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is told to go on."""
    return Clock()


@pytest.fixture
def context(clock: Clock) -> Context:
    """A client that knows its tenant's metadata already."""
    return build_client(clock)


@pytest.fixture
def cold(clock: Clock) -> Context:
    """A client that has fetched nothing yet."""
    return build_client(clock, knows_metadata=False)
