"""Exchanges of a process that has hardly a descriptor left, and of the same one later.

Every number of free descriptors stops a call at another step: the name lookup, the socket, the
poll of a wait, or the CA bundle.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from auth0_tx import AsyncServerClient, CustomTokenExchangeError, ServerClient
from tests.e2e.concurrency.volume import options

_MOST_FREE = 3
_LIMIT = 100

Exchange = Callable[[str], Any]
Client = tuple[Exchange, Callable[[], object], Callable[[], object]]
"""How to exchange a subject token, to fetch the documents without a connection left, to close."""


@contextmanager
def leave_descriptors(free: int) -> Iterator[None]:
    """Leave this process *free* descriptors."""
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass
    for descriptor in held[:free]:
        os.close(descriptor)
    try:
        yield
    finally:
        for descriptor in held[free:]:
            os.close(descriptor)


def describe_exchange(exchange: Exchange, subject: str) -> str:
    """Return whose token the exchange gave, or its error."""
    try:
        return str(exchange(subject).access_token)
    except CustomTokenExchangeError as error:
        return f"{type(error).__name__} {error.code} {error.retry_safe}"


def make_exchanges(
    new_client: Callable[[], Client], state: str
) -> Iterator[tuple[int, str, str]]:
    """Yield how many were free, how an exchange ended, and one after they all were free."""
    for free in range(_MOST_FREE + 1):
        exchange, prepare, close = new_client()
        if state == "prepared":
            prepare()
        elif state == "warm":
            describe_exchange(exchange, "first")
        with leave_descriptors(free):
            during = describe_exchange(exchange, "during")
        yield free, during, describe_exchange(exchange, "after")
        close()


def main(world: str, settings: dict[str, Any]) -> None:
    """Print what came of each exchange."""
    with asyncio.Runner() as runner:

        def new_blocking_client() -> Client:
            client = ServerClient(**settings)

            def prepare() -> None:
                client.prepare()
                client._transport.close_idle()

            return (
                lambda subject: client.custom_token_exchange(options(subject)),
                prepare,
                client.close,
            )

        def new_async_client() -> Client:
            client = AsyncServerClient(**settings)
            return (
                lambda subject: runner.run(
                    client.custom_token_exchange(options(subject))
                ),
                # What another loop has fetched is known here.
                lambda: asyncio.run(client.prepare()),
                lambda: runner.run(client.aclose()),
            )

        new_client = new_blocking_client if world == "blocking" else new_async_client
        # Imports, and the thread of the resolver, come with the first call.
        exchange, _, close = new_client()
        describe_exchange(exchange, "import")
        close()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, hard))
        found = {
            state: list(make_exchanges(new_client, state))
            for state in ("cold", "prepared", "warm")
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
