"""A pytest plugin: a real PostgreSQL for the tests that need one.

``AUTH0_TX_TEST_POSTGRES_URL`` names it.  Otherwise it is the one on the default port, with the
database ``test`` of the user ``postgres``.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import pytest

_DEFAULT = "postgresql://postgres@127.0.0.1:5432/test"


def _find_reason_to_skip(url: str) -> str | None:
    if find_spec("psycopg") is None:
        return "psycopg is not installed"
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port or 5432), 1).close()
    except OSError:
        return "no PostgreSQL: install one, or set AUTH0_TX_TEST_POSTGRES_URL"
    return None


@pytest.fixture(scope="session")
def postgres() -> Iterator[dict[str, Any]]:
    """Return Django's settings for a PostgreSQL, in a schema that ends with the tests."""
    url = os.environ.get("AUTH0_TX_TEST_POSTGRES_URL", _DEFAULT)
    reason = _find_reason_to_skip(url)
    if reason is not None:
        # A Python that is newer than psycopg's wheels has none.
        if os.environ.get("CI") and sys.version_info < (3, 15):
            pytest.fail(reason)
        pytest.skip(reason)
    import psycopg

    schema = f"auth0_tx_{token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}")
        place = urlsplit(url)
        yield {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": place.path.removeprefix("/"),
            "USER": place.username or "",
            "PASSWORD": place.password or "",
            "HOST": place.hostname or "",
            "PORT": str(place.port or 5432),
            "OPTIONS": {"options": f"-c search_path={schema}"},
        }
        admin.execute(f"DROP SCHEMA {schema} CASCADE")
