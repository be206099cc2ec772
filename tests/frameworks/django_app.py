"""A Django site, under WSGI and under ASGI."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from auth0_tx import ServerClient
from tests.frameworks import django_settings  # noqa: F401
from tests.frameworks.actions import act
from tests.frameworks.clients import World, open_blocking_clients
from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.uvicorn_server import serve_uvicorn

clients: Mapping[str, ServerClient] = {}


def view(request: HttpRequest, store: str, action: str) -> HttpResponse:
    """Answer with JSON, or a redirect."""
    response = HttpResponse(content_type="application/json")
    options = {"request": request, "response": response}
    query, body = request.GET.dict(), request.body.decode()
    result = act(clients[store], action, options, query, body)
    response.status_code = result.status
    response.content = JsonResponse(result.body, safe=False).content
    if result.location is not None:
        response["Location"] = result.location
    return response


urlpatterns = [path("<str:store>/<str:action>", view)]


class _Server(ThreadingMixIn, WSGIServer):
    request_queue_size = 128
    daemon_threads = False


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serve(world: World) -> Iterator[int]:
    """Serve the site; return its port."""
    global clients
    with open_blocking_clients(world) as clients:
        server = make_server("127.0.0.1", 0, WSGIHandler(), _Server, _Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def serve_asgi(world: World) -> Iterator[int]:
    """Serve the site under ASGI; return its port."""
    global clients

    @asynccontextmanager
    async def run_site() -> AsyncIterator[int]:
        async with serve_uvicorn(ASGIHandler()) as port:
            yield port

    with open_blocking_clients(world) as clients, serve_in_thread(run_site) as port:
        yield port
