"""A pytest plugin: a real PostgreSQL for the tests that need one.

``AUTH0_TX_TEST_POSTGRES_URL`` names it.  Otherwise it is the one on the default port, if it lets
the user ``postgres`` into the database ``test``, or one that is started if it is installed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import pytest

_DEFAULT = "postgresql://postgres@127.0.0.1:5432/test"

# Debian keeps the programs of each release in a folder of its own.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[dict[str, Any]]:
    """Return Django's settings for a PostgreSQL, in a schema that ends with the tests."""
    if find_spec("psycopg") is None:
        # A Python that is newer than psycopg's wheels has none.
        skip("psycopg is not installed", is_certain=sys.version_info < (3, 15))
    import psycopg

    with ExitStack() as stack:
        url = os.environ.get("AUTH0_TX_TEST_POSTGRES_URL", "")
        if not url and can_connect(_DEFAULT):
            url = _DEFAULT
        if not url:
            programs = find_programs()
            if programs is None:
                skip("no PostgreSQL: install it, or set AUTH0_TX_TEST_POSTGRES_URL")
            url = stack.enter_context(run_server(*programs))
        schema = f"auth0_tx_{token_hex(8)}"
        admin = stack.enter_context(psycopg.connect(url, autocommit=True))
        admin.execute(f"CREATE SCHEMA {schema}")
        place = urlsplit(url)
        yield {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path.removeprefix("/"),
            "USER": place.username or "",
            "PASSWORD": place.password or "",
            "HOST": place.hostname or "",
            "PORT": str(place.port or 5432),
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }
        admin.execute(f"DROP SCHEMA {schema} CASCADE")


def skip(reason: str, *, is_certain: bool = True) -> Any:
    """Skip the test; where ``CI`` is set, fail it instead if it should have run."""
    if os.environ.get("CI") and is_certain:
        pytest.fail(reason)
    pytest.skip(reason)


def can_connect(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def find_programs() -> tuple[str, str] | None:
    """Return the paths of ``initdb`` and ``postgres``, if they are installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, _FOLDERS)])
    initdb, server = (shutil.which(name, path=path) for name in ("initdb", "postgres"))
    return (initdb, server) if initdb and server else None


@contextmanager
def run_server(initdb: str, server: str) -> Iterator[str]:
    """Run a server for the tests; yield its URL."""
    # It refuses to run as root.
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if user:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,  # type: ignore[arg-type]
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        process = subprocess.Popen(
            [
                *(server, "-D", data, "-p", str(port)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,  # type: ignore[arg-type]
        )
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        try:
            until = time.monotonic() + 30
            while not can_connect(url):
                assert process.poll() is None, "the PostgreSQL of the tests ended"
                assert time.monotonic() < until, "it does not answer"
                time.sleep(0.1)
            yield url
        finally:
            # At once: after SIGTERM it would wait for the last client to leave.
            process.send_signal(signal.SIGINT)
            process.wait()
