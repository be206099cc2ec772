"""Several clients of one application, and several applications of one process."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, render_template_string, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from auth0_tx import (
    ConfigurationError,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.integrations.flask import (
    Auth0TX,
    auth0_of,
    current_auth0,
    login_required,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Application, Tenant
from tests.integrations.flask.sites import HTTPS, SECRET, get, make_settings

ORDERS = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}


def make_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application that logs in with either of its clients."""
    if "orders" not in [application.client_id for application in tenant.applications]:
        tenant.applications.add(Application("orders", "secret-of-orders"))
    app = Flask(__name__)
    app.config.update(
        make_settings(tenant, **{"AUTH0_TX_CLIENTS": {"orders": ORDERS}, **changes})
    )
    auth0 = Auth0TX(app)
    auth0.handle_errors(app)
    app.register_blueprint(auth0.backchannel_logout())
    app.register_blueprint(
        auth0.backchannel_logout("/orders/backchannel-logout", client="orders")
    )

    @app.post("/login/<name>")
    def login(name: str) -> str:
        auth0_of(name).login(
            LoginWithCustomTokenExchangeOptions(
                subject_token=request.get_data(as_text=True),
                subject_token_type="urn:acme:legacy-token",
            )
        )
        return "in"

    @app.get("/users")
    def users() -> Any:
        return [
            auth0.user and auth0.user["sub"]
            for auth0 in (current_auth0, auth0_of("orders"))
        ]

    return app


def log_in(browser: Any, tenant: Tenant, name: str, user: str) -> Any:
    """Log a user in with one of the clients."""
    token = tenant.subject_token(user)
    return browser.post(f"/login/{name}", data=token, base_url=HTTPS)


@pytest.mark.parametrize("store", [None, MemoryStore()])
def test_each_client_has_its_session(auth0_tenant: Tenant, store: Any) -> None:
    """A browser may be logged in with each client, as different users."""
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=store)
    browser = app.test_client()
    first = log_in(browser, auth0_tenant, "default", "auth0|alice")
    second = log_in(browser, auth0_tenant, "orders", "auth0|bob")

    assert (200, 200) == (first.status_code, second.status_code)
    assert ["auth0|alice", "auth0|bob"] == get(browser, "/users").json


def test_guards(auth0_tenant: Tenant) -> None:
    """A view may be for those who are logged in with a certain client."""
    app = make_site(auth0_tenant)

    @app.get("/orders")
    @login_required(client="orders")
    def orders() -> str:
        return "orders"

    browser = app.test_client()
    log_in(browser, auth0_tenant, "default", "auth0|alice")
    before = get(browser, "/orders").status_code
    log_in(browser, auth0_tenant, "orders", "auth0|alice")

    assert (401, 200) == (before, get(browser, "/orders").status_code)


def test_backchannel_logout_of_one_client(auth0_tenant: Tenant) -> None:
    """Auth0 ends the sessions of the application that it asks, and no other's."""
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=MemoryStore())
    browser = app.test_client()
    for name in ("default", "orders"):
        log_in(browser, auth0_tenant, name, "auth0|alice")
    token = auth0_tenant.logout_token(sub="auth0|alice", client_id="orders")
    answers = [
        app.test_client().post(path, data={"logout_token": token})
        for path in ("/backchannel-logout", "/orders/backchannel-logout")
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert ["auth0|alice", None] == get(browser, "/users").json


def test_templates(auth0_tenant: Tenant) -> None:
    """A template reaches any client."""
    app = make_site(auth0_tenant)
    page = "{{ auth0_of('orders').user.sub }}"
    app.add_url_rule("/page", view_func=lambda: render_template_string(page))
    browser = app.test_client()
    log_in(browser, auth0_tenant, "orders", "auth0|bob")

    assert "auth0|bob" == get(browser, "/page").text


def test_keywords_of_clients(auth0_tenant: Tenant) -> None:
    """The extension's own clients win over the settings', keyword by keyword."""
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant, AUTH0_TX_CLIENTS={"orders": ORDERS}))
    auth0 = Auth0TX(
        app,
        clients={
            "orders": {"timeout": 3},
            "bills": {"client_id": "bills", "client_secret": "secret-of-bills"},
        },
        timeout=7,
    )
    clients = [
        auth0.client_of(app, name) for name in (None, "default", "orders", "bills")
    ]

    assert isinstance(clients[0], ServerClient)
    assert clients[0] is clients[1]
    assert [
        ("orders", 3.0, "__Host-auth0_tx_orders"),
        ("bills", 7.0, "__Host-auth0_tx_bills"),
    ] == [
        (
            client._context.settings.client_id,
            client._context.settings.timeout,
            client.session_cookie,
        )
        for client in clients[2:]
    ]


@pytest.mark.parametrize(
    ("clients", "named"),
    [
        (
            {"orders": {**ORDERS, "TIMEOUTS": 5}},
            "AUTH0_TX_CLIENTS['orders']['TIMEOUTS']",
        ),
        ({"orders": {"CLIENT_SECRET": "x"}}, "AUTH0_TX_CLIENTS['orders']['CLIENT_ID']"),
        ({"orders": "orders"}, "AUTH0_TX_CLIENTS['orders'] must be"),
        ("orders", "AUTH0_TX_CLIENTS must be"),
        ({"Orders": ORDERS}, "'Orders' can't be the name"),
        ({"default": ORDERS}, "'default' can't be the name"),
        (
            {
                name: {**ORDERS, "SESSION_POLICY": {"cookie_name": "shop"}}
                for name in ("orders", "bills")
            },
            "'orders' and 'bills' keep sessions in one cookie",
        ),
    ],
)
def test_refused(auth0_tenant: Tenant, clients: Any, named: str) -> None:
    """A setting that breaks a rule is refused at set-up, and its name is said."""
    with pytest.raises(ConfigurationError) as refused:
        make_site(auth0_tenant, AUTH0_TX_CLIENTS=clients)

    assert named in str(refused.value)
    assert "secret-of-orders" not in str(refused.value)


def test_unknown_client(auth0_tenant: Tenant) -> None:
    """A name that no client has is an error that lists those there are."""
    app = make_site(auth0_tenant)
    with (
        app.test_request_context(),
        pytest.raises(
            ConfigurationError, match=r"no client 'bills'.*'default', 'orders'"
        ),
    ):
        auth0_of("bills")


def test_command(auth0_tenant: Tenant) -> None:
    """``flask auth0-tx --client NAME`` uses that client."""
    orders = {**ORDERS, "DOMAIN": "localhost:1"}
    app = make_site(auth0_tenant, AUTH0_TX_CLIENTS={"orders": orders})
    runner = app.test_cli_runner()
    found = runner.invoke(args=["auth0-tx", "--client", "orders", "doctor", "--json"])
    unknown = runner.invoke(args=["auth0-tx", "--client", "bills", "doctor"])

    assert "localhost:1" in found.output
    assert 2 == unknown.exit_code
    assert "'default', 'orders'" in unknown.output


def test_mounted_applications(auth0_tenant: Tenant) -> None:
    """Applications of one process, mounted beside each other, each have their own client."""
    home = make_site(auth0_tenant, AUTH0_TX_CLIENTS={})
    shop = make_site(
        auth0_tenant,
        AUTH0_CLIENT_ID="orders",
        AUTH0_CLIENT_SECRET="secret-of-orders",
        AUTH0_TX_SESSION_POLICY={"cookie_name": "shop"},
        AUTH0_TX_CLIENTS={},
        AUTH0_SECRET=SECRET,
    )
    for app in (home, shop):
        app.add_url_rule(
            "/user", view_func=lambda: (current_auth0.user or {"sub": ""})["sub"]
        )
    browser = Client(DispatcherMiddleware(home, {"/shop": shop}))
    for path, user in (("", "auth0|alice"), ("/shop", "auth0|bob")):
        token = auth0_tenant.subject_token(user)
        browser.post(f"{path}/login/default", data=token, base_url=HTTPS)

    assert ["auth0|alice", "auth0|bob"] == [
        browser.get(path, base_url=HTTPS).text for path in ("/user", "/shop/user")
    ]
