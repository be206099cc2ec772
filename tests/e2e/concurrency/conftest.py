"""An issuer for volume to each test, with an empty record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.concurrency.volume import VolumeIssuer, volume_issuer


@pytest.fixture(scope="session")
def issuer_process() -> Iterator[VolumeIssuer]:
    """One issuer, in a process of its own."""
    with volume_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(issuer_process: VolumeIssuer) -> VolumeIssuer:
    """The issuer with an empty record, and nothing that goes wrong."""
    issuer_process.tell(clear=True, delay={}, failing={})
    return issuer_process
