"""Logins for the test client of Starlette and FastAPI.

They run on the event loop of the application's lifespan, whose state has its clients, with a
request that is made here.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from ..errors import ConfigurationError
from ..frameworks.cookies import expect_commit
from ..integrations.starlette import auth0_of
from ..session_values import UserClaims
from .planned_login import PlannedLogin


def log_in_with_starlette(
    client: Any, planned: PlannedLogin, name: str | None
) -> UserClaims:
    """Log in through ``starlette.testclient.TestClient``."""
    if client.portal is None:
        raise ConfigurationError(
            "the application's lifespan does not run: use `with TestClient(app) as client:`",
            parameter="client",
        )
    request = _make_request(client)
    state = expect_commit(request)

    async def log_in() -> UserClaims:
        bound = auth0_of(request, name)
        planned.prepare(bound)
        await bound.login(planned.make_options())
        return await planned.fetch_tokens_async(bound)

    user: UserClaims = client.portal.call(log_in)
    host = client.base_url.host
    # As the jar itself names a host without a dot.
    domain = host if "." in host else f"{host}.local"
    for cookie in state.cookies.values():
        if cookie.max_age > 0:
            # Without ``Secure``: the client's default URL is plain http.
            client.cookies.set(cookie.name, cookie.value, domain, cookie.path)
        elif any(found.name == cookie.name for found in client.cookies.jar):
            client.cookies.delete(cookie.name)
    return user


def _make_request(client: Any) -> Request:
    host = client.base_url.host
    pairs = (f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
    return Request(
        {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": "/",
            "raw_path": b"/",
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", host.encode()),
                (b"cookie", "; ".join(pairs).encode("latin-1")),
            ],
            "client": ("testclient", 50_000),
            "server": (host, 443),
            "app": client.app,
            "state": {**client.app_state},
        }
    )
