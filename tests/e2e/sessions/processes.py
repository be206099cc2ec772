"""Processes that ask for one session's access token, over one Redis."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logins import Browser

_CHILD = Path(__file__).with_name("asking_process.py")


class AskingProcess:
    """A process that waits until it is told to ask."""

    def __init__(
        self,
        tenant: Tenant,
        redis_url: str,
        prefix: str,
        browser: Browser,
        world: str = "blocking",
        callers: int = 1,
        **settings: Any,
    ) -> None:
        told = {
            "domain": tenant.domain,
            "client_id": tenant.client_id,
            "client_secret": tenant.client_secret,
            "verify": tenant.ca_file,
            "redis": redis_url,
            "prefix": prefix,
            "cookies": browser.cookies,
            **settings,
        }
        self._process = Popen(
            [sys.executable, str(_CHILD), world, str(callers)],
            stdin=PIPE,
            stdout=PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_CHILD.parents[3])},
        )
        self._write(json.dumps(told))

    def wait_until_ready(self) -> None:
        """Wait until it has a client."""
        assert self._process.stdout is not None
        assert "ready\n" == self._process.stdout.readline()

    def ask(self) -> None:
        """Have it ask."""
        self._write("go")

    def read_answers(self) -> list[str]:
        """Return the tokens that it got, one for each caller."""
        output, _ = self._process.communicate(timeout=60)
        answers: list[str] = json.loads(output)
        return answers

    def send_signal(self, number: int) -> None:
        """Send it a signal, such as one that kills it."""
        self._process.send_signal(number)

    def close(self) -> None:
        """Kill it, and wait for its end."""
        self._process.kill()
        self._process.communicate()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
