"""The blueprint's routes: login by a posted token, logout, and back-channel logout."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from auth0_tx import (
    InvalidInputError,
    LoginWithCustomTokenExchangeOptions,
    StoreError,
)
from auth0_tx.integrations.flask import (
    Auth0TX,
    auth0_of,
    current_auth0,
    login_not_required,
    require_login,
    same_origin_required,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Application, Tenant
from tests.integrations.flask.sites import API, HTTPS, make_settings

HOME = "https://localhost/"
SAME = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}
OTHERS = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://uploads.localhost", "Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="urn:acme:legacy-token",
        audience=API,
        scope="openid offline_access",
    )


def make_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application with the routes, where everything else needs a login."""
    tenant.applications.change(tenant.client_id, allowed_logout_urls=[HOME])
    app = Flask(__name__)
    app.config.update(make_settings(tenant, **changes))
    auth0 = Auth0TX(app)
    app.before_request(require_login)
    routes = auth0.routes(
        make_options,
        next_url="/home",
        return_to=HOME,
        trusted_origins=["https://login.example.com"],
    )
    app.register_blueprint(routes, url_prefix="/auth0")

    @app.get("/user")
    def user() -> Any:
        return {"sub": (current_auth0.user or {}).get("sub")}

    return app


@pytest.fixture
def app(auth0_tenant: Tenant) -> Flask:
    """An application with the routes."""
    return make_site(auth0_tenant)


def post(browser: Any, path: str, **more: Any) -> Any:
    """Post something over https, from a page of this site unless *headers* says otherwise."""
    return browser.post(path, base_url=HTTPS, **{"headers": SAME, **more})


def log_in(app: Flask, tenant: Tenant) -> Any:
    """Return a browser in which Alice is logged in."""
    browser = app.test_client()
    token = tenant.subject_token("auth0|alice")
    post(browser, "/auth0/login", data={"subject_token": token})
    return browser


def read_user(browser: Any) -> Any:
    """Return who is logged in, or the status of the refusal."""
    answer = browser.get("/user", base_url=HTTPS)
    return answer.json.get("sub", answer.status_code)


@pytest.mark.parametrize(
    ("next_url", "expected"),
    [(None, "/home"), ("/orders?a=b", "/orders?a=b"), ("//evil.example", "/home")],
)
def test_login_by_form(
    app: Flask, auth0_tenant: Tenant, next_url: str | None, expected: str
) -> None:
    """A form logs its user in, and leads on to a page of this site."""
    browser = app.test_client()
    fields = {"subject_token": auth0_tenant.subject_token("auth0|alice")}
    if next_url is not None:
        fields["next"] = next_url
    answer = post(browser, "/auth0/login", data=fields)

    assert (303, expected) == (answer.status_code, answer.headers["Location"])
    assert "auth0|alice" == read_user(browser)


def test_login_by_script(app: Flask, auth0_tenant: Tenant) -> None:
    """A script gets no redirect, which would show nobody the page."""
    browser = app.test_client()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = post(
        browser, "/auth0/login", json={"subject_token": token, "next": "/orders"}
    )

    assert (204, b"") == (answer.status_code, answer.data)
    assert "auth0|alice" == read_user(browser)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"data": {}}, 400, "invalid_request"),
        ({"data": {"subject_token": ""}}, 400, "invalid_request"),
        ({"json": {"subject_token": 7}}, 400, "invalid_request"),
        ({"json": ["subject_token"]}, 400, "invalid_request"),
        ({"data": "{", "content_type": "application/json"}, 400, "invalid_request"),
        ({"data": {"subject_token": "nobody's"}}, 401, "invalid_token"),
    ],
)
def test_refused_logins(
    app: Flask, body: dict[str, Any], status: int, error: str
) -> None:
    """A login without a good token is answered by the table, and logs nobody in."""
    browser = app.test_client()
    answer = post(browser, "/auth0/login", **body)

    assert (status, {"error": error}) == (answer.status_code, answer.json)
    assert 401 == read_user(browser)


@pytest.mark.parametrize("headers", OTHERS)
def test_other_sites(app: Flask, auth0_tenant: Tenant, headers: dict[str, str]) -> None:
    """Another site can log nobody in or out, not even by the cookies that an answer deletes."""
    mallory, alice = app.test_client(), log_in(app, auth0_tenant)
    token = auth0_tenant.subject_token("auth0|bob")
    answers = [
        post(mallory, "/auth0/login", data={"subject_token": token}, headers=headers),
        post(alice, "/auth0/logout", headers=headers),
        # As a browser sends it, without the ``SameSite=Lax`` cookies.
        post(app.test_client(), "/auth0/logout", headers=headers),
    ]

    for answer in answers:
        expected = (403, {"error": "cross_origin_request"})
        assert expected == (answer.status_code, answer.json)
        assert "Set-Cookie" not in answer.headers
    assert (401, "auth0|alice") == (read_user(mallory), read_user(alice))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://login.example.com", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://localhost"},
        {},
    ],
)
def test_sites_that_may(
    app: Flask, auth0_tenant: Tenant, headers: dict[str, str]
) -> None:
    """An origin that the application trusts may, and so may a program that is no browser."""
    browser = app.test_client()
    token = auth0_tenant.subject_token("auth0|alice")
    post(browser, "/auth0/login", data={"subject_token": token}, headers=headers)

    assert "auth0|alice" == read_user(browser)


def test_own_views(app: Flask) -> None:
    """A login or logout view of the application's own is protected alike, async ones too."""

    @app.post("/plain")
    @login_not_required
    @same_origin_required
    def plain() -> str:
        return "plain"

    @app.post("/async")
    @login_not_required
    @same_origin_required(trusted_origins=["https://login.example.com"])
    async def asynchronous() -> str:
        return "async"

    browser = app.test_client()
    trusted = {"Origin": "https://login.example.com", "Sec-Fetch-Site": "cross-site"}
    seen = [
        [
            post(browser, path, headers=headers).status_code
            for path in ("/plain", "/async")
        ]
        for headers in (SAME, {}, trusted, *OTHERS)
    ]

    assert [[200, 200], [200, 200], [403, 200], *[[403, 403]] * len(OTHERS)] == seen


@pytest.mark.parametrize(
    "body", [{}, {"json": {}}, {"headers": {**SAME, "Sec-Fetch-Mode": "cors"}}]
)
def test_logout(app: Flask, auth0_tenant: Tenant, body: dict[str, Any]) -> None:
    """A logout ends the session and leads by way of Auth0; a link to it does nothing."""
    browser = log_in(app, auth0_tenant)
    linked = browser.get("/auth0/logout", base_url=HTTPS)
    still = read_user(browser)
    answer = post(browser, "/auth0/logout", **body)
    target = answer.json["logout_url"] if body else answer.headers["Location"]

    assert (405, "auth0|alice") == (linked.status_code, still)
    assert answer.status_code == (200 if body else 303)
    assert target.startswith(f"{auth0_tenant.issuer}v2/logout?")
    assert 401 == read_user(browser)


def test_logout_with_the_store_down(auth0_tenant: Tenant) -> None:
    """If the store fails, the browser is logged out all the same, and the failure is said."""

    class Store(MemoryStore):
        def delete(self, key: str, *, expected: bytes | None = None) -> None:
            raise StoreError("the store is down", retry_safe=True)

    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=Store())
    browser = log_in(app, auth0_tenant)
    answer = post(browser, "/auth0/logout")

    assert 503 == answer.status_code
    assert 401 == read_user(browser)


def test_backchannel_logout(auth0_tenant: Tenant) -> None:
    """Auth0 ends sessions, from outside of any browser; a bad token is a 400."""
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=MemoryStore())
    browser = log_in(app, auth0_tenant)
    answers = [
        app.test_client().post(
            "/auth0/backchannel-logout", data={"logout_token": token}
        )
        for token in ("none", auth0_tenant.logout_token(sub="auth0|alice"))
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert {"no-store"} == {answer.headers["Cache-Control"] for answer in answers}
    assert 401 == read_user(browser)


def test_routes_of_a_named_client(auth0_tenant: Tenant) -> None:
    """Each client has a blueprint of its own; one without options has no login."""
    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))
    orders = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant, AUTH0_TX_CLIENTS={"orders": orders}))
    auth0 = Auth0TX(app)
    app.register_blueprint(auth0.routes(), url_prefix="/auth0")
    app.register_blueprint(
        auth0.routes(make_options, client="orders"), url_prefix="/orders"
    )
    app.add_url_rule(
        "/user", view_func=lambda: {"sub": (auth0_of("orders").user or {}).get("sub")}
    )
    browser = app.test_client()
    token = auth0_tenant.subject_token("auth0|alice")
    answers = [
        post(browser, f"/{prefix}/login", data={"subject_token": token})
        for prefix in ("auth0", "orders")
    ]

    assert [404, 303] == [answer.status_code for answer in answers]
    assert "auth0|alice" == read_user(browser)
    with app.test_request_context():
        assert "/orders/logout" == app.url_for("auth0_orders.logout")


def test_own_paths(auth0_tenant: Tenant) -> None:
    """The application may choose the paths."""
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant))
    routes = Auth0TX(app).routes(
        make_options, login="/enter", logout="/leave", backchannel_logout="/end"
    )
    app.register_blueprint(routes)

    names = ("login", "logout", "backchannel_logout")
    with app.test_request_context():
        assert ["/enter", "/leave", "/end"] == [
            app.url_for(f"auth0.{name}") for name in names
        ]


def test_bad_return_to() -> None:
    """A page to return to that is not a URL is refused before anybody logs out."""
    with pytest.raises(InvalidInputError, match="return_to"):
        Auth0TX().routes(return_to="/home")
