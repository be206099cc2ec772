"""The key under which a request of ``aiohttp.web`` has our response state.

A module of its own for two reasons: a ``RequestKey`` names the module that makes it, so it
must be made at import time; and only applications of ``aiohttp.web`` may import that.
"""

from __future__ import annotations

from aiohttp.web import RequestKey

RESPONSE_STATE: RequestKey[object] = RequestKey("auth0_tx.response", object)
"""Where a request has the :class:`~.cookies.ResponseState` of its response."""
