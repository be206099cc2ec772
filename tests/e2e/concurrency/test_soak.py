"""A client that runs for long, among failures, gains no weight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.concurrency.soak import MEASURED, WARM_UP
from tests.e2e.concurrency.volume import VolumeIssuer

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(),
    reason="reads what Linux tells of a process",
)

MOST_GROWTH = 4 * 1024 * 1024


@pytest.mark.parametrize("world", ["blocking", "async"])
def test_ten_thousand_exchanges(issuer: VolumeIssuer, world: str) -> None:
    """After 10,000 exchanges, one in ten faulty, nothing is held that was not before."""
    done = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).with_name("soak.py")), world),
            json.dumps(issuer.settings(max_connections=5)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            # One arena: how glibc spreads memory over threads is not what is measured.
            "MALLOC_ARENA_MAX": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert "" == done.stderr
    found = json.loads(done.stdout)
    outcomes = found["outcomes"]
    # A tenth was to fail; what was merely busy may have gone well when sent again.
    assert WARM_UP + MEASURED == sum(outcomes.values())
    assert 9 * (WARM_UP + MEASURED) // 10 == outcomes["own"]
    assert "another's" not in outcomes
    assert {
        "AmbiguousError",
        "InvalidResponseError",
        "RateLimitError",
        "RefusedError",
    } <= {*outcomes}
    assert found["growth"] < MOST_GROWTH
    assert 0 == found["threads"]
    assert 0 == found["descriptors"]
