"""Flask-Login follows Auth0's session: its user is there as long as that lasts, and no longer."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, flash, request, session
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    encode_cookie,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)
from flask_login.signals import user_logged_in, user_logged_out

from auth0_tx import (
    ConfigurationError,
    LoginRefusedError,
    LoginWithCustomTokenExchangeOptions,
    SessionPolicy,
    StoreError,
)
from auth0_tx.integrations.flask import Auth0TX, current_auth0
from auth0_tx.integrations.flask.flask_login import connect_flask_login
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant, User
from auth0_tx.testing import MovableClock, login
from tests.integrations.flask.sites import HTTPS, make_settings

# Those that the application knows, besides Auth0.
MEMBERS = {"auth0|alice": True, "auth0|bob": True, "auth0|idle": False}


class Member(UserMixin):  # type: ignore[misc, unused-ignore]
    """A user of the application."""

    def __init__(self, number: str) -> None:
        self.id = number

    @property
    def is_active(self) -> bool:
        """Whether the application lets the user in."""
        return MEMBERS[self.id]


def load_member(claims: Any) -> Member | None:
    """Return the user whom the claims are about."""
    return Member(claims["sub"]) if claims["sub"] in MEMBERS else None


def make_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application that uses Flask-Login."""
    app = Flask(__name__)
    app.config.update(make_settings(tenant, **changes))
    auth0 = Auth0TX(app)
    auth0.handle_errors(app)
    app.register_blueprint(auth0.backchannel_logout())
    manager = LoginManager(app)
    # Of the application itself: an API key.
    manager.request_loader(
        lambda request: Member("auth0|bob") if "X-Key" in request.headers else None
    )
    connect_flask_login(app, load_member)

    @app.post("/login")
    def login() -> Any:
        before = current_user.get_id()
        current_auth0.login(
            LoginWithCustomTokenExchangeOptions(
                subject_token=request.get_data(as_text=True),
                subject_token_type="urn:acme:legacy-token",
            )
        )
        return [before, current_user.get_id()]

    @app.get("/user")
    def user() -> Any:
        return {
            "user": current_user.get_id(),
            "auth0": (current_auth0.user or {}).get("sub"),
        }

    @app.get("/account")
    @login_required
    def account() -> str:
        return "account"

    @app.get("/password")
    @fresh_login_required
    def password() -> str:
        return "password"

    @app.post("/logout")
    def logout() -> Any:
        current_auth0.logout()
        return [current_user.get_id()]

    @app.post("/logout-of-flask")
    def logout_of_flask() -> Any:
        logout_user()
        return [current_user.get_id()]

    return app


@pytest.fixture
def app(auth0_tenant: Tenant) -> Flask:
    """An application that uses Flask-Login."""
    return make_site(auth0_tenant)


def log_in(browser: Any, tenant: Tenant, user: str = "auth0|alice") -> Any:
    """Log a user in; return the answer."""
    return browser.post("/login", data=tenant.subject_token(user), base_url=HTTPS)


def read_users(browser: Any) -> Any:
    """Return who is logged in: of Flask-Login, and of Auth0."""
    answer = browser.get("/user", base_url=HTTPS).json
    return answer["user"], answer["auth0"]


def test_login(app: Flask, auth0_tenant: Tenant) -> None:
    """A login is one of Flask-Login's, too, at once and for its own decorators."""
    browser = app.test_client()
    answer = log_in(browser, auth0_tenant)

    assert [None, "auth0|alice"] == answer.json
    assert ("auth0|alice", "auth0|alice") == read_users(browser)
    for path in ("/account", "/password"):
        assert 200 == browser.get(path, base_url=HTTPS).status_code


@pytest.mark.parametrize("path", ["/logout", "/logout-of-flask"])
def test_logout(app: Flask, auth0_tenant: Tenant, path: str) -> None:
    """A logout of either ends both, and says whose it was once."""
    seen: list[Any] = []

    def note(sender: Any, user: Any) -> None:
        seen.append(user.get_id())

    browser = app.test_client()
    log_in(browser, auth0_tenant)
    with user_logged_out.connected_to(note, app):
        answer = browser.post(path, base_url=HTTPS)

    assert [None] == answer.json
    assert ["auth0|alice"] == seen
    assert (None, None) == read_users(browser)
    assert 401 == browser.get("/account", base_url=HTTPS).status_code


def test_signal_of_a_login(app: Flask, auth0_tenant: Tenant) -> None:
    """Receivers of Flask-Login's signal are told of a login."""
    seen: list[Any] = []

    def note(sender: Any, user: Any) -> None:
        seen.append(user.get_id())

    with user_logged_in.connected_to(note, app):
        log_in(app.test_client(), auth0_tenant)

    assert ["auth0|alice"] == seen


def test_backchannel_logout(auth0_tenant: Tenant) -> None:
    """When Auth0 ends a session, Flask-Login's user is gone, whatever its cookies say."""
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=MemoryStore())
    browser = app.test_client()
    log_in(browser, auth0_tenant)
    browser.set_cookie(
        "remember_token", remember(app, "auth0|alice"), domain="localhost"
    )
    app.test_client().post(
        "/backchannel-logout",
        data={"logout_token": auth0_tenant.logout_token(sub="auth0|alice")},
    )

    assert (None, None) == read_users(browser)
    assert 401 == browser.get("/account", base_url=HTTPS).status_code


def remember(app: Flask, user: str) -> str:
    """Return a cookie by which Flask-Login remembers a user."""
    with app.app_context():
        cookie: str = encode_cookie(user)
        return cookie


def test_expiry(auth0_tenant: Tenant, auth0_clock: MovableClock) -> None:
    """A session that was idle for too long takes Flask-Login's with it."""
    app = make_site(
        auth0_tenant,
        AUTH0_TX_CLOCK=auth0_clock,
        AUTH0_TX_SESSION_POLICY=SessionPolicy(idle_seconds=60),
    )
    browser = app.test_client()
    log_in(browser, auth0_tenant)
    auth0_clock.move(61)

    assert (None, None) == read_users(browser)


def test_next_user_of_a_browser(app: Flask, auth0_tenant: Tenant) -> None:
    """Whoever logs in next is Flask-Login's user, and nothing of the one before is left."""
    browser = app.test_client()
    log_in(browser, auth0_tenant)
    answer = log_in(browser, auth0_tenant, "auth0|bob")

    assert ["auth0|alice", "auth0|bob"] == answer.json
    assert ("auth0|bob", "auth0|bob") == read_users(browser)


@pytest.mark.parametrize("value", ["auth0|bob", "auth0|alice", None])
def test_remember_me(app: Flask, auth0_tenant: Tenant, value: str | None) -> None:
    """The cookie for "remember me" logs nobody in, hides nobody, and is deleted."""
    cookie = "not one of ours" if value is None else remember(app, value)
    stranger, alice = app.test_client(), app.test_client()
    log_in(alice, auth0_tenant)
    alice.delete_cookie("session", domain="localhost")
    for browser in (stranger, alice):
        browser.set_cookie("remember_token", cookie, domain="localhost")

    assert (None, None) == read_users(stranger)
    assert ("auth0|alice", "auth0|alice") == read_users(alice)
    for browser in (stranger, alice):
        assert browser.get_cookie("remember_token", domain="localhost") is None


def test_flask_session_that_is_lost(app: Flask, auth0_tenant: Tenant) -> None:
    """A browser that was closed forgets Flask's session; Auth0's goes on, and is not fresh."""
    browser = app.test_client()
    log_in(browser, auth0_tenant)
    browser.delete_cookie("session", domain="localhost")

    assert ("auth0|alice", "auth0|alice") == read_users(browser)
    assert 401 == browser.get("/password", base_url=HTTPS).status_code


def test_flask_session_of_somebody_else(app: Flask, auth0_tenant: Tenant) -> None:
    """If Flask-Login remembers another user than Auth0, Auth0's counts and isn't fresh."""
    alice, bob = app.test_client(), app.test_client()
    log_in(alice, auth0_tenant)
    log_in(bob, auth0_tenant, "auth0|bob")
    cookie = bob.get_cookie("session", domain="localhost")
    assert cookie is not None
    alice.set_cookie("session", cookie.value, domain="localhost")

    assert ("auth0|alice", "auth0|alice") == read_users(alice)
    assert 401 == alice.get("/password", base_url=HTTPS).status_code


def test_login_user_alone(app: Flask) -> None:
    """Without a session of Auth0, ``login_user()`` logs nobody in."""

    @app.post("/by-password")
    def by_password() -> str:
        login_user(Member("auth0|alice"))
        return "in"

    browser = app.test_client()
    browser.post("/by-password", base_url=HTTPS)

    assert (None, None) == read_users(browser)


@pytest.mark.parametrize("user", ["auth0|idle", "auth0|carol"])
def test_refused_login(app: Flask, auth0_tenant: Tenant, user: str) -> None:
    """A user whom the application does not let in is logged in nowhere."""
    auth0_tenant.users.add(User(user))
    browser = app.test_client()
    answer = log_in(browser, auth0_tenant, user)

    assert (403, {"error": "access_denied"}) == (answer.status_code, answer.json)
    assert (None, None) == read_users(browser)


def test_own_request_loader(app: Flask, auth0_tenant: Tenant) -> None:
    """The application's own way in is asked if nobody is logged in."""
    browser = app.test_client()
    key = {"X-Key": "a key"}
    before = browser.get("/user", base_url=HTTPS, headers=key).json["user"]
    log_in(browser, auth0_tenant)
    after = browser.get("/user", base_url=HTTPS, headers=key).json["user"]

    assert ("auth0|bob", "auth0|alice") == (before, after)


@pytest.mark.parametrize("user", ["auth0|alice", "auth0|idle"])
def test_login_of_a_test(app: Flask, user: str) -> None:
    """A test's ``login()`` logs in to both, or is refused as a real login would be."""
    browser = app.test_client()
    if user == "auth0|idle":
        with pytest.raises(LoginRefusedError):
            login(browser, user)
        assert (None, None) == read_users(browser)
    else:
        login(browser, user)
        assert (user, user) == read_users(browser)


def test_requests_of_one_application_context(app: Flask, auth0_tenant: Tenant) -> None:
    """Requests within one application context each have their own ``current_user``."""
    with app.app_context():
        alice, bob, stranger = (app.test_client() for _ in range(3))
        log_in(alice, auth0_tenant)
        log_in(bob, auth0_tenant, "auth0|bob")
        seen = [read_users(browser)[0] for browser in (alice, bob, stranger)]

    assert ["auth0|alice", "auth0|bob", None] == seen


def test_request_within_a_request(app: Flask, auth0_tenant: Tenant) -> None:
    """A view that asks another view of its application keeps its own ``current_user``."""
    alice, bob, stranger = (app.test_client() for _ in range(3))

    @app.get("/nested")
    def nested() -> Any:
        before = current_user.get_id()
        return [before, read_users(alice)[0], current_user.get_id()]

    log_in(alice, auth0_tenant)
    log_in(bob, auth0_tenant, "auth0|bob")
    seen = [browser.get("/nested", base_url=HTTPS).json for browser in (bob, stranger)]

    assert ["auth0|bob", "auth0|alice", "auth0|bob"] == seen[0]
    assert [None, "auth0|alice", None] == seen[1]


def test_logout_with_the_store_down(auth0_tenant: Tenant) -> None:
    """If the store fails, the browser is logged out of both all the same."""

    class Store(MemoryStore):
        is_down = False

        def get(self, key: str) -> bytes | None:
            if self.is_down:
                raise StoreError("the store is down", retry_safe=True)
            return super().get(key)

        def delete(self, key: str, *, expected: bytes | None = None) -> None:
            if self.is_down:
                raise StoreError("the store is down", retry_safe=True)
            super().delete(key, expected=expected)

    store = Store()
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=store)
    browser = app.test_client()
    log_in(browser, auth0_tenant)
    store.is_down = True
    answer = browser.post("/logout", base_url=HTTPS)
    store.is_down = False

    assert 503 == answer.status_code
    assert (None, None) == read_users(browser)


def test_messages_in_flask_session(app: Flask, auth0_tenant: Tenant) -> None:
    """What else is in Flask's session does not matter to the login."""

    @app.get("/message")
    def message() -> Any:
        flash("hello")
        return sorted(session)

    browser = app.test_client()
    log_in(browser, auth0_tenant)
    browser.get("/message", base_url=HTTPS)

    assert ("auth0|alice", "auth0|alice") == read_users(browser)


def test_without_login_manager(auth0_tenant: Tenant) -> None:
    """An application without Flask-Login is told what is missing."""
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant))
    Auth0TX(app)

    with pytest.raises(ConfigurationError, match="LoginManager"):
        connect_flask_login(app, load_member)
