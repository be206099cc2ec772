"""What a view has as ``request.auth0``: the client, bound to its request, in both worlds.

An async view awaits the methods with an *a*, as Django's own are called.  They run in the thread
that Django keeps for what blocks in a request, so that one client, and one store, serve views of
both kinds, and so that a session in the database is read on the request's own connection, within
its transaction; elsewhere nobody would close it.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from ...values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    TokenExchangeResponse,
)
from ..request_client import RequestAuth0
from .clients import get_client
from .session_store import serving


class DjangoRequestAuth0(RequestAuth0):
    """The project's client, bound to one request."""

    def __init__(self, request: HttpRequest) -> None:
        authorization = request.META.get("HTTP_AUTHORIZATION")
        super().__init__(get_client(), {"request": request}, authorization)
        self._request = request

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Log a user in, and give the browser another key of Django's session."""
        result = super().login(options)
        session = getattr(self._request, "session", None)
        if session is not None:
            session.cycle_key()
        return result

    def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out, of Django's session too; give the URL that ends Auth0's own."""
        url = super().logout(return_to=return_to, revoke=revoke)
        session = getattr(self._request, "session", None)
        if session is not None:
            session.flush()
        return url

    async def aget_user(self) -> dict[str, Any] | None:
        """Give the claims of the user who is logged in, or ``None``."""
        found: dict[str, Any] | None = await self._in_thread_of_request(
            lambda: self.user
        )
        return found

    async def aget_session(self) -> dict[str, Any] | None:
        """Give the login session, or ``None``."""
        found: dict[str, Any] | None = await self._in_thread_of_request(
            lambda: self.session
        )
        return found

    async def aget_access_token(
        self, audience: str | None = None, scope: str | None = None
    ) -> str:
        """Give an access token of the user's."""
        found: str = await self._in_thread_of_request(
            lambda: self.get_access_token(audience, scope)
        )
        return found

    async def aget_token_on_behalf_of(
        self, audience: str, scope: str | None = None
    ) -> TokenExchangeResponse:
        """Exchange the bearer token of the request for one of another API."""
        found: TokenExchangeResponse = await self._in_thread_of_request(
            lambda: self.get_token_on_behalf_of(audience, scope)
        )
        return found

    async def alogin(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Log a user in."""
        found: LoginWithCustomTokenExchangeResult = await self._in_thread_of_request(
            lambda: self.login(options)
        )
        return found

    async def alogout(
        self, *, return_to: str | None = None, revoke: bool = True
    ) -> str:
        """Log the user out; give the URL that ends Auth0's own session."""
        found: str = await self._in_thread_of_request(
            lambda: self.logout(return_to=return_to, revoke=revoke)
        )
        return found

    async def _in_thread_of_request(self, function: Any) -> Any:
        def bound() -> Any:
            with serving(self._request):
                return function()

        return await sync_to_async(bound, thread_sensitive=True)()
