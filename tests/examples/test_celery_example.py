"""The Celery example, as its reader starts it: without settings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.examples.running_app import EXAMPLES

pytestmark = pytest.mark.browser


def test_celery_example(redis_url: str) -> None:
    """Its worker exchanges the tokens of three tasks, and prints no token."""
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "celery_app" / "app.py")],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("AUTH0_")},
            "REDIS_URL": redis_url,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 0 == ran.returncode, ran.stderr
    for number in range(3):
        assert f"task {number} is sent txv_" in ran.stdout
        assert f"task {number}: a token for read:data, good for 86400 s" in ran.stdout
    assert "eyJ" not in ran.stdout + ran.stderr
