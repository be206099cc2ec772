"""Sites of every framework, for as long as a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.testing.sites import SITES


@pytest.fixture(scope="session")
def tables() -> Iterator[None]:
    """Make Django's tables, in memory."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    yield
    connection.close()


@pytest.fixture
def open_site(tables: None) -> Iterator[Any]:
    """A function that opens the site of a framework until the test ends."""
    with ExitStack() as stack:
        yield lambda host, settings, store=None: stack.enter_context(
            SITES[host](settings, store)
        )
