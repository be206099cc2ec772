"""Sessions over real HTTP: logging in, being known, getting tokens, logging out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from tests.frameworks.actions import API, OTHER_API
from tests.frameworks.browser import Answer, Browser, read_payload
from tests.frameworks.clients import SERVER_SIDE
from tests.frameworks.conftest import Site

COOKIE = "__Host-auth0_tx"
CURRENT = f"{COOKIE}.current"


def read_user(answer: Answer) -> str | None:
    """Return the user whom a site takes its visitor for."""
    assert 200 == answer.status
    return None if answer.json is None else answer.json["sub"]


def test_visitor_has_no_session(site: Site) -> None:
    """A browser without cookies is not logged in, and gets none."""
    browser = site.new_browser()

    assert (None, []) == (read_user(browser.get("me")), browser.get("me").cookies_set)
    assert 401 == browser.get("token").status
    assert {} == browser.cookies


def test_logs_in(site: Site) -> None:
    """Who logs in with a legacy token is known in the next request."""
    browser = site.new_browser()

    logged_in = site.log_in(browser)

    assert "auth0|alice" == read_user(logged_in)
    assert "alice@example.com" == browser.get("me").json["email"]
    assert "auth0|alice" == read_user(browser.get("me"))


def test_cookies_on_the_wire(site: Site) -> None:
    """Each cookie is this host's alone, kept from scripts, other sites and plain http."""
    logged_in = site.log_in(site.new_browser())

    expected = {
        "max-age": "259200",
        "path": "/",
        "secure": "",
        "httponly": "",
        "samesite": "Lax",
    }
    kept = [cookie for cookie in logged_in.cookies_set if cookie.value]
    names = [cookie.name for cookie in kept]
    chunks = [f"{COOKIE}.{number}" for number in range(len(names) - 1)]
    assert names == {
        "chunks": [*chunks, CURRENT],
        "cookie": [COOKIE, CURRENT],
    }.get(site.store, [COOKIE])
    assert [expected] * len(names) == [cookie.attributes for cookie in kept]
    assert 4096 > max(len(field) for field in logged_in.list_fields("Set-Cookie"))


def test_response_with_cookies_is_not_kept(site: Site) -> None:
    """A response that sets the session is for no cache, and depends on the cookies."""
    logged_in = site.log_in(site.new_browser())

    assert ["private, no-store"] == logged_in.list_fields("Cache-Control")
    vary = ",".join(logged_in.list_fields("Vary")).lower()
    assert "cookie" in [name.strip() for name in vary.split(",")]


def test_response_that_read_the_session_is_not_kept(site: Site) -> None:
    """So is one that only shows who is logged in, or that nobody is."""
    for browser in (site.log_in_new_browser(), site.new_browser()):
        answer = browser.get("me")

        assert ["private, no-store"] == answer.list_fields("Cache-Control")
        assert "cookie" in ",".join(answer.list_fields("Vary")).lower()


def test_tokens_are_not_readable(site: Site) -> None:
    """The browser's cookies show neither tokens nor the user."""
    browser = site.log_in_new_browser()
    token = browser.get("token").json

    held = "".join(browser.cookies.values())
    assert token[:20] not in held
    assert token.split(".")[1][:40] not in held
    assert "alice" not in held


def test_same_request_sees_the_login(site: Site) -> None:
    """A later read in the same request sees the login."""
    browser = site.new_browser()

    answer = browser.post("both", site.world.tenant.subject_token("auth0|alice"))

    assert "auth0|alice" == read_user(answer)
    assert "auth0|alice" == read_user(browser.get("me"))


def test_logs_out(site: Site) -> None:
    """Logging out deletes the cookies, and leads to where Auth0 ends its own session."""
    browser = site.log_in_new_browser()
    held = set(browser.session)

    answer = browser.post("logout", return_to="https://app.example.com/bye")

    url = f"https://{site.world.tenant.domain}/v2/logout"
    query = "?client_id=local-client&returnTo=https%3A%2F%2Fapp.example.com%2Fbye"
    assert (303, [url + query]) == (answer.status, answer.list_fields("Location"))
    assert held | {COOKIE} == answer.deleted
    assert {"/"} == {cookie.attributes["path"] for cookie in answer.cookies_set}
    assert [] == [
        cookie for cookie in answer.cookies_set if "secure" not in cookie.attributes
    ]
    assert ["private, no-store"] == answer.list_fields("Cache-Control")
    left = {} if site.store in SERVER_SIDE else {CURRENT: "none"}
    assert (left, None) == (browser.cookies, read_user(browser.get("me")))


def test_logs_out_nobody(site: Site) -> None:
    """Logging out without a session leads to the same place."""
    answer = site.new_browser().post("logout")

    # The answer to a login may be on its way, or have arrived meanwhile.
    notes = [] if site.store in SERVER_SIDE else [(CURRENT, "none")]
    assert (303, [(COOKIE, ""), *notes]) == (
        answer.status,
        [(cookie.name, cookie.value) for cookie in answer.cookies_set],
    )


def test_logs_out_for_good(server_side: Site) -> None:
    """After a logout, a copy of the cookies is worthless if the server keeps sessions."""
    browser = server_side.log_in_new_browser()
    thief = browser.copy()

    browser.post("logout")

    assert read_user(thief.get("me")) is None
    assert 401 == thief.get("token").status


def test_logs_out_and_in(site: Site) -> None:
    """Who logs out and in again in one request is logged in, with each cookie set once."""
    browser = site.log_in_new_browser()

    answer = browser.post("again", site.world.tenant.subject_token("auth0|bob"))

    names = [cookie.name for cookie in answer.cookies_set]
    assert "auth0|bob" == read_user(answer) == read_user(browser.get("me"))
    assert sorted(set(names)) == sorted(names)


def test_login_changes_the_cookies(site: Site) -> None:
    """Each login is a new session, under an id that the browser did not have before."""
    browser = site.log_in_new_browser()
    before = dict(browser.cookies)

    site.log_in(browser)

    assert set() == set(before.values()) & set(browser.cookies.values())
    assert "auth0|alice" == read_user(browser.get("me"))


def test_login_ends_the_session_before(server_side: Site) -> None:
    """A login ends the session that the browser had: its id is of no use any more."""
    browser = server_side.log_in_new_browser()
    before = browser.copy()

    server_side.log_in(browser)

    assert read_user(before.get("me")) is None


def test_id_of_the_visitors_own(server_side: Site) -> None:
    """A server never takes over an id that it did not make."""
    planted = "A" * 43
    browser = Browser(server_side.port, server_side.store, {COOKIE: planted})
    attacker = browser.copy()

    server_side.log_in(browser)

    assert planted != browser.cookies[COOKIE]
    assert read_user(attacker.get("me")) is None


def test_login_over_another(site: Site) -> None:
    """Who logs in where another was logged in finds nothing of theirs."""
    browser = site.log_in_new_browser("alice", audience=OTHER_API)
    alices = browser.get("token", audience=OTHER_API)

    site.log_in(browser, "bob", scope="openid")

    assert 200 == alices.status
    me = browser.get("me").json
    assert "auth0|bob" == me["sub"]
    assert "alice" not in str(me)
    assert 401 == browser.get("token", audience=OTHER_API).status
    assert "auth0|bob" == read_payload(browser.get("token").json)["sub"]


def test_token_is_renewed(site: Site) -> None:
    """An access token that has expired is renewed once, and the session keeps the new one."""
    browser = site.log_in_new_browser()
    first = browser.get("token").json
    before = site.count_refreshes()

    site.let_tokens_expire()
    second, third = browser.get("token").json, browser.get("token").json

    assert first != second == third
    assert before + 1 == site.count_refreshes()


def test_one_request_renews_for_two_audiences(site: Site) -> None:
    """Within a request, a second renewal uses the refresh token that the first brought."""
    browser = site.log_in_new_browser()
    before = site.count_refreshes()

    site.let_tokens_expire()
    answer = browser.get("tokens")

    first, other, again = answer.json
    audiences = [read_payload(token)["aud"] for token in (first, other)]
    assert [API, OTHER_API] == [api for aud in audiences for api in list_own_apis(aud)]
    assert first == again
    assert before + 2 == site.count_refreshes()
    names = [cookie.name for cookie in answer.cookies_set]
    assert sorted(set(names)) == sorted(names)
    assert [first, other] == [
        browser.get("token", audience=api).json for api in (API, OTHER_API)
    ]
    site.let_tokens_expire()
    assert 200 == browser.get("token").status


def list_own_apis(audience: Any) -> list[str]:
    audiences = [audience] if isinstance(audience, str) else audience
    return [api for api in audiences if api in (API, OTHER_API)]


def call_at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls in as many threads, and return their results."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


def test_requests_at_once_renew_once(site: Site) -> None:
    """However many requests of a browser find the token expired, one renews it for all."""
    browser = site.log_in_new_browser()
    before = site.count_refreshes()
    site.let_tokens_expire()

    tabs = [browser.copy() for _ in range(12)]
    answers = call_at_once(*(lambda tab=tab: tab.get("token") for tab in tabs))

    assert {200} == {answer.status for answer in answers}
    assert 1 == len({answer.json for answer in answers})
    assert before + 1 == site.count_refreshes()
    site.let_tokens_expire()
    assert {200} == {tab.get("token").status for tab in tabs[:2]}


def test_users_never_mix(site: Site) -> None:
    """Two users side by side, in many requests at once, are each themselves in all of them."""
    users = {
        "auth0|alice": site.log_in_new_browser("alice"),
        "auth0|bob": site.log_in_new_browser("bob"),
    }

    def ask(user: str, action: str) -> tuple[str, str]:
        answer = users[user].copy().get(action)
        found = read_payload(answer.json) if action == "token" else answer.json
        return user, found["sub"]

    def log_in(user: str) -> tuple[str, str]:
        browser = site.log_in_new_browser(user.removeprefix("auth0|"))
        return user, browser.get("me").json["sub"]

    calls = [
        *(lambda u=u, a=a: ask(u, a) for u in users for a in ("me", "token") * 6),
        *(lambda u=u: log_in(u) for u in users),
    ]
    pairs = call_at_once(*calls)

    assert [] == [(user, found) for user, found in pairs if user != found]
    assert 26 == len(pairs)


def test_users_have_cookies_of_their_own(site: Site) -> None:
    """No two logins share a cookie, not even those of one user."""
    browsers = [
        site.log_in_new_browser("alice"),
        site.log_in_new_browser("alice"),
        site.log_in_new_browser("bob"),
    ]

    values = [set(browser.cookies.values()) for browser in browsers]
    assert [set(), set()] == [a & b for a, b in pairwise(values)]
    assert set() == values[0] & values[2]


def test_other_cookies_are_left_alone(site: Site) -> None:
    """Cookies of the application, also those called much like ours, change nothing."""
    others = {
        "theme": "dark",
        "auth0_tx": "1",
        "auth0_tx.theme": "dark",
        "auth0_tx_session_theme": "dark",
        f"{COOKIE}.theme": "dark",
        f"{COOKIE}_0": "x",
    }
    browser = Browser(site.port, site.store, dict(others))

    visited = browser.get("me")
    site.log_in(browser)
    known = read_user(browser.get("me"))
    browser.post("logout")

    assert (None, []) == (read_user(visited), visited.cookies_set)
    assert "auth0|alice" == known
    assert others == browser.session
