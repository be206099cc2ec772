"""A tracer that sees each request, so that a test runs over the way that observed requests take.

Both clients send requests on connections themselves, unless somebody wants to see them (see
``shells/aiohttp_wire`` and ``shells/urllib3_wire``).  With ``AUTH0_TX_TEST_OBSERVED`` in the
environment, every test runs so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any
from unittest.mock import patch

import aiohttp
from requests.adapters import HTTPAdapter


@contextmanager
def observe_requests() -> Iterator[list[str]]:
    """Observe the requests of both libraries in the block; yield the URLs of ``aiohttp``'s.

    Sessions of ``aiohttp`` that are made in the block have a trace configuration, as the
    tracers of OpenTelemetry and Sentry add one.  The adapters of ``requests`` have a method
    replaced, by one from the standard library that calls it: a frame of the tests would be left
    out of the searches for secrets, with all that it calls.
    """
    begin = aiohttp.ClientSession.__init__
    seen: list[str] = []

    async def note(session: Any, context: Any, request: Any) -> None:
        seen.append(str(request.url))

    def begin_observed(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        config = aiohttp.TraceConfig()
        config.on_request_start.append(note)
        kwargs["trace_configs"] = [*(kwargs.get("trace_configs") or ()), config]
        begin(self, *args, **kwargs)

    with (
        patch.object(aiohttp.ClientSession, "__init__", begin_observed),
        patch.object(HTTPAdapter, "send", partialmethod(HTTPAdapter.send)),
    ):
        yield seen
