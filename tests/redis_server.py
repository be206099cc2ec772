"""A pytest plugin: a real Redis for the tests that need one.

``AUTH0_TX_TEST_REDIS_URL`` names it.  Otherwise it is the one on the default port, or one that
is started if ``redis-server`` or ``valkey-server`` is installed.  A test whose Redis must fail
starts its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from secrets import token_hex

import pytest

_PROGRAMS = ("redis-server", "valkey-server")

_SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")


class RedisServer:
    """A Redis for one test, in memory only, which may kill it and start it again.

    Args:
        options: of the program, beside those of all tests.
    """

    def __init__(self, *options: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="redis-")
        # A node of a cluster also listens 10,000 above its port.
        self.port = next(filter(lambda port: port < 55_536, iter(find_free_port, 0)))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start(*options)

    def start(self, *options: str) -> None:
        """Start an empty server on the port, and wait until it answers."""
        program = next(filter(None, map(shutil.which, _PROGRAMS)))
        self._process = subprocess.Popen(
            [
                *(program, "--port", str(self.port), "--dir", self._folder),
                *(*_SETTINGS, *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while not is_answering("127.0.0.1", self.port):
            assert self._process.poll() is None, "the Redis of the test does not start"
            assert time.monotonic() < until, "the Redis of the test does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the server at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the server, and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def is_answering(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def has_program() -> bool:
    return any(map(shutil.which, _PROGRAMS))


def skip_without_redis() -> None:
    reason = "no Redis: install redis-server, or set AUTH0_TX_TEST_REDIS_URL"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis that all tests share, so each uses its own prefix."""
    given = os.environ.get("AUTH0_TX_TEST_REDIS_URL")
    if given:
        yield given
    elif is_answering("127.0.0.1", 6379):
        yield "redis://127.0.0.1:6379/0"
    elif has_program():
        server = RedisServer()
        yield server.url
        server.close()
    else:
        skip_without_redis()


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """A prefix for the keys of one test, which are deleted after it."""
    import redis

    prefix = f"auth0_tx-test:{token_hex(8)}:"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def redis_server() -> Iterator[Callable[[], RedisServer]]:
    """A function that starts servers for one test, which end with it."""
    if not has_program():
        skip_without_redis()
    servers: list[RedisServer] = []

    def start() -> RedisServer:
        servers.append(RedisServer())
        return servers[-1]

    yield start
    for server in servers:
        server.close()
