"""What a request of ``aiohttp.web`` has of ours.  Imported where ``aiohttp.web`` already is.

Its keys are objects, and can be made nowhere but in a module.
"""

from __future__ import annotations

from aiohttp.web import RequestKey

from ..core.session.cookies import SetCookie

WRITTEN: RequestKey[dict[str, SetCookie]] = RequestKey("auth0_tx.cookies", dict)
"""The cookies that a request was answered with, by name."""

COMMIT: RequestKey[object] = RequestKey("auth0_tx.commit", object)
"""The cookies that are set when its response is prepared."""
