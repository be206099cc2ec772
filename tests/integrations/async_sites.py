"""What the tests of the asyncio hosts share: a client of the tenant's, and its browsers."""

from __future__ import annotations

from typing import Any

import requests

from auth0_tx import LoginWithCustomTokenExchangeOptions
from auth0_tx.tenant import Api, Application, Tenant

API = "https://api.example.com"
OTHER = "https://other.example.com"
SECRET = "of a login session, and long enough: 0123456789"


def make_settings(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the keywords of a client that keeps sessions."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "secret": SECRET,
        **changes,
    }


def login_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login that brings a refresh token."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="urn:acme:legacy-token",
        audience=API,
        scope="openid offline_access",
    )


def add_service(tenant: Tenant) -> dict[str, Any]:
    """Add an API that calls another; return the keywords of its client."""
    tenant.apis.add(Api(OTHER, scopes=("read:more",)))
    tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    return make_settings(tenant, client_id="service", client_secret="secret-of-it")


class Browser(requests.Session):
    """A browser that sends ``Secure`` cookies to loopback, and is not led away."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.trust_env = False
        self._home = f"http://127.0.0.1:{port}"

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        """Ask for a path."""
        pairs = [f"{cookie.name}={cookie.value}" for cookie in self.cookies]
        headers = {**(kwargs.pop("headers", None) or {})}
        if pairs:
            headers["Cookie"] = "; ".join(pairs)
        kwargs.update(timeout=20, allow_redirects=False, headers=headers)
        return super().request(method, f"{self._home}{url}", *args, **kwargs)
