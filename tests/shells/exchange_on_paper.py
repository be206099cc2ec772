"""One exchange as it is on the wire, for shells whose sockets are replaced."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from auth0_tx import CustomTokenExchangeOptions
from auth0_tx.version import __version__

ISSUER = "https://tenant.eu.auth0.com/"
METADATA_URL = ISSUER + ".well-known/openid-configuration"
TOKEN_URL = ISSUER + "oauth/token"
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": TOKEN_URL,
    "jwks_uri": ISSUER + ".well-known/jwks.json",
}

SETTINGS: dict[str, Any] = {
    "domain": "tenant.eu.auth0.com",
    "client_id": "a-client",
    "client_secret": "secret/of+the client",
}
OPTIONS = CustomTokenExchangeOptions(
    subject_token="legacy/1+2",
    subject_token_type="urn:acme:legacy-token",
    scope="openid x",
)
FORM = urlencode(
    {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "legacy/1+2",
        "subject_token_type": "urn:acme:legacy-token",
        "scope": "openid x",
        "client_id": "a-client",
        "client_secret": "secret/of+the client",
    }
).encode()
COMMON_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"auth0-tx/{__version__}",
}
FORM_HEADERS = {**COMMON_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}

TOKENS = json.dumps(
    {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 86400}
)
EXPECTED = {
    "access_token": "an-access-token",
    "token_type": "Bearer",
    "expires_in": 86400,
    "scope": "openid x",
}
