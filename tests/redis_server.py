"""A pytest plugin: a real Redis for the tests that need one.

It is the one that ``AUTH0_TX_TEST_REDIS_URL`` names, or the one on the default port, or one
that is started, where a ``redis-server`` or ``valkey-server`` is installed.  A test whose Redis
must fail starts one of its own.
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
    """A Redis of a test's own, in memory alone, which it may kill and start again."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="redis-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self, *options: str) -> None:
        """Start it, empty, on its port, and wait until it answers."""
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
        while not _answers("127.0.0.1", self.port):
            assert self._process.poll() is None, "the Redis of the test does not start"
            assert time.monotonic() < until, "the Redis of the test does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it and remove what it left."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def _can_start() -> bool:
    return any(map(shutil.which, _PROGRAMS))


def _none_here() -> None:
    reason = "no Redis: install redis-server, or set AUTH0_TX_TEST_REDIS_URL"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Give the URL of a Redis that all tests share: take a prefix of your own."""
    given = os.environ.get("AUTH0_TX_TEST_REDIS_URL")
    if given:
        yield given
    elif _answers("127.0.0.1", 6379):
        yield "redis://127.0.0.1:6379/0"
    elif _can_start():
        server = RedisServer()
        yield server.url
        server.close()
    else:
        _none_here()


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """Give a prefix for the keys of one test, which are deleted after it."""
    import redis

    prefix = f"auth0_tx-test:{token_hex(8)}:"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture
def redis_server() -> Iterator[Callable[[], RedisServer]]:
    """Start servers of a test's own, which end with it."""
    if not _can_start():
        _none_here()
    servers: list[RedisServer] = []

    def start() -> RedisServer:
        servers.append(RedisServer())
        return servers[-1]

    yield start
    for server in servers:
        server.close()
