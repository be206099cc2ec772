"""``asyncio.run`` that is ended by SIGINT at many moments of an exchange, on one client."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from typing import Any

from auth0_tx import AsyncServerClient
from tests.e2e.concurrency.children import own_async_answers
from tests.e2e.concurrency.many_loops import descriptors
from tests.e2e.concurrency.volume import options

ROUNDS = 20
_STEP = 0.004
"""Seconds by which each interrupt is later than the one before."""


async def exchange_until_interrupt(client: AsyncServerClient, number: int) -> None:
    """Exchange; a SIGINT comes meanwhile, or is waited for.

    One that came while the loop was made or closed would be asyncio's to handle.
    """
    threading.Timer(number * _STEP, os.kill, (os.getpid(), signal.SIGINT)).start()
    await client.custom_token_exchange(options(f"struck-{number}"))
    await asyncio.Event().wait()


def end_with_interrupt(client: AsyncServerClient, number: int) -> str:
    """Exchange under a loop of its own that SIGINT ends, and return how it ended."""
    try:
        asyncio.run(exchange_until_interrupt(client, number))
    except BaseException as error:
        return type(error).__name__
    return "no interrupt"


def main(settings: dict[str, Any]) -> None:
    """Print how the interrupted calls ended, and how those after them did."""
    client = AsyncServerClient(**settings)
    # An import that is interrupted is Python's to clean up.
    asyncio.run(own_async_answers(AsyncServerClient(**settings), "import", 1))
    gc.collect()
    before, ends, answers = descriptors(), list[str](), list[int]()
    for number in range(ROUNDS):
        ends.append(end_with_interrupt(client, number))
        answers.append(asyncio.run(own_async_answers(client, f"next{number}", 1)))
    gc.collect()
    growth = descriptors() - before
    print(json.dumps({"ends": ends, "answers": answers, "growth": growth}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
