"""Ask a tenant without a socket, and read its answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any, cast
from urllib.parse import urlencode

from attrs import define
from joserfc.jwk import KeySet, KeySetSerialization

from auth0_tx.tenant import ActionApi, Event, ReceivedRequest, Reply, Tenant

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
FORM = {"content-type": "application/x-www-form-urlencoded"}
NOON = 1_700_000_000.0

Act = Callable[[Event, ActionApi], None]
Run = Callable[..., Reply]


@define
class Clock:
    """A clock that stands still until it is moved."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@define
class Caller:
    """Ask a tenant for tokens, without a socket."""

    tenant: Tenant

    def build_form(self, **changes: str | None) -> dict[str, str]:
        """Return a form that succeeds, with ``changes``; None leaves a name out."""
        full: dict[str, str | None] = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": self.tenant.client_id,
            "client_secret": self.tenant.client_secret,
            "subject_token": self.tenant.subject_token("auth0|alice"),
            "subject_token_type": "urn:acme:mcp-token",
            **changes,
        }
        return {name: value for name, value in full.items() if value is not None}

    def exchange(self, **changes: str | None) -> Reply:
        """Exchange with ``changes`` to the form that succeeds."""
        return self.post(urlencode(self.build_form(**changes)).encode())

    def refresh(self, refresh_token: str, **changes: str | None) -> Reply:
        """Refresh with ``changes`` to the form that succeeds; None leaves a name out."""
        full: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": self.tenant.client_id,
            "client_secret": self.tenant.client_secret,
            "refresh_token": refresh_token,
            **changes,
        }
        form = {name: value for name, value in full.items() if value is not None}
        return self.post(urlencode(form).encode())

    def issue_refresh_token(self, scope: str = "offline_access", **changes: str) -> str:
        """Return a new refresh token."""
        token = self.exchange(scope=scope, **changes).members["refresh_token"]
        assert isinstance(token, str)
        return token

    def post(
        self,
        body: bytes,
        headers: Mapping[str, str] = FORM,
        client_address: tuple[str, int] = ("127.0.0.1", 5000),
        path: str = "/oauth/token",
    ) -> Reply:
        """Send ``body`` to the token endpoint, or another, as it is."""
        return self.tenant.respond(
            ReceivedRequest(
                method="POST",
                path=path,
                headers=headers,
                body=body,
                client_address=client_address,
            )
        )

    def fetch_keys(self) -> KeySet:
        """Return the keys the tenant publishes."""
        jwks = self.get("/.well-known/jwks.json").members
        return KeySet.import_key_set(cast("KeySetSerialization", jwks))

    def get(
        self, path: str, query: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Get ``path``."""
        return self.tenant.respond(
            ReceivedRequest(method="GET", path=path, query=query, headers=headers or {})
        )


def exchange(tenant: Tenant, connection: HTTPConnection) -> tuple[int, dict[str, str]]:
    """Exchange on ``connection`` and return the status and the members."""
    connection.request(
        "POST", "/oauth/token", urlencode(Caller(tenant).build_form()), FORM
    )
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def choose_alice(api: ActionApi) -> None:
    """Set alice as the user."""
    api.authentication.set_user_by_id("auth0|alice")


def read_part(token: str, index: int) -> dict[str, Any]:
    """Return the header (0) or the claims (1) of a compact JWT, unverified."""
    segment = token.split(".")[index]
    members = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    assert isinstance(members, dict)
    return members


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a compact JWT, unverified."""
    return read_part(token, 1)


def read_refusal(reply: Reply) -> tuple[int, str, str]:
    """Return the status, error and error_description of a refusal."""
    members = reply.members
    return reply.status, members["error"], members["error_description"]
