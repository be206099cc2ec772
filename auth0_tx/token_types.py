"""Token type identifiers (RFC 8693 section 3)."""

from __future__ import annotations

from enum import StrEnum


class TokenType(StrEnum):
    """The identifiers of RFC 8693 section 3 that Auth0 uses, and Auth0's own one.

    A ``subject_token_type`` of Custom Token Exchange is a URI of your own instead: Auth0
    refuses the registered ones there.
    """

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
    JWT = "urn:ietf:params:oauth:token-type:jwt"
    REFRESH_TOKEN = "urn:ietf:params:oauth:token-type:refresh_token"
    SESSION_TRANSFER_TOKEN = "urn:auth0:params:oauth:token-type:session_transfer_token"
