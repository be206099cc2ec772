"""What it costs to tell of an exchange, without a network: to nobody, and to OpenTelemetry."""

from __future__ import annotations

import time
from statistics import median

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from auth0_tx.core.configuration import configure
from auth0_tx.core.context import Context
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.events import Event
from auth0_tx.integrations.otel import OpenTelemetrySubscriber
from auth0_tx.shells.clocks import context_for
from auth0_tx.shells.drivers import run

from .bench import Bench
from .measure import Burst, microseconds, paired
from .no_wire import DOMAIN, NoWire
from .ours import options
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

_CHECKS = 4
"""How often a core that has no subscriber asks whether it has one, for one exchange."""


def events(bench: Bench) -> list[Row]:
    """What is promised of events."""
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    subscriber = OpenTelemetrySubscriber(tracers, meters)
    measured = paired(
        _exchanging(subscriber),
        _exchanging(None),
        count=100,
        rounds=bench.scaled(200, 2),
    )
    more = median(measured.ours.cpu) - median(measured.theirs.cpu)
    tracers.shutdown()
    meters.shutdown()
    return [
        _nobody(bench),
        Row(
            "an exchange told to OpenTelemetry, over one told to nobody",
            "≤ 30 µs more",
            microseconds(more),
            more <= 30e-6,
            measured.told(),
        ),
    ]


def _exchanging(subscriber: OpenTelemetrySubscriber | None) -> Burst:
    context, world = _context(subscriber), NoWire()
    world.on_event = subscriber

    def burst(count: int) -> None:
        for _ in range(count):
            run(custom_token_exchange(context, options()), world)

    return burst


def _context(subscriber: OpenTelemetrySubscriber | None) -> Context:
    def told(event: Event) -> None:
        """Be a subscriber, where there is one; the world is told, and not this."""

    return context_for(
        configure(
            domain=DOMAIN,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            on_event=None if subscriber is None else told,
        )
    )


def _nobody(bench: Bench) -> Row:
    """What the core does for nobody's sake: ask whether there is anybody."""
    context, rounds = _context(None), bench.scaled(200_000, 1_000)
    started = time.process_time()
    for _ in range(rounds):
        pass
    empty = time.process_time() - started
    started = time.process_time()
    for _ in range(rounds):
        if context.settings.on_event is not None:
            raise AssertionError
    seconds = _CHECKS * (time.process_time() - started - empty) / rounds
    return Row(
        "events with no subscriber",
        "≤ 1 µs",
        f"{seconds * 1e6:.2f} µs",
        seconds <= 1e-6,
        f"{_CHECKS} looks for one in each exchange",
    )
