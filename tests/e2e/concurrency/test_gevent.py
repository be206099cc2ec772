"""A worker that runs greenlets in place of threads."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.concurrency.volume import METADATA, TOKEN, VolumeIssuer


@pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
)
def test_greenlets(issuer: VolumeIssuer) -> None:
    """30 greenlets wait for their answers together, and each gets its own."""
    issuer.tell(delay={TOKEN: 0.1, METADATA: 0.1})
    program = Path(__file__).with_name("under_gevent.py")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gevent.monkey", str(program)),
            json.dumps(issuer.settings(max_connections=20)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    record = issuer.record()
    assert ("", [5] * 30) == (done.stderr, json.loads(done.stdout))
    assert 1 == record.count(METADATA)
    # So many waited at once: no greenlet held up the others.
    assert 20 == record.most_open == record.accepted
