"""A tracer that sees each request of ``aiohttp``, so that a test runs over the wire of sessions.

The asyncio client sends requests on connections itself, unless somebody wants to see them (see
``shells/aiohttp_wire``).  A trace configuration in each session that is made, as the tracers of
OpenTelemetry and Sentry add one, has the requests go through the session.  With
``AUTH0_TX_TEST_OBSERVED`` in the environment, every test runs so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiohttp


@contextmanager
def observe_requests() -> Iterator[list[str]]:
    """Observe the requests of each session that is made in the block; yield their URLs."""
    begin = aiohttp.ClientSession.__init__
    seen: list[str] = []

    async def note(session: Any, context: Any, request: Any) -> None:
        seen.append(str(request.url))

    def begin_observed(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        config = aiohttp.TraceConfig()
        config.on_request_start.append(note)
        kwargs["trace_configs"] = [*(kwargs.get("trace_configs") or ()), config]
        begin(self, *args, **kwargs)

    with patch.object(aiohttp.ClientSession, "__init__", begin_observed):
        yield seen
