"""Login sessions inside Django's session, sealed, whatever engine keeps that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest

from ...errors import ConfigurationError, StoreError
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import Unpicklable

_PREFIX = "auth0_tx:"
_SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"

_LARGEST_COOKIE = 4_000
"""Characters, with some to spare: browsers drop a cookie of more than 4,096 without a word."""

_request: ContextVar[HttpRequest | None] = ContextVar("auth0_tx_request", default=None)


def is_ours(key: str) -> bool:
    """Tell whether *key* of Django's session is a login session's."""
    return key.startswith(_PREFIX)


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """Have the store find the session of *request*, for as long as the block takes."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


class DjangoSessionStore(Unpicklable):
    """Keep a login session in ``request.session``; it needs both middlewares.

    A session is found through its browser alone, so Auth0 cannot end one: for back-channel
    logout keep sessions in ``DjangoCacheStore`` or ``RedisStore``.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* for this browser."""
        value = _session().get(_PREFIX + key)
        return value.encode("latin-1") if isinstance(value, str) else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, where *expected* is what this browser's session has now.

        Raises:
            StoreError: it does not fit into the cookie that keeps the session.
        """
        if self.get(key) != expected:
            return False
        session = _session()
        session[_PREFIX + key] = value.decode("latin-1")
        if _is_too_large(session):
            del session[_PREFIX + key]
            raise StoreError(
                "the session does not fit into Django's cookie",
                Code.SESSION_TOO_LARGE,
                hint="choose another SESSION_ENGINE than signed_cookies.",
            )
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        if expected is None or self.get(key) == expected:
            _session().pop(_PREFIX + key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Do nothing: from outside, a browser's session is not to be found."""

    def take_index(self, label: str) -> list[str]:
        """Refuse: sessions of other browsers are out of reach.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            "sessions in Django's own session cannot be ended by Auth0",
            hint="for back-channel logout keep sessions in DjangoCacheStore or RedisStore.",
        )


def _session() -> Any:
    request = _request.get()
    session = getattr(request, "session", None)
    if session is None:
        raise ConfigurationError(
            "sessions in Django's session need SessionMiddleware, and after it "
            "auth0_tx.integrations.django.middleware.Auth0Middleware",
            parameter="state_store",
        )
    return session


def _is_too_large(session: Any) -> bool:
    if type(session).__module__ != _SIGNED_COOKIES:
        return False
    return len(session._get_session_key()) > _LARGEST_COOKIE
