"""Applications of aiohttp.web, served on a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from aiohttp import web

from auth0_tx.tenant import Tenant
from tests.frameworks.loop_thread import serve_in_thread
from tests.integrations.async_sites import Browser


@asynccontextmanager
async def run(app: web.Application) -> AsyncIterator[int]:
    """Run an application on this loop; return its port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextmanager
def serve(app: web.Application) -> Iterator[int]:
    """Serve an application in a thread; return its port."""
    with serve_in_thread(partial(run, app)) as port:
        yield port


def log_in(
    port: int, tenant: Tenant, name: str = "auth0|alice", path: str = "/login"
) -> Browser:
    """Return a browser in which a user is logged in."""
    browser = Browser(port)
    answer = browser.post(path, data=tenant.subject_token(name))
    assert 303 == answer.status_code, answer.text
    return browser
