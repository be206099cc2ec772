"""Two FastAPI sites: one sets cookies on its injected response, the other has a middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from auth0_tx import AsyncServerClient
from auth0_tx.integrations.asgi import SessionCommitMiddleware
from tests.frameworks.actions import act_async
from tests.frameworks.clients import World, open_async_clients
from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.uvicorn_server import serve_uvicorn


def make_site(clients: Mapping[str, AsyncServerClient]) -> FastAPI:
    """Make the application that is handed a response."""
    app = FastAPI()

    async def view(
        store: str, action: str, request: Request, response: Response
    ) -> Any:
        options = {"request": request, "response": response}
        query, body = request.query_params, (await request.body()).decode()
        result = await act_async(clients[store], action, options, query, body)
        response.status_code = result.status
        if result.location is not None:
            response.headers["Location"] = result.location
        return result.body

    app.add_api_route("/{store}/{action}", view, methods=["GET", "POST"])
    return app


def make_site_with_middleware(clients: Mapping[str, AsyncServerClient]) -> FastAPI:
    """Make the application that returns responses of its own."""
    app = FastAPI()
    app.add_middleware(SessionCommitMiddleware)

    async def view(store: str, action: str, request: Request) -> Any:
        query, body = request.query_params, (await request.body()).decode()
        options = {"request": request}
        result = await act_async(clients[store], action, options, query, body)
        if result.location is not None:
            return RedirectResponse(result.location, status_code=result.status)
        return JSONResponse(result.body, result.status)

    app.add_api_route("/{store}/{action}", view, methods=["GET", "POST"])
    return app


@contextmanager
def serve(world: World, make: Any = make_site) -> Iterator[int]:
    """Serve a site; return its port."""

    @asynccontextmanager
    async def run_site() -> AsyncIterator[int]:
        async with (
            open_async_clients(world) as clients,
            serve_uvicorn(make(clients)) as port,
        ):
            yield port

    with serve_in_thread(run_site) as port:
        yield port
