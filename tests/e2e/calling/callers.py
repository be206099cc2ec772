"""A caller of an API in each of the two worlds: one session, with a token of the client's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

import aiohttp
import attrs
import requests

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.calling import ApiAuth, AsyncApiAuth
from auth0_tx.tenant import Certificates


@attrs.frozen
class Answer:
    """What came back, and from where."""

    status: int
    body: bytes
    url: str = ""


class ApiCaller(Protocol):
    """One application that calls an API."""

    client: Any
    auth: Any

    def call(self, method: str, url: str, **options: Any) -> Answer:
        """Send a request."""
        ...

    def call_at_once(self, urls: list[str]) -> list[Answer]:
        """Send requests all at once."""
        ...

    def stream(self, pieces: list[bytes]) -> Any:
        """Return a body that can be sent only once."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


class BlockingCaller:
    """``requests``."""

    auth_type: Any = ApiAuth

    def __init__(self, certificates: Certificates, **settings: Any) -> None:
        self.client = ServerClient(**settings)
        self.session = requests.Session()
        self.session.verify = certificates.ca_file
        self.session.trust_env = False
        self.auth: Any = None

    def call(self, method: str, url: str, **options: Any) -> Answer:
        """Send a request."""
        self.session.auth = self.auth
        response = self.session.request(method, url, timeout=20, **options)
        return Answer(response.status_code, response.content, str(response.url))

    def call_at_once(self, urls: list[str]) -> list[Answer]:
        """Send requests from as many threads."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(urls)) as pool:
            return list(pool.map(lambda url: self.call("GET", url), urls))

    def stream(self, pieces: list[bytes]) -> Iterator[bytes]:
        """Return a generator."""
        yield from pieces

    def close(self) -> None:
        """Close everything."""
        self.session.close()
        self.client.close()


class AsyncCaller:
    """``aiohttp``."""

    auth_type: Any = AsyncApiAuth

    def __init__(self, certificates: Certificates, **settings: Any) -> None:
        import ssl

        self._runner = asyncio.Runner()
        self.client = AsyncServerClient(**settings)
        self._context = ssl.create_default_context(cafile=certificates.ca_file)
        self.auth: Any = None
        self._session: aiohttp.ClientSession | None = None

    async def _call(self, method: str, url: str, **options: Any) -> Answer:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context)
            self._session = aiohttp.ClientSession(connector=connector)
        middlewares = () if self.auth is None else (self.auth,)
        async with self._session.request(
            method, url, middlewares=middlewares, **options
        ) as response:
            return Answer(response.status, await response.read(), str(response.url))

    def call(self, method: str, url: str, **options: Any) -> Answer:
        """Send a request."""
        return self._runner.run(self._call(method, url, **options))

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the caller's loop."""

        async def wait() -> Any:
            return await coroutine

        return self._runner.run(wait())

    def call_at_once(self, urls: list[str]) -> list[Answer]:
        """Send requests from as many tasks."""

        async def call_all() -> list[Answer]:
            return await asyncio.gather(*(self._call("GET", url) for url in urls))

        return self._runner.run(call_all())

    async def stream(self, pieces: list[bytes]) -> AsyncIterator[bytes]:
        """Return an asynchronous generator."""
        for piece in pieces:
            yield piece

    def close(self) -> None:
        """Close everything."""

        async def close() -> None:
            if self._session is not None:
                await close_session(self._session)
            await self.client.aclose()

        self._runner.run(close())
        self._runner.close()


async def close_session(session: aiohttp.ClientSession) -> None:
    """Close a session without waiting for the peer's goodbye, before the loop ends."""
    assert session.connector is not None
    await session.connector.close(abort_ssl=True)
    await session.close()
    await asyncio.sleep(0)


WORLDS: dict[str, Callable[..., ApiCaller]] = {
    "requests": BlockingCaller,
    "aiohttp": AsyncCaller,
}
