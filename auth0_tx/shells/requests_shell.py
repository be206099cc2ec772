"""The hand-written half of the blocking client: what it owns, and how it is closed."""

from __future__ import annotations

import inspect
from types import TracebackType
from typing import TYPE_CHECKING, Self

import requests

from ..core.configuration import Settings, get_session_cookie
from ..errors import ConfigurationError
from ..secret import Unpicklable
from .drivers import BlockingWorld, describe_client, make_context
from .failures import client_closed_error
from .flights import ThreadFlights
from .requests_transport import RequestsTransport
from .requests_trust import check_session
from .tls import Trust, find_url, require_default_trust

if TYPE_CHECKING:
    from ..core.session.cookies import Cookies


class BlockingShell(Unpicklable):
    """A client for threads: safe to share among them, and to inherit through a fork."""

    def __init__(
        self,
        settings: Settings,
        session: requests.Session | None,
        cookies: Cookies | None,
    ) -> None:
        trust = Trust(settings.verify, settings.trust_env)
        if session is not None:
            if not isinstance(session, requests.Session):
                raise ConfigurationError(
                    "session must be a requests.Session", parameter="session"
                )
            require_default_trust(settings.verify)
            check_session(session, find_url(settings))
        check_store(settings.state_store, "state_store")
        check_store(settings.token_cache, "token_cache")
        self._context = make_context(settings, cookies)
        self._transport = RequestsTransport(
            session,
            trust,
            settings.proxy,
            settings.trust_env,
            settings.max_connections,
        )
        self._flights = ThreadFlights()
        # Nothing here refers to the client, so that it is freed with its last reference.
        self._world = BlockingWorld(
            self._transport.send, self._flights.share, settings.on_event
        )

    @property
    def session_cookie(self) -> str | None:
        """The full name of the session's cookie, or ``None`` if the client keeps no sessions.

        A long session has several cookies, whose names add a dot and a number.
        """
        return get_session_cookie(self._context.settings)

    def __repr__(self) -> str:
        return describe_client(self)

    def _check_open(self) -> None:
        if self._world.is_closed:
            raise client_closed_error()

    def close(self) -> None:
        """Close the client's connections; a session of the application's stays open."""
        self._world.is_closed = True
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


def close_idle_connections(client: BlockingShell) -> None:
    """Close the client's connections at rest; the next call opens others."""
    client._transport.close_idle()


def check_store(store: object, parameter: str, method: str = "get") -> None:
    """Refuse a store, or a pace, whose methods must be awaited, before its first call.

    Args:
        store: of the application, or one of ours.
        parameter: its keyword.
        method: the name of the method that shows whether it is async.

    Raises:
        ConfigurationError: *store* is async.
    """
    is_async = inspect.iscoroutinefunction(getattr(store, method, None))
    # Ours say it themselves: their methods return an awaitable or not, by the Redis client.
    if getattr(store, "_is_async", is_async):
        raise ConfigurationError(
            f"{parameter} is async, but ServerClient is not: use AsyncServerClient, or give "
            "it a redis.Redis",
            parameter=parameter,
        )
