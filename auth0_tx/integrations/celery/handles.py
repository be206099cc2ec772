"""Handles of a vault: text that stands for a token, and is worth nothing by itself."""

from __future__ import annotations

import re
import secrets

PREFIX = "txv_"

_is_whole = re.compile(r"txv_[A-Za-z0-9_-]{43}").fullmatch


def new_handle() -> str:
    """Make a handle: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def is_handle(value: object) -> bool:
    """Tell whether *value* has the form of a handle."""
    return isinstance(value, str) and _is_whole(value) is not None
