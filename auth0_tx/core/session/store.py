"""The protocol of a session store, and the keys of a session in it.

A store holds bytes under a key for a time and does not know what they mean.  Ids, sealing,
lifetimes and locks are the library's, so a store of your own is six short methods.  Each of
them touches one key, so any key-value server will do, a cluster included.

Keys and index labels are hashes.  Whoever reads a store (a dump, a monitoring tool, another
application on the same Redis) learns neither a session id, which opens a session, nor who is
logged in.  Each hash covers the issuer and the client id: two applications that share a store
never find, end or replay what belongs to the other.  There are three kinds:

- ``session:`` holds a sealed session, under the hash of the id that the browser has.  While a
  process refreshes it, a mark behind the sealed text is its lock (``session.lock``).
- ``index:`` lists the sessions that a back-channel logout token may name.
- ``jti:`` marks a logout token as used, so that it cannot be replayed.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from typing import NamedTuple, Protocol

from .state import State


class StateStore(Protocol):
    """A place for sessions, for either client; its methods do not await.

    Keys and labels are short ASCII text, and values are sealed: a store never holds
    anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired, or ``None``."""
        ...

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* if *expected* is what is stored now.

        Compare and write in one step: if two requests read the same session and both save
        it, the second must be told that its copy is out of date.

        Args:
            key: the key.
            value: what to store.
            ttl: seconds, at least 0.001, after which the value is gone.
            expected: the value that must be there now; ``None`` if there must be none.

        Returns:
            Whether *value* was stored.
        """
        ...

    def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        ...

    def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    def read_index(self, label: str) -> Collection[str]:
        """Return the keys under *label*, from the one that was added first to the last."""
        ...

    def remove_from_index(self, label: str, keys: Collection[str]) -> object:
        """Forget *keys* under *label*, in one step; keys added meanwhile stay."""
        ...


class AsyncStateStore(Protocol):
    """A :class:`StateStore` for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired, or ``None``."""
        ...

    async def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* if *expected* is what is stored now; return whether it was."""
        ...

    async def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        ...

    async def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    async def read_index(self, label: str) -> Collection[str]:
        """Return the keys under *label*, from the one that was added first to the last."""
        ...

    async def remove_from_index(self, label: str, keys: Collection[str]) -> object:
        """Forget *keys* under *label*, in one step; keys added meanwhile stay."""
        ...


# 256 random bits in base64url.  A store is not asked for anything else, so a visitor with
# made-up cookies costs no round trip.
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


def is_session_id(text: str) -> bool:
    """Return whether *text* may be the id of a stored session."""
    return _SESSION_ID(text) is not None


class Application(NamedTuple):
    """An application at Auth0: to nobody else does a session belong.

    Client ids are unique within their tenant, so the issuer is part of the name.

    Attributes:
        issuer: the tenant's issuer.
        client_id: the application's id there.
    """

    issuer: str
    client_id: str


def session_key(application: Application, session_id: str) -> str:
    """Return the key that a session is stored under: a hash, which opens nothing."""
    return f"session:{_hash(*application, session_id)}"


def logout_token_key(application: Application, token_id: str) -> str:
    """Return the key that marks a logout token as used, by its ``jti``."""
    # A ``jti`` is unique within its issuer only (RFC 7519 section 4.1.7).
    return f"jti:{_hash(*application, token_id)}"


def index_labels(application: Application, state: State) -> list[str]:
    """Return the labels by which a logout token may name a session.

    A logout token has ``sub``, ``sid`` or both (OIDC Back-Channel Logout 2.4).  With ``sid``
    it ends that session.  Without, it ends all sessions of the user.
    """
    user = state["user"]
    # A session has a user: is_session() sees to that, wherever its claims came from.
    subject: str = user["sub"]
    sid = user.get("sid")
    # Text alone can be named: a claim may be of any type.
    names_session = isinstance(sid, str)
    return [
        index_label("sub", application, subject),
        # An exchange creates no session at Auth0, so its ID token may have no ``sid`` that a
        # logout token could name.  Such sessions have a label of their own, so that ending
        # one ``sid`` ends them too, and not the user's sessions with another ``sid``.
        index_label("sid", application, sid)
        if names_session
        else index_label("sub without sid", application, subject),
    ]


def index_label(kind: str, application: Application, value: str) -> str:
    """Return one label: a hash, from which neither user nor session can be read."""
    return f"index:{kind.replace(' ', '-')}:{_hash(*application, value)}"


def _hash(*fields: str) -> str:
    # The length of each field keeps "ab" with "c" apart from "a" with "bc".  Unsalted: every
    # process must find the same key.  A session id is 256 random bits, so its hash cannot be
    # reversed.  Whoever reads the store could confirm a guessed ``sub``.
    text = "".join([f"{len(field)}:{field}" for field in fields])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
