"""Calls that are awaited in one world and not in the other, also many at once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


async def resolve(result: Any) -> Any:
    """Return a result, awaited if it is awaitable."""
    return await result if inspect.isawaitable(result) else result


async def run_together(
    calls: Sequence[Callable[[], Any]], *, are_async: bool
) -> list[Any]:
    """Make all calls at once, in tasks or in threads, and return their results."""
    if are_async:
        return await asyncio.gather(*(resolve(call()) for call in calls))
    together = threading.Barrier(len(calls))

    def start(call: Callable[[], Any]) -> Any:
        together.wait()
        return call()

    def run() -> list[Any]:
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(start, calls))

    return await asyncio.to_thread(run)


async def close_client(client: Any) -> None:
    """Close a client of redis-py, with the method that its release has."""
    await resolve((getattr(client, "aclose", None) or client.close)())
    # A pool that was given to a client is not closed with it.
    await resolve(client.connection_pool.disconnect())
