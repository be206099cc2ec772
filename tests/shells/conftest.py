"""The HTTP libraries with their sockets replaced."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import responses
from aioresponses import aioresponses


class _ResponseOfToday(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 makes, with the argument that aiohttp 3.14 added since.

    Needed until a release of aioresponses passes ``stream_writer`` itself (its issue 289).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def requests_replies() -> Iterator[responses.RequestsMock]:
    """What is answered to ``requests``."""
    with responses.RequestsMock() as replies:
        yield replies


@pytest.fixture
def aiohttp_replies(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """What is answered to ``aiohttp``."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _ResponseOfToday)
    with aioresponses() as replies:
        yield replies
