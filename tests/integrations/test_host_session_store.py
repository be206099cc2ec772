"""A store inside a framework's session keeps what it has when something new has no room."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from auth0_tx.errors import StoreError
from auth0_tx.integrations.host_session_store import HostSessionStore


class SmallSessionStore(HostSessionStore):
    """A store whose framework has room for ten characters."""

    host, too_large_hint, shared_stores = "Small", "Use another.", "others"

    def __init__(self) -> None:
        self.session: dict[str, Any] = {}

    def _get_session(self) -> MutableMapping[str, Any]:
        return self.session

    def _is_too_large(self, session: MutableMapping[str, Any]) -> bool:
        return any(len(value) > 10 for value in session.values())


def test_no_room() -> None:
    """A value that does not fit is refused, and the one before it stays."""
    store = SmallSessionStore()
    with pytest.raises(StoreError):
        store.set("key", b"x" * 11, ttl=60, expected=None)
    assert {} == store.session
    assert store.set("key", b"old \xff", ttl=60, expected=None)

    with pytest.raises(StoreError):
        store.set("key", b"x" * 11, ttl=60, expected=b"old \xff")

    assert b"old \xff" == store.get("key")
