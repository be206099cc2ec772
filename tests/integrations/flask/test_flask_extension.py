"""Flask: settings, the current request's user, and cookies on any response."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cachelib
import pytest
import redis
from flask import Flask, redirect, request, session
from flask_session import Session

from auth0_tx import (
    ConfigurationError,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
    SessionPolicy,
)
from auth0_tx.integrations.flask import Auth0TX, current_auth0
from auth0_tx.stores import MemoryStore, RedisStore
from auth0_tx.tenant import Api, Application, Tenant, User
from auth0_tx.testing import MovableClock
from tests.integrations.flask.sites import (
    API,
    HTTPS,
    OTHER,
    SECRET,
    get,
    log_in,
    make_app,
    make_settings,
)
from tests.stores.failing_store import FailingStore


@pytest.fixture
def app(auth0_tenant: Tenant) -> Flask:
    """An application that keeps sessions in cookies."""
    return make_app(auth0_tenant)


def test_login(app: Flask, auth0_tenant: Tenant) -> None:
    """A login sets its cookies on the redirect, and the next request knows its user."""
    browser = log_in(app, auth0_tenant)

    assert {"sub": "auth0|alice", "session": True} == get(browser, "/user").json
    assert {"sub": None, "session": False} == get(app.test_client(), "/user").json


def test_untouched(app: Flask, auth0_tenant: Tenant) -> None:
    """A view that does not ask reads nothing, and its answer is as it would be without."""
    answer = get(log_in(app, auth0_tenant), "/nothing")

    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    assert "Cache-Control" not in answer.headers


def test_read_session_is_for_no_cache(app: Flask) -> None:
    """An answer that shows who is logged in says so to caches, a stream and nobody's too."""

    @app.get("/stream")
    def stream() -> Any:
        found = current_auth0.user
        return iter([str(found)])

    for path in ("/user", "/stream"):
        answer = get(app.test_client(), path)

        assert "private, no-store" == answer.headers["Cache-Control"]
        assert "Cookie" in answer.headers["Vary"]


def test_own_cache_control(app: Flask) -> None:
    """A view's own word on caches is kept, and its answer varies all the same."""

    @app.get("/own")
    def own() -> Any:
        return str(current_auth0.user), {"Cache-Control": "max-age=60"}

    answer = get(app.test_client(), "/own")

    assert "max-age=60" == answer.headers["Cache-Control"]
    assert "Cookie" in answer.headers["Vary"]


def test_read_before_the_extension_begins(auth0_tenant: Tenant) -> None:
    """A function that runs before each request may read the session, even if it was registered first."""
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant))

    @app.before_request
    def find_user() -> None:
        assert current_auth0.user is None

    Auth0TX(app)
    app.add_url_rule("/page", view_func=lambda: "a page")
    answer = get(app.test_client(), "/page")

    assert "private, no-store" == answer.headers["Cache-Control"]
    assert "Cookie" in answer.headers["Vary"]


def test_logout(app: Flask, auth0_tenant: Tenant) -> None:
    """A logout leads by way of Auth0, and ends the session."""
    auth0_tenant.applications.change(
        auth0_tenant.client_id, allowed_logout_urls=["http://localhost/"]
    )
    browser = log_in(app, auth0_tenant)
    answer = browser.post("/logout", base_url=HTTPS)

    assert f"{auth0_tenant.issuer}v2/logout" in answer.headers["Location"]
    assert {"sub": None, "session": False} == get(browser, "/user").json


def test_logout_with_a_store_that_is_down(auth0_tenant: Tenant) -> None:
    """The error says so, and the browser is logged out all the same."""
    store = FailingStore(MemoryStore(), awaits=False)
    app = make_app(auth0_tenant, AUTH0_TX_STATE_STORE=store)
    browser = log_in(app, auth0_tenant)
    assert browser.get_cookie("__Host-auth0_tx") is not None
    store.plan(lambda number, name: "before")
    answer = browser.post("/logout", base_url=HTTPS)

    assert 503 == answer.status_code
    assert browser.get_cookie("__Host-auth0_tx") is None


@pytest.mark.parametrize("path", ["/token", "/token-then-abort", "/token-then-error"])
def test_renewed_on_any_answer(
    auth0_tenant: Tenant, auth0_clock: MovableClock, path: str
) -> None:
    """A refresh token that was rotated is kept, also when the view fails afterwards."""
    auth0_tenant.apis.change(API, token_lifetime=60)
    app = make_app(auth0_tenant, AUTH0_TX_CLOCK=auth0_clock)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    browser = log_in(app, auth0_tenant)
    auth0_clock.move(61)
    auth0_tenant.apis.change(API, token_lifetime=86_400)
    answer = get(browser, path)
    after = get(browser, "/token")

    assert answer.status_code == {"/token": 200, "/token-then-abort": 418}.get(
        path, 500
    )
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert "Cookie" in answer.headers["Vary"]
    assert 200 == after.status_code
    assert 2 == auth0_tenant.count("/oauth/token")


def test_users_are_apart(app: Flask, auth0_tenant: Tenant) -> None:
    """Many browsers at once, over sockets, each see their own user."""
    import threading

    import requests
    from werkzeug.serving import make_server

    for number in range(8):
        auth0_tenant.users.add(User(f"auth0|user_{number}"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def visit(number: int) -> list[str]:
        home = f"http://127.0.0.1:{server.server_port}"
        token = auth0_tenant.subject_token(f"auth0|user_{number}")
        answer = requests.post(
            f"{home}/login", data=token, timeout=20, allow_redirects=False
        )
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}" for cookie in answer.cookies
        )
        return [
            requests.get(
                f"{home}/user", headers={"Cookie": cookies}, timeout=20
            ).json()["sub"]
            for _ in range(10)
        ]

    try:
        with ThreadPoolExecutor(8) as threads:
            seen = list(threads.map(visit, range(8)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert [[f"auth0|user_{number}"] * 10 for number in range(8)] == seen


def test_errors(app: Flask, auth0_tenant: Tenant) -> None:
    """Errors that a view does not catch are answers, where the application asks for it."""
    nobody = get(app.test_client(), "/token")
    refused = app.test_client().post("/login", data="nobody's", base_url=HTTPS)
    no_bearer = get(app.test_client(), "/behalf")

    assert (401, {"error": "login_required"}) == (nobody.status_code, nobody.json)
    assert (401, {"error": "invalid_token"}) == (refused.status_code, refused.json)
    assert "Bearer" == no_bearer.headers["WWW-Authenticate"]


def test_on_behalf_of(auth0_tenant: Tenant) -> None:
    """One line exchanges the request's bearer token on behalf of its user."""
    auth0_tenant.apis.add(Api(OTHER, scopes=("read:more",)))
    auth0_tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    app = make_app(
        auth0_tenant, AUTH0_CLIENT_ID="service", AUTH0_CLIENT_SECRET="secret-of-it"
    )
    token = auth0_tenant.access_token("auth0|alice", API)
    answer = get(
        app.test_client(), "/behalf", headers={"Authorization": f"Bearer {token}"}
    )

    assert {"scope": "read:more"} == answer.json


def test_backchannel_logout(auth0_tenant: Tenant) -> None:
    """Auth0 ends the sessions of a user; anything that is not a logout token is a 400."""
    app = make_app(auth0_tenant, AUTH0_TX_STATE_STORE=MemoryStore())
    browser = log_in(app, auth0_tenant)
    auth0 = app.test_client()
    token = auth0_tenant.logout_token(sub="auth0|alice")
    answers = [
        auth0.post("/backchannel-logout", data={"logout_token": text})
        for text in ("no token", token)
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert {"no-store"} == {answer.headers["Cache-Control"] for answer in answers}
    assert get(browser, "/user").json["sub"] is None


# Stores.


def make_flask_session_app(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application with Flask-Session; its Redis is given by *changes*."""
    app = Flask("make_flask_session_app")
    settings: dict[str, Any] = {
        "SESSION_TYPE": "cachelib",
        "SESSION_CACHELIB": cachelib.SimpleCache(),
        **changes,
    }
    app.config.update(make_settings(tenant, **settings))

    @app.get("/touch")
    def touch() -> Any:
        session["before"] = "the login"
        return "touched"

    @app.post("/login")
    def login() -> Any:
        current_auth0.login(
            LoginWithCustomTokenExchangeOptions(
                subject_token=request.get_data(as_text=True),
                subject_token_type="urn:acme:legacy-token",
                audience=API,
                scope="openid offline_access",
            )
        )
        return redirect("/user")

    @app.get("/user")
    def user() -> Any:
        return {
            "sub": (current_auth0.user or {}).get("sub"),
            "before": session.get("before"),
        }

    return app


def make_flask_session_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make the same application, set up."""
    app = make_flask_session_app(tenant, **changes)
    Session(app)
    Auth0TX(app)
    return app


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("order", [(Session, Auth0TX), (Auth0TX, Session)])
def test_beside_flask_sessions(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str, order: tuple[Any, Any]
) -> None:
    """With Flask-Session in Redis, a login has a key of its own there, which Auth0 can end."""
    with redis.Redis.from_url(redis_url) as connection:
        app = make_flask_session_app(
            auth0_tenant,
            AUTH0_TX_STATE_STORE="session",
            SESSION_TYPE="redis",
            SESSION_REDIS=connection,
            SESSION_KEY_PREFIX=redis_prefix,
        )
        set_up = [extension(app) for extension in order]
        (auth0,) = (made for made in set_up if isinstance(made, Auth0TX))
        app.register_blueprint(auth0.backchannel_logout())
        browser = app.test_client()
        token = auth0_tenant.subject_token("auth0|alice")
        browser.post("/login", data=token, base_url=HTTPS)

        assert "auth0|alice" == get(browser, "/user").json["sub"]
        # Nothing of it is in Flask's session: the login itself needs none.
        assert [] == list(connection.scan_iter(match=f"{redis_prefix}*"))
        answer = app.test_client().post(
            "/backchannel-logout",
            data={"logout_token": auth0_tenant.logout_token(sub="auth0|alice")},
        )
        assert 200 == answer.status_code
        assert get(browser, "/user").json["sub"] is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("extension", [Session, lambda app: None])
def test_sessions_that_are_refused(auth0_tenant: Tenant, extension: Any) -> None:
    """Flask's cookie and Flask-Session elsewhere than in Redis are refused at the start."""
    app = make_flask_session_app(auth0_tenant, AUTH0_TX_STATE_STORE="session")
    if extension is not Session:
        del app.config["SESSION_TYPE"]
    extension(app)
    with pytest.raises(ConfigurationError, match="SESSION_TYPE 'redis'") as caught:
        Auth0TX(app)

    assert "Leave AUTH0_TX_STATE_STORE out" in (caught.value.hint or "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sessions_that_are_refused_later(auth0_tenant: Tenant) -> None:
    """Where Flask-Session is set up afterwards, it is refused when it is first needed."""
    app = make_flask_session_app(auth0_tenant, AUTH0_TX_STATE_STORE="session")
    Auth0TX(app)
    Session(app)
    token = auth0_tenant.subject_token("auth0|alice")
    app.testing = True
    with pytest.raises(ConfigurationError, match="CacheLibSessionInterface"):
        app.test_client().post("/login", data=token, base_url=HTTPS)

    assert () == auth0_tenant.requests


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_failed_login(auth0_tenant: Tenant) -> None:
    """A login that fails takes nothing of the visit away."""
    app = make_flask_session_site(auth0_tenant)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    browser = app.test_client()
    get(browser, "/touch")

    assert 500 == browser.post("/login", data="nobody's", base_url=HTTPS).status_code
    assert {"sub": None, "before": "the login"} == get(browser, "/user").json


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fixation(auth0_tenant: Tenant) -> None:
    """With Flask-Session a login gives the visitor's session a new id, and the old one is dead."""
    app = make_flask_session_site(auth0_tenant)
    browser = app.test_client()
    get(browser, "/touch")
    before = browser.get_cookie("session", domain="localhost")
    answer = browser.post(
        "/login", data=auth0_tenant.subject_token("auth0|alice"), base_url=HTTPS
    )
    after = browser.get_cookie("session", domain="localhost")
    fixed = app.test_client()
    fixed.set_cookie("session", before.value if before else "", domain="localhost")

    assert 302 == answer.status_code
    assert before is not None
    assert after is not None
    assert before.value != after.value
    seen = {"sub": "auth0|alice", "before": "the login"}
    assert seen == get(browser, "/user").json
    assert {"sub": None, "before": None} == get(fixed, "/user").json


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [make_flask_session_site, make_app])
def test_another_user(auth0_tenant: Tenant, kind: Callable[..., Flask]) -> None:
    """A login over another user's empties Flask's session, and one's own login does not."""
    app = kind(auth0_tenant)

    @app.get("/basket")
    def basket() -> Any:
        session["basket"] = session.get("basket", 0) + 1
        return str(session["basket"])

    browser = app.test_client()

    def log_in_as(user: str) -> None:
        token = auth0_tenant.subject_token(user)
        assert 302 == browser.post("/login", data=token, base_url=HTTPS).status_code

    assert "1" == get(browser, "/basket").text
    log_in_as("auth0|alice")
    assert "2" == get(browser, "/basket").text
    log_in_as("auth0|alice")
    assert "3" == get(browser, "/basket").text
    log_in_as("auth0|bob")
    assert "1" == get(browser, "/basket").text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_unknown_user(auth0_tenant: Tenant) -> None:
    """If nobody can say whose Flask's session is, a login empties it."""

    class Store(MemoryStore):
        is_down = True

        def get(self, key: str) -> bytes | None:
            if self.is_down:
                raise OSError
            return super().get(key)

    store = Store()
    app = make_flask_session_site(auth0_tenant, AUTH0_TX_STATE_STORE=store)
    browser = app.test_client()
    get(browser, "/touch")
    browser.set_cookie("__Host-auth0_tx", "a" * 43, domain="localhost", secure=True)
    token = auth0_tenant.subject_token("auth0|alice")
    browser.post("/login", data=token, base_url=HTTPS)
    store.is_down = False

    assert {"sub": "auth0|alice", "before": None} == get(browser, "/user").json


def test_redis(auth0_tenant: Tenant, redis_url: str, redis_prefix: str) -> None:
    """Any store goes into the settings, as it is."""
    with redis.Redis.from_url(redis_url) as connection:
        store = RedisStore(connection, prefix=redis_prefix)
        app = make_app(auth0_tenant, AUTH0_TX_STATE_STORE=store)

        assert "auth0|alice" == get(log_in(app, auth0_tenant), "/user").json["sub"]


# Settings.


def test_secret_key(auth0_tenant: Tenant) -> None:
    """Without AUTH0_SECRET, Flask's keys seal sessions, and rotate as Flask's do."""
    old = make_app(auth0_tenant, AUTH0_SECRET=None, SECRET_KEY="an old key" * 4)
    browser = log_in(old, auth0_tenant)
    new = make_app(
        auth0_tenant,
        AUTH0_SECRET=None,
        SECRET_KEY=b"a new key" * 4,
        SECRET_KEY_FALLBACKS=["an old key" * 4],
    )
    moved = new.test_client()
    for name, cookie in browser._cookies.items():
        moved._cookies[name] = cookie

    assert "auth0|alice" == get(moved, "/user").json["sub"]


def test_two_applications(auth0_tenant: Tenant) -> None:
    """An extension serves several applications, each with its settings."""
    auth0 = Auth0TX()
    apps = [Flask("one"), Flask("two")]
    for number, app in enumerate(apps):
        app.config.update(make_settings(auth0_tenant, AUTH0_TX_TIMEOUT=number + 1))
        auth0.init_app(app)

    assert [1.0, 2.0] == [
        auth0.client_of(app)._context.settings.timeout for app in apps
    ]
    with pytest.raises(ConfigurationError, match="call init_app"):
        auth0.client_of(Flask("three"))


def test_keywords_win(auth0_tenant: Tenant) -> None:
    """What the extension is given wins over settings, and a policy may be a mapping."""
    app = Flask("four")
    policy = {"cookie_name": "mine", "idle_seconds": 60}
    app.config.update(
        make_settings(auth0_tenant, AUTH0_TX_TIMEOUT=5, AUTH0_TX_SESSION_POLICY=policy)
    )
    client = Auth0TX(app, timeout=7).client_of(app)

    assert isinstance(client, ServerClient)
    assert 7.0 == client._context.settings.timeout
    assert (
        SessionPolicy(cookie_name="mine", idle_seconds=60)
        == client._context.settings.session_policy
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"AUTH0_TX_TIMEOUTS": 5}, "AUTH0_TX_TIMEOUTS"),
        ({"AUTH0_TX_RETRY": {"tries": 5}}, "AUTH0_TX_RETRY"),
        ({"AUTH0_DOMAIN": None}, "AUTH0_DOMAIN"),
        ({"AUTH0_DOMAIN": "10.0.0.1"}, "domain"),
        ({"AUTH0_CLIENT_SECRET": None}, "client_secret"),
        ({"AUTH0_SECRET": "a short one"}, "secret must have 32 characters"),
        ({"AUTH0_SECRET": None, "SECRET_KEY": "a short one"}, "SECRET_KEY"),
    ],
    ids=["unknown", "field", "missing", "rule", "credentials", "secret", "key"],
)
def test_refused(auth0_tenant: Tenant, changes: dict[str, Any], named: str) -> None:
    """A setting that is unknown, missing or breaks a rule is refused at the start, by name."""
    with pytest.raises(ConfigurationError) as refused:
        make_app(auth0_tenant, **changes)

    assert named in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "a short one" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"AUTH0_SECRET": "a short one"},
        {"AUTH0_SECRET": ["a short one", SECRET]},
        {"AUTH0_SECRET": None, "SECRET_KEY": "a short one"},
        {
            "AUTH0_SECRET": None,
            "SECRET_KEY": "a short one",
            "SECRET_KEY_FALLBACKS": [SECRET],
        },
    ],
    ids=["secret", "newest", "key", "newest key"],
)
def test_short_secret(auth0_tenant: Tenant, changes: dict[str, Any]) -> None:
    """The newest secret has 32 characters or more; the error says how to make one."""
    with pytest.raises(ConfigurationError) as refused:
        make_app(auth0_tenant, **changes)

    assert "32 characters" in str(refused.value)
    assert "secrets.token_urlsafe(32)" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"AUTH0_SECRET": [SECRET, "a short one"]},
        {
            "AUTH0_SECRET": None,
            "SECRET_KEY": SECRET,
            "SECRET_KEY_FALLBACKS": ["a short one"],
        },
    ],
    ids=["secret", "key"],
)
def test_short_older_secret(auth0_tenant: Tenant, changes: dict[str, Any]) -> None:
    """A short secret may still open what it sealed, behind one that is long enough."""
    app = make_app(auth0_tenant, **changes)

    assert "auth0|alice" == get(log_in(app, auth0_tenant), "/user").json["sub"]


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
    app: Flask,
    auth0_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    expected: str,
) -> None:
    """``flask auth0-tx`` has the commands of ``auth0-tx``, with the application's settings."""
    token = auth0_tenant.subject_token("auth0|alice")
    monkeypatch.setenv("AUTH0_TX_SUBJECT_TOKEN", token)
    monkeypatch.setenv("AUTH0_TX_TOKEN", auth0_tenant.id_token("auth0|alice"))
    (tmp_path / "tokens.csv").write_text(f"subject_token\n{token}\n")
    monkeypatch.chdir(tmp_path)
    result = app.test_cli_runner().invoke(args=["auth0-tx", *words])
    written = result.output + capsys.readouterr().out

    assert 0 == result.exit_code, written
    assert expected in written
    assert token not in written


def test_pickle() -> None:
    """The extension, which has the client's secrets, is never written anywhere."""
    extension = Auth0TX(client_id="a", client_secret="of the client")
    with pytest.raises(TypeError, match="holds secrets"):
        pickle.dumps(extension)
