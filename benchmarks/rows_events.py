"""The cost of an exchange's events without a network: unheard, and for OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from auth0_tx.core.configuration import configure
from auth0_tx.core.context import Context
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.events import Event
from auth0_tx.frameworks.cookies import HttpCookies
from auth0_tx.integrations.otel import OpenTelemetrySubscriber
from auth0_tx.shells.drivers import make_context, run

from .bench import Bench
from .measure import Burst, format_seconds, measure_in_turns
from .no_wire import DOMAIN, NoWire
from .ours import build_options
from .report import Row
from .tokens import AUDIENCE, CLIENT_ID, CLIENT_SECRET, SUBJECT_TOKEN_TYPE

_CHECKS = 4
"""How often the core looks for a subscriber in one exchange, if there is none."""


def measure_events(bench: Bench) -> list[Row]:
    """Measure events without a subscriber, and with OpenTelemetry."""
    tracers, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    measured = measure_in_turns(
        _build_burst(OpenTelemetrySubscriber(tracers, meters)),
        _build_burst_by_hand(tracers, meters),
        count=100,
        rounds=bench.scale(200, 2),
    )
    more = median(measured.ours.cpu) - median(measured.theirs.cpu)
    tracers.shutdown()
    meters.shutdown()
    return [
        _measure_without_subscriber(bench),
        Row(
            "an exchange reported to OpenTelemetry, over the SDK's own calls in its place",
            "≤ 20 µs more",
            format_seconds(more),
            more <= 20e-6,
            measured.describe(),
            before="13 µs and two events",
        ),
    ]


def _build_burst(subscriber: Callable[[Event], object] | None) -> Burst:
    context, world = _build_context(subscriber), NoWire().build_world()
    world.on_event = subscriber

    def burst(count: int) -> None:
        for _ in range(count):
            run(custom_token_exchange(context, build_options()), world)

    return burst


def _build_burst_by_hand(tracers: TracerProvider, meters: MeterProvider) -> Burst:
    """Build a burst of exchanges without events, each within a span of OpenTelemetry's."""
    context, world = _build_context(None), NoWire().build_world()
    tracer = tracers.get_tracer("by hand")
    durations = meters.get_meter("by hand").create_histogram("exchange", "s")

    def burst(count: int) -> None:
        for _ in range(count):
            started = time.perf_counter()
            attributes = {
                "server.address": DOMAIN,
                "subject_token_type": SUBJECT_TOKEN_TYPE,
                "audience": AUDIENCE,
                "actor": False,
            }
            with tracer.start_as_current_span(
                "exchange", kind=SpanKind.CLIENT, attributes=attributes
            ):
                run(custom_token_exchange(context, build_options()), world)
                durations.record(
                    time.perf_counter() - started, {"server.address": DOMAIN}
                )

    return burst


def _build_context(subscriber: Callable[[Event], object] | None) -> Context:
    def ignore_event(event: Event) -> None:
        """Stand in for the subscriber, which gets its events from the world."""

    return make_context(
        configure(
            domain=DOMAIN,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            on_event=None if subscriber is None else ignore_event,
        ),
        HttpCookies(),
    )


def _measure_without_subscriber(bench: Bench) -> Row:
    """Measure the core's looks for a subscriber that is not there."""
    context, rounds = _build_context(None), bench.scale(200_000, 1_000)
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
