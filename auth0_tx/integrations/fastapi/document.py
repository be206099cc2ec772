"""The OpenAPI document: the bodies of errors, and the names of security schemes and cookies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

_SESSION_SCHEME = "Auth0Session"

# The attribute of our function for the document that has the application's own.
_INNER = "_auth0_tx_inner"


class ErrorBody(BaseModel):
    """The body of each error that this library answers: a code, and no detail."""

    error: str


_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_WAIT = {"Retry-After": {"schema": {"type": "integer"}}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {
        "model": ErrorBody,
        "description": "Nobody is logged in, or the token is not valid.",
        "headers": _CHALLENGE,
    },
    403: {
        "model": ErrorBody,
        "description": "The user may not do this, or the token lacks a scope.",
        "headers": _CHALLENGE,
    },
    503: {
        "model": ErrorBody,
        "description": "Auth0 or the session store cannot be reached now.",
        "headers": _WAIT,
    },
}
"""The errors of the dependencies for the OpenAPI document: ``FastAPI(responses=RESPONSES)``.

``handle_errors`` makes the bodies so.
"""


def name_scheme(client: str | None) -> str:
    """Return the name of the security scheme of a client's session."""
    return _SESSION_SCHEME if client is None else f"{_SESSION_SCHEME}_{client}"


def name_cookies(app: FastAPI, cookies: Mapping[str | None, str]) -> None:
    """Have the OpenAPI document show the cookies that the clients really set.

    A dependency is made before its client is known, and the prefix of the name depends on the
    client's policy.
    """
    # The lifespan may run again.
    make_document = getattr(app.openapi, _INNER, app.openapi)

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = make_document()
        schemes = document.get("components", {}).get("securitySchemes", {})
        for client, name in cookies.items():
            scheme = schemes.get(name_scheme(client))
            if scheme is not None:
                scheme["name"] = name
        return document

    vars(openapi)[_INNER] = make_document
    app.openapi = openapi  # type: ignore[method-assign]
