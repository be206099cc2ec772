"""Token type identifiers (RFC 8693 section 3), and the rules Auth0 has for custom ones."""

from __future__ import annotations

from enum import StrEnum


class TokenType(StrEnum):
    """The identifiers that RFC 8693 section 3 registers, and Auth0's own."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
    JWT = "urn:ietf:params:oauth:token-type:jwt"
    REFRESH_TOKEN = "urn:ietf:params:oauth:token-type:refresh_token"
    SESSION_TRANSFER_TOKEN = "urn:auth0:params:oauth:token-type:session_transfer_token"
