"""Tracers and mocks see the requests of both clients, each in its own way."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from typing import Any

import aiohttp
import pytest

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions
from auth0_tx.tenant import Tenant
from tests.observed_requests import observe_requests

PATHS = ["/.well-known/openid-configuration", "/oauth/token"]


def options(tenant: Tenant) -> CustomTokenExchangeOptions:
    """Return the options of an exchange that succeeds."""
    return CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
    )


async def exchange(
    tenant: Tenant, settings: dict[str, Any], **keywords: Any
) -> list[str]:
    """Exchange a token; return the paths that the tenant received."""
    async with AsyncServerClient(**{**settings, **keywords}) as client:
        await client.custom_token_exchange(options(tenant))
    return [request.path for request in tenant.requests]


def to_paths(urls: list[str]) -> list[str]:
    """Return the paths of URLs."""
    return ["/" + url.split("/", 3)[3] for url in urls]


async def test_a_tracer_of_all_sessions(
    auth0_tenant: Tenant, auth0_client_settings: dict[str, Any]
) -> None:
    """A trace configuration that each session gets sees each request."""
    with observe_requests() as seen:
        received = await exchange(auth0_tenant, auth0_client_settings)

    assert PATHS == to_paths(seen)
    assert PATHS == received


async def test_the_applications_trace_configuration(
    auth0_tenant: Tenant, auth0_client_settings: dict[str, Any]
) -> None:
    """That of the application's session sees each request that its connections carry."""
    seen: list[str] = []

    async def note(session: Any, context: Any, request: Any) -> None:
        seen.append(str(request.url))

    config = aiohttp.TraceConfig()
    config.on_request_start.append(note)
    settings = dict(auth0_client_settings)
    context = ssl.create_default_context(cafile=settings.pop("verify"))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), trace_configs=[config]
    ) as session:
        await exchange(auth0_tenant, settings, session=session)

    assert PATHS == to_paths(seen)


def test_opentelemetry(
    auth0_tenant: Tenant, auth0_client_settings: dict[str, Any]
) -> None:
    """The instrumentor of OpenTelemetry reports each request, as a child of the current span."""
    instrumentation = pytest.importorskip(
        "opentelemetry.instrumentation.aiohttp_client", exc_type=ImportError
    )
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = instrumentation.AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        with provider.get_tracer("test").start_as_current_span("view") as view:
            asyncio.run(exchange(auth0_tenant, auth0_client_settings))
    finally:
        instrumentor.uninstrument()
    after = asyncio.run(exchange(auth0_tenant, auth0_client_settings))
    spans = [span for span in exporter.get_finished_spans() if span.name != "view"]

    assert ["GET", "POST"] == [span.name for span in spans]
    assert [view.get_span_context().span_id] * 2 == [
        span.parent.span_id for span in spans if span.parent is not None
    ]
    # It reports nothing more once it is gone, and the client goes on.
    assert PATHS * 2 == after


_TRACED_BY_SENTRY = """
import asyncio, json
import sentry_sdk
from sentry_sdk.integrations.aiohttp import AioHttpIntegration
from sentry_sdk.transport import Transport
from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions
from auth0_tx.tenant import Tenant

class Kept(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if (event := item.get_transaction_event()) is not None:
                print(json.dumps([[span["op"], span["description"].partition(" ")[0]]
                                  for span in event["spans"]]))

sentry_sdk.init(dsn="https://key@localhost/1", transport=Kept, traces_sample_rate=1.0,
                integrations=[AioHttpIntegration()], default_integrations=False)

async def main(tenant):
    with sentry_sdk.start_transaction(name="view", op="task"):
        async with AsyncServerClient(**tenant.client_settings) as client:
            await client.custom_token_exchange(CustomTokenExchangeOptions(
                subject_token=tenant.subject_token("auth0|alice"),
                subject_token_type="urn:acme:legacy-token"))

with Tenant() as tenant:
    asyncio.run(main(tenant))
sentry_sdk.flush()
"""


def test_sentry() -> None:
    """The integration of Sentry has a span for each request."""
    pytest.importorskip("sentry_sdk")
    # In a process of its own, as it cannot be taken away again.
    done = subprocess.run(
        [sys.executable, "-c", _TRACED_BY_SENTRY],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert [["http.client", "GET"], ["http.client", "POST"]] == json.loads(done.stdout)


@pytest.mark.parametrize("started", ["before", "after"])
def test_sentry_in_threads(started: str) -> None:
    """It finds those of the blocking client, whether it starts before its import or after."""
    pytest.importorskip("sentry_sdk")
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.sentry_process", started],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    told = json.loads(done.stdout)

    assert [*PATHS, PATHS[1]] == told["paths"] == told["spans"]
    assert [True] * 3 == told["traced"]
