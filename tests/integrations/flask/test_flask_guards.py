"""Views for logged-in users: pages lead to the login, APIs are refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from auth0_tx import (
    ConfigurationError,
    InsufficientScopeError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
    StoreError,
)
from auth0_tx.integrations.flask import (
    Auth0TX,
    current_auth0,
    get_next_url,
    login_not_required,
    login_required,
    require_login,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Api, Application, Tenant
from tests.integrations.flask.sites import API, HTTPS, OTHER, make_settings

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BROWSER = {**PAGE, "Sec-Fetch-Mode": "navigate"}
FETCH = {"Accept": "*/*", "Sec-Fetch-Mode": "cors"}


def make_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application with a login page, whose views are for logged-in users."""
    app = Flask(__name__)
    app.config.update(
        make_settings(tenant, **{"AUTH0_TX_LOGIN_URL": "/login", **changes})
    )
    app.register_blueprint(Auth0TX(app).backchannel_logout())

    @app.route("/login", methods=["GET", "POST"])
    def login() -> str:
        if request.method == "POST":
            current_auth0.login(
                LoginWithCustomTokenExchangeOptions(
                    subject_token=request.get_data(as_text=True),
                    subject_token_type="urn:acme:legacy-token",
                    audience=API,
                    scope="openid offline_access read:orders",
                )
            )
        return get_next_url("/home")

    @app.route("/page/<path:name>", methods=["GET", "POST"])
    @login_required
    def page(name: str) -> str:
        user = current_auth0.user
        return f"{name} of {user['sub'] if user else 'nobody'}"

    @app.get("/async")
    @login_required()
    async def asynchronous() -> str:
        return "async"

    @app.get("/orders")
    @login_required(scopes="read:orders")
    def orders() -> str:
        return "orders"

    @app.get("/refunds")
    @login_required(scopes=["read:orders", "write:refunds"])
    async def refunds() -> str:
        return "refunds"

    @app.get("/other")
    @login_required(audience=OTHER, scopes=("read:more",))
    def other() -> str:
        return "other"

    return app


def log_in(app: Flask, tenant: Tenant) -> Any:
    """Return a browser in which Alice is logged in."""
    browser = app.test_client()
    token = tenant.subject_token("auth0|alice")
    assert 200 == browser.post("/login", data=token, base_url=HTTPS).status_code
    return browser


def open_page(
    browser: Any, path: str, headers: dict[str, str] = BROWSER, **more: Any
) -> Any:
    """Ask for a page as a browser does."""
    return browser.open(path, base_url=HTTPS, headers=headers, **more)


@pytest.fixture
def app(auth0_tenant: Tenant) -> Flask:
    """An application with a login page."""
    auth0_tenant.apis.change(API, scopes=("read:orders", "write:refunds"))
    return make_site(auth0_tenant)


@pytest.mark.parametrize("headers", [PAGE, BROWSER])
def test_pages(app: Flask, auth0_tenant: Tenant, headers: dict[str, str]) -> None:
    """A browser that opens a page is sent to the login page, and knows where it was."""
    refused = open_page(app.test_client(), "/page/a%20b/%C3%A9?c=d&e=/", headers)
    served = open_page(log_in(app, auth0_tenant), "/page/mine", headers)

    assert 302 == refused.status_code
    expected = "/login?next=/page/a%2520b/%25C3%25A9%3Fc%3Dd%26e%3D/"
    assert expected == refused.headers["Location"]
    assert "no-store" in refused.headers["Cache-Control"]
    assert "Cookie" in refused.headers["Vary"]
    assert "mine of auth0|alice" == served.text
    back = open_page(app.test_client(), refused.headers["Location"])
    assert "/page/a%20b/%C3%A9?c=d&e=/" == back.text


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        *(
            (path, "GET", headers)
            for path in ("/page/mine", "/async", "/orders", "/refunds", "/other")
            for headers in (
                {},
                {"Accept": "application/json"},
                FETCH,
                {**PAGE, "Sec-Fetch-Mode": "cors"},
            )
        ),
        ("/page/mine", "POST", BROWSER),
    ],
)
def test_apis(app: Flask, path: str, method: str, headers: dict[str, str]) -> None:
    """Everything else is refused as by an API."""
    answer = open_page(app.test_client(), path, headers, method=method)

    assert (401, {"error": "login_required"}) == (answer.status_code, answer.json)
    assert "Bearer" == answer.headers["WWW-Authenticate"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Cookie" in answer.headers["Vary"]


def test_pages_without_a_login_page(auth0_tenant: Tenant) -> None:
    """An application that names no login page answers pages like an API."""
    app = make_site(auth0_tenant, AUTH0_TX_LOGIN_URL=None)

    assert 401 == open_page(app.test_client(), "/page/mine").status_code


def test_scopes(app: Flask, auth0_tenant: Tenant) -> None:
    """A user whose token has the scopes is served, another is refused, also on a page."""
    browser = log_in(app, auth0_tenant)
    served = [open_page(browser, path).text for path in ("/orders", "/async")]
    refused = open_page(browser, "/refunds")

    assert ["orders", "async"] == served
    assert (403, {"error": "insufficient_scope"}) == (refused.status_code, refused.json)
    assert (
        'Bearer error="insufficient_scope", scope="read:orders write:refunds"'
        == refused.headers["WWW-Authenticate"]
    )


def test_audience(app: Flask, auth0_tenant: Tenant) -> None:
    """The scopes may be those of another API's token, which is renewed for it."""
    auth0_tenant.apis.add(Api(OTHER, scopes=("read:more",)))
    browser = log_in(app, auth0_tenant)

    assert "other" == open_page(browser, "/other").text


def test_store_that_is_down(auth0_tenant: Tenant) -> None:
    """A store that cannot be read is not the same as nobody: try again later."""

    class Store(MemoryStore):
        is_down = False

        def get(self, key: str) -> bytes | None:
            if self.is_down:
                raise StoreError("the store is down", retry_safe=True)
            return super().get(key)

    store = Store()
    app = make_site(auth0_tenant, AUTH0_TX_STATE_STORE=store)
    alice = log_in(app, auth0_tenant)
    store.is_down = True
    answer = open_page(alice, "/page/mine")

    assert 503 == answer.status_code
    assert {"error": "temporarily_unavailable"} == answer.json


def test_login_view(auth0_tenant: Tenant) -> None:
    """The login page may be named by its endpoint; both names are a mistake."""
    app = make_site(auth0_tenant, AUTH0_TX_LOGIN_URL=None, AUTH0_TX_LOGIN_VIEW="login")
    mounted = Client(DispatcherMiddleware(Flask("home"), {"/shop": app}))
    answer = mounted.get("/shop/page/mine", base_url=HTTPS, headers=BROWSER)

    assert "/shop/login?next=/shop/page/mine" == answer.headers["Location"]
    with pytest.raises(ConfigurationError, match="exclude each other"):
        make_site(auth0_tenant, AUTH0_TX_LOGIN_VIEW="login")


def test_login_page_of_the_extension(auth0_tenant: Tenant) -> None:
    """The login page that the extension is given wins over the settings'."""
    app = make_site(auth0_tenant)
    Auth0TX(app, login_url="/sign-in")
    answer = open_page(app.test_client(), "/page/mine")

    assert "/sign-in?next=/page/mine" == answer.headers["Location"]


def test_login_page_that_needs_a_login(auth0_tenant: Tenant) -> None:
    """A login page under its own guard is refused, and not redirected to itself for ever."""
    app = make_site(auth0_tenant, AUTH0_TX_LOGIN_URL="/page/login?lang=en")

    assert 401 == open_page(app.test_client(), "/page/login").status_code


def test_next_is_local(app: Flask) -> None:
    """``next`` leads to this site, from the query or the form; anything else is not used."""
    browser = app.test_client()
    seen = [
        open_page(browser, "/login", query_string={"next": url}).text
        for url in ("/orders?a=b", "//evil.example", "https://evil.example", "/\\evil")
    ]

    assert ["/orders?a=b", "/home", "/home", "/home"] == seen
    with app.test_request_context("/login", method="POST", data={"next": "/orders"}):
        assert "/orders" == get_next_url()
    with app.test_request_context("/login"):
        assert "/" == get_next_url()


def test_path_that_reads_as_a_host(app: Flask) -> None:
    """A path that begins with two slashes leads back to this site, too."""
    app.before_request(require_login)
    answer = open_page(
        app.test_client(), "/", environ_overrides={"PATH_INFO": "//evil.example/a"}
    )

    assert "/login?next=/evil.example/a" == answer.headers["Location"]


def test_own_handlers(auth0_tenant: Tenant) -> None:
    """An error handler of the application decides, if there is one for such errors."""
    app = make_site(auth0_tenant)

    @app.errorhandler(LoginRequiredError)
    def ask_for_login(error: LoginRequiredError) -> Any:
        return "log in, please", 401

    @app.errorhandler(Exception)
    def hide(error: Exception) -> Any:
        return "a bug", 500

    answer = open_page(app.test_client(), "/page/mine")
    scope = open_page(log_in(app, auth0_tenant), "/refunds")

    assert (401, "log in, please") == (answer.status_code, answer.text)
    assert 403 == scope.status_code


def test_errors_of_views(auth0_tenant: Tenant) -> None:
    """A view that finds nobody logged in is answered alike, where errors are handled."""
    app = make_site(auth0_tenant)
    Auth0TX().handle_errors(app)

    @app.get("/token")
    def token() -> str:
        return current_auth0.get_access_token(API)

    @app.get("/scope")
    def scope() -> str:
        raise InsufficientScopeError("no").with_scope("read:all")

    page = open_page(app.test_client(), "/token")
    api = open_page(app.test_client(), "/token", FETCH)
    lacking = open_page(app.test_client(), "/scope")

    assert (302, "/login?next=/token") == (page.status_code, page.headers["Location"])
    assert (401, {"error": "login_required"}) == (api.status_code, api.json)
    assert 'scope="read:all"' in lacking.headers["WWW-Authenticate"]


def test_malformed_bearer_token(auth0_tenant: Tenant) -> None:
    """A bearer token that cannot be one is answered 401, like one that is not valid."""
    auth0_tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    app = make_site(
        auth0_tenant, AUTH0_CLIENT_ID="service", AUTH0_CLIENT_SECRET="secret-of-it"
    )
    Auth0TX().handle_errors(app)

    @app.get("/behalf")
    def behalf() -> str:
        return current_auth0.get_token_on_behalf_of(OTHER).scope or ""

    answers = [
        open_page(app.test_client(), "/behalf", {"Authorization": field})
        for field in ("Bearer a b", "Bearer ", "Basic YTpi", "Bearer \xe9", "x")
    ]

    assert [401] * 5 == [answer.status_code for answer in answers]
    assert all(
        answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in answers
    )


# Blueprints and whole applications.


def make_guarded_site(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application that asks for a login before every view."""
    app = make_site(tenant, **changes)
    app.before_request(require_login)

    @app.get("/about")
    @login_not_required
    def about() -> str:
        return "about"

    class Basket(MethodView):
        def get(self) -> str:
            return "basket"

        async def post(self) -> str:
            return "bought"

    app.add_url_rule("/basket", view_func=Basket.as_view("basket"))
    return app


def test_whole_application(auth0_tenant: Tenant) -> None:
    """Before every request, nobody passes but to the login page and what is for all."""
    app = make_guarded_site(auth0_tenant)
    stranger, alice = app.test_client(), log_in(app, auth0_tenant)
    paths = ["/basket", "/about", "/login", "/nowhere"]

    assert [302, 200, 200, 302] == [
        open_page(stranger, path).status_code for path in paths
    ]
    assert [200, 200, 200, 404] == [
        open_page(alice, path).status_code for path in paths
    ]
    assert 401 == open_page(stranger, "/basket", method="POST").status_code
    assert "bought" == open_page(alice, "/basket", method="POST").text


def test_backchannel_logout_needs_no_login(auth0_tenant: Tenant) -> None:
    """Auth0 is not logged in, and ends a session all the same."""
    app = make_guarded_site(auth0_tenant, AUTH0_TX_STATE_STORE=MemoryStore())
    alice = log_in(app, auth0_tenant)
    answer = app.test_client().post(
        "/backchannel-logout",
        data={"logout_token": auth0_tenant.logout_token(sub="auth0|alice")},
    )

    assert 200 == answer.status_code
    assert 302 == open_page(alice, "/basket").status_code


def test_questions_of_other_sites(auth0_tenant: Tenant) -> None:
    """A browser's question before a request of another site has no cookie, and gets its answer."""
    app = make_guarded_site(auth0_tenant)

    @app.route("/own", methods=["OPTIONS"])
    def own() -> Response:
        return Response("an own answer")

    browser = app.test_client()

    assert 200 == open_page(browser, "/basket", method="OPTIONS").status_code
    assert 401 == open_page(browser, "/own", method="OPTIONS").status_code


def test_blueprint(app: Flask, auth0_tenant: Tenant) -> None:
    """A blueprint asks for a login and scopes, and the rest of the application does not."""
    refunds = Blueprint("back_office", __name__, url_prefix="/office")
    refunds.before_request(partial(require_login, scopes="write:refunds"))
    refunds.add_url_rule("/", view_func=lambda: "the office")
    app.register_blueprint(refunds)
    app.add_url_rule("/free", view_func=lambda: "free")

    assert "/login?next=/office/" == open_page(app.test_client(), "/office/").location
    assert 403 == open_page(log_in(app, auth0_tenant), "/office/").status_code
    assert "free" == open_page(app.test_client(), "/free").text
