"""Logins for the test client of aiohttp, with a request that is made here."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

from aiohttp.test_utils import make_mocked_request

from ..errors import ConfigurationError
from ..frameworks.cookies import expect_commit
from ..integrations.aiohttp_web import auth0_of
from ..session_values import UserClaims
from .planned_login import PlannedLogin


async def log_in_with_aiohttp(
    client: Any, planned: PlannedLogin, name: str | None
) -> UserClaims:
    """Log in through ``aiohttp.test_utils.TestClient``."""
    if client.app is None:
        raise ConfigurationError(
            "the test client must be of a TestServer with an application",
            parameter="client",
        )
    jar, url = client.session.cookie_jar, client.make_url("/")
    sent = jar.filter_cookies(url)
    headers = {
        "Host": url.authority,
        "X-Forwarded-Proto": "https",
        "Cookie": "; ".join(f"{key}={morsel.value}" for key, morsel in sent.items()),
    }
    request = make_mocked_request("GET", "/", headers=headers, app=client.app)
    state = expect_commit(request)
    bound = auth0_of(request, name)
    planned.prepare(bound)
    await bound.login(planned.make_options())
    user = await planned.fetch_tokens_async(bound)
    cookies: SimpleCookie = SimpleCookie()
    for cookie in state.cookies.values():
        cookies[cookie.name] = cookie.value
        cookies[cookie.name]["path"] = cookie.path
        # Without ``Secure``: test servers speak plain http.
        cookies[cookie.name]["max-age"] = cookie.max_age
    jar.update_cookies(cookies, url)
    return user
