"""The cost of attaching a current token to each request of an API, over a header by hand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import requests

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.calling import ApiAuth, AsyncApiAuth

from .bench import Bench
from .measure import Burst, Comparison, measure_in_turns
from .ours import build_options
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

_MOST = 1.15


def measure_calling(bench: Bench) -> list[Row]:
    """Measure requests to an API on loopback with our token, and with a header by hand."""
    with _call_by_requests(bench) as (ours, theirs):
        blocking = _measure(bench, ours, theirs)
    with _call_by_aiohttp(bench) as (ours, theirs):
        awaiting = _measure(bench, ours, theirs)
    return [
        Row(
            f"a request to an API with {ours_name}, over the header by hand",
            f"≤ {_MOST}",
            f"{measured.ratio:.2f}",
            measured.ratio <= _MOST,
            measured.describe(),
        )
        for ours_name, measured in (
            ("requests and ApiAuth", blocking),
            ("aiohttp and AsyncApiAuth", awaiting),
        )
    ]


def _measure(bench: Bench, ours: Burst, theirs: Burst) -> Comparison:
    return measure_in_turns(
        ours, theirs, count=bench.scale(50, 5), rounds=bench.scale(60, 2)
    )


def _build_settings(bench: Bench) -> dict[str, Any]:
    return {
        "domain": bench.domain,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "verify": bench.ca_file,
    }


@contextmanager
def _call_by_requests(bench: Bench) -> Iterator[tuple[Burst, Burst]]:
    with (
        ServerClient(**_build_settings(bench)) as client,
        requests.Session() as with_auth,
        requests.Session() as by_hand,
    ):
        # The server's discovery document stands for an API: any GET would do.
        with_auth.auth = ApiAuth.for_exchange(
            client, build_options, base_url=f"https://{bench.domain}"
        )
        response = client.custom_token_exchange(build_options())
        by_hand.headers["Authorization"] = f"Bearer {response.access_token}"
        for session in (with_auth, by_hand):
            session.verify = bench.ca_file
            # Or requests reads the environment and ~/.netrc for each request, on one side only:
            # it does not look for credentials where there is an auth.
            session.trust_env = False

        def call(session: requests.Session) -> Burst:
            def burst(count: int) -> None:
                for _ in range(count):
                    assert session.get(bench.discovery).status_code == 200

            return burst

        yield call(with_auth), call(by_hand)


@contextmanager
def _call_by_aiohttp(bench: Bench) -> Iterator[tuple[Burst, Burst]]:
    context = ssl.create_default_context(cafile=bench.ca_file)
    with asyncio.Runner() as runner:

        async def open_sessions() -> tuple[AsyncServerClient, list[Any]]:
            client = AsyncServerClient(**_build_settings(bench))
            auth = AsyncApiAuth.for_exchange(
                client, build_options, base_url=f"https://{bench.domain}"
            )
            response = await client.custom_token_exchange(build_options())
            header = {"Authorization": f"Bearer {response.access_token}"}
            return client, [
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context), middlewares=(auth,)
                ),
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context), headers=header
                ),
            ]

        async def call_often(session: aiohttp.ClientSession, count: int) -> None:
            for _ in range(count):
                async with session.get(bench.discovery) as response:
                    assert response.status == 200
                    await response.read()

        async def close() -> None:
            for session in sessions:
                await session.close()
            await client.aclose()

        client, sessions = runner.run(open_sessions())

        def call(session: aiohttp.ClientSession) -> Burst:
            return lambda count: runner.run(call_often(session, count))

        yield call(sessions[0]), call(sessions[1])
        runner.run(close())
