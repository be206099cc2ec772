# Written by tools/generate_shells.py from core/flows and core/configuration.py.
# Change those, then run `tox -e shells`; an edit here is lost.
"""The asyncio client, over aiohttp: for tasks, on any event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp

from .core.client_auth import ClientAuthMethod
from .core.configuration import StoreOptions, Verify, configure
from .core.flows import exchange
from .events import Event
from .secret import concealed
from .shells.aiohttp_shell import AsyncShell
from .values import CustomTokenExchangeOptions, RetryPolicy, TokenExchangeResponse


class AsyncServerClient(AsyncShell):
    """The asyncio client, over aiohttp: for tasks, on any event loop.

    Args:
        domain: the tenant's domain, such as ``tenant.us.auth0.com``, or a function that
            gives it for the store options of a call.
        client_id: the application's id.
        client_secret: the application's secret.
        client_assertion_signing_key: the private key, as PEM text or a JWK, of an
            application that authenticates with ``private_key_jwt``; a ``kid`` is kept.
        client_assertion_signing_alg: RS256, RS384, PS256, PS384, ES256 or ES384.
        client_auth: how the client authenticates (RFC 6749 section 2.3, RFC 7523):
            ``client_secret_post`` unless a key is given, ``client_secret_basic``,
            ``private_key_jwt``, or ``none`` for a public application.
        secret: the secret of the login session, or several, newest first.
        verify: ``True`` for the public CAs, the path of a CA bundle, or an
            ``ssl.SSLContext``; verification cannot be turned off.
        proxy: the URL of the proxy to go through.
        trust_env: whether the environment may name a proxy and a CA bundle
            (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``); ``~/.netrc`` never counts.
        timeout: seconds for one call, with all it takes: waiting, retries, keys.
        retry: when a failed request is sent again.
        max_connections: the most requests on the wire at once.
        clock: gives epoch seconds; the system's clock by default.
        on_event: told of what happens, by the values of ``auth0_tx.events``.
        session: the application's own ``aiohttp.ClientSession``, with its adapters or connector;
            it is never closed here.

    Raises:
        ConfigurationError: a keyword breaks a rule, or does not go with another.
    """

    def __init__(
        self,
        *,
        domain: str | Callable[[StoreOptions | None], str | Awaitable[str]],
        client_id: str,
        client_secret: str | None = None,
        client_assertion_signing_key: str | bytes | Mapping[str, Any] | None = None,
        client_assertion_signing_alg: str = "RS256",
        client_auth: ClientAuthMethod | None = None,
        secret: str | Sequence[str] | None = None,
        verify: Verify = True,
        proxy: str | None = None,
        trust_env: bool = False,
        timeout: float = 10.0,
        retry: RetryPolicy = RetryPolicy(),
        max_connections: int = 100,
        clock: Callable[[], float] | None = None,
        on_event: Callable[[Event], object] | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        # Rebound, so that a traceback with locals shows no secret of this frame.
        client_secret = concealed(client_secret)
        client_assertion_signing_key = concealed(client_assertion_signing_key)
        secret = concealed(secret)
        proxy = concealed(proxy)
        settings = configure(
            domain=domain,
            client_id=client_id,
            client_secret=client_secret,
            client_assertion_signing_key=client_assertion_signing_key,
            client_assertion_signing_alg=client_assertion_signing_alg,
            client_auth=client_auth,
            secret=secret,
            verify=verify,
            proxy=proxy,
            trust_env=trust_env,
            timeout=timeout,
            retry=retry,
            max_connections=max_connections,
            clock=clock,
            on_event=on_event,
        )
        super().__init__(settings, session)

    async def custom_token_exchange(
        self,
        options: CustomTokenExchangeOptions,
        store_options: StoreOptions | None = None,
    ) -> TokenExchangeResponse:
        """Exchange an external or legacy token for Auth0 tokens.

        This is Auth0's Custom Token Exchange, a profile of RFC 8693.  No session is made.
        Once the server has issued tokens they are returned, also when their actor cannot be
        verified: ``act`` is then ``None`` and ``act_error`` says why.

        Args:
            options: whose token, of what type, for which API.
            store_options: handed to the domain resolver, where the client has one.

        Returns:
            The tokens, with the acting party where there is one.

        Raises:
            InvalidInputError: an option breaks a rule; nothing was sent.
            RefusedError: Auth0, or your Action, said no.
            NotSentError: the request did not leave, so the same call may be made again.
            AmbiguousError: the answer was lost, and the subject token may be spent.
            CustomTokenExchangeError: the root of these and every other failure.
        """
        options = concealed(options)
        return await self._run(
            exchange.custom_token_exchange(
                self._context,
                options,
                store_options,
            )
        )
