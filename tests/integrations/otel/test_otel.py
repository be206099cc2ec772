"""OpenTelemetry: one span for each exchange, with what it was and how it ended."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, get_args

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    ServerClient,
)
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.events import (
    AuditEvent,
    BackchannelLogoutFinished,
    CacheFailed,
    Event,
    ExchangeFinished,
    ExchangeStarted,
    LoginFinished,
    LogoutFinished,
    LogoutTokenRefused,
    SessionCookieRefused,
    SessionRotated,
    SessionsEnded,
)
from auth0_tx.integrations import otel
from auth0_tx.tenant import Tenant, faults
from tests.integrations.otel.telemetry import API, Telemetry, make_settings, options


def test_span(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """A span says what was exchanged, where, and that it went well; its parent is the caller's."""
    tracer = telemetry.tracers.get_tracer("application")
    with (
        ServerClient(**make_settings(auth0_tenant, telemetry)) as client,
        tracer.start_as_current_span("request") as request,
    ):
        client.custom_token_exchange(options(auth0_tenant))
    (span,) = telemetry.spans

    assert {
        "server.address": auth0_tenant.domain,
        "auth0_tx.subject_token_type": "urn:acme:legacy-token",
        "auth0_tx.audience": API,
        "auth0_tx.actor": False,
    } == dict(span.attributes or {})
    assert StatusCode.UNSET == span.status.status_code
    assert span.parent == request.get_span_context()
    assert "auth0_tx.exchange.duration" in telemetry.counts()


def test_failure(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """A failure is recorded by its code; a retry is an event of its span."""
    auth0_tenant.inject(faults.status(429, headers={"Retry-After": "0"}), times=1)
    wanted = options(auth0_tenant, subject_token="no-token")
    with (
        ServerClient(**make_settings(auth0_tenant, telemetry)) as client,
        pytest.raises(CustomTokenExchangeError),
    ):
        client.custom_token_exchange(wanted)
    (span,) = telemetry.spans
    retries = telemetry.counts()["auth0_tx.exchange.retries"]

    assert StatusCode.ERROR == span.status.status_code
    assert "invalid_request" == span.status.description
    assert 400 == (span.attributes or {})["http.response.status_code"]
    assert ["retry"] == [event.name for event in span.events]
    assert [1] == [count for _, count in retries]


async def test_many_at_once(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """Each of many exchanges in tasks has a span of its own, beneath its own caller's."""
    tracer = telemetry.tracers.get_tracer("application")
    async with AsyncServerClient(**make_settings(auth0_tenant, telemetry)) as client:

        async def ask() -> int:
            with tracer.start_as_current_span("request") as request:
                await client.custom_token_exchange(options(auth0_tenant))
                return request.get_span_context().span_id

        callers = await asyncio.gather(*(ask() for _ in range(50)))
    parents = Counter(span.parent.span_id for span in telemetry.spans if span.parent)

    assert Counter(callers) == parents


def test_threads(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """Threads do not end each other's spans."""
    with (
        ServerClient(**make_settings(auth0_tenant, telemetry)) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        list(
            threads.map(
                lambda _: client.custom_token_exchange(options(auth0_tenant)), range(40)
            )
        )

    assert 40 == len({span.context.span_id for span in telemetry.spans if span.context})


def test_cache(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """Lookups in the cache are counted by what it had, and a hit has no span."""
    keywords = make_settings(auth0_tenant, telemetry, token_cache=MemoryTokenCache())
    with ServerClient(**keywords) as client:
        for _ in range(3):
            client.custom_token_exchange(
                options(auth0_tenant, subject_token=_same(auth0_tenant))
            )
    lookups = telemetry.counts()["auth0_tx.cache.lookups"]

    assert 1 == len(telemetry.spans)
    assert {("miss", 1), ("hit", 2)} == {
        (attributes["auth0_tx.result"], count) for attributes, count in lookups
    }


_kept: dict[str, str] = {}


def _same(tenant: Tenant) -> str:
    return _kept.setdefault(tenant.domain, tenant.subject_token("auth0|alice"))


async def test_cancelled(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """A call that is cancelled ends its span, and leaves the caller's as the current one."""
    auth0_tenant.inject(faults.silence(), times=1)
    tracer = telemetry.tracers.get_tracer("application")
    async with AsyncServerClient(**make_settings(auth0_tenant, telemetry)) as client:

        async def ask() -> trace.Span:
            with suppress(asyncio.CancelledError):
                await client.custom_token_exchange(options(auth0_tenant))
            return trace.get_current_span()

        with tracer.start_as_current_span("request") as request:
            cancelled = asyncio.create_task(ask())
        while auth0_tenant.count("/oauth/token") == 0:
            await asyncio.sleep(0.01)
        cancelled.cancel()
        current = await cancelled
    (span,) = telemetry.spans

    assert request is current
    assert "CancelledError" == span.status.description
    assert [("CancelledError", 1)] == [
        (attributes["error.type"], count)
        for attributes, count in telemetry.counts()["auth0_tx.exchange.duration"]
    ]


class TimeLimit(BaseException):
    """Raised by a signal handler."""


def test_interrupted(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """So does a call out of which a signal handler raises."""
    auth0_tenant.inject(faults.silence(), times=1)
    tracer = telemetry.tracers.get_tracer("application")
    with (
        ServerClient(**make_settings(auth0_tenant, telemetry)) as client,
        tracer.start_as_current_span("request") as request,
    ):
        client.prepare()
        with pytest.raises(TimeLimit), raise_after(0.2, TimeLimit):
            client.custom_token_exchange(options(auth0_tenant))
        current = trace.get_current_span()
    (span,) = telemetry.spans

    assert request is current
    assert "TimeLimit" == span.status.description


@contextmanager
def raise_after(seconds: float, error: type[BaseException]) -> Iterator[None]:
    """Raise *error* out of a signal handler."""

    def strike(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_abandoned(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of exchanges whose end is never told, the oldest are ended when there are too many."""
    monkeypatch.setattr(otel, "_MOST_OPEN", 1)
    for number in range(3):
        start_elsewhere(telemetry, number)

    assert 2 == len(telemetry.spans)


def start_elsewhere(telemetry: Telemetry, number: int) -> None:
    """Tell the beginning of an exchange in a context of its own, as in a task."""
    started = ExchangeStarted(
        domain="d",
        subject_token_type="t",
        audience=None,
        actor=False,
        exchange_id=number,
    )
    copy_context().run(telemetry.subscriber, started)


def test_end_elsewhere(telemetry: Telemetry) -> None:
    """The end of an exchange that is told in another context changes nothing there."""
    tracer = telemetry.tracers.get_tracer("application")
    start_elsewhere(telemetry, 1)
    with tracer.start_as_current_span("request") as request:
        telemetry.subscriber(ExchangeFinished(domain="d", seconds=1.0, exchange_id=1))
        current = trace.get_current_span()

    assert request is current
    assert 1 == len(telemetry.spans)


def test_processor_that_fails(auth0_tenant: Tenant, telemetry: Telemetry) -> None:
    """The caller's span is the current one again although a processor of spans raises."""

    class Faulty(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise OSError

    telemetry.tracers.add_span_processor(Faulty())
    with ServerClient(**make_settings(auth0_tenant, telemetry)) as client:
        client.custom_token_exchange(options(auth0_tenant))

    assert trace.INVALID_SPAN is trace.get_current_span()


WHO: dict[str, Any] = {
    "domain": "d",
    "client_id": "the-client",
    "subject": "pseudonym-of-a-user",
    "session": "pseudonym-of-a-session",
    "correlation_id": "an-id-of-auth0",
}
AUDITED: list[tuple[Event, dict[str, str]]] = [
    (LoginFinished(**WHO, seconds=1.0), {"auth0_tx.event": "login"}),
    (
        LoginFinished(**WHO, seconds=1.0, code="access_denied"),
        {"auth0_tx.event": "login", "error.type": "access_denied"},
    ),
    (
        SessionRotated(**WHO, by="refresh_token", seconds=1.0, code="x" * 900),
        {
            "auth0_tx.event": "rotation",
            "auth0_tx.by": "refresh_token",
            "error.type": "x" * 64,
        },
    ),
    (LogoutFinished(**WHO, seconds=1.0), {"auth0_tx.event": "logout"}),
    (
        BackchannelLogoutFinished(**WHO, sessions=2, seconds=1.0),
        {"auth0_tx.event": "backchannel_logout"},
    ),
    (
        LogoutTokenRefused(**WHO, code="no", reason="replayed", rule="a rule"),
        {
            "auth0_tx.event": "logout_token",
            "auth0_tx.reason": "replayed",
            "error.type": "no",
        },
    ),
    (
        SessionCookieRefused(**WHO, code="no", reason="not_found"),
        {
            "auth0_tx.event": "session_cookie",
            "auth0_tx.reason": "not_found",
            "error.type": "no",
        },
    ),
    (
        SessionsEnded(**WHO, by="max_sessions", sessions=3, seconds=1.0),
        {"auth0_tx.event": "ended_sessions", "auth0_tx.by": "max_sessions"},
    ),
]


@pytest.mark.parametrize(("event", "expected"), AUDITED, ids=range(len(AUDITED)))
def test_audit_events(
    telemetry: Telemetry, event: Event, expected: dict[str, str]
) -> None:
    """Audit events are counted by kind and outcome, and never by user or session."""
    telemetry.subscriber(event)
    counts = telemetry.counts()

    assert [({"server.address": "d", **expected}, 1)] == counts["auth0_tx.audit.events"]
    assert not {"pseudonym-of-a-user", "the-client", "an-id-of-auth0"} & {
        value
        for points in counts.values()
        for attributes, _ in points
        for value in attributes.values()
    }


def test_audited() -> None:
    """No audit event is forgotten."""
    kinds = {kind for kind in get_args(Event) if issubclass(kind, AuditEvent)}

    assert {type(event) for event, _ in AUDITED} == kinds


def test_ended_sessions(telemetry: Telemetry) -> None:
    """Sessions that were ended are counted by who ended them."""
    for event in (
        BackchannelLogoutFinished(**WHO, sessions=2, seconds=1.0),
        SessionsEnded(**WHO, by="max_sessions", sessions=3, seconds=1.0),
        SessionsEnded(**WHO, by="end_sessions", sessions=1, seconds=1.0),
    ):
        telemetry.subscriber(event)

    assert {("backchannel_logout", 2), ("max_sessions", 3), ("end_sessions", 1)} == {
        (attributes["auth0_tx.by"], count)
        for attributes, count in telemetry.counts()["auth0_tx.session.ended"]
    }


def test_other_events(telemetry: Telemetry) -> None:
    """Rotations and failures of the cache are counted, and what is unknown does no harm."""
    take = telemetry.subscriber
    take(SessionRotated(**WHO, by="exchange", seconds=1.0, code="no"))
    take(CacheFailed(kind="TimeoutError"))
    take(ExchangeFinished(domain="d", seconds=1.0, exchange_id=77))
    take(
        ExchangeStarted(
            domain="d", subject_token_type="t", audience=None, actor=True, exchange_id=1
        )
    )
    take(ExchangeFinished(domain="d", seconds=1.0, exchange_id=1))
    counts = telemetry.counts()

    assert {"auth0_tx.by": "exchange", "server.address": "d", "error.type": "no"} == (
        counts["auth0_tx.session.rotations"][0][0]
    )
    assert [({"error.type": "TimeoutError"}, 1)] == counts["auth0_tx.cache.failures"]
    assert 1 == len(telemetry.spans)
