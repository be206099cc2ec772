"""An example application in its own process, started as its reader would start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

APPS = ("django_app", "flask_app", "fastapi_app", "aiohttp_app")

# These keep sessions on the server, so Auth0 can end them.
SERVER_SIDE = ("django_app", "aiohttp_app")

API = "https://api.example.com"

EXAMPLES = Path(__file__).parents[2] / "examples"

# A shell may make a background job ignore SIGINT, and Python inherits that.
_INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)

_OURS = ("AUTH0_", "REDIS_URL", "PORT")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class RunningApp:
    """An application on a free port of localhost.

    Args:
        name: the name of its folder.
        log: the file that its output goes to.
        settings: its part of the environment.
    """

    def __init__(self, name: str, log: Path, settings: Mapping[str, str]) -> None:
        self.port = int(settings.get("PORT", 0)) or _free_port()
        self.name = name
        self.client_id = settings.get("AUTH0_CLIENT_ID")
        self.home = f"http://localhost:{self.port}/"
        self._log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        program = ["-u", str(EXAMPLES / name / "app.py")]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _INTERRUPTIBLE, *program],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, **settings, "PORT": str(self.port)},
            )
        try:
            self._wait_until_listening()
        except BaseException:
            self.close()
            raise

    @property
    def output(self) -> str:
        """All that the application has printed."""
        return self._log.read_text()

    def interrupt(self) -> int:
        """Interrupt the application as Ctrl-C does, and return its exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(20)

    def close(self) -> None:
        """End the application, whatever state it is in."""
        self._process.kill()
        self._process.wait()

    def _wait_until_listening(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            assert self._process.poll() is None, f"it ended by itself: {self.output}"
            if self._accepts_connections():
                return
            time.sleep(0.05)
        raise AssertionError(f"it does not listen: {self.output}")

    def _accepts_connections(self) -> bool:
        try:
            with socket.create_connection(("localhost", self.port), 1) as connection:
                # Until the application listens, the system may give this socket the
                # very port it connects to: it is then connected to itself.
                return connection.getsockname() != connection.getpeername()
        except OSError:
            return False
