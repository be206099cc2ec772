"""Time, chance and ids, which the core takes as arguments and a shell supplies."""

from __future__ import annotations

import os
import random
import secrets
import time
import uuid

from ..core.configuration import Settings
from ..core.context import Context
from ..core.session.cookies import Cookies


def context_for(settings: Settings, cookies: Cookies) -> Context:
    """Make what a client's flows share, on the system's clocks and randomness."""
    return Context(
        settings,
        # Looked up at each call, so that an application's tests may freeze time.
        settings.clock or _now,
        time.monotonic,
        random.random,
        _new_id,
        _new_secret,
        os.urandom(32),
        cookies,
    )


def _now() -> float:
    return time.time()


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _new_id() -> str:
    return uuid.uuid4().hex
