"""Applications of the documents, served on a socket, and their visitors."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from inspect import iscoroutinefunction
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import requests
from aiohttp import web

from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.uvicorn_server import serve_uvicorn


class Visitor(requests.Session):
    """A browser: sends ``Secure`` cookies to loopback, and follows no redirect."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.trust_env = False
        self._url = f"http://127.0.0.1:{port}"

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request for a path."""
        pairs = [f"{cookie.name}={cookie.value}" for cookie in self.cookies]
        if pairs:
            self.headers["Cookie"] = "; ".join(pairs)
        else:
            self.headers.pop("Cookie", None)
        kwargs.update(timeout=20, allow_redirects=False)
        return super().request(method, f"{self._url}{url}", *args, **kwargs)


def serve(app: Any) -> AbstractContextManager[int]:
    """Serve an application of any framework until the caller is done; return its port."""
    site: Callable[[], AbstractAsyncContextManager[int]]
    if isinstance(app, web.Application):
        site = partial(serve_aiohttp, app)
    elif iscoroutinefunction(app) or iscoroutinefunction(type(app).__call__):
        site = partial(serve_uvicorn, app, lifespan="auto")
    else:
        return serve_wsgi(app)
    return serve_in_thread(site)


@asynccontextmanager
async def serve_aiohttp(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serve_wsgi(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
