"""One asyncio client under a hundred event loops, one after another; run in development mode.

Whatever is left unclosed, or destroyed while pending, is told on standard error.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from typing import Any

from auth0_tx import AsyncServerClient
from tests.e2e.concurrency.children import own_async_answers

LOOPS = 100


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def main(settings: dict[str, Any]) -> None:
    """Use one client under many loops; print what came of it."""
    client = AsyncServerClient(**settings)

    async def answers_of(number: int) -> int:
        # How long a callback takes tells of the machine, and is no warning of ours.
        asyncio.get_running_loop().slow_callback_duration = 60.0
        return await own_async_answers(client, f"loop{number}", 2)

    def under_a_loop(number: int) -> int:
        return asyncio.run(answers_of(number))

    answers = [under_a_loop(0)]
    gc.collect()
    before = descriptors()
    answers += [under_a_loop(number) for number in range(1, LOOPS)]
    gc.collect()
    left = len(client._transport._states)
    print(
        json.dumps(
            {"answers": answers, "growth": descriptors() - before, "states": left}
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
