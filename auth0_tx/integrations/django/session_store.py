"""Login sessions inside Django's session, with any engine."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest

from ...errors import ConfigurationError
from ..host_session_store import LARGEST_COOKIE, HostSessionStore

_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"

_request: ContextVar[HttpRequest | None] = ContextVar("auth0_tx_request", default=None)


@contextmanager
def use_session_of(request: HttpRequest) -> Iterator[None]:
    """Set the request whose session :class:`DjangoSessionStore` uses within the block."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


class DjangoSessionStore(HostSessionStore):
    """Keep a login session in ``request.session``; it needs both middlewares.

    A session can only be found through its browser, so Auth0 cannot end one: for
    back-channel logout keep sessions in ``DjangoCacheStore`` or ``RedisStore``.
    """

    host = "Django"
    shared_stores = "DjangoCacheStore or RedisStore"
    too_large_hint = "choose another SESSION_ENGINE than signed_cookies."

    def _get_session(self) -> MutableMapping[str, Any]:
        session: Any = getattr(_request.get(), "session", None)
        if session is None:
            raise ConfigurationError(
                "sessions in Django's session need SessionMiddleware, and after it "
                "auth0_tx.integrations.django.middleware.Auth0Middleware",
                parameter="state_store",
            )
        found: MutableMapping[str, Any] = session
        return found

    def _is_too_large(self, session: Any) -> bool:
        if type(session).__module__ != _SIGNED_COOKIES:
            return False
        # This engine's session key is the whole session: the value of its cookie.
        return len(session._get_session_key()) > LARGEST_COOKIE
