"""Auth0's own async SDK, with the same exchanges on the same server."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from unittest import mock

from .bench import Bench
from .measure import measure_in_turns
from .ours import Async
from .report import Row
from .tokens import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
)

_PACKAGE = "auth0-server-python"
_WHAT = "Auth0's own async SDK over ours, 100 at once"
_TARGET = "≥ 60"


class Auth0:
    """One ``ServerClient`` of Auth0's SDK, its metadata cached like ours."""

    def __init__(self, bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
        # Imported here: only the environment of the benchmarks has it.
        module = import_module("auth0_server_python.auth_server.server_client")
        types = import_module("auth0_server_python.auth_types")
        self._options = types.CustomTokenExchangeOptions
        self._loop = loop
        self._client = module.ServerClient(
            domain=bench.domain,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            secret="0123456789abcdef0123456789abcdef",
        )

    async def exchange(self) -> None:
        """Exchange once."""
        answer = await self._client.custom_token_exchange(
            self._options(
                subject_token=SUBJECT_TOKEN,
                subject_token_type=SUBJECT_TOKEN_TYPE,
                audience=AUDIENCE,
                scope=SCOPE,
            )
        )
        assert answer.access_token

    async def _exchange_concurrently(self, count: int) -> None:
        await asyncio.gather(*(self.exchange() for _ in range(count)))

    def exchange_concurrently(self, count: int) -> None:
        """Exchange so many times at once."""
        self._loop.run_until_complete(self._exchange_concurrently(count))


def measure_peer(bench: Bench) -> list[Row]:
    """Measure Auth0's SDK over our client."""
    try:
        installed = version(_PACKAGE)
    except PackageNotFoundError:
        return [Row(_WHAT, _TARGET, "not installed", None, f"needs {_PACKAGE}")]
    # Their HTTP library reads its CAs only from this variable.
    with (
        mock.patch.dict(os.environ, {"SSL_CERT_FILE": bench.ca_file}),
        asyncio.Runner() as runner,
    ):
        loop = runner.get_loop()
        ours = Async(bench, loop)
        theirs = Auth0(bench, loop)
        measured = measure_in_turns(
            theirs.exchange_concurrently,
            ours.exchange_concurrently,
            count=bench.scale(100, 10),
            rounds=bench.scale(5, 1),
        )
        ours.close()
    details = f"{_PACKAGE} {installed}; {measured.describe()}"
    met = measured.ratio >= 60
    return [Row(_WHAT, _TARGET, f"{measured.ratio:.0f}", met, details)]
