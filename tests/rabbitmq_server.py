"""A pytest plugin: a real RabbitMQ for the tests that need one.

``AUTH0_TX_TEST_AMQP_URL`` names it.  Otherwise it is the one on the default port, or the one
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


def is_answering() -> bool:
    try:
        with socket.create_connection((_HOST, _PORT), 2) as connection:
            connection.settimeout(2)
            # AMQP 0-9-1 section 4.2.2: a wrong protocol header is answered with the right one.
            connection.sendall(b"AMQP\x09\x09\x09\x09")
            return connection.recv(4) == b"AMQP"
    except OSError:
        return False


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    """The URL of a RabbitMQ that all tests share, so each uses its own queue."""
    given = os.environ.get("AUTH0_TX_TEST_AMQP_URL")
    if given:
        yield given
        return
    if is_answering():
        yield _DEFAULT
        return
    # Debian installs it in /usr/sbin, which is not on every user's PATH.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    program = shutil.which("rabbitmq-server", path=path)
    if program is None:
        reason = "no RabbitMQ: install rabbitmq-server, or set AUTH0_TX_TEST_AMQP_URL"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    subprocess.run([program, "-detached"], check=True, capture_output=True)
    until = time.monotonic() + 60
    while not is_answering():
        assert time.monotonic() < until, "RabbitMQ does not answer"
        time.sleep(0.2)
    yield _DEFAULT
    control = str(Path(program).with_name("rabbitmqctl"))
    subprocess.run([control, "shutdown"], check=False, capture_output=True)
