"""Sessions that auth0-fastapi and auth0-server-python left: their code writes, ours reads.

The package logs in at a local tenant, and sets its cookies on a Starlette response; a
browser brings them back to our clients.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant

with warnings.catch_warnings():
    # The suite makes errors of warnings.  This one puts a filter of its own in front.
    import authlib.deprecate  # noqa: F401

    warnings.simplefilter("ignore")
    from auth0_fastapi.auth.auth_client import AuthClient
    from auth0_fastapi.config import Auth0Config
    from auth0_fastapi.stores.stateless_state_store import StatelessStateStore
    from auth0_server_python.auth_types import (
        LoginWithCustomTokenExchangeOptions as TheirLogin,
    )

THEIR_SECRET = "what auth0-fastapi was configured with, for years"
OUR_SECRET = "what we are configured with, from now on, and no other"
THEIR_NAME = "_a0_session"
OUR_NAME = "__Host-auth0_tx"
NO_MORE_THAN_THEIRS = 4_096 - len(THEIR_NAME) - 10

Ask = Callable[..., Any]


class Browser:
    """A browser: keeps cookies from a response to its next request."""

    def __init__(self, cookies: dict[str, str] | None = None) -> None:
        self.cookies = dict(cookies or {})

    def request(self) -> Request:
        """Return its next request."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return Request({"type": "http", "headers": [(b"cookie", pairs.encode())]})

    def take(self, response: Response) -> None:
        """Take over the cookies of *response*."""
        for line in response.headers.getlist("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    def list_names(self, prefix: str) -> list[str]:
        """Return the names of its cookies that begin with *prefix*."""
        return [name for name in self.cookies if name.startswith(prefix)]


def ask_blocking(keywords: dict[str, Any], method: str, *arguments: Any) -> Any:
    """Call *method* of a ``ServerClient``."""
    with ServerClient(**keywords) as client:
        return getattr(client, method)(*arguments)


def ask_async(keywords: dict[str, Any], method: str, *arguments: Any) -> Any:
    """Call *method* of an ``AsyncServerClient``."""

    async def ask() -> Any:
        async with AsyncServerClient(**keywords) as client:
            return await getattr(client, method)(*arguments)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_blocking, ask_async], ids=["blocking", "async"])
def ask(request: pytest.FixtureRequest, auth0_tenant: Tenant) -> Ask:
    """A function that calls a method of our client for one request of a browser."""

    def ask_once(
        browser: Browser,
        method: str = "get_user",
        *,
        answered: bool = True,
        **keywords: Any,
    ) -> Any:
        given = {
            "domain": auth0_tenant.domain,
            "client_id": auth0_tenant.client_id,
            "client_secret": auth0_tenant.client_secret,
            "verify": auth0_tenant.ca_file,
            "secret": OUR_SECRET,
            "legacy_secret": THEIR_SECRET,
            **keywords,
        }
        response = Response()
        store_options: dict[str, Any] = {"request": browser.request()}
        if answered:
            store_options["response"] = response
        answer = request.param(given, method, store_options)
        browser.take(response)
        return answer

    return ask_once


def build_their_client(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> AuthClient:
    """Build the client of the other package, as its users do."""
    monkeypatch.setenv("SSL_CERT_FILE", tenant.ca_file)
    config = Auth0Config(
        domain=tenant.domain,
        client_id=tenant.client_id,
        client_secret=tenant.client_secret,
        app_base_url="https://app.example.com",
        secret=THEIR_SECRET,
    )
    return AuthClient(config)


@pytest.fixture
def logged_in(auth0_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A browser whose user has logged in through the other package."""
    client, browser, response = (
        build_their_client(auth0_tenant, monkeypatch),
        Browser(),
        Response(),
    )
    options = TheirLogin(
        subject_token=auth0_tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
        scope="openid profile email offline_access",
    )
    store_options = {"request": browser.request(), "response": response}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(
            client.client.login_with_custom_token_exchange(options, store_options)
        )
    browser.take(response)
    assert [f"{THEIR_NAME}_0"] == browser.list_names(THEIR_NAME)
    auth0_tenant.clear()
    return browser


def write_as_they_do(browser: Browser, state: dict[str, Any]) -> None:
    """Write *state* with the other package's store."""
    response = Response()
    store = StatelessStateStore(THEIR_SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(store.set(THEIR_NAME, state, {"response": response}))
    browser.take(response)


def read_as_they_do(browser: Browser) -> Any:
    """Read a browser's session with the other package's store."""
    store = StatelessStateStore(THEIR_SECRET)
    return asyncio.run(store.get(THEIR_NAME, {"request": browser.request()}))


def build_state(tenant: Tenant, **members: Any) -> dict[str, Any]:
    """Build a session in the other package's format, with *members* set."""
    now = int(time.time())
    return {
        "user": {"sub": "auth0|alice", "iss": f"https://{tenant.domain}/"},
        "id_token": None,
        "refresh_token": None,
        "token_sets": [
            {
                "audience": "default",
                "access_token": "at-1",
                "scope": "openid",
                "expires_at": now + 600,
            }
        ],
        "connection_token_sets": [],
        "domain": tenant.domain,
        "internal": {"sid": "sid-1", "created_at": now, "session_expires_at": None},
        **members,
    }


def test_taken_over(ask: Ask, logged_in: Browser, auth0_tenant: Tenant) -> None:
    """Who was logged in before the change of package is logged in after it."""
    before = read_as_they_do(logged_in)
    kept = dict(logged_in.cookies)
    user = ask(logged_in)

    assert "auth0|alice" == user["sub"]
    assert "alice@example.com" == user["email"]
    # Their model has a member for each claim it knows, there or not.
    assert {k: v for k, v in before["user"].items() if v is not None} == user
    # A read writes nothing, and asks nothing of the tenant.
    assert kept == logged_in.cookies
    assert () == auth0_tenant.requests
    later = time.time() + 86_400 - 30
    assert ask(logged_in, "get_access_token", clock=lambda: later)
    # From the refresh on the session is ours.
    assert [OUR_NAME] == list(logged_in.cookies)
    assert user["sub"] == ask(logged_in, legacy_secret=None)["sub"]


def test_tokens_taken_over(ask: Ask, logged_in: Browser, auth0_tenant: Tenant) -> None:
    """The tokens of the session are still good, and none is fetched anew."""
    before = read_as_they_do(logged_in)
    token = ask(logged_in, "get_access_token")
    session = ask(logged_in, "get_session")

    assert before["token_sets"][0]["access_token"] == token
    assert before["id_token"] == session["id_token"]
    assert before["refresh_token"] == session["refresh_token"]
    assert auth0_tenant.domain == session["domain"]
    assert () == auth0_tenant.requests


def test_refreshed_by_them(
    ask: Ask,
    logged_in: Browser,
    auth0_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session whose token the other package has refreshed, without an audience, is read."""
    before = read_as_they_do(logged_in)
    before["token_sets"][0]["expires_at"] = 1
    write_as_they_do(logged_in, before)
    client, response = build_their_client(auth0_tenant, monkeypatch), Response()
    store_options = {"request": logged_in.request(), "response": response}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refreshed = asyncio.run(client.client.get_access_token(store_options))
    logged_in.take(response)
    auth0_tenant.clear()

    assert None in [
        token_set["audience"] for token_set in read_as_they_do(logged_in)["token_sets"]
    ]
    assert refreshed == ask(logged_in, "get_access_token")
    assert () == auth0_tenant.requests


def test_before_the_response(ask: Ask, logged_in: Browser) -> None:
    """Before there is a response, the user is known, and the cookies stay."""
    before = dict(logged_in.cookies)

    assert "auth0|alice" == ask(logged_in, answered=False)["sub"]
    assert before == logged_in.cookies


def test_taken_into_a_store(ask: Ask, logged_in: Browser) -> None:
    """A session that was kept in cookies can go on in a store."""
    store = MemoryStore()
    user = ask(logged_in, state_store=store)

    assert [OUR_NAME] == list(logged_in.cookies)
    assert len(logged_in.cookies[OUR_NAME]) == 43
    assert [] == logged_in.list_names(THEIR_NAME)
    assert user == ask(logged_in, state_store=store, legacy_secret=None)


def test_wrong_secret(ask: Ask, logged_in: Browser) -> None:
    """A cookie sealed with another secret is not a session; a logout deletes it."""
    assert ask(logged_in, legacy_secret=THEIR_SECRET + ".") is None
    ask(logged_in, "logout", legacy_secret=THEIR_SECRET + ".")
    assert [f"{OUR_NAME}.current"] == list(logged_in.cookies)


def test_not_asked_for(ask: Ask, logged_in: Browser) -> None:
    """Without the other package's secret its cookies are left alone."""
    before = dict(logged_in.cookies)

    assert ask(logged_in, legacy_secret=None) is None
    assert before == logged_in.cookies


def test_many_chunks(ask: Ask, auth0_tenant: Tenant) -> None:
    """A session that took several of their cookies is read from all of them."""
    browser, picture = Browser(), "https://" + "p" * 9_000
    user = {**build_state(auth0_tenant)["user"], "picture": picture}
    write_as_they_do(browser, build_state(auth0_tenant, user=user))
    count = len(browser.list_names(THEIR_NAME))
    first = browser.cookies[f"{THEIR_NAME}_0"]

    assert count > 2
    assert NO_MORE_THAN_THEIRS == len(first)
    assert picture == ask(browser)["picture"]
    ask(browser, "logout")
    assert [] == browser.list_names(THEIR_NAME)


def test_stale_chunks(ask: Ask, auth0_tenant: Tenant) -> None:
    """Chunks of a longer session, which they leave behind and choke on, do no harm."""
    browser = Browser()
    long = {**build_state(auth0_tenant)["user"], "picture": "p" * 9_000}
    write_as_they_do(browser, build_state(auth0_tenant, user=long))
    write_as_they_do(browser, build_state(auth0_tenant))

    assert len(browser.list_names(THEIR_NAME)) > 2
    assert read_as_they_do(browser) is None
    assert "auth0|alice" == ask(browser)["sub"]
    ask(browser, "logout")
    assert [] == browser.list_names(THEIR_NAME)


def test_other_cookie(ask: Ask, logged_in: Browser) -> None:
    """A cookie of another name that begins like theirs is nobody's session, and stays."""
    logged_in.cookies[f"{THEIR_NAME}_theme"] = "dark"

    with pytest.raises(ValueError, match="invalid literal"):
        read_as_they_do(logged_in)
    assert "auth0|alice" == ask(logged_in)["sub"]
    ask(logged_in, "logout")
    assert [f"{THEIR_NAME}_theme"] == logged_in.list_names(THEIR_NAME)


@pytest.mark.parametrize(
    "spelling", ["https://{}", "https://{}/", "{}/"], ids=["scheme", "url", "slash"]
)
def test_domain_as_configured(ask: Ask, auth0_tenant: Tenant, spelling: str) -> None:
    """They note the domain as it was configured, in whatever spelling."""
    browser = Browser()
    domain = spelling.format(auth0_tenant.domain)
    write_as_they_do(browser, build_state(auth0_tenant, domain=domain))

    assert "auth0|alice" == ask(browser)["sub"]


def test_of_another_tenant(ask: Ask, auth0_tenant: Tenant) -> None:
    """A session of another tenant is none of this one."""
    browser = Browser()
    write_as_they_do(browser, build_state(auth0_tenant, domain="other.us.auth0.com"))

    assert ask(browser) is None


def test_lifetimes(ask: Ask, auth0_tenant: Tenant) -> None:
    """A session lives no longer than it would have, counted from when it was made."""
    now = int(time.time())
    browser = Browser()
    made = {"sid": "sid-1", "created_at": now - 259_000}
    write_as_they_do(browser, build_state(auth0_tenant, internal=made))
    later = browser.cookies.copy()

    assert "auth0|alice" == ask(browser)["sub"]
    assert ask(Browser(later), clock=lambda: now + 300) is None
    assert ask(browser, clock=lambda: now + 300) is None


def test_ceiling(ask: Ask, auth0_tenant: Tenant) -> None:
    """The end that an identity provider sets is kept, and is no longer to be outlived."""
    now = int(time.time())
    internal = {"sid": "s", "created_at": now, "session_expires_at": now + 300}
    browser = Browser()
    write_as_they_do(browser, build_state(auth0_tenant, internal=internal))

    assert "auth0|alice" == ask(browser)["sub"]
    assert ask(browser, clock=lambda: now + 301) is None
