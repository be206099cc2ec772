"""A shared cache between browsers and an application: nobody gets another's page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import attrs
import pytest

from auth0_tx.tenant import Tenant
from tests.examples.chromium import Browser
from tests.examples.running_app import API, RunningApp
from tests.examples.shared_cache import SharedCache

pytestmark = pytest.mark.browser

COOKIE = "__Host-auth0_tx"
PAGES = ("profile", "api-call")


@attrs.frozen
class Answer:
    """A page as a program without cookies gets it."""

    url: str
    text: str
    set_cookies: str
    cache_status: str | None


def ask(url: str) -> Answer:
    """Open a page as a stranger, who has no cookies and follows redirects."""
    with urlopen(Request(url, headers={"Accept": "text/html"})) as answer:
        return Answer(
            answer.url,
            answer.read().decode(),
            " ".join(answer.headers.get_all("Set-Cookie", [])),
            answer.headers["X-Cache"],
        )


def check_stranger(home: str) -> None:
    """Let a stranger open each page, who sees the login page and gets nobody's session."""
    for page in PAGES:
        seen = ask(f"{home}{page}")
        assert f"{home}login?next=/{page}" == seen.url
        assert "auth0|" not in seen.text
        assert "auth0_tx" not in seen.set_cookies
        assert "sessionid" not in seen.set_cookies


def check_user(browser: Browser, home: str, user: str) -> None:
    """Let a user open each page, who sees themself."""
    browser.visit(f"{home}api-call")
    assert f'"sub":"{user}"' in (browser.read_text("answer") or "")
    browser.visit(f"{home}profile")
    assert user == browser.read_text("user")


def test_pages_of_users(
    configured: RunningApp,
    cache: SharedCache,
    browser: Browser,
    other_browser: Browser,
    tenant: Tenant,
) -> None:
    """Two users and a stranger who take turns each get what is theirs."""
    home = cache.home
    check_stranger(home)
    browser.log_in(home, tenant.subject_token("auth0|alice"))
    check_user(browser, home, "auth0|alice")
    check_stranger(home)
    other_browser.log_in(home, tenant.subject_token("auth0|bob"))
    for _ in range(2):
        check_user(other_browser, home, "auth0|bob")
        check_user(browser, home, "auth0|alice")
        check_stranger(home)

    tenant.send_backchannel_logout("auth0|alice", client_id=configured.client_id)

    browser.visit(f"{home}profile")
    assert f"{home}login?next=/profile" == browser.url
    check_user(other_browser, home, "auth0|bob")


def test_renewed_session(
    configured: RunningApp, cache: SharedCache, browser: Browser, tenant: Tenant
) -> None:
    """A response that renews a user's session reaches nobody else."""
    tenant.apis.change(API, token_lifetime=1)
    browser.log_in(cache.home, tenant.subject_token("auth0|alice"))
    for _ in range(3):
        browser.visit(f"{cache.home}api-call")
        assert f"{cache.home}api-call" == browser.url
        check_stranger(cache.home)
    tenant.apis.change(API, token_lifetime=86400)
    time.sleep(1)
    check_user(browser, cache.home, "auth0|alice")
    check_stranger(cache.home)


@pytest.mark.parametrize("name", ["flask_app", "fastapi_app"])
def test_renewed_session_in_cookies(
    name: str,
    browser: Browser,
    tenant: Tenant,
    start: Callable[..., RunningApp],
    tmp_path: Path,
) -> None:
    """A page that sets a cookie with a user's new tokens reaches nobody else."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    cache = SharedCache(start(name), folder)
    try:
        tenant.apis.change(API, token_lifetime=1)
        browser.log_in(cache.home, tenant.subject_token("auth0|alice"))
        before = browser.list_cookies()[COOKIE]["value"]
        time.sleep(1)
        browser.visit(f"{cache.home}api-call")
        assert before != browser.list_cookies()[COOKIE]["value"]
        check_stranger(cache.home)
    finally:
        cache.close()


def test_public_page(
    configured: RunningApp, cache: SharedCache, browser: Browser, tenant: Tenant
) -> None:
    """A page that asks for no user is kept, and is the same for strangers and users."""
    first, second = ask(cache.home), ask(cache.home)
    browser.log_in(cache.home, tenant.subject_token("auth0|alice"))
    browser.visit(cache.home)

    assert ["MISS", "HIT"] == [first.cache_status, second.cache_status]
    assert first.text == second.text
    assert f">{browser.read_text('made')}</span>" in first.text
    assert "auth0_tx" not in first.set_cookies


@pytest.mark.parametrize("configured", ["django_app"], indirect=True)
def test_cache_of_django(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Django's own cache keeps the public page, and no page that needs a login."""
    home = configured.home
    check_stranger(home)
    browser.log_in(home, tenant.subject_token("auth0|alice"))
    for _ in range(2):
        check_user(browser, home, "auth0|alice")
        check_stranger(home)

    assert ask(home).text == ask(home).text
