"""A worker that runs greenlets in place of threads."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.concurrency.volume import METADATA, TOKEN, VolumeIssuer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
)


def run_under_gevent(program: str, settings: dict[str, Any]) -> Any:
    """Run a program of this folder where gevent has patched all; return what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gevent.monkey"),
            *(str(Path(__file__).with_name(program)), json.dumps(settings)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "" == done.stderr
    return json.loads(done.stdout)


def test_greenlets(issuer: VolumeIssuer) -> None:
    """30 greenlets wait for their answers together, and each gets its own."""
    issuer.tell(delay={TOKEN: 0.1, METADATA: 0.1})
    answers = run_under_gevent("under_gevent.py", issuer.settings(max_connections=20))

    record = issuer.record()
    assert [5] * 30 == answers
    assert 1 == record.count(METADATA)
    # So many waited at once: no greenlet held up the others.
    assert 20 == record.most_open == record.accepted


def test_timeouts(issuer: VolumeIssuer) -> None:
    """Gevent's timeout ends each wait as itself, shows no secret, and costs no place."""
    issuer.tell(delay={TOKEN: 0.2})
    found = run_under_gevent("timeouts_under_gevent.py", issuer.settings(timeout=5.0))

    expected = {
        "raised": "the timeout",
        "secrets": [],
        "lost places": 0,
        "flights": 0,
        "next": "for.next",
    }
    assert 7 == len(found)
    assert dict.fromkeys(found, expected) == found
