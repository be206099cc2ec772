"""The example applications, as a person sees them in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from auth0_tx.tenant import Tenant
from tests.examples.chromium import Browser
from tests.examples.running_app import API, SERVER_SIDE, RunningApp
from tests.redis_server import RedisServer

pytestmark = pytest.mark.browser

COOKIE = "__Host-auth0_tx"
NOTE = f"{COOKIE}.current"
TOKEN = "/oauth/token"


def read_sample_token(browser: Browser, app: RunningApp, name: str) -> str:
    """Return a legacy token that the application's page shows."""
    browser.visit(app.home)
    token = browser.read_text(name)
    assert token is not None
    return token


def list_session_cookies(browser: Browser) -> set[str]:
    # The note beside them says which session counts, and stays after a logout.
    names = {name for name in browser.list_cookies() if "auth0_tx" in name}
    return names - {NOTE}


def is_logged_in(browser: Browser, app: RunningApp) -> bool:
    browser.visit(f"{app.home}profile")
    return browser.url == f"{app.home}profile"


def test_log_in_and_out(app: RunningApp, browser: Browser) -> None:
    """Who logs in sees themself and who acts for them, calls an API, and logs out."""
    alice, agent = (
        read_sample_token(browser, app, "alice"),
        read_sample_token(browser, app, "support_agent"),
    )

    browser.log_in(app.home, alice, agent)

    assert f"{app.home}profile" == browser.url
    assert "auth0|alice" == browser.read_text("user")
    assert "auth0|support_agent" == browser.read_text("actor")
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
    assert app.home == browser.url


def test_not_shown_after_logout(app: RunningApp, browser: Browser) -> None:
    """The browser's way back does not show the profile again."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    browser.press("logout")

    browser.go_back()

    assert browser.has_lost("user")


@pytest.mark.parametrize("token", ["a-token-nobody-issued", "Bearer <b>mistake</b>"])
def test_bad_token(app: RunningApp, browser: Browser, token: str) -> None:
    """A token that is refused shows why, and logs nobody in."""
    browser.log_in(app.home, token)

    error = browser.read_text("error") or ""
    assert error.endswith((" (invalid_request)", " (invalid_token_format)"))
    assert token not in error
    assert set() == list_session_cookies(browser)
    assert not is_logged_in(browser, app)


def test_bad_token_of_a_user(app: RunningApp, browser: Browser) -> None:
    """A failed login leaves the session that there was."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))

    browser.log_in(app.home, "a-token-nobody-issued")

    assert None is not browser.read_text("error")
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
    """Who logs in after another, without a logout between, has a session of their own."""
    browser.log_in(
        app.home,
        read_sample_token(browser, app, "alice"),
        read_sample_token(browser, app, "support_agent"),
    )
    before = browser.list_cookies()[COOKIE]["value"]
    browser.log_in(app.home, read_sample_token(browser, app, "bob"))

    assert "auth0|bob" == browser.read_text("user")
    assert None is browser.read_text("actor")
    assert before != browser.list_cookies()[COOKIE]["value"]


def test_cookie_as_the_browser_saw_it(app: RunningApp, browser: Browser) -> None:
    """The browser took the cookie as one of this host alone, secure, and not for scripts."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))
    cookies = browser.list_cookies()

    assert {COOKIE} == list_session_cookies(browser)
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

    browser.post_from_another_site(f"{app.home}login", subject_token=token)

    assert set() == list_session_cookies(browser)
    assert not is_logged_in(browser, app)


def test_other_sites_cannot_log_out(app: RunningApp, browser: Browser) -> None:
    """A stranger's page that sends the form logs nobody out."""
    browser.log_in(app.home, read_sample_token(browser, app, "alice"))

    browser.post_from_another_site(f"{app.home}logout")

    assert is_logged_in(browser, app)


def test_tokens_are_renewed(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """Each refresh token that takes the place of another is there for the next renewal."""
    tenant.apis.change(API, token_lifetime=1)
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    assert 1 == tenant.count(TOKEN)

    answers = []
    for _ in range(3):
        time.sleep(1)
        browser.visit(f"{configured.home}api-call")
        answers.append(browser.read_text("answer") or "")

    assert [True] * 3 == ['"sub":"auth0|alice"' in answer for answer in answers]
    assert 4 == tenant.count(TOKEN)
    assert is_logged_in(browser, configured)


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

    assert configured.home == browser.url
    assert None is browser.read_text("answer")


@pytest.mark.parametrize("configured", SERVER_SIDE, indirect=True)
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
    assert is_logged_in(other_browser, configured)


@pytest.mark.parametrize("configured", SERVER_SIDE, indirect=True)
def test_bad_logout_token(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """A logout token that does not hold is answered with 400, and ends nothing."""
    browser.log_in(configured.home, tenant.subject_token("auth0|alice"))
    for_another = tenant.logout_token("auth0|alice", client_id=tenant.client_id)
    forms = [{"logout_token": for_another}, {"logout_token": "no.such.token"}, {}]

    statuses = [
        post_form(f"{configured.home}backchannel-logout", form) for form in forms
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


def test_sessions_in_redis(
    browser: Browser,
    tenant: Tenant,
    redis_server: Callable[[], RedisServer],
    start: Callable[..., RunningApp],
) -> None:
    """With a Redis, a session outlives the process that made it."""
    redis_url = redis_server().url
    app = start("django_app", REDIS_URL=redis_url)
    browser.log_in(app.home, tenant.subject_token("auth0|alice"))
    assert 0 == app.interrupt()

    again = start("django_app", app, REDIS_URL=redis_url, PORT=str(app.port))

    assert is_logged_in(browser, again)
    browser.press("logout")
    assert set() == list_session_cookies(browser)


# The last test of each application, as the application ends in it.
def test_ends_properly(
    configured: RunningApp, browser: Browser, tenant: Tenant
) -> None:
    """An interrupt ends it without a complaint, and no secret was printed."""
    secrets = [
        tenant.subject_token("auth0|alice"),
        tenant.subject_token("auth0|support_agent"),
    ]
    browser.log_in(configured.home, *secrets[:2])
    secrets.append(browser.list_cookies()[COOKIE]["value"])
    browser.visit(f"{configured.home}api-call")

    status = configured.interrupt()

    assert 0 == status
    assert f"Open {configured.home}" in configured.output
    for unwanted in ("Traceback", "Unclosed", "Warning: ", *secrets):
        assert unwanted not in configured.output
