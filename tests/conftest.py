"""Plugins and profiles of the whole suite; each test is searched for its secrets.

``--hypothesis-profile quick`` tries fewer texts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

# A run that is started in the background, or by nohup, has these ignored, and hands that
# down to the processes that are to be ended by them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

with suppress(ImportError):
    # The tests of the example applications need no Hypothesis.
    from hypothesis import settings

    # A text that takes long on a busy machine is not a failure.
    settings.register_profile("full", deadline=None)
    settings.register_profile("quick", deadline=None, max_examples=20)
    settings.load_profile("full")

pytest_plugins = [
    "tests.postgres_server",
    "tests.rabbitmq_server",
    "tests.redis_server",
    "tests.secret_scanner",
]


@pytest.fixture(scope="session", autouse=True)
def observed_requests() -> Iterator[None]:
    """Let a tracer see every request of ``aiohttp``, if the environment says so."""
    if not os.environ.get("AUTH0_TX_TEST_OBSERVED"):
        yield
        return
    # Not at the top: the tests of the core run without aiohttp.
    from tests.observed_requests import observe_requests

    with observe_requests():
        yield
