"""The bench that each row gets: the server, and how long to measure."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import certifi

ROOT = Path(__file__).resolve().parent.parent


class Bench:
    """The local server's address, counts and CA file, and the scale of a run.

    Args:
        quick: whether to see that every row works, rather than to measure.
        round_trip: how far away the server is, in seconds.
    """

    def __init__(self, *, quick: bool, round_trip: float = 0.0) -> None:
        self.quick = quick
        self._round_trip = round_trip

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", str(self._round_trip)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._read()
        self.domain = f"localhost:{told['port']}"
        self.token_endpoint = f"https://{self.domain}/oauth/token"
        self.discovery = f"https://{self.domain}/.well-known/openid-configuration"
        # The server's own authority and the public ones: what a real process loads.
        self._bundle = tempfile.NamedTemporaryFile("w", suffix=".pem")
        for path in (certifi.where(), told["ca_file"]):
            self._bundle.write(Path(path).read_text() + "\n")
        self._bundle.flush()
        self.ca_file = self._bundle.name
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._bundle.close()

    def take_counts(self) -> dict[str, Any]:
        """Return the server's counts since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write("counts\n")
        self._process.stdin.flush()
        return self._read()

    def scale(self, full: int, quick: int) -> int:
        """Return the number of rounds or operations for this run."""
        return quick if self.quick else full

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told
