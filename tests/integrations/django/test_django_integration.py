"""Django: settings, views of both kinds, users, stores, checks and commands."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from auth0_tx import ConfigurationError, CustomTokenExchangeOptions, SessionPolicy
from auth0_tx.stores import CookieStore, MemoryStore
from auth0_tx.tenant import Api, Application, Tenant, User
from auth0_tx.testing import MovableClock
from tests.frameworks import django_settings  # noqa: F401

API = "https://api.example.com"
NAME = "__Host-auth0_tx"
Project = Callable[..., Any]


def new_browser(**more: Any) -> Any:
    """Return a browser that comes over https."""
    from django.test import Client

    return Client(**more)


def get(visitor: Any, path: str, **more: Any) -> Any:
    """Ask for a page over https."""
    return visitor.get(path, secure=True, **more)


def post(visitor: Any, path: str, body: str = "", **more: Any) -> Any:
    """Send a text over https."""
    return visitor.post(path, body, content_type="text/plain", secure=True, **more)


def log_in_new_browser(
    tenant: Tenant, user: str = "auth0|alice", path: str = "/login"
) -> Any:
    """Return a browser in which a user is logged in."""
    visitor = new_browser()
    answer = post(visitor, path, tenant.subject_token(user))
    assert answer.status_code in (200, 302), answer.content
    return visitor


STORES: dict[str, dict[str, Any]] = {
    "cookies": {},
    "session": {"STATE_STORE": "session"},
    "cache": {"STATE_STORE": "cache"},
    "local cache": {"STATE_STORE": "cache:own"},
    "memory": {"STATE_STORE": MemoryStore()},
}


def test_chunks_in_the_test_client(project: Project, auth0_tenant: Tenant) -> None:
    """A session in chunks is found beside an empty cookie.

    Django's test client keeps the cookies that were deleted, and sends them without a value.
    """
    project({"STATE_STORE": CookieStore(longest_chunk=1_000, most_chunks=8)})
    visitor = log_in_new_browser(auth0_tenant)

    assert {NAME, f"{NAME}.0", f"{NAME}.1"} <= set(visitor.cookies)
    assert "auth0|alice" == get(visitor, "/user").json()["sub"]
    get(visitor, "/logout")
    assert get(visitor, "/user").json()["sub"] is None


@pytest.mark.parametrize("store", STORES)
def test_login(project: Project, auth0_tenant: Tenant, store: str) -> None:
    """A login sets its cookies on the redirect, and ends what was before it."""
    project(STORES[store])
    visitor = log_in_new_browser(auth0_tenant)
    expected = {"sub": "auth0|alice", "session": True, "django": ""}

    assert expected == get(visitor, "/user").json()
    assert get(new_browser(), "/user").json()["sub"] is None
    post(visitor, "/login", auth0_tenant.subject_token("auth0|bob"))
    assert "auth0|bob" == get(visitor, "/user").json()["sub"]
    auth0_tenant.applications.change(
        auth0_tenant.client_id, allowed_logout_urls=["http://localhost/"]
    )
    answer = post(visitor, "/logout")
    assert f"{auth0_tenant.issuer}v2/logout" in answer["Location"]
    assert get(visitor, "/user").json()["sub"] is None


@pytest.mark.parametrize("store", STORES)
def test_async_views(project: Project, auth0_tenant: Tenant, store: str) -> None:
    """Async views have the same, to be awaited, under WSGI as under ASGI."""
    project(STORES[store])
    visitor = log_in_new_browser(auth0_tenant, path="/login-async")

    assert {"sub": "auth0|alice", "session": True} == get(visitor, "/user-async").json()
    assert int(get(visitor, "/token-async").content) > 20
    assert 302 == post(visitor, "/logout-async").status_code
    assert get(visitor, "/user-async").json()["sub"] is None


def test_transaction(project: Project, auth0_tenant: Tenant) -> None:
    """An async view reads its session on the request's connection, within its transaction."""
    from django.db import transaction

    project(STORES["session"])
    with transaction.atomic():
        visitor = log_in_new_browser(auth0_tenant, path="/login-async")
        assert "auth0|alice" == get(visitor, "/user-async").json()["sub"]


async def test_asgi(project: Project, auth0_tenant: Tenant) -> None:
    """Under ASGI the middleware is async, and views of both kinds see the same user."""
    from django.test import AsyncClient

    project(STORES["cache"])
    visitor = AsyncClient()
    await visitor.post(
        "/login-async",
        auth0_tenant.subject_token("auth0|alice"),
        content_type="text/plain",
        secure=True,
    )
    for path in ("/user-async", "/user"):
        answer = await visitor.get(path, secure=True)
        assert "auth0|alice" == answer.json()["sub"]


def test_untouched(project: Project, auth0_tenant: Tenant) -> None:
    """A view that does not ask reads nothing, and its answer is as it would be without."""
    project()
    answer = get(log_in_new_browser(auth0_tenant), "/nothing")

    assert not answer.cookies
    assert "Vary" not in answer
    assert "Cache-Control" not in answer


@pytest.mark.parametrize("path", ["/user", "/user-async", "/user-in-parts"])
def test_read_session_is_for_no_cache(project: Project, path: str) -> None:
    """An answer that shows who is logged in says so to caches, a stream and nobody's too."""
    project()
    answer = get(new_browser(), path)

    assert "private, no-store" == answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]


@pytest.mark.parametrize("path", ["/user", "/user-async"])
def test_own_cache_control(project: Project, path: str) -> None:
    """A view's own word on caches is kept, and its answer varies all the same."""
    project()
    answer = get(new_browser(), f"{path.replace('user', 'user-kept-by-browsers')}")

    assert "max-age=60" == answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]


_WITH_CACHE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "auth0_tx.integrations.django.middleware.Auth0Middleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
_WITHOUT_CACHE = ["auth0_tx.integrations.django.middleware.Auth0Middleware"]


@pytest.mark.parametrize("store", ["cookies", "cache"])
@pytest.mark.parametrize(
    ("middleware", "path"),
    [
        (_WITH_CACHE, "/user-async"),
        (_WITH_CACHE, "/user-in-parts"),
        (_WITH_CACHE, "/user-kept-by-browsers-async"),
        (_WITHOUT_CACHE, "/user-in-cache-page"),
        (_WITH_CACHE, "/user-of-client"),
    ],
    ids=["middlewares", "stream", "own Cache-Control", "cache_page", "client alone"],
)
def test_django_keeps_nobodys_page(
    project: Project,
    auth0_tenant: Tenant,
    store: str,
    middleware: list[str],
    path: str,
) -> None:
    """Django's page cache serves what one visitor saw to no other."""
    accounts = "django.contrib.auth.middleware.AuthenticationMiddleware"
    sessions = "django.contrib.sessions.middleware.SessionMiddleware"
    if path == "/user-in-cache-page":
        middleware = [sessions, accounts, *middleware]
    project(STORES[store], MIDDLEWARE=middleware)
    visitors = [
        log_in_new_browser(auth0_tenant),
        log_in_new_browser(auth0_tenant, "auth0|bob"),
    ]
    seen = [
        b"".join(get(visitor, path)).decode()
        for visitor in (*visitors, new_browser()) * 2
    ]

    names = ["auth0|alice", "auth0|bob"]
    assert seen[:3] == seen[3:]
    assert names == [
        name for name, text in zip(names, seen, strict=False) if name in text
    ]
    assert "auth0|" not in seen[2]


def test_django_keeps_other_pages(project: Project, auth0_tenant: Tenant) -> None:
    """A page that read no session is kept, as it would be without this library."""
    project(MIDDLEWARE=_WITHOUT_CACHE)
    pages = [
        get(visitor, "/nothing-in-cache-page").content
        for visitor in (log_in_new_browser(auth0_tenant), new_browser())
    ]

    assert pages[0] == pages[1]


@pytest.mark.parametrize("path", ["/token", "/token?then=error"])
def test_renewed_on_any_answer(
    project: Project, auth0_tenant: Tenant, auth0_clock: MovableClock, path: str
) -> None:
    """A refresh token that was rotated is kept, also when the view fails afterwards."""
    project({"CLOCK": auth0_clock})
    auth0_tenant.apis.change(API, token_lifetime=60)
    visitor = log_in_new_browser(auth0_tenant)
    visitor.raise_request_exception = False
    auth0_clock.move(61)
    auth0_tenant.apis.change(API, token_lifetime=86_400)
    answer = get(visitor, path)

    assert {"/token": 200}.get(path, 500) == answer.status_code
    assert "private, no-store" == answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]
    assert 200 == get(visitor, "/token").status_code
    assert 2 == auth0_tenant.count("/oauth/token")


def test_users_are_apart(project: Project, auth0_tenant: Tenant) -> None:
    """Many browsers at once each see their own user."""
    # No thread but the first opens the database: in memory, it is never closed.
    in_cache = "django.contrib.sessions.backends.cache"
    project(STORES["cache"], SESSION_ENGINE=in_cache)
    users = [f"auth0|user_{number}" for number in range(8)]
    for user in users:
        auth0_tenant.users.add(User(user))
    visitors = {user: log_in_new_browser(auth0_tenant, user) for user in users}

    def visit(user: str) -> set[str]:
        return {get(visitors[user], "/user").json()["sub"] for _ in range(10)}

    with ThreadPoolExecutor(8) as threads:
        assert [{user} for user in users] == list(threads.map(visit, users))


def test_fixation(project: Project, auth0_tenant: Tenant) -> None:
    """A key of Django's session from before the login leads nowhere after it."""
    project(STORES["session"])
    visitor, thief = new_browser(), new_browser()
    before = get(visitor, "/touch").content.decode()
    post(visitor, "/login", auth0_tenant.subject_token("auth0|alice"))
    thief.cookies["sessionid"] = before

    assert before != visitor.cookies["sessionid"].value
    assert "auth0|alice" == get(visitor, "/user").json()["sub"]
    assert get(thief, "/user").json()["sub"] is None


def test_nothing_readable(project: Project, auth0_tenant: Tenant) -> None:
    """The rows of a login have nothing readable, neither as they are nor for Django."""
    from django.contrib.sessions.models import Session

    project(STORES["session"])
    Session.objects.all().delete()
    log_in_new_browser(auth0_tenant)
    # Django's own keys have 32 characters.
    rows = [row for row in Session.objects.all() if len(row.session_key) == 40]
    (session,) = (row for row in rows if row.session_key.startswith("s"))
    sealed = base64.b64decode(session.session_data.partition(":")[2])

    # The session, and two labels by which Auth0 can end it.
    assert 3 == len(rows)
    assert b"alice" not in sealed
    assert "alice" not in str([vars(row) for row in rows])
    assert {None} == {row.get_decoded().get("user") for row in rows}


@pytest.mark.parametrize("engine", ["signed_cookies", "file"])
def test_engines_that_are_refused(
    project: Project, auth0_tenant: Tenant, engine: str
) -> None:
    """Where Django cannot keep a login session, that is said, and what to do instead."""
    project(
        STORES["session"],
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
    )
    with pytest.raises(ConfigurationError, match="SESSION_ENGINE") as caught:
        get(new_browser(), "/user")

    assert "Leave STATE_STORE out" in (caught.value.hint or "")
    assert {"auth0_tx.E001"} == run_checks()


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("db", "DjangoDatabaseStore(None)"),
        ("cached_db", "DjangoDatabaseStore(None)"),
        ("cache", "DjangoCacheStore('own')"),
    ],
)
def test_engines(project: Project, engine: str, expected: str) -> None:
    """A login session is where Django keeps its own."""
    from auth0_tx.integrations.django.clients import read_keywords

    project(
        STORES["session"],
        SESSION_CACHE_ALIAS="own",
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
    )

    assert expected == repr(read_keywords()["state_store"])


# Users.


def test_django_login(project: Project, auth0_tenant: Tenant) -> None:
    """A login makes a Django user of issuer and subject, once, with a new session key."""
    from django.contrib.auth import get_user_model

    project(STORES["session"])
    first = log_in_new_browser(auth0_tenant, path="/login-to-django")
    log_in_new_browser(auth0_tenant, path="/login-to-django")
    (user,) = get_user_model().objects.all()
    seen = get(first, "/user").json()

    assert user.get_username() == seen["django"]
    assert "auth0|alice" == seen["sub"]
    assert not user.has_usable_password()
    assert "alice" not in user.get_username()
    auth0_tenant.applications.change(
        auth0_tenant.client_id, allowed_logout_urls=["http://localhost/"]
    )
    post(first, "/logout")
    assert "" == get(first, "/user").json()["django"]


def test_another_user(project: Project, auth0_tenant: Tenant) -> None:
    """A login over another's leaves nothing of theirs, and is whole."""
    project(STORES["session"])
    visitor = log_in_new_browser(auth0_tenant, path="/login-to-django")
    alice = get(visitor, "/user").json()["django"]
    post(visitor, "/login-to-django", auth0_tenant.subject_token("auth0|bob"))
    seen = get(visitor, "/user").json()

    assert "auth0|bob" == seen["sub"]
    assert seen["django"] not in ("", alice)


# Logging out from outside.


@pytest.mark.parametrize("store", [name for name in STORES if name != "cookies"])
def test_backchannel_logout(project: Project, auth0_tenant: Tenant, store: str) -> None:
    """Auth0 ends a user's sessions; anything that is not a logout token is a 400."""
    project(STORES[store])
    visitors = [log_in_new_browser(auth0_tenant) for _ in range(2)]
    other = log_in_new_browser(auth0_tenant, "auth0|bob")
    token = auth0_tenant.logout_token(sub="auth0|alice")
    answers = [
        new_browser(enforce_csrf_checks=True).post(
            "/backchannel-logout", {"logout_token": text}
        )
        for text in ("no token", token)
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert {"no-store"} == {answer["Cache-Control"] for answer in answers}
    assert {None} == {get(visitor, "/user").json()["sub"] for visitor in visitors}
    assert "auth0|bob" == get(other, "/user").json()["sub"]


# Caches.


@pytest.mark.parametrize("alias", ["cache", "cache:own", "memory"])
def test_token_cache(project: Project, auth0_tenant: Tenant, alias: str) -> None:
    """Exchanges of threads on one cold token are one, kept sealed in Django's cache."""
    from auth0_tx.integrations.django import get_client

    project({"TOKEN_CACHE": alias})
    options = CustomTokenExchangeOptions(
        subject_token=auth0_tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
    )
    together = threading.Barrier(16)

    def ask(_: int) -> str:
        together.wait()
        return get_client().custom_token_exchange(options).access_token

    with ThreadPoolExecutor(16) as threads:
        assert 1 == len(set(threads.map(ask, range(16))))
    assert 1 == auth0_tenant.count("/oauth/token")


@pytest.mark.parametrize("alias", ["default", "own"])
def test_cache_store(project: Project, alias: str) -> None:
    """A cache is a store: compare, write, read, delete, and an index."""
    from auth0_tx.integrations.django import DjangoCacheStore

    project()
    store = DjangoCacheStore(alias)

    assert store.get("a") is None
    assert store.set("a", b"1", ttl=60, expected=None)
    assert not store.set("a", b"2", ttl=60, expected=None)
    assert not store.set("a", b"2", ttl=60, expected=b"other")
    assert store.set("a", b"2", ttl=60, expected=b"1")
    store.delete("a", expected=b"1")
    assert b"2" == store.get("a")
    store.delete("a", expected=b"2")
    assert store.get("a") is None
    store.set("a", b"3", ttl=60, expected=None)
    store.delete("a")
    assert store.get("a") is None
    store.add_to_index("label", "one", ttl=60)
    store.add_to_index("label", "two", ttl=60)
    store.add_to_index("label", "one", ttl=5)
    assert ["two", "one"] == store.read_index("label")
    store.remove_from_index("label", ["two", "three"])
    assert ["one"] == store.read_index("label")
    store.remove_from_index("label", ["one"])
    assert [] == store.read_index("label")


@pytest.mark.parametrize("alias", ["default", "own"])
def test_one_writer(project: Project, alias: str) -> None:
    """Of many who write over the same value at once, one does."""
    from auth0_tx.integrations.django import DjangoCacheStore

    project()
    store = DjangoCacheStore(alias)
    store.set("a", b"0", ttl=60, expected=None)
    together = threading.Barrier(8)

    def write(number: int) -> bool:
        together.wait()
        return store.set("a", b"%d" % (number + 1), ttl=60, expected=b"0")

    with ThreadPoolExecutor(8) as threads:
        assert 1 == sum(threads.map(write, range(8)))


def test_token_cache_contract(project: Project) -> None:
    """A lock has one owner, and a cached value that is not bytes is ignored."""
    from django.core.cache import caches

    from auth0_tx.integrations.django import DjangoTokenCache

    project()
    cache = DjangoTokenCache("own")

    assert cache.lock("a", b"one", ttl=60)
    assert not cache.lock("a", b"two", ttl=60)
    cache.unlock("a", b"two")
    assert not cache.lock("a", b"two", ttl=60)
    cache.unlock("a", b"one")
    assert cache.lock("a", b"two", ttl=60)
    caches["own"].set("auth0_tx:tokens:b", "text", 60)
    assert cache.get("b") is None
    assert "DjangoTokenCache('own')" == repr(cache)


# Settings.


def test_settings_change(project: Project, auth0_tenant: Tenant) -> None:
    """The client is made when it is needed, kept, and made anew when settings change."""
    from django.test import override_settings

    from auth0_tx.integrations.django import get_client

    project({"SESSION_POLICY": {"cookie_name": "mine"}, "TIMEOUT": 7})
    first = get_client()

    assert first is get_client()
    assert SessionPolicy(cookie_name="mine") == first._context.settings.session_policy
    project({"TIMEOUT": 8})
    assert first is not get_client()
    assert 8.0 == get_client()._context.settings.timeout
    with override_settings(USE_TZ=False):
        assert 8.0 == get_client()._context.settings.timeout


def subscribe(event: object) -> None:
    """Do nothing; a setting names this subscriber by its import path."""


def choose_domain(_: object) -> str:
    """Return a domain; a setting names this resolver by its import path."""
    return "tenant.us.auth0.com"


def test_paths(project: Project) -> None:
    """Values that are not strings are given by their import paths."""
    from auth0_tx.integrations.django import get_client

    here = "tests.integrations.django.test_django_integration"
    project({"ON_EVENT": f"{here}.subscribe", "DOMAIN": f"{here}.choose_domain"})
    settings = get_client()._context.settings

    assert subscribe is settings.on_event
    assert choose_domain is settings.resolver


def test_secret_key(project: Project, auth0_tenant: Tenant) -> None:
    """Without SECRET in AUTH0_TX, Django's keys seal sessions, and rotate as Django's do."""
    project({"SECRET": ...}, SECRET_KEY="an old key" * 4)
    visitor = log_in_new_browser(auth0_tenant)
    project(
        {"SECRET": ...}, SECRET_KEY="k" * 40, SECRET_KEY_FALLBACKS=["an old key" * 4]
    )

    assert "auth0|alice" == get(visitor, "/user").json()["sub"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"TIMEOUTS": 5}, "AUTH0_TX['TIMEOUTS']"),
        ({"timeout": 5}, "AUTH0_TX['timeout']"),
        ({"RETRY": {"tries": 5}}, "AUTH0_TX['RETRY']"),
        ({"STATE_STORE": "nowhere.to_be_found"}, "STATE_STORE"),
        ({"DOMAIN": "10.0.0.1"}, "domain"),
    ],
    ids=["unknown", "case", "field", "path", "rule"],
)
def test_refused(project: Project, changes: dict[str, Any], named: str) -> None:
    """A setting that is unknown, or breaks a rule, is refused by its name."""
    from auth0_tx.integrations.django import get_client

    project(changes)
    with pytest.raises(ConfigurationError) as refused:
        get_client()

    assert named in str(refused.value)


def run_checks(**options: Any) -> set[str]:
    """Return the ids of our system checks that report something."""
    from django.core import checks

    messages = checks.run_checks(**options)
    assert all(
        message.hint for message in messages if message.id.startswith("auth0_tx")
    )
    return {message.id for message in messages if message.id.startswith("auth0_tx")}


OURS = "auth0_tx.integrations.django.middleware.Auth0Middleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


@pytest.mark.parametrize(
    ("auth0_tx", "changes", "expected"),
    [
        ({}, {}, set()),
        ({"CLIENT_ID": ...}, {}, {"auth0_tx.E001"}),
        ({"TIMEOUTS": 1}, {}, {"auth0_tx.E001"}),
        ({"CLIENT_SECRET": ...}, {}, {"auth0_tx.E001"}),
        ({"SECRET": "a short one"}, {}, {"auth0_tx.E005"}),
        ({"SECRET": ["a short one", "x" * 32]}, {}, {"auth0_tx.E005"}),
        ({"SECRET": ...}, {"SECRET_KEY": "a short one"}, {"auth0_tx.E005"}),
        ({"SECRET": ["x" * 32, "a short one"]}, {}, set()),
        (
            {"SECRET": ...},
            {"SECRET_KEY": "x" * 32, "SECRET_KEY_FALLBACKS": ["a short one"]},
            set(),
        ),
        ({}, {"MIDDLEWARE": []}, {"auth0_tx.E006"}),
        ({"TOKEN_CACHE": "cache:own"}, {}, {"auth0_tx.W004"}),
        ({"STATE_STORE": "cache:none"}, {}, {"auth0_tx.E003"}),
    ],
    ids=range(12),
)
def test_checks(
    project: Project,
    auth0_tx: dict[str, Any],
    changes: dict[str, Any],
    expected: set[str],
) -> None:
    """``manage.py check`` finds what is wrong, by an id, with a hint."""
    project(auth0_tx, **changes)

    assert expected == run_checks()


@pytest.mark.parametrize(
    ("auth0_tx", "changes"),
    [
        ({"SECRET": "a short one"}, {}),
        ({"SECRET": ...}, {"SECRET_KEY": "a short one"}),
    ],
    ids=["secret", "key"],
)
def test_short_secret(
    project: Project, auth0_tx: dict[str, Any], changes: dict[str, Any]
) -> None:
    """The check and the client say how to make a secret that is long enough."""
    from auth0_tx.integrations.django import get_client
    from auth0_tx.integrations.django.checks import check_settings

    project(auth0_tx, **changes)
    (message,) = check_settings(None)
    with pytest.raises(ConfigurationError) as refused:
        get_client()

    for text in (message.msg, str(refused.value)):
        assert "32 characters" in text
        assert "secrets.token_urlsafe(32)" in text
        assert "a short one" not in text


def test_more_checks(project: Project) -> None:
    """For a deployment, and for what is not installed, there are checks of their own."""
    from django.test import override_settings

    from auth0_tx.integrations.django.checks import check_settings

    project()

    assert {"auth0_tx.W003"} == run_checks(include_deployment_checks=True)
    with override_settings(SESSION_COOKIE_SECURE=True):
        assert set() == run_checks(include_deployment_checks=True)
    with override_settings(AUTH0_TX=None):
        assert {"auth0_tx.E001"} == run_checks()
    with override_settings(INSTALLED_APPS=["auth0_tx.integrations.django"]):
        messages = check_settings(None)
        assert ["auth0_tx.E004"] == [message.id for message in messages]


def test_on_behalf_of(project: Project, auth0_tenant: Tenant) -> None:
    """An async view exchanges the request's bearer token in one line."""
    auth0_tenant.apis.add(Api("https://other.example.com", scopes=("read:more",)))
    auth0_tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    project({"CLIENT_ID": "service", "CLIENT_SECRET": "secret-of-it"})
    token = auth0_tenant.access_token("auth0|alice", API)
    answer = get(new_browser(), "/behalf", HTTP_AUTHORIZATION=f"Bearer {token}")

    assert {"scope": "read:more", "same": True} == answer.json()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["doctor", "--no-probe"], "ok       discovery"),
        (["exchange", "--subject-token-type", "urn:acme:legacy-token"], "Exchanged at"),
        (
            [
                *("exchange-many", "tokens.csv", "--out", "results.jsonl"),
                *("--subject-token-type", "urn:acme:legacy-token"),
            ],
            "Exchanged 1 of 1 rows",
        ),
        (["inspect"], "alice"),
    ],
    ids=["doctor", "exchange", "exchange-many", "inspect"],
)
def test_commands(
    project: Project,
    auth0_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    expected: str,
) -> None:
    """``manage.py auth0_tx`` has the commands of ``auth0-tx``, with the project's settings."""
    from django.core.management import execute_from_command_line

    token = auth0_tenant.subject_token("auth0|alice")
    project()
    monkeypatch.setenv("AUTH0_TX_SUBJECT_TOKEN", token)
    monkeypatch.setenv("AUTH0_TX_TOKEN", auth0_tenant.id_token("auth0|alice"))
    (tmp_path / "tokens.csv").write_text(f"subject_token\n{token}\n")
    monkeypatch.chdir(tmp_path)
    execute_from_command_line(["manage.py", "auth0_tx", *words])
    written = capsys.readouterr().out

    assert expected in written
    assert token not in written


def test_command_fails(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails ends with the status of ``auth0-tx``."""
    from django.core.management import execute_from_command_line

    project({"CLIENT_SECRET": "wrong, and nobody's"})
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "auth0_tx", "doctor"])

    assert 1 == ended.value.code
    assert "FAILED   client authentication" in capsys.readouterr().out
