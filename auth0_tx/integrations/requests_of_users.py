"""What a view has of its request: who is logged in, and tokens of theirs.

One for each request, and nothing is read before it is asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..aio import AsyncServerClient
from ..client import ServerClient
from ..errors import InvalidInputError
from ..secret import Unpicklable, secret
from ..values import (
    CustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    TokenExchangeResponse,
)


def bearer_token(authorization: str | None) -> str:
    """Give the token of an ``Authorization`` header (RFC 6750 section 2.1).

    Raises:
        InvalidInputError: there is none, or it is of another scheme.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        found: str = secret(token.strip())
        return found
    del authorization, token
    raise InvalidInputError(
        "the request has no bearer token", parameter="authorization"
    )


class RequestAuth0(Unpicklable):
    """The client, bound to one request of a framework's that serves by threads."""

    def __init__(
        self,
        client: ServerClient,
        store_options: Mapping[str, Any],
        authorization: str | None,
    ) -> None:
        self.client = client
        self.store_options = store_options
        self._authorization = secret(authorization)

    @property
    def user(self) -> dict[str, Any] | None:
        """The claims of the user who is logged in, or ``None``."""
        return self.client.get_user(self.store_options)

    @property
    def session(self) -> dict[str, Any] | None:
        """The login session, or ``None``."""
        return self.client.get_session(self.store_options)

    def get_access_token(
        self,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[[], CustomTokenExchangeOptions] | None = None,
    ) -> str:
        """Give an access token of the user's; see ``ServerClient.get_access_token``."""
        return self.client.get_access_token(
            self.store_options,
            audience,
            scope,
            subject_token_supplier=subject_token_supplier,
        )

    def get_token_on_behalf_of(
        self, audience: str, scope: str | None = None
    ) -> TokenExchangeResponse:
        """Exchange the bearer token of the request for one of another API.

        Raises:
            InvalidInputError: the request has none.
        """
        token = bearer_token(self._authorization)
        return self.client.get_token_on_behalf_of(
            token, audience, scope, self.store_options
        )

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Log a user in; see ``ServerClient.login_with_custom_token_exchange``."""
        return self.client.login_with_custom_token_exchange(options, self.store_options)

    def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out; give the URL that ends Auth0's own session."""
        return self.client.logout(
            self.store_options, return_to=return_to, revoke=revoke
        )


class AsyncRequestAuth0(Unpicklable):
    """The client, bound to one request of a framework's that serves by tasks."""

    def __init__(
        self,
        client: AsyncServerClient,
        store_options: Mapping[str, Any],
        authorization: str | None,
    ) -> None:
        self.client = client
        self.store_options = store_options
        self._authorization = secret(authorization)

    async def get_user(self) -> dict[str, Any] | None:
        """Give the claims of the user who is logged in, or ``None``."""
        return await self.client.get_user(self.store_options)

    async def get_session(self) -> dict[str, Any] | None:
        """Give the login session, or ``None``."""
        return await self.client.get_session(self.store_options)

    async def get_access_token(
        self,
        audience: str | None = None,
        scope: str | None = None,
        *,
        subject_token_supplier: Callable[
            [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
        ]
        | None = None,
    ) -> str:
        """Give an access token of the user's; see ``AsyncServerClient.get_access_token``."""
        return await self.client.get_access_token(
            self.store_options,
            audience,
            scope,
            subject_token_supplier=subject_token_supplier,
        )

    async def get_token_on_behalf_of(
        self, audience: str, scope: str | None = None
    ) -> TokenExchangeResponse:
        """Exchange the bearer token of the request for one of another API.

        Raises:
            InvalidInputError: the request has none.
        """
        token = bearer_token(self._authorization)
        return await self.client.get_token_on_behalf_of(
            token, audience, scope, self.store_options
        )

    async def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Log a user in; see ``AsyncServerClient.login_with_custom_token_exchange``."""
        return await self.client.login_with_custom_token_exchange(
            options, self.store_options
        )

    async def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out; give the URL that ends Auth0's own session."""
        return await self.client.logout(
            self.store_options, return_to=return_to, revoke=revoke
        )
