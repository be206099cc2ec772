"""What the whole suite shares: every test is searched for the secrets it used.

What takes long runs under one Python only; elsewhere ``-m "not heavy"`` leaves it out, and
``--hypothesis-profile quick`` tries fewer texts.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

with suppress(ImportError):
    # What tries the example applications has no need of it.
    from hypothesis import settings

    settings.register_profile("quick", max_examples=20)

pytest_plugins = [
    "tests.rabbitmq_server",
    "tests.redis_server",
    "tests.secret_scanner",
]

HERE = Path(__file__).parent
HEAVY = tuple(
    f"{HERE / folder}/"
    for folder in (
        "cli",
        "doctor",
        "e2e/caches",
        "e2e/concurrency",
        "e2e/faults",
        "e2e/secrets",
        "e2e/sessions",
        "frameworks",
        "integrations",
        "stores",
        "tenant",
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long: volume, processes, and deadlines that must pass."""
    for item in items:
        # Compared as text: comparing ten thousand paths with every folder took 3 s.
        if str(item.path).startswith(HEAVY):
            item.add_marker(pytest.mark.heavy)
