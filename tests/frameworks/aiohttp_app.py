"""A site of aiohttp.web, which raises its redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from auth0_tx import AsyncServerClient
from tests.frameworks.actions import act_async
from tests.frameworks.clients import World, open_async_clients
from tests.frameworks.loop_thread import serve_in_thread


def make_site(clients: Mapping[str, AsyncServerClient]) -> web.Application:
    """Make the application."""

    async def view(request: web.Request) -> web.StreamResponse:
        client = clients[request.match_info["store"]]
        action, body = request.match_info["action"], await request.text()
        response = web.Response(content_type="application/json")
        if action == "logout":
            response = web.HTTPSeeOther("/")
        options = {"request": request, "response": response}
        result = await act_async(client, action, options, request.query, body)
        if isinstance(response, web.HTTPSeeOther):
            response.headers["Location"] = result.location or "/"
            raise response
        response.set_status(result.status)
        response.body = web.json_response(result.body).body
        return response

    app = web.Application()
    app.router.add_route("*", "/{store}/{action}", view)
    return app


@contextmanager
def serve(world: World) -> Iterator[int]:
    """Serve the site; return its port."""

    @asynccontextmanager
    async def run_site() -> AsyncIterator[int]:
        async with open_async_clients(world) as clients:
            runner = web.AppRunner(make_site(clients), access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                yield runner.addresses[0][1]
            finally:
                await runner.cleanup()

    with serve_in_thread(run_site) as port:
        yield port
