"""What a session is called: in a cookie, in a store, and by a logout token."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode

from .sessions import State

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


def labels_of(state: State) -> list[str]:
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
        label(kind, issuer, value)
        for kind, value in kinds.items()
        if isinstance(value, str)
    ]


def label(kind: str, issuer: str, value: str) -> str:
    """Give one label, which reveals neither user nor session."""
    return f"index:{kind.replace(' ', '-')}:{_hashed(f'{len(issuer)}:{issuer}{value}')}"


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
