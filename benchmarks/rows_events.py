"""What it costs to tell of an exchange, without a network: to nobody, and to OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind

from auth0_tx.core.configuration import configure
from auth0_tx.core.context import Context
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.events import Event, ExchangeFinished, ExchangeStarted
from auth0_tx.frameworks.cookies import HttpCookies
from auth0_tx.integrations.otel import OpenTelemetrySubscriber
from auth0_tx.shells.drivers import make_context, run

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
    rounds = bench.scaled(200, 2)
    subscribers = OpenTelemetrySubscriber(tracers, meters), ByHand(tracers, meters)
    measured, by_hand = (
        paired(_exchanging(each), _exchanging(None), count=100, rounds=rounds)
        for each in subscribers
    )
    more, least = (
        median(each.ours.cpu) - median(each.theirs.cpu) for each in (measured, by_hand)
    )
    tracers.shutdown()
    meters.shutdown()
    return [
        _nobody(bench),
        Row(
            "an exchange told to OpenTelemetry, over one told to nobody",
            "≤ 30 µs more",
            microseconds(more),
            more <= 30e-6,
            f"{measured.told()}; {microseconds(least)} by OpenTelemetry's own calls alone",
        ),
    ]


class ByHand:
    """The least there is: a span and one measurement, each with the domain, of OpenTelemetry's."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracer = tracers.get_tracer("by hand")
        self._seconds = meters.get_meter("by hand").create_histogram("exchange", "s")
        self._span: Span | None = None

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, ExchangeStarted):
            self._span = self._tracer.start_span(
                "exchange",
                kind=SpanKind.CLIENT,
                attributes={"server.address": event.domain},
            )
        elif isinstance(event, ExchangeFinished) and self._span is not None:
            self._seconds.record(event.seconds, {"server.address": event.domain})
            self._span.end()


def _exchanging(subscriber: Callable[[Event], object] | None) -> Burst:
    context, world = _context(subscriber), NoWire().world()
    world.on_event = subscriber

    def burst(count: int) -> None:
        for _ in range(count):
            run(custom_token_exchange(context, options()), world)

    return burst


def _context(subscriber: Callable[[Event], object] | None) -> Context:
    def told(event: Event) -> None:
        """Be a subscriber, where there is one; the world is told, and not this."""

    return make_context(
        configure(
            domain=DOMAIN,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            on_event=None if subscriber is None else told,
        ),
        HttpCookies(),
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
