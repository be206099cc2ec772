"""Run a soak; see the package for what it does."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time

from tests.e2e.sessions.soak.run import report, soak_store
from tests.e2e.sessions.soak.tenant import make_tenant
from tests.redis_server import RedisServer

STORES = ("cookies", "memory", "redis", "django", "django database")


def main(arguments: list[str]) -> int:
    """Run the soak; return 1 if something happened that must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.sessions.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--browsers", type=int, default=200)
    parser.add_argument("--store", choices=(*STORES, "all"), default="all")
    parser.add_argument("--world", choices=("blocking", "async"), default="async")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    violations = 0
    for kind in STORES if given.store == "all" else [given.store]:
        if kind.startswith("django") and given.world == "async":
            print(f"\n{kind}, async: it blocks, which the async client refuses")
            continue
        with contextlib.ExitStack() as stack:
            redis_url = ""
            if kind in ("redis", "django"):
                server = stack.enter_context(contextlib.closing(RedisServer()))
                redis_url = server.url
            tenant = stack.enter_context(make_tenant())
            soak = asyncio.run(
                soak_store(
                    kind,
                    tenant,
                    is_async=given.world == "async",
                    seconds=given.minutes * 60,
                    count=given.browsers,
                    seed=given.seed,
                    redis_url=redis_url,
                )
            )
        report(soak, given.minutes * 60)
        violations += len(soak.violations)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
