"""Plugins and profiles of the whole suite; each test is searched for its secrets.

``--hypothesis-profile quick`` tries fewer texts.
"""

from __future__ import annotations

from contextlib import suppress

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
