"""Bulk exchanges, ours and by hand; run as a process, one long run that prints its figures.

Run as ``python -m benchmarks.bulk blocking|async DOMAIN CA_FILE CONCURRENCY COUNT``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from auth0_tx import (
    AsyncServerClient,
    BulkExchangeResult,
    CustomTokenExchangeOptions,
    ServerClient,
)

from .by_hand import FORM
from .ours import build_options
from .tokens import CLIENT_ID, CLIENT_SECRET


class Tally:
    """Counts results, and the rows without one."""

    def __init__(self, count: int) -> None:
        self._seen = bytearray(count)
        self._failed = 0
        self._peak_at_first = 0

    def add(self, result: BulkExchangeResult) -> None:
        """Count a result."""
        self._seen[result.index] += 1
        self._failed += result.response is None
        if result.index == len(self._seen) // 10:
            self._peak_at_first = _read_peak()

    def describe(self, seconds: float) -> dict[str, float]:
        """Return the figures."""
        return {
            "lost": sum(times != 1 for times in self._seen),
            "failed": self._failed,
            "seconds": seconds,
            "grown": _read_peak() - self._peak_at_first,
        }


def _read_peak() -> int:
    # Not of getrusage, which begins with the peak of the parent.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _build_rows(count: int) -> Iterator[CustomTokenExchangeOptions]:
    for _ in range(count):
        yield build_options()


class OursBlocking:
    """``ServerClient.exchange_many``."""

    def __init__(self, bench: Any, concurrency: int) -> None:
        self._concurrency = concurrency
        self._client = ServerClient(
            domain=bench.domain,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            verify=bench.ca_file,
        )

    def exchange(self, count: int) -> Tally:
        """Exchange so many rows."""
        tally = Tally(count)
        for result in self._client.exchange_many(
            _build_rows(count), concurrency=self._concurrency
        ):
            tally.add(result)
        return tally


class OursAsync:
    """``AsyncServerClient.exchange_many``."""

    def __init__(self, bench: Any, concurrency: int, runner: asyncio.Runner) -> None:
        self._concurrency = concurrency
        self._runner = runner
        self._client = AsyncServerClient(
            domain=bench.domain,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            verify=bench.ca_file,
        )

    def exchange(self, count: int) -> Tally:
        """Exchange so many rows."""
        return self._runner.run(self._exchange(count))

    async def _exchange(self, count: int) -> Tally:
        tally = Tally(count)
        async for result in self._client.exchange_many(
            _build_rows(count), concurrency=self._concurrency
        ):
            tally.add(result)
        return tally

    def close(self) -> None:
        """Close the client."""
        self._runner.run(self._client.aclose())


class ByHandBlocking:
    """A thread pool, and one session with a pool of as many connections."""

    def __init__(self, bench: Any, concurrency: int) -> None:
        self._concurrency = concurrency
        self._session = requests.Session()
        self._session.mount("https://", HTTPAdapter(pool_maxsize=concurrency))
        self._url = bench.token_endpoint
        self._ca_file = bench.ca_file

    def _post(self, form: dict[str, str]) -> str:
        answer = self._session.post(self._url, data=dict(form), verify=self._ca_file)
        token: str = answer.json()["access_token"]
        return token

    def exchange(self, count: int) -> None:
        """Exchange so many rows."""
        with ThreadPoolExecutor(self._concurrency) as threads:
            for token in threads.map(self._post, repeat(FORM, count)):
                assert token


class ByHandAsync:
    """Tasks that take rows from one iterator, and one session."""

    def __init__(self, bench: Any, concurrency: int, runner: asyncio.Runner) -> None:
        self._concurrency = concurrency
        self._runner = runner
        self._url = bench.token_endpoint
        self._session = runner.run(self._open(bench.ca_file))

    async def _open(self, ca_file: str) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=ca_file)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    def exchange(self, count: int) -> None:
        """Exchange so many rows."""
        self._runner.run(self._exchange(count))

    async def _exchange(self, count: int) -> None:
        rows = repeat(FORM, count)
        await asyncio.gather(*(self._work(rows) for _ in range(self._concurrency)))

    async def _work(self, rows: Iterator[dict[str, str]]) -> None:
        for form in rows:
            async with self._session.post(self._url, data=dict(form)) as response:
                assert (await response.json())["access_token"]

    def close(self) -> None:
        """Close the session."""
        self._runner.run(self._session.close())


def main(world: str, domain: str, ca_file: str, concurrency: str, count: str) -> None:
    """Exchange many rows, and print the figures as JSON."""
    bench = SimpleNamespace(domain=domain, ca_file=ca_file)
    with asyncio.Runner() as runner:
        ours = (
            OursBlocking(bench, int(concurrency))
            if world == "blocking"
            else OursAsync(bench, int(concurrency), runner)
        )
        began = time.perf_counter()
        tally = ours.exchange(int(count))
        print(json.dumps(tally.describe(time.perf_counter() - began)))


if __name__ == "__main__":
    main(*sys.argv[1:])
