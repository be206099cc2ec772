"""What is installed."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from ..version import __version__
from .verdict import Verdict

EXTRAS = {
    "celery": "celery",
    "cli": "rich",
    "django": "django",
    "fastapi": "fastapi",
    "flask": "flask",
    "otel": "opentelemetry-api",
    "redis": "redis",
    "starlette": "starlette",
}
"""What each extra brings."""


def checked_installation() -> Iterator[Verdict]:
    """Say which versions run, and which extras are there."""
    yield Verdict(
        "installation",
        "ok",
        f"auth0-tx {__version__}, Python {platform.python_version()}, "
        f"{ssl.OPENSSL_VERSION}",
    )
    found = []
    for extra, package in EXTRAS.items():
        try:
            found.append(f"{extra} ({package} {version(package)})")
        except PackageNotFoundError:
            continue
    yield Verdict("extras", "ok", ", ".join(found) or "none")
