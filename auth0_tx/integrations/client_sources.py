"""The clients of an application on an event loop: as they are, or functions that make them.

An application may run several times in one process, as under test clients and on AWS Lambda.  A
client is held open for each run and opens new connections in it; a function is called for each
run.  ``shells.aiohttp_shell.hold_open`` is what ends the connections.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from ..aio import AsyncServerClient
from ..errors import ConfigurationError
from ..shells.aiohttp_shell import hold_open
from .settings import DEFAULT, check_client_name, check_session_cookies

ClientSource: TypeAlias = (
    AsyncServerClient | Callable[[], AsyncServerClient | Awaitable[AsyncServerClient]]
)
"""A client, or a function that makes one when the application starts."""


def collect_sources(
    taker: str, client: ClientSource, clients: Mapping[str, ClientSource] | None
) -> dict[str, ClientSource]:
    """Return an application's clients by name, the default one first.

    Args:
        taker: the function that was given them, as an error shows it.
        client: the default client.
        clients: further clients by name.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    for name in clients or {}:
        check_client_name(name)
    sources: dict[str, ClientSource] = {DEFAULT: client, **(clients or {})}
    for source in sources.values():
        if not isinstance(source, AsyncServerClient) and not callable(source):
            raise ConfigurationError(
                f"{taker} needs an AsyncServerClient, or a function that makes one",
                parameter="client",
            )
    check_cookies(
        {
            name: source
            for name, source in sources.items()
            if isinstance(source, AsyncServerClient)
        }
    )
    return sources


@asynccontextmanager
async def open_clients(
    taker: str, sources: Mapping[str, ClientSource]
) -> AsyncIterator[dict[str, AsyncServerClient]]:
    """Make the clients that are not made yet, and hold all open within the block.

    Args:
        taker: the function that was given them, as an error shows it.
        sources: clients, or functions that make them, by name.

    Raises:
        ConfigurationError: a function makes something else, or two clients keep sessions in
            one cookie.
    """
    async with AsyncExitStack() as stack:
        opened: dict[str, AsyncServerClient] = {}
        for name, source in sources.items():
            client = source if isinstance(source, AsyncServerClient) else source()
            if inspect.isawaitable(client):
                client = await client
            if not isinstance(client, AsyncServerClient):
                raise ConfigurationError(
                    f"the function given to {taker} must return an AsyncServerClient",
                    parameter="client",
                )
            opened[name] = client
            await stack.enter_async_context(hold_open(client))
        check_cookies(opened)
        yield opened


def check_cookies(clients: Mapping[str, AsyncServerClient]) -> None:
    """Raise an error if two clients keep sessions in one cookie.

    Raises:
        ConfigurationError: two clients do.
    """
    cookies = {name: client.session_cookie for name, client in clients.items()}
    check_session_cookies(cookies)
