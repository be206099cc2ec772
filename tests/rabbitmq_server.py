"""A pytest plugin: a real RabbitMQ for the tests that need one.

It is the one that ``AUTH0_TX_TEST_AMQP_URL`` names, or the one on the default port, or the one
that ``rabbitmq-server`` starts there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_HOST, _PORT = "127.0.0.1", 5672
_DEFAULT = f"amqp://guest:guest@{_HOST}:{_PORT}//"


def _answers() -> bool:
    try:
        with socket.create_connection((_HOST, _PORT), 2) as connection:
            connection.settimeout(2)
            # What is not AMQP is answered with the version that is.
            connection.sendall(b"AMQP\x09\x09\x09\x09")
            return connection.recv(4) == b"AMQP"
    except OSError:
        return False


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """Give the URL of a RabbitMQ that all tests share: take a queue of your own."""
    given = os.environ.get("AUTH0_TX_TEST_AMQP_URL")
    if given:
        yield given
        return
    if _answers():
        yield _DEFAULT
        return
    # Debian has it where only administrators look.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    program = shutil.which("rabbitmq-server", path=path)
    if program is None:
        reason = "no RabbitMQ: install rabbitmq-server, or set AUTH0_TX_TEST_AMQP_URL"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    subprocess.run([program, "-detached"], check=True, capture_output=True)
    until = time.monotonic() + 60
    while not _answers():
        assert time.monotonic() < until, "RabbitMQ does not answer"
        time.sleep(0.2)
    yield _DEFAULT
    control = str(Path(program).with_name("rabbitmqctl"))
    subprocess.run([control, "shutdown"], check=False, capture_output=True)
