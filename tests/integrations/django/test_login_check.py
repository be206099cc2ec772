"""Django's login lasts as long as the login session that it was made with."""

from __future__ import annotations

import time
from typing import Any

import pytest

from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.logins import (
    COOKIE,
    OURS,
    PASSWORDS,
    SITE,
    BreakableStore,
    Clock,
    Project,
    ask,
    log_in,
    needs_async_users,
    new_browser,
    send,
)

PAGES = [
    "account",
    "account-of-session",
    "account-in-template",
    "account-in-stream",
    pytest.param("account-async", marks=needs_async_users),
    pytest.param("account-of-session-async", marks=needs_async_users),
]
STORES: dict[str, Any] = {
    "cookies": ...,
    "session": "session",
    "redis": "cache",
    "local cache": "cache:own",
    "memory": MemoryStore(),
}


def is_nobody(shown: str) -> bool:
    """Return whether a page is one for visitors, or sends them to log in."""
    return shown in ("nobody", "302")


def log_out_of_auth0(tenant: Tenant) -> None:
    """Have Auth0 end Alice's sessions."""
    token = tenant.logout_token(sub="auth0|alice")
    answer = new_browser().post("/backchannel-logout", {"logout_token": token})
    assert 200 == answer.status_code


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("store", ["redis", "local cache", "memory"])
def test_backchannel_logout(
    project: Project, auth0_tenant: Tenant, store: str, page: str
) -> None:
    """A back-channel logout logs out of Django, however a view asks for the user."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    bob = log_in(auth0_tenant, "bob")
    assert ask(browser, page).startswith("auth0-")
    log_out_of_auth0(auth0_tenant)

    assert is_nobody(ask(browser, page))
    assert "_auth_user_id" not in browser.session
    assert ask(bob, page).startswith("auth0-")


# A stream begins too late to note in a cookie that the session was used.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != "account-in-stream"]
)
@pytest.mark.parametrize("store", STORES)
def test_end_of_life(
    project: Project, auth0_tenant: Tenant, store: str, page: str
) -> None:
    """A session that was idle, or has reached its age, is not logged in to Django either."""
    clock = Clock(time.time())
    policy = {"idle_seconds": 100, "absolute_seconds": 250}
    project(
        {"STATE_STORE": STORES[store], "CLOCK": clock, "SESSION_POLICY": policy},
        ROOT_URLCONF=SITE,
    )
    idle, busy = log_in(auth0_tenant), log_in(auth0_tenant)
    for _ in range(4):
        clock.now += 60
        assert ask(busy, page).startswith("auth0-")
    assert is_nobody(ask(idle, page))
    clock.now += 20
    assert is_nobody(ask(busy, page))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("store", STORES)
def test_lost_cookie(
    project: Project, auth0_tenant: Tenant, store: str, page: str
) -> None:
    """A browser that lost the session's cookie is not logged in to Django, now or later."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    kept = browser.cookies.pop(COOKIE)

    assert is_nobody(ask(browser, page))
    browser.cookies[COOKIE] = kept.value
    assert is_nobody(ask(browser, page))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("store", ["cookies", "redis"])
def test_session_of_another_user(
    project: Project, auth0_tenant: Tenant, store: str, page: str
) -> None:
    """Django shows nobody where the login session is somebody else's."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    alice, bob = log_in(auth0_tenant), log_in(auth0_tenant, "bob")
    for name in [name for name in bob.cookies if name.startswith(COOKIE)]:
        alice.cookies[name] = bob.cookies[name].value

    assert is_nobody(ask(alice, page))
    assert "auth0|bob" == ask(alice, "subject")


@pytest.mark.parametrize("store", STORES)
def test_another_user_logs_in_to_auth0(
    project: Project, auth0_tenant: Tenant, store: str
) -> None:
    """A login of another user to Auth0 alone logs the one before out of Django at once."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    answer = send(browser, "login-to-auth0", auth0_tenant.subject_token("auth0|bob"))

    assert b"nobody" == answer.content
    assert "auth0|bob" == ask(browser, "subject")
    assert is_nobody(ask(browser, "account"))
    again = send(
        log_in(auth0_tenant),
        "login-to-auth0",
        auth0_tenant.subject_token("auth0|alice"),
    )
    assert again.content.startswith(b"auth0-")


@pytest.mark.parametrize("store", STORES)
def test_another_user_logs_in(
    project: Project, auth0_tenant: Tenant, store: str
) -> None:
    """A login over another user's is whole, and the key of Django's session changes."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    alice, key = ask(browser, "account"), browser.session.session_key
    log_in(auth0_tenant, "bob", browser=browser)

    assert ask(browser, "account") not in (alice, "302")
    assert "auth0|bob" == ask(browser, "subject")
    assert key != browser.session.session_key


def test_other_backends_are_left_alone(project: Project, auth0_tenant: Tenant) -> None:
    """Nothing is read for a user whom another backend has logged in."""
    from django.contrib.auth import get_user_model

    store = BreakableStore()
    store.broken = {"get", "delete"}
    project(
        {"STATE_STORE": store},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
    )
    user = get_user_model().objects.create_user("local", password="pw")
    forced, by_password = new_browser(), new_browser()
    forced.force_login(user, backend=OURS)
    send(by_password, "login-by-password")

    assert "local" == ask(forced, "account") == ask(by_password, "account")
    assert 0 == store.reads


def test_nobody_asks(project: Project, auth0_tenant: Tenant) -> None:
    """A view that asks for no user reads no session."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    store.broken = {"get"}
    answer = browser.get("/nothing", secure=True)

    assert 200 == answer.status_code
    assert "Vary" not in answer
    assert "Cache-Control" not in answer


def test_asked_once(project: Project, auth0_tenant: Tenant) -> None:
    """A request asks the store once, however many ask for its user."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    before = store.reads
    ask(browser, "account")

    assert 1 == store.reads - before


def test_bounded_questions(
    project: Project, auth0_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOGIN_CHECK_SECONDS bounds how often a store is asked; caches are told all the same."""
    now = Clock(1_000.0)
    monkeypatch.setattr("auth0_tx.integrations.django.login_check.read_monotonic", now)
    store = BreakableStore()
    project({"STATE_STORE": store, "LOGIN_CHECK_SECONDS": 30}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    ask(browser, "account")
    before = store.reads
    now.now += 29
    answer = browser.get("/account", secure=True)

    assert 0 == store.reads - before
    assert "private, no-store" == answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]
    log_out_of_auth0(auth0_tenant)
    assert ask(browser, "account").startswith("auth0-")
    now.now += 2
    assert is_nobody(ask(browser, "account"))


def test_bound_is_for_one_session(project: Project, auth0_tenant: Tenant) -> None:
    """A session that was found vouches for its own cookie and its own user alone."""
    project({"STATE_STORE": "cache", "LOGIN_CHECK_SECONDS": 30}, ROOT_URLCONF=SITE)
    alice, bob = log_in(auth0_tenant), log_in(auth0_tenant, "bob")
    for browser in (alice, bob):
        assert ask(browser, "account").startswith("auth0-")
    alice.cookies[COOKIE] = bob.cookies[COOKIE].value

    assert is_nobody(ask(alice, "account"))
    kept = {name: morsel.value for name, morsel in bob.cookies.items()}
    send(bob, "logout")
    thief = new_browser()
    thief.cookies.load(kept)
    assert is_nobody(ask(thief, "account"))


def test_bound_leaves_idle_time_alone(project: Project, auth0_tenant: Tenant) -> None:
    """At most a tenth of the idle time counts: a session in use must not end as an idle one."""
    from auth0_tx.integrations.django.login_check import get_login_settings

    project(
        {
            "STATE_STORE": "cache",
            "LOGIN_CHECK_SECONDS": 3_600,
            "SESSION_POLICY": {"idle_seconds": 600},
        }
    )

    assert 60.0 == get_login_settings().seconds


@pytest.mark.parametrize("seconds", [-1, "30", True, float("nan"), None])
def test_bad_bound(project: Project, seconds: Any) -> None:
    """A bound that is not a number of seconds is refused, by its name."""
    from auth0_tx import ConfigurationError
    from auth0_tx.integrations.django import get_client

    project({"LOGIN_CHECK_SECONDS": seconds})
    with pytest.raises(ConfigurationError, match="LOGIN_CHECK_SECONDS"):
        get_client()


@pytest.mark.parametrize("page", PAGES)
def test_store_that_fails(
    project: Project,
    auth0_tenant: Tenant,
    page: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is shown as logged in while the store fails; who was is so again when it works."""
    store = BreakableStore()
    policy = {"store_failure": "no_session"}
    project({"STATE_STORE": store, "SESSION_POLICY": policy}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    store.broken = {"get"}

    assert is_nobody(ask(browser, page))
    store.broken = set()
    assert ask(browser, page).startswith("auth0-")
    log_out_of_auth0(auth0_tenant)
    assert is_nobody(ask(browser, page))
    assert "_auth_user_id" not in browser.session


def test_store_that_fails_and_raises(project: Project, auth0_tenant: Tenant) -> None:
    """With the policy to raise, the page is an error, and the login is there afterwards."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    store.broken = {"get"}

    assert "503" == ask(browser, "account")
    store.broken = set()
    assert ask(browser, "account").startswith("auth0-")


def test_asked_once_in_an_outage(project: Project, auth0_tenant: Tenant) -> None:
    """A request asks a store that fails once, and each who asks gets an error of their own."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    store.broken, before = {"get"}, store.reads

    assert "2 failures, 2 errors" == ask(browser, "account-twice")
    assert 1 == store.reads - before


def ask_at_once(get_response: Any) -> Any:
    """Return a middleware that replaces the lazy user by the user."""
    from django.contrib.auth import get_user

    def answer(request: Any) -> Any:
        request.user = get_user(request)
        return get_response(request)

    return answer


def test_user_who_is_not_lazy(project: Project, auth0_tenant: Tenant) -> None:
    """A middleware before ours may have asked for the user already."""
    from django.conf import settings

    project({"STATE_STORE": "cache"}, ROOT_URLCONF=SITE)
    sessions, users, ours = settings.MIDDLEWARE
    eager = f"{__name__}.ask_at_once"
    project(
        {"STATE_STORE": "cache"},
        ROOT_URLCONF=SITE,
        MIDDLEWARE=[sessions, users, eager, ours],
    )
    browser = log_in(auth0_tenant)
    assert ask(browser, "account").startswith("auth0-")
    log_out_of_auth0(auth0_tenant)

    assert "302" == ask(browser, "account")


def test_login_required_middleware(project: Project, auth0_tenant: Tenant) -> None:
    """Django's LoginRequiredMiddleware sends to the login, or answers 503 in an outage."""
    import django
    from django.conf import settings

    if django.VERSION < (5, 1):
        pytest.skip("LoginRequiredMiddleware is of Django 5.1")
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    browser = log_in(auth0_tenant)
    project(
        {"STATE_STORE": store},
        ROOT_URLCONF=SITE,
        MIDDLEWARE=[*settings.MIDDLEWARE, required],
    )
    # A browser of Django's loads the middlewares once.
    cookies, browser = browser.cookies, new_browser()
    browser.cookies = cookies

    assert ask(browser, "account").startswith("auth0-")
    store.broken = {"get"}
    answer = browser.get("/nothing", secure=True)
    assert 503 == answer.status_code
    assert "no-store" in answer["Cache-Control"]
    store.broken = set()
    send(browser, "logout")
    assert "302" == ask(browser, "nothing")


@pytest.mark.parametrize("page", PAGES)
def test_signed_cookies(project: Project, auth0_tenant: Tenant, page: str) -> None:
    """Django's session may be a cookie, which a browser can send again after its end."""
    project(
        {"STATE_STORE": "cache"},
        ROOT_URLCONF=SITE,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    browser = log_in(auth0_tenant)
    kept = browser.cookies["sessionid"].value
    assert ask(browser, page).startswith("auth0-")
    log_out_of_auth0(auth0_tenant)
    for _ in range(2):
        browser.cookies["sessionid"] = kept
        assert is_nobody(ask(browser, page))


def test_backend_checks_alone(project: Project, auth0_tenant: Tenant) -> None:
    """In the wrong order of middlewares, Django's user is not checked, but the backend does so."""
    from django.conf import settings

    project({"STATE_STORE": "cache"}, ROOT_URLCONF=SITE)
    sessions, users, ours = settings.MIDDLEWARE
    project(
        {"STATE_STORE": "cache"}, ROOT_URLCONF=SITE, MIDDLEWARE=[sessions, ours, users]
    )
    browser = log_in(auth0_tenant)
    assert ask(browser, "account").startswith("auth0-")
    log_out_of_auth0(auth0_tenant)

    assert "302" == ask(browser, "account")


def test_other_users_of_the_backend(project: Project, auth0_tenant: Tenant) -> None:
    """The backend finds users whom no request is of, also while a login does not stand."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.backends import ModelBackend
    from django.test import RequestFactory

    from auth0_tx.integrations.django.backends import Auth0Backend
    from auth0_tx.integrations.django.login_check import LOGIN_KEY, use_request

    project({}, ROOT_URLCONF=SITE)
    user = get_user_model().objects.create_user("carol", password="pw")
    request: Any = RequestFactory().get("/")
    request.session = {LOGIN_KEY: ["default", "gone"], "_auth_user_id": "0"}

    assert user == Auth0Backend().get_user(user.pk)
    with use_request(request):
        assert user == Auth0Backend().get_user(user.pk)
    assert user == ModelBackend().get_user(user.pk)


@pytest.mark.parametrize("mark", ["text", ["default"], ["default", 5], {"a": 1}, []])
def test_mark_of_another_version(
    project: Project, auth0_tenant: Tenant, mark: Any
) -> None:
    """A mark that is not understood stands for nobody."""
    from auth0_tx.integrations.django.login_check import LOGIN_KEY

    project({}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    session = browser.session
    session[LOGIN_KEY] = mark
    session.save()

    assert "302" == ask(browser, "account")


@pytest.mark.parametrize("store", ["cookies", "memory"])
def test_blocking_user_in_an_async_view(
    project: Project, auth0_tenant: Tenant, store: str
) -> None:
    """An async view that asks for ``request.user`` is told to await, and blocks no loop."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)

    assert "SynchronousOnlyOperation" == ask(browser, "account-blocking")


@needs_async_users
async def test_under_asgi(project: Project, auth0_tenant: Tenant) -> None:
    """Under ASGI, views of both kinds see a login that stands, and nobody after its end."""
    from django.test import AsyncClient

    project({"STATE_STORE": "cache"}, ROOT_URLCONF=SITE)
    browser = AsyncClient()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = await browser.post(
        "/login-async", token, content_type="text/plain", secure=True
    )
    assert 200 == answer.status_code
    pages = ("account", "account-async", "account-of-session-async")

    async def show() -> list[bytes]:
        return [(await browser.get(f"/{page}", secure=True)).content for page in pages]

    assert {answer.content} == set(await show())
    logout_token = auth0_tenant.logout_token(sub="auth0|alice")
    await AsyncClient().post("/backchannel-logout", {"logout_token": logout_token})
    assert [b"", b"nobody", b"nobody"] == await show()


def test_no_django_sessions(project: Project, auth0_tenant: Tenant) -> None:
    """A project without Django's sessions has ``request.auth0`` as before."""
    ours = "auth0_tx.integrations.django.middleware.Auth0Middleware"
    project({}, ROOT_URLCONF="tests.integrations.django.site", MIDDLEWARE=[ours])
    browser = new_browser()
    send(browser, "login", auth0_tenant.subject_token("auth0|alice"))

    assert "auth0|alice" == ask(browser, "user-of-client")
    send(browser, "logout-of-auth0")
    assert "nobody" == ask(browser, "user-of-client")
