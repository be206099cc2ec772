"""A Flask site, whose session is not Flask's."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

from auth0_tx import ServerClient
from tests.frameworks.actions import act
from tests.frameworks.clients import World, open_blocking_clients


def make_site(clients: Mapping[str, ServerClient]) -> flask.Flask:
    """Make the application."""
    app = flask.Flask(__name__)

    @app.route("/<store>/<action>", methods=["GET", "POST"])
    def view(store: str, action: str) -> flask.Response:
        response = flask.make_response()
        options = {"request": flask.request, "response": response}
        query, body = flask.request.args, flask.request.get_data(as_text=True)
        result = act(clients[store], action, options, query, body)
        response.status_code = result.status
        response.set_data(flask.json.dumps(result.body))
        if result.location is not None:
            response.location = result.location
        return response

    return app


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serve(world: World) -> Iterator[int]:
    """Serve the site; return its port."""
    with open_blocking_clients(world) as clients:
        app = make_site(clients)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
