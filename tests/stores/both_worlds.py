"""Calling what is awaited in one world and not in the other, also many times at once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


async def done(result: Any) -> Any:
    """Await a result, where it is one to await."""
    return await result if inspect.isawaitable(result) else result


async def at_once(calls: Sequence[Callable[[], Any]], *, are_async: bool) -> list[Any]:
    """Make all calls at once: in tasks, or in threads that start together."""
    if are_async:
        return await asyncio.gather(*(done(call()) for call in calls))
    together = threading.Barrier(len(calls))

    def start(call: Callable[[], Any]) -> Any:
        together.wait()
        return call()

    def run() -> list[Any]:
        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(start, calls))

    return await asyncio.to_thread(run)


async def closed(client: Any) -> None:
    """Close a client of redis-py, of whichever release."""
    await done((getattr(client, "aclose", None) or client.close)())
    # A pool that was given to a client is not closed with it.
    await done(client.connection_pool.disconnect())
