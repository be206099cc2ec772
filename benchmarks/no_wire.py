"""A world that answers each request at once, so that only the library is measured."""

from __future__ import annotations

from collections.abc import Callable

from auth0_tx.core.effects import Flow, Response, Send, Share
from auth0_tx.shells.drivers import BlockingWorld

from .server import Answers

DOMAIN = "tenant.us.auth0.com"
ISSUER = f"https://{DOMAIN}/"


class NoWire:
    """Answers as the local server does, without one.

    Args:
        id_token: whether the tokens that it issues have an ID token among them.
    """

    def __init__(self, *, id_token: bool = False) -> None:
        answers = Answers(ISSUER)
        issued = answers.token_with_actor if id_token else answers.token
        self.token = parse_response(issued)
        self._documents = {
            f"{ISSUER.rstrip('/')}{path.decode()}": parse_response(wire)
            for path, wire in answers.documents.items()
        }

    def send(self, send: Send) -> Response:
        """Answer a request."""
        request = send.prepare()
        return self._documents.get(request.url, self.token)

    def share(
        self, share: Share[object], run_flow: Callable[[Flow[object]], object]
    ) -> object:
        """Run a flow: no other call shares it."""
        return run_flow(share.flow())

    def build_world(self) -> BlockingWorld:
        """Return the world of a driver, without a subscriber."""
        return BlockingWorld(self.send, self.share, None)


def parse_response(wire: bytes) -> Response:
    head, _, body = wire.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = tuple(
        (line.partition(": ")[0], line.partition(": ")[2]) for line in lines
    )
    return Response(200, headers, body)
