"""A client middleware for ``aiohttp`` that attaches the token of an exchange.

``aiohttp`` runs the middlewares for each URL that a request is redirected to, and each time with
headers from before the first.  So the token is attached where the URL is below the API's base
URL, and is not there anywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from ..aio import AsyncServerClient
from ..core.flows.api_tokens import ApiToken
from ..core.wire.api_calls import is_token_refused
from ..errors import Auth0Error
from ..shells.drivers import cut_traceback, run_in_turn
from ..values import CustomTokenExchangeOptions
from .api_auth_base import LONGEST_DRAIN, ApiAuthBase

_DRAIN_SECONDS = 1.0


class AsyncApiAuth(
    ApiAuthBase[
        AsyncServerClient,
        Callable[
            [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
        ],
    ]
):
    """A middleware of an ``aiohttp.ClientSession``: attaches a token that is good for one API.

    Make one with ``for_exchange``, ``for_session`` or ``on_behalf_of``.  The token is replaced
    shortly before it expires.  If the API answers 401, the client exchanges once more, and the
    request is sent once more if its body can be.
    """

    _client_type = AsyncServerClient

    async def __call__(
        self,
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        """Attach the token to a request below the base URL; leave every other one alone.

        Raises:
            LoginRequiredError: the session has ended, or cannot renew its tokens.
            CustomTokenExchangeError: how the exchange failed.
        """
        if not self._api.covers(str(request.url)):
            return await handler(request)
        token = self._find_current() or await self._obtain()
        self._attach(request, token)
        response = await handler(request)
        if response.status != 401 or not is_token_refused(
            response.headers.getall("WWW-Authenticate", ())
        ):
            return response
        try:
            latest = await self._obtain(refused=token.access_token)
        except BaseException:
            # Nobody is going to get it, and its connection must not wait for that.
            response.close()
            raise
        if latest.access_token == token.access_token or _is_consumed(request):
            return response
        await _drain(response, request)
        self._attach(request, latest)
        return await handler(request)

    async def _obtain(self, refused: str | None = None) -> ApiToken:
        client = self._client
        try:
            return await run_in_turn(
                self._tokens.obtain(client._context, refused), client._world
            )
        except Auth0Error as error:
            raise cut_traceback(error)

    def _attach(self, request: aiohttp.ClientRequest, token: ApiToken) -> None:
        request.headers.update(
            self._make_headers(token, request.method, str(request.url))
        )


def _is_consumed(request: aiohttp.ClientRequest) -> bool:
    """Return whether a body, such as a generator's, can be sent only once."""
    return bool(getattr(request.body, "consumed", False))


async def _drain(
    response: aiohttp.ClientResponse, request: aiohttp.ClientRequest
) -> None:
    """Read the rest of a body if there is little of it, so that its connection is used again."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await response.content.readexactly(LONGEST_DRAIN)
    except (aiohttp.ClientError, asyncio.IncompleteReadError, TimeoutError, OSError):
        # A broken body is no reason not to send again, on another connection.
        pass
    # A connection that has more to come is closed, and not given back.  A body that is still
    # being sent is cut off: the API has answered without waiting for it.
    response.release()
    await request.close()
