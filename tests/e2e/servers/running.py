"""A server with workers of its own, run as a command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


@contextmanager
def run_command(
    make_command: Callable[[int], list[str]], told: Mapping[str, Any]
) -> Iterator[int]:
    """Run a server until the caller is done; return its port.

    Args:
        make_command: returns the server's command for a port.
        told: what the application reads from ``AUTH0_TX_TEST_SITE``.
    """
    port = _find_free_port()
    process = subprocess.Popen(
        make_command(port),
        env={
            **os.environ,
            "AUTH0_TX_TEST_SITE": json.dumps(told),
            "PYTHONPATH": str(ROOT),
        },
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
