"""What a request of ``aiohttp.web`` has of ours.  Imported where ``aiohttp.web`` already is.

Its keys are objects, and can be made nowhere but in a module.
"""

from __future__ import annotations

from aiohttp.web import RequestKey

RESPONSE_STATE: RequestKey[object] = RequestKey("auth0_tx.response", object)
"""What the response to a request must say, because the request used its session."""
