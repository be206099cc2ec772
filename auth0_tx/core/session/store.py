"""What a session store is, and the keys that a session has in it.

A store holds bytes under a key for a time and has no idea of what they mean.  Ids, sealing,
lifetimes and locks are the library's, so a store of your own is five short methods.  Each
of them touches one key.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from typing import Protocol

from .state import State


class StateStore(Protocol):
    """Where sessions are kept, for either client; its methods do not await.

    Keys and labels are short ASCII text, and values are sealed: a store never holds
    anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        ...

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, but only where *expected* is what is stored now.

        Compare and write are one step, so that of two writers one finds out.

        Args:
            key: where.
            value: what.
            ttl: seconds, at least 0.001, after which it is gone.
            expected: what must be there now; ``None`` where nothing must.

        Returns:
            Whether it was stored.
        """
        ...

    def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        ...

    def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    def take_index(self, label: str) -> Collection[str]:
        """Give the keys under *label* and forget them, in one step."""
        ...


class AsyncStateStore(Protocol):
    """The same for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        ...

    async def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, but only where *expected* is what is stored now."""
        ...

    async def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        ...

    async def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    async def take_index(self, label: str) -> Collection[str]:
        """Give the keys under *label* and forget them, in one step."""
        ...


_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


def is_session_id(text: str) -> bool:
    """Tell whether a text may be the id of a stored session: 256 random bits."""
    return _SESSION_ID(text) is not None


def session_key(session_id: str) -> str:
    """Give the key that a session is stored under: a hash, which opens nothing."""
    return f"session:{_hashed(session_id)}"


def lock_key(session_id: str) -> str:
    """Give the key of the lock that whoever refreshes a session holds."""
    return f"lock:{_hashed(session_id)}"


def logout_token_key(issuer: str, token_id: str) -> str:
    """Give the key by which a logout token is known again (its ``jti``)."""
    return f"jti:{_hashed(f'{len(issuer)}:{issuer}{token_id}')}"


def index_labels(state: State) -> list[str]:
    """Give the labels that a logout token may name a session by: its user, its ``sid``."""
    user = state["user"]
    issuer, sid, subject = user.get("iss"), user.get("sid"), user.get("sub")
    if not isinstance(issuer, str):
        # A logout token has an issuer, so none is about this session.
        return []
    kinds = {"sub": subject}
    if isinstance(sid, str):
        kinds["sid"] = sid
    else:
        kinds["sub without sid"] = subject
    return [
        index_label(kind, issuer, value)
        for kind, value in kinds.items()
        if isinstance(value, str)
    ]


def index_label(kind: str, issuer: str, value: str) -> str:
    """Give one label, which reveals neither user nor session."""
    return f"index:{kind.replace(' ', '-')}:{_hashed(f'{len(issuer)}:{issuer}{value}')}"


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
