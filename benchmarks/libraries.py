"""Other libraries for HTTP and OAuth: one exchange with each, as its documentation has it.

Each has one session or client for all threads or tasks, whose pool is large enough for them.
``requests`` and ``aiohttp`` themselves are in ``by_hand``.
"""

from __future__ import annotations

import ssl
from typing import Any

import google.auth.transport.requests
import httpx
import niquests
import requests
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from google.oauth2 import sts, utils
from requests.adapters import HTTPAdapter

from .bench import Bench
from .by_hand import FORM
from .tokens import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
)

_GRANT = {name: value for name, value in FORM.items() if not name.startswith("client_")}
"""The form without the client's credentials, which a library for OAuth adds itself."""


class Niquests:
    """``niquests.Session``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._session = niquests.Session(pool_maxsize=connections, verify=bench.ca_file)
        self._url = bench.token_endpoint

    def exchange(self) -> Any:
        """Exchange once."""
        return self._session.post(self._url, data=dict(FORM)).json()

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class AsyncNiquests:
    """``niquests.AsyncSession``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._session = niquests.AsyncSession(
            pool_maxsize=connections, verify=bench.ca_file
        )
        self._url = bench.token_endpoint

    async def exchange(self) -> Any:
        """Exchange once."""
        response = await self._session.post(self._url, data=dict(FORM))
        return response.json()

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


class Httpx:
    """``httpx.Client``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._client = httpx.Client(**_build_httpx_settings(bench, connections))
        self._url = bench.token_endpoint

    def exchange(self) -> Any:
        """Exchange once."""
        return self._client.post(self._url, data=dict(FORM)).json()

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class AsyncHttpx:
    """``httpx.AsyncClient``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._client = httpx.AsyncClient(**_build_httpx_settings(bench, connections))
        self._url = bench.token_endpoint

    async def exchange(self) -> Any:
        """Exchange once."""
        return (await self._client.post(self._url, data=dict(FORM))).json()

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()


def _build_httpx_settings(bench: Bench, connections: int) -> dict[str, Any]:
    return {
        "verify": ssl.create_default_context(cafile=bench.ca_file),
        "limits": httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections
        ),
    }


class Authlib:
    """Authlib's ``OAuth2Session``, over ``requests``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._session = OAuth2Session(
            CLIENT_ID, CLIENT_SECRET, token_endpoint_auth_method="client_secret_post"
        )
        self._session.mount("https://", HTTPAdapter(pool_maxsize=connections))
        self._url, self._ca_file = bench.token_endpoint, bench.ca_file

    def exchange(self) -> Any:
        """Exchange once."""
        return self._session.fetch_token(self._url, verify=self._ca_file, **_GRANT)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class AsyncAuthlib:
    """Authlib's ``AsyncOAuth2Client``, over ``httpx``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._client = AsyncOAuth2Client(
            CLIENT_ID,
            CLIENT_SECRET,
            token_endpoint_auth_method="client_secret_post",
            **_build_httpx_settings(bench, connections),
        )
        self._url = bench.token_endpoint

    async def exchange(self) -> Any:
        """Exchange once."""
        return await self._client.fetch_token(self._url, **_GRANT)

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()


class GoogleSts:
    """The token exchange of google-auth, over ``requests``."""

    def __init__(self, bench: Bench, connections: int) -> None:
        self._session = requests.Session()
        self._session.mount("https://", HTTPAdapter(pool_maxsize=connections))
        self._session.verify = bench.ca_file
        self._request = google.auth.transport.requests.Request(self._session)
        self._client = sts.Client(
            bench.token_endpoint,
            utils.ClientAuthentication(
                utils.ClientAuthType.request_body, CLIENT_ID, CLIENT_SECRET
            ),
        )

    def exchange(self) -> Any:
        """Exchange once."""
        return self._client.exchange_token(
            self._request,
            FORM["grant_type"],
            SUBJECT_TOKEN,
            SUBJECT_TOKEN_TYPE,
            audience=AUDIENCE,
            scopes=SCOPE.split(),
        )

    def close(self) -> None:
        """Close the session."""
        self._session.close()
