"""The two worlds, so that a case is written once and runs in both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, Protocol

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from tests.e2e.faults.callers import AsyncCaller, BlockingCaller, Caller
from tests.observed_requests import observe_requests


class World(Protocol):
    """One of the two worlds."""

    name: str

    def caller(self, domain: str, verify: object, **keywords: Any) -> Caller:
        """Make a client for *domain* that trusts *verify*.

        With `own_session=True` it is on a session of the application's own; with
        `laden=True` that brings along all that an application may have put in.
        """
        ...


LADEN_AIOHTTP: dict[str, Any] = {
    "headers": {
        "X-Application": "its own",
        "User-Agent": "application/1",
        "Authorization": "Basic b3RoZXI6cGFzc3dvcmQ=",
    },
    "cookies": {"application": "its-own"},
    "raise_for_status": True,
    "trust_env": True,
}
"""What an application's session may bring along that has no place in a grant."""


def _lade(session: requests.Session) -> None:
    session.headers.update(LADEN_AIOHTTP["headers"])
    session.auth = ("other-user", "other-password")
    session.cookies.set("application", "its-own")
    session.hooks["response"] = [lambda answer, **_: answer.raise_for_status()]
    assert session.trust_env
    retry = Retry(3, allowed_methods=None, status_forcelist=[500, 503])
    session.mount("https://", HTTPAdapter(max_retries=retry))


class BlockingWorld:
    """Threads and requests."""

    name = "blocking"

    def caller(self, domain: str, verify: object, **keywords: Any) -> BlockingCaller:
        """Make a client for *domain*, perhaps on a requests.Session."""
        laden = keywords.pop("laden", False)
        if not keywords.pop("own_session", False):
            return BlockingCaller(domain, {**keywords, "verify": verify})
        session = requests.Session()
        session.verify = str(verify)
        if laden:
            _lade(session)
        return BlockingCaller(domain, {**keywords, "session": session})


class AsyncWorld:
    """Tasks and aiohttp.

    Args:
        new_loop: what makes a caller's event loop, if not asyncio's own.
        is_observed: whether a session of the application's has a trace configuration.
    """

    name = "async"

    def __init__(
        self,
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
        *,
        is_observed: bool = False,
    ) -> None:
        self._new_loop = new_loop
        self._is_observed = is_observed

    def caller(self, domain: str, verify: object, **keywords: Any) -> AsyncCaller:
        """Make a client for *domain*, perhaps on an aiohttp.ClientSession."""
        laden = LADEN_AIOHTTP if keywords.pop("laden", False) else {}
        if not keywords.pop("own_session", False):
            return AsyncCaller(
                domain, {**keywords, "verify": verify}, new_loop=self._new_loop
            )

        def session() -> aiohttp.ClientSession:
            context = ssl.create_default_context(cafile=str(verify))
            # What a name leads to is looked up anew for each connection.
            connector = aiohttp.TCPConnector(ssl=context, use_dns_cache=False)
            traces = [aiohttp.TraceConfig()] if self._is_observed else None
            return aiohttp.ClientSession(
                connector=connector, trace_configs=traces, **laden
            )

        return AsyncCaller(domain, keywords, session, self._new_loop)


WORLDS: dict[str, World] = {"blocking": BlockingWorld(), "async": AsyncWorld()}

OBSERVED: dict[str, World] = {
    "blocking, observed": BlockingWorld(),
    "async, observed": AsyncWorld(),
}
"""The worlds where a tracer sees each request: they go through ``requests`` and sessions."""


@pytest.fixture(name="world", params=[*WORLDS, *OBSERVED])
def world_over_each_wire(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each of the two worlds, and each way to the wire; for a module that imports it."""
    is_observed = request.param in OBSERVED
    with observe_requests() if is_observed else nullcontext():
        yield (OBSERVED if is_observed else WORLDS)[request.param]
