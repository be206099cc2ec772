"""The other side: exchanges written by hand with ``requests`` or ``aiohttp``."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from .bench import Bench
from .tokens import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
)

FORM = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "subject_token": SUBJECT_TOKEN,
    "subject_token_type": SUBJECT_TOKEN_TYPE,
    "audience": AUDIENCE,
    "scope": SCOPE,
}


class Requests:
    """One session, one ``post`` for each exchange."""

    def __init__(self, bench: Bench, connections: int = 10) -> None:
        self._session = requests.Session()
        self._session.mount("https://", HTTPAdapter(pool_maxsize=connections))
        self._url = bench.token_endpoint
        # Passed to each call: REQUESTS_CA_BUNDLE overrules the setting of the session.
        self._ca_file = bench.ca_file

    def exchange(self) -> dict[str, Any]:
        """Exchange once."""
        answer: dict[str, Any] = self._session.post(
            self._url, data=dict(FORM), verify=self._ca_file
        ).json()
        assert answer["access_token"]
        return answer

    def exchange_serially(self, count: int) -> None:
        """Exchange so many times, one after another."""
        for _ in range(count):
            self.exchange()

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class Aiohttp:
    """One session with aiohttp's own limit of 100 connections."""

    def __init__(self, bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
        self._bench = bench
        self._loop = loop
        self._session = loop.run_until_complete(self._open())

    async def _open(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=self._bench.ca_file)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    async def exchange(self) -> dict[str, Any]:
        """Exchange once."""
        async with self._session.post(
            self._bench.token_endpoint, data=dict(FORM)
        ) as response:
            answer: dict[str, Any] = await response.json()
        assert answer["access_token"]
        return answer

    def exchange_serially(self, count: int) -> None:
        """Exchange so many times, one after another."""
        self._loop.run_until_complete(self._exchange_serially(count))

    def exchange_concurrently(self, count: int) -> None:
        """Exchange so many times at once."""
        self._loop.run_until_complete(self._exchange_concurrently(count))

    async def _exchange_serially(self, count: int) -> None:
        for _ in range(count):
            await self.exchange()

    async def _exchange_concurrently(self, count: int) -> None:
        await asyncio.gather(*(self.exchange() for _ in range(count)))

    def close(self) -> None:
        """Close the session."""
        self._loop.run_until_complete(self._session.close())
