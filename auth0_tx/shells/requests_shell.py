"""The hand-written half of the blocking client: what it owns, and how it runs a flow."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from ..core.configuration import Settings
from ..core.effects import Flow, Response, Send, Share
from ..core.session.cookies import Cookies
from ..errors import ConfigurationError
from ..events import Event
from ..secret import Unpicklable
from .clocks import context_for
from .drivers import run
from .failures import closed
from .flights import ThreadFlights
from .requests_transport import RequestsTransport
from .store_worlds import check_blocking_store
from .tls import Trust

T = TypeVar("T")


class BlockingShell(Unpicklable):
    """A client for threads: safe to share among them, and to inherit through a fork."""

    def __init__(
        self,
        settings: Settings,
        session: requests.Session | None,
        cookies: Cookies,
    ) -> None:
        trust = Trust(settings.verify, settings.trust_env)
        if session is not None and not isinstance(session, requests.Session):
            raise ConfigurationError(
                "session must be a requests.Session", parameter="session"
            )
        check_blocking_store(settings.state_store, "state_store")
        check_blocking_store(settings.token_cache, "token_cache")
        self._context = context_for(settings, cookies)
        self.on_event: Callable[[Event], object] | None = settings.on_event
        self._flights = ThreadFlights()
        self._transport = RequestsTransport(
            session,
            trust,
            settings.proxy,
            settings.trust_env,
            settings.max_connections,
        )
        self._closed = False

    def _run(self, flow: Flow[T]) -> T:
        self._check_open()
        return run(flow, self)

    def send(self, send: Send) -> Response:
        """Put a request on the wire (for the driver)."""
        self._check_open()
        return self._transport.send(send)

    def share(self, share: Share[Any]) -> Any:
        """Run a flow once for all threads that ask for it (for the driver)."""
        self._check_open()
        return self._flights.share(share, self._run)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def close(self) -> None:
        """Close the client's connections; a session of the application's stays open."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
