"""A site on an event loop of its own, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager


@contextmanager
def serve_in_thread(
    site: Callable[[], AbstractAsyncContextManager[int]],
) -> Iterator[int]:
    """Run a site until the caller is done with it; return its port."""
    port: Future[int] = Future()
    ending: Future[Callable[[], object]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.set_result(lambda: loop.call_soon_threadsafe(stop.set))
        try:
            async with site() as listening_on:
                port.set_result(listening_on)
                await stop.wait()
        except BaseException as error:
            if not port.done():
                port.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        yield port.result(20)
    finally:
        ending.result(20)()
        thread.join(20)
        assert not thread.is_alive()
