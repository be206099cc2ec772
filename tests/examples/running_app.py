"""An example application in its own process, started as its reader would start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import attrs

API = "https://api.example.com"

EXAMPLES = Path(__file__).parents[2] / "examples"

# A shell may make a background job ignore SIGINT, and Python inherits that.
_INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)

_OURS = ("AUTH0_", "DATABASE", "REDIS_URL", "PORT")


@attrs.frozen
class Site:
    """The paths of an application, where they differ, and what it can do.

    Attributes:
        login: where the form of the login page is sent.
        logout: where the form of the profile is sent.
        backchannel_logout: where Auth0 sends logout tokens.
        is_for_actors: whether a party may act for the user.
        application: where a server finds it.
    """

    login: str = "auth0/login"
    logout: str = "auth0/logout"
    backchannel_logout: str = "auth0/backchannel-logout"
    is_for_actors: bool = False
    application: str = "app:app"


SITES = {
    "django_app": Site(
        login="login",
        logout="auth0/logout/",
        backchannel_logout="auth0/backchannel-logout/",
        is_for_actors=True,
        application="app:application",
    ),
    "flask_app": Site(is_for_actors=True),
    "fastapi_app": Site(),
    "aiohttp_app": Site(
        login="login", logout="logout", backchannel_logout="backchannel-logout"
    ),
}
APPS = tuple(SITES)
WITH_ACTORS = tuple(name for name, site in SITES.items() if site.is_for_actors)

# Commands of servers, most of them with two workers.
SERVERS = {
    "gunicorn": (
        *("{python}", "-m", "gunicorn", "--preload", "--workers", "2"),
        # It would wait longer for connections that browsers keep.
        *("--threads", "2", "--graceful-timeout", "1"),
        *("--bind", "localhost:{port}", "{application}"),
    ),
    "uvicorn": (
        *("{python}", "-m", "uvicorn", "--workers", "2"),
        *("--host", "localhost", "--port", "{port}", "{application}"),
    ),
    "uvicorn for Django": (
        *("{python}", "-c"),
        "import app, uvicorn; from django.core.asgi import get_asgi_application; "
        "uvicorn.run(get_asgi_application(), host='localhost', port={port})",
    ),
    "uwsgi": (
        *("{scripts}/uwsgi", "--master", "--processes", "2", "--threads", "2"),
        *("--die-on-term", "--need-app", "--http-socket", "127.0.0.1:{port}"),
        *("--module", "{application}"),
    ),
}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    """Return whether a server listens on a port of this machine."""
    try:
        with socket.create_connection(("localhost", port), 1) as connection:
            # Until the application listens, the system may give this socket the
            # very port it connects to: it is then connected to itself.
            return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False


class RunningApp:
    """An application on a free port of localhost.

    Args:
        name: the name of its folder.
        log: the file that its output goes to.
        settings: its part of the environment.
        server: one of ``SERVERS``, or ``None`` to run the file itself.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        settings: Mapping[str, str],
        server: str | None = None,
    ) -> None:
        self.port = int(settings.get("PORT", 0)) or free_port()
        self.name = name
        self.site = SITES.get(name, Site())
        self.client_id = settings.get("AUTH0_CLIENT_ID")
        self.home = f"http://localhost:{self.port}/"
        self._log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _INTERRUPTIBLE, "-u", "app.py"]
                if server is None
                else self._make_command(server),
                cwd=EXAMPLES / name,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, **settings, "PORT": str(self.port)},
            )
        try:
            self._wait_until_answering()
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

    def terminate(self) -> int:
        """Ask a server with workers to end, and return its exit status."""
        self._process.terminate()
        return self._process.wait(20)

    def close(self) -> None:
        """End the application, whatever state it is in."""
        self._process.kill()
        self._process.wait()

    def _make_command(self, server: str) -> list[str]:
        values = {
            "python": sys.executable,
            "scripts": sysconfig.get_path("scripts"),
            "port": self.port,
            "application": self.site.application,
        }
        return [part.format(**values) for part in SERVERS[server]]

    def _wait_until_answering(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            assert self._process.poll() is None, f"it ended by itself: {self.output}"
            if self._is_answering():
                return
            time.sleep(0.05)
        raise AssertionError(f"it does not answer: {self.output}")

    def _is_answering(self) -> bool:
        """Return whether the application answers, and not another that has the port."""
        try:
            with urlopen(self.home, timeout=10) as answer:
                return b'id="made"' in answer.read()
        except (OSError, HTTPException):
            return False
