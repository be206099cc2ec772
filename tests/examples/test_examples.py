"""The example applications, as a person sees them in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from auth0_tx.tenant import Tenant
from tests.examples.chromium import Browser
from tests.examples.running_app import API, WITH_ACTORS, RunningApp
from tests.redis_server import RedisServer

pytestmark = pytest.mark.browser

COOKIE = "__Host-auth0_tx"
NOTE = f"{COOKIE}.current"
TOKEN = "/oauth/token"


def read_sample_token(browser: Browser, app: RunningApp, name: str) -> str:
    """Return a legacy token that the application's login page shows."""
    browser.visit(f"{app.home}login")
    token = browser.read_text(name)
    assert token is not None
    return token


def list_session_cookies(browser: Browser) -> set[str]:
    """Return the names of the cookies of sessions, those of Django's own among them."""
    cookies = browser.list_cookies()
    names = {name for name in cookies if "auth0_tx" in name or name == "sessionid"}
    # The note beside them says which session counts, and stays after a logout.
    return names - {NOTE}


def is_logged_in(browser: Browser, app: RunningApp) -> bool:
    browser.visit(f"{app.home}profile")
    return browser.url == f"{app.home}profile"


def test_log_in_and_out(app: RunningApp, browser: Browser) -> None:
    """Who opens a page logs in first, gets to the page, calls an API, and logs out."""
    browser.visit(f"{app.home}profile")

    assert f"{app.home}login?next=/profile" == browser.url
    alice = browser.read_text("alice")

    browser.send_login(alice)

    assert f"{app.home}profile" == browser.url
    assert "auth0|alice" == browser.read_text("user")
    ends = datetime.strptime(browser.read_text("ends") or "", "%Y-%m-%d %H:%M")
    assert abs(ends - datetime.now() - timedelta(days=1)) < timedelta(minutes=5)

    browser.visit(f"{app.home}api-call")

    assert '"sub":"auth0|alice"' in (browser.read_text("answer") or "")

    browser.visit(f"{app.home}profile")
    browser.press("logout")

    assert app.home == browser.url
    assert set() == list_session_cookies(browser)
    assert not is_logged_in(browser, app)
    browser.visit(f"{app.home}api-call")
    assert f"{app.home}login?next=/api-call" == browser.url


@pytest.mark.parametrize("app", WITH_ACTORS, indirect=True)
def test_actor(app: RunningApp, browser: Browser) -> None:
    """The user sees who acts for them."""
    alice, agent = (
        read_sample_token(browser, app, "alice"),
        read_sample_token(browser, app, "support_agent"),
    )

    browser.log_in(app.home, alice, agent)

    assert "auth0|alice" == browser.read_text("user")
    assert "auth0|support_agent" == browser.read_text("actor")


def test_way_back_to_the_page(app: RunningApp, browser: Browser) -> None:
    """A login leads to the page that needed it, and to no other site."""
    browser.visit(f"{app.home}api-call")
    browser.send_login(browser.read_text("alice"))

    assert f"{app.home}api-call" == browser.url

    browser.clear()
    browser.visit(f"{app.home}login?next=https://localhost:1/")
    browser.send_login(browser.read_text("alice"))

    assert f"{app.home}profile" == browser.url


def test_not_shown_after_logout(app: RunningApp, browser: Browser) -> None:
    """The browser's way back does not show the profile again."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    browser.press("logout")

    browser.go_back()

    assert browser.has_lost("user")


@pytest.mark.parametrize("token", ["a-token-nobody-issued", "Bearer <b>mistake</b>"])
def test_bad_token(app: RunningApp, browser: Browser, token: str) -> None:
    """A token that does not hold is answered with an error, and logs nobody in."""
    browser.log_in(app.home, token)

    answer = browser.read_page()
    assert "invalid_" in answer
    assert token not in answer
    assert set() == list_session_cookies(browser)
    assert not is_logged_in(browser, app)


def test_bad_token_of_a_user(app: RunningApp, browser: Browser) -> None:
    """A failed login leaves the session that there was."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))

    browser.log_in(app.home, "a-token-nobody-issued")

    assert "invalid_" in browser.read_page()
    assert is_logged_in(browser, app)
    assert "auth0|alice" == browser.read_text("user")


def test_people_do_not_mix(
    app: RunningApp, browser: Browser, other_browser: Browser
) -> None:
    """Two people side by side each see themselves, and one may leave without the other."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    other_browser.log_in(app.home, read_sample_token(other_browser, app, "bob"))

    for visitor, user in ((browser, "auth0|alice"), (other_browser, "auth0|bob")) * 2:
        visitor.visit(f"{app.home}api-call")
        assert f'"sub":"{user}"' in (visitor.read_text("answer") or "")
        visitor.visit(f"{app.home}profile")
        assert user == visitor.read_text("user")
    browser.press("logout")

    assert not is_logged_in(browser, app)
    assert is_logged_in(other_browser, app)
    assert "auth0|bob" == other_browser.read_text("user")


def test_next_person(app: RunningApp, browser: Browser) -> None:
    """Who logs in after another, without a logout between, sees nothing of the other."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    browser.visit(f"{app.home}api-call")
    before = browser.list_cookies()
    browser.log_in(app.home, read_sample_token(browser, app, "bob"))
    browser.visit(f"{app.home}api-call")

    assert '"sub":"auth0|bob"' in (browser.read_text("answer") or "")
    assert is_logged_in(browser, app)
    assert "auth0|bob" == browser.read_text("user")
    assert "alice" not in browser.read_page().lower()
    after = browser.list_cookies()
    for name in list_session_cookies(browser):
        assert before[name]["value"] != after[name]["value"]


def test_next_person_after_logout(app: RunningApp, browser: Browser) -> None:
    """Who logs in after another has logged out sees nothing of the other, Back included."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    browser.press("logout")
    browser.log_in(app.home, read_sample_token(browser, app, "bob"))

    assert "auth0|bob" == browser.read_text("user")
    for _ in range(3):
        # The login page, the page after the logout, and what was Alice's profile.
        browser.go_back()
        assert "auth0|alice" != browser.read_text("user")


def test_cookie_as_the_browser_saw_it(app: RunningApp, browser: Browser) -> None:
    """The browser took the cookie as one of this host alone, secure, and not for scripts."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    cookies = browser.list_cookies()

    assert {COOKIE} == list_session_cookies(browser) - {"sessionid"}
    for seen in (cookies[COOKIE], cookies.get(NOTE, cookies[COOKIE])):
        assert {
            # Without a dot before it: a cookie of the host, and of no host below it.
            "domain": "localhost",
            "path": "/",
            "secure": True,
            "httpOnly": True,
            "sameSite": "Lax",
            "session": False,
            "sourceScheme": "Secure",
        } == {
            name: seen[name]
            for name in (
                *("domain", "path", "secure", "httpOnly", "sameSite"),
                *("session", "sourceScheme"),
            )
        }
    assert "auth0_tx" not in browser.list_script_cookies()


def test_other_sites_cannot_log_in(app: RunningApp, browser: Browser) -> None:
    """A stranger's page that sends the form logs nobody in."""
    token = read_sample_token(browser, app, "alice")

    browser.post_from_another_site(f"{app.home}{app.site.login}", subject_token=token)

    assert set() == list_session_cookies(browser)
    assert not is_logged_in(browser, app)


def test_other_sites_cannot_log_out(app: RunningApp, browser: Browser) -> None:
    """A stranger's page that sends the form logs nobody out."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))

    browser.post_from_another_site(f"{app.home}{app.site.logout}")

    assert is_logged_in(browser, app)


def test_tokens_are_renewed(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Each refresh token that takes the place of another is there for the next renewal."""
    tenant.apis.change(API, token_lifetime=1)
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    sent = [tenant.count(TOKEN)]

    # The last one lives for long enough to get to the API on a busy machine.
    for lifetime in (1, 86400):
        time.sleep(1)
        tenant.apis.change(API, token_lifetime=lifetime)
        browser.visit(f"{configured.home}api-call")
        sent.append(tenant.count(TOKEN))

    assert '"sub":"auth0|alice"' in (browser.read_text("answer") or "")
    assert 1 == sent[0] < sent[1] < sent[2]
    assert is_logged_in(browser, configured)


@pytest.mark.parametrize("configured", WITH_ACTORS, indirect=True)
def test_tokens_that_cannot_be_renewed(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Where the access token has ended and an actor acts, the user is to log in again."""
    tenant.apis.change(API, token_lifetime=1)
    browser.log_in(
        configured.home,
        tenant.subject_token("auth0|alice"),
        tenant.subject_token("auth0|support_agent"),
    )
    assert is_logged_in(browser, configured)
    time.sleep(1)

    browser.visit(f"{configured.home}api-call")

    assert f"{configured.home}login?next=/api-call" == browser.url


def test_scope_that_is_missing(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Whose token was not granted the scope may not call the API, and stays logged in."""
    tenant.apis.change(API, scopes=("write:data",))
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))

    browser.visit(f"{configured.home}api-call")

    assert "insufficient_scope" in browser.read_page()
    assert is_logged_in(browser, configured)


def test_backchannel_logout(
    configured: RunningApp, browser: Browser, other_browser: Browser, tenant: Tenant
) -> None:
    """Auth0 ends the sessions of one user, and nobody else's."""
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    other_browser.log_in(configured.home, tenant.subject_token("auth0|bob"))

    status = tenant.send_backchannel_logout(
        "auth0|alice", client_id=configured.client_id
    )

    assert 200 == status
    assert not is_logged_in(browser, configured)
    # Django's login stands on ours, and ends with it.
    assert "sessionid" not in list_session_cookies(browser)
    assert is_logged_in(other_browser, configured)
    assert "auth0|bob" == other_browser.read_text("user")


def test_bad_logout_token(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """A logout token that does not hold is answered with 400, and ends nothing."""
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    for_another = tenant.logout_token("auth0|alice", client_id=tenant.client_id)
    forms = [{"logout_token": for_another}, {"logout_token": "no.such.token"}, {}]

    statuses = [
        post_form(f"{configured.home}{configured.site.backchannel_logout}", form)
        for form in forms
    ]

    assert [400, 400, 400] == statuses
    assert is_logged_in(browser, configured)


def post_form(url: str, form: dict[str, str]) -> int:
    try:
        with urlopen(url, urlencode(form).encode()) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("configured", ["django_app"], indirect=True)
def test_logout_of_django(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Django's own logout ends the login session, and its refresh token at Auth0."""
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))

    browser.press("leave")

    assert configured.home == browser.url
    assert set() == list_session_cookies(browser)
    assert 1 == tenant.count("/oauth/revoke")
    browser.visit(f"{configured.home}api-call")
    assert f"{configured.home}login?next=/api-call" == browser.url


@pytest.mark.parametrize("name", ["django_app", "aiohttp_app"])
def test_sessions_outlive_the_process(
    name: str,
    browser: Browser,
    tenant: Tenant,
    redis_for_sessions: RedisServer,
    start: Callable[..., RunningApp],
    tmp_path: Path,
) -> None:
    """With a database or a Redis, a session outlives the process that made it."""
    settings = {"DATABASE": f"{tmp_path}/sqlite3", "REDIS_URL": redis_for_sessions.url}
    app = start(name, **settings)
    browser.log_in(app.home, tenant.subject_token("auth0|alice"))
    assert 0 == app.interrupt()

    again = start(name, app, PORT=str(app.port), **settings)

    assert is_logged_in(browser, again)
    browser.press("logout")
    assert set() == list_session_cookies(browser)


@pytest.mark.parametrize(
    "configured", ["flask_app", "fastapi_app", "aiohttp_app"], indirect=True
)
def test_store_that_is_down(
    configured: RunningApp,
    browser: Browser,
    tenant: Tenant,
    redis_for_sessions: RedisServer,
) -> None:
    """Without the store nobody is shown as logged in, or out; with it they may log in."""
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    redis_for_sessions.kill()
    try:
        browser.visit(f"{configured.home}profile")
        answer = browser.read_page()
    finally:
        redis_for_sessions.start()

    assert "temporarily_unavailable" in answer
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    assert is_logged_in(browser, configured)


# The last test of each application, as the application ends in it.
def test_ends_properly(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """An interrupt ends it without a complaint, and no secret was printed."""
    secrets = [tenant.subject_token("auth0|alice")]
    browser.log_in(configured.home, *secrets)
    secrets.append(browser.list_cookies()[COOKIE]["value"])
    browser.visit(f"{configured.home}api-call")

    status = configured.interrupt()

    assert 0 == status
    assert f"Open {configured.home}" in configured.output
    for unwanted in ("Traceback", "Unclosed", "Warning: ", *secrets):
        assert unwanted not in configured.output
