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


def options(**more: Any) -> CustomTokenExchangeOptions:
    """Make the options of one exchange, as every caller does anew."""
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

    def burst(self, count: int) -> None:
        """Exchange so many times, one after another."""
        for _ in range(count):
            answer = self._client.custom_token_exchange(options())
            assert answer.access_token

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
        answer = await self._client.custom_token_exchange(options(**more))
        assert answer.access_token
        assert answer.act_error is None

    def burst(self, count: int) -> None:
        """Exchange so many times, one after another."""
        self._loop.run_until_complete(self._one_by_one(count))

    def concurrent(self, count: int, **more: Any) -> None:
        """Exchange so many times at once."""
        self._loop.run_until_complete(self._at_once(count, **more))

    async def _one_by_one(self, count: int) -> None:
        for _ in range(count):
            await self.exchange()

    async def _at_once(self, count: int, **more: Any) -> None:
        await asyncio.gather(*(self.exchange(**more) for _ in range(count)))

    def close(self) -> None:
        """Close the client."""
        self._loop.run_until_complete(self._client.aclose())
