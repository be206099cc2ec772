"""The spans of HTTP requests, by OpenTelemetry's own instrumentations, below an exchange's."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
import requests
from opentelemetry.sdk.trace import ReadableSpan

from auth0_tx import AsyncServerClient, InvalidResponseError, ServerClient
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.integrations.otel import SPAN_NAME
from auth0_tx.tenant import Tenant, faults
from tests.integrations.otel.telemetry import Telemetry, make_settings, options

_INSTRUMENTORS = {
    "requests": "RequestsInstrumentor",
    "urllib3": "URLLib3Instrumentor",
    "aiohttp_client": "AioHttpClientInstrumentor",
}
BLOCKING = ["requests", "urllib3"]
INSTRUMENTED = [*BLOCKING, "aiohttp_client"]


@pytest.fixture
def instrumented(
    request: pytest.FixtureRequest, telemetry: Telemetry
) -> Iterator[Telemetry]:
    """Instrument a library for HTTP as an application does; return what records its spans."""
    module = importlib.import_module(f"opentelemetry.instrumentation.{request.param}")
    instrumentor = getattr(module, _INSTRUMENTORS[request.param])()
    instrumentor.instrument(tracer_provider=telemetry.tracers, skip_dep_check=True)
    yield telemetry
    instrumentor.uninstrument()


@pytest.fixture
def exchange(
    request: pytest.FixtureRequest, auth0_tenant: Tenant, instrumented: Telemetry
) -> Iterator[Callable[[], None]]:
    """Return what exchanges once, with the client whose HTTP library is instrumented."""
    settings = make_settings(auth0_tenant, instrumented)
    if "aiohttp_client" in request.node.callspec.params.values():
        with asyncio.Runner() as runner:
            client = AsyncServerClient(**settings)

            async def exchange_once() -> None:
                await client.custom_token_exchange(options(auth0_tenant))

            # In the caller's context: a runner has one of its own.
            yield lambda: runner.run(exchange_once(), context=copy_context())
            runner.run(client.aclose())
    else:
        with ServerClient(**settings) as blocking:
            yield lambda: blocking.custom_token_exchange(options(auth0_tenant))


def list_requests(telemetry: Telemetry, exchange: ReadableSpan) -> list[str]:
    """Return the names of the spans below an exchange's, in order."""
    assert exchange.context is not None
    return [
        span.name
        for span in telemetry.list_spans()
        if span.parent is not None and span.parent.span_id == exchange.context.span_id
    ]


def check_parents(telemetry: Telemetry, callers: list[int]) -> None:
    """Check that each caller's exchange has one request below it, and nobody else's."""
    parents = [span.parent.span_id for span in telemetry.spans if span.parent]

    assert sorted(callers) == sorted(parents)
    for span in telemetry.spans:
        assert ["POST"] == [
            name for name in list_requests(telemetry, span) if name != "GET"
        ]


@pytest.mark.parametrize("instrumented", INSTRUMENTED, indirect=True)
def test_requests(instrumented: Telemetry, exchange: Callable[[], None]) -> None:
    """All requests of an exchange are below its span, which is below the caller's."""
    tracer = instrumented.tracers.get_tracer("application")
    with tracer.start_as_current_span("request"):
        exchange()
    with tracer.start_as_current_span("request"):
        exchange()
    cold, warm = instrumented.spans

    assert ["GET", "POST"] == list_requests(instrumented, cold)
    assert ["POST"] == list_requests(instrumented, warm)
    assert ["request", "request"] == [
        span.name for span in instrumented.list_spans() if span.parent is None
    ]


@pytest.mark.parametrize("instrumented", INSTRUMENTED, indirect=True)
def test_retries(
    auth0_tenant: Tenant, instrumented: Telemetry, exchange: Callable[[], None]
) -> None:
    """Each attempt is a request below the one span."""
    auth0_tenant.inject(faults.status(429, headers={"Retry-After": "0"}), times=2)
    exchange()
    (span,) = instrumented.spans

    assert ["GET", "POST", "POST", "POST"] == list_requests(instrumented, span)


@pytest.mark.parametrize("instrumented", INSTRUMENTED, indirect=True)
def test_trace_context(
    auth0_tenant: Tenant, instrumented: Telemetry, exchange: Callable[[], None]
) -> None:
    """The server is told the trace, as W3C Trace Context has it."""
    exchange()
    (span,) = instrumented.spans
    assert span.context is not None
    headers = [request.headers.get("traceparent") for request in auth0_tenant.requests]

    assert all(
        header and f"{span.context.trace_id:032x}" in header for header in headers
    )


@pytest.mark.parametrize("instrumented", BLOCKING, indirect=True)
def test_threads(auth0_tenant: Tenant, instrumented: Telemetry) -> None:
    """The requests of a thread are below its own exchange."""
    tracer = instrumented.tracers.get_tracer("application")
    with (
        ServerClient(**make_settings(auth0_tenant, instrumented)) as client,
        ThreadPoolExecutor(8) as threads,
    ):

        def ask(_: int) -> int:
            with tracer.start_as_current_span("request") as request:
                client.custom_token_exchange(options(auth0_tenant))
                return request.get_span_context().span_id

        callers = list(threads.map(ask, range(40)))

    check_parents(instrumented, callers)


@pytest.mark.parametrize("instrumented", BLOCKING, indirect=True)
def test_own_session(auth0_tenant: Tenant, instrumented: Telemetry) -> None:
    """The requests on an application's own session are below the exchange, too."""
    settings = make_settings(auth0_tenant, instrumented)
    session = requests.Session()
    session.verify = settings.pop("verify")
    with ServerClient(**settings, session=session) as client:
        client.custom_token_exchange(options(auth0_tenant))
    (span,) = instrumented.spans

    assert ["GET", "POST"] == list_requests(instrumented, span)


@pytest.mark.parametrize("instrumented", ["requests"], indirect=True)
def test_redirect(auth0_tenant: Tenant, instrumented: Telemetry) -> None:
    """A redirect isn't followed, and neither are its cookies kept, for whoever looks on."""
    settings = make_settings(auth0_tenant, instrumented)
    redirect = {"Location": "/elsewhere", "Set-Cookie": "a=b"}
    with ServerClient(**settings) as client:
        client.prepare()
        auth0_tenant.inject(faults.status(302, headers=redirect), times=1)
        with pytest.raises(InvalidResponseError):
            client.custom_token_exchange(options(auth0_tenant))
        client.custom_token_exchange(options(auth0_tenant))

    assert 0 == auth0_tenant.count("/elsewhere")
    assert not any("cookie" in request.headers for request in auth0_tenant.requests)


@pytest.mark.parametrize("instrumented", ["aiohttp_client"], indirect=True)
async def test_tasks(auth0_tenant: Tenant, instrumented: Telemetry) -> None:
    """The requests of a task are below its own exchange."""
    tracer = instrumented.tracers.get_tracer("application")
    async with AsyncServerClient(**make_settings(auth0_tenant, instrumented)) as client:

        async def ask() -> int:
            with tracer.start_as_current_span("request") as request:
                await client.custom_token_exchange(options(auth0_tenant))
                return request.get_span_context().span_id

        callers = await asyncio.gather(*(ask() for _ in range(40)))

    check_parents(instrumented, callers)


@pytest.mark.parametrize("instrumented", BLOCKING, indirect=True)
def test_shared_among_threads(auth0_tenant: Tenant, instrumented: Telemetry) -> None:
    """Of threads that share an exchange, the one that leads it has it below its own span."""
    tracer = instrumented.tracers.get_tracer("application")
    wanted = options(auth0_tenant)
    settings = make_settings(auth0_tenant, instrumented, token_cache=MemoryTokenCache())
    auth0_tenant.inject(faults.latency(0.2), times=1)
    with ServerClient(**settings) as client, ThreadPoolExecutor(8) as threads:

        def ask(_: int) -> int:
            with tracer.start_as_current_span("request") as request:
                client.custom_token_exchange(wanted)
                return request.get_span_context().span_id

        callers = list(threads.map(ask, range(8)))

    check_shared(instrumented, callers)


@pytest.mark.parametrize("instrumented", ["aiohttp_client"], indirect=True)
async def test_shared_among_tasks(
    auth0_tenant: Tenant, instrumented: Telemetry
) -> None:
    """So has the first of the tasks that share one."""
    tracer = instrumented.tracers.get_tracer("application")
    wanted = options(auth0_tenant)
    settings = make_settings(auth0_tenant, instrumented, token_cache=MemoryTokenCache())
    async with AsyncServerClient(**settings) as client:

        async def ask() -> int:
            with tracer.start_as_current_span("request") as request:
                await client.custom_token_exchange(wanted)
                return request.get_span_context().span_id

        callers = await asyncio.gather(*(ask() for _ in range(8)))

    check_shared(instrumented, callers)


def check_shared(telemetry: Telemetry, callers: list[int]) -> None:
    """Check that there was one exchange with its requests, below the span of one caller."""
    (span,) = telemetry.spans

    assert span.parent is not None
    assert span.parent.span_id in callers
    assert ["GET", "POST"] == list_requests(telemetry, span)
    assert {SPAN_NAME, "GET", "POST", "request"} == {
        span.name for span in telemetry.list_spans()
    }
