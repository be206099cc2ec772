"""Our side, shaped like the other one."""

from __future__ import annotations

import asyncio
from typing import Any

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions, ServerClient

from .bench import Bench
from .tokens import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
)


def build_options(**more: Any) -> CustomTokenExchangeOptions:
    """Build the options of one exchange; every caller builds its own."""
    return CustomTokenExchangeOptions(
        subject_token=SUBJECT_TOKEN,
        subject_token_type=SUBJECT_TOKEN_TYPE,
        audience=AUDIENCE,
        scope=SCOPE,
        **more,
    )


class Blocking:
    """One ``ServerClient``."""

    def __init__(self, bench: Bench) -> None:
        self._client = ServerClient(
            domain=bench.domain,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            verify=bench.ca_file,
        )

    def exchange(self) -> str:
        """Exchange once."""
        access_token = self._client.custom_token_exchange(build_options()).access_token
        assert access_token
        return access_token

    def exchange_serially(self, count: int) -> None:
        """Exchange so many times, one after another."""
        for _ in range(count):
            self.exchange()

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class Async:
    """One ``AsyncServerClient``, with its default of 100 connections."""

    def __init__(
        self, bench: Bench, loop: asyncio.AbstractEventLoop, **keywords: Any
    ) -> None:
        self._loop = loop
        self._client = AsyncServerClient(
            domain=bench.domain,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            verify=bench.ca_file,
            **keywords,
        )

    async def exchange(self, **more: Any) -> None:
        """Exchange once."""
        answer = await self._client.custom_token_exchange(build_options(**more))
        assert answer.access_token
        assert answer.act_error is None

    def exchange_serially(self, count: int) -> None:
        """Exchange so many times, one after another."""
        self._loop.run_until_complete(self._exchange_serially(count))

    def exchange_concurrently(self, count: int, **more: Any) -> None:
        """Exchange so many times at once."""
        self._loop.run_until_complete(self._exchange_concurrently(count, **more))

    async def _exchange_serially(self, count: int) -> None:
        for _ in range(count):
            await self.exchange()

    async def _exchange_concurrently(self, count: int, **more: Any) -> None:
        await asyncio.gather(*(self.exchange(**more) for _ in range(count)))

    def close(self) -> None:
        """Close the client."""
        self._loop.run_until_complete(self._client.aclose())
