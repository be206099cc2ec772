"""`auth0-tx exchange-many`, killed three times on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.bulk.kills import run_with_kills
from tests.e2e.concurrency.volume import TOKEN, volume_issuer


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kills(tmp_path: Path) -> None:
    """Each row has one result, none is sent twice, and those in flight are ambiguous."""
    with volume_issuer() as issuer:
        # So that there are rows in flight at each kill.
        issuer.tell(delay={TOKEN: 0.05})
        report = run_with_kills(issuer, tmp_path, rows=300, kills=3)

    assert [] == report.problems
    assert 3 == report.kills
    assert report.outcomes["ambiguous"] > 0
