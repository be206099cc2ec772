"""The issuer for volume as the tests see it, and many callers at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs

from auth0_tx import CustomTokenExchangeOptions

METADATA, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"
TOKEN = "/oauth/token"
DISCOVERY = "/.well-known/openid-configuration"

T = TypeVar("T")


@attrs.define
class Record:
    """What the issuer received since it was last cleared.

    Attributes:
        accepted: how many connections were accepted.
        most_open: the most that were open at once.
        open: how many are open now.
        requests: of each, its path, the client's port, subject token and assertion.
    """

    accepted: int
    most_open: int
    open: int
    requests: list[tuple[str, int, str, str]]

    def count(self, path: str) -> int:
        """Return how many requests there were for *path*."""
        return sum(path == request[0] for request in self.requests)

    def ports(self, prefix: str) -> set[int]:
        """Return the ports from which subject tokens that start with *prefix* came."""
        return {
            port for _, port, subject, _ in self.requests if subject.startswith(prefix)
        }

    def assertions(self, prefix: str) -> list[str]:
        """Return the client assertions that came with such subject tokens."""
        return [
            request[3] for request in self.requests if request[2].startswith(prefix)
        ]


@attrs.define
class VolumeIssuer:
    """The issuer: where it is, and a line to it."""

    domain: str
    ca_file: str
    _process: subprocess.Popen[str]

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the keywords of a client of the issuer's."""
        return {
            "domain": self.domain,
            "client_id": "volume-client",
            "client_secret": "client-secret-for-volume-0001",
            "verify": self.ca_file,
            # Noise on the machine that runs the tests is not what they are about.
            "timeout": 60.0,
            **changes,
        }

    def record(self) -> Record:
        """Return what came so far."""
        return self.tell()

    def tell(self, **order: Any) -> Record:
        """Tell the issuer what to do; give what came before that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Record(**json.loads(self._process.stdout.readline()))


@contextmanager
def volume_issuer() -> Iterator[VolumeIssuer]:
    """Run an issuer in a process of its own."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("volume_issuer.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield VolumeIssuer(f"localhost:{told['port']}", told["ca_file"], process)


def options(subject_token: str, actor: str | None = None) -> CustomTokenExchangeOptions:
    """Return the options of an exchange, delegated to *actor* if there is one."""
    return CustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type="urn:acme:legacy-token",
        actor_token=actor,
        actor_token_type=None if actor is None else "urn:acme:legacy-token",
    )


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Call *work* with 0, 1, … in as many threads, which start together."""
    start = threading.Barrier(count)

    def worker(number: int) -> T:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(worker, range(count)))


async def in_tasks(
    count: int, work: Callable[[int], Coroutine[Any, Any, T]]
) -> list[T]:
    """Run *work* with 0, 1, … in as many tasks, which start together."""
    return await asyncio.gather(*(work(number) for number in range(count)))
