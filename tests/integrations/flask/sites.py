"""Flask applications, and the browsers that visit them."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, redirect, request

from auth0_tx import LoginWithCustomTokenExchangeOptions
from auth0_tx.integrations.flask import Auth0TX, current_auth0
from auth0_tx.tenant import Tenant

API = "https://api.example.com"
OTHER = "https://other.example.com"
SECRET = "of a login session, and long enough: 0123456789"
HTTPS = "https://localhost/"


def make_settings(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the settings of an application."""
    return {
        "AUTH0_DOMAIN": tenant.domain,
        "AUTH0_CLIENT_ID": tenant.client_id,
        "AUTH0_CLIENT_SECRET": tenant.client_secret,
        "AUTH0_SECRET": SECRET,
        "AUTH0_TX_VERIFY": tenant.ca_file,
        "SECRET_KEY": "of flask's own, and long enough: 0123456789",
        **changes,
    }


def make_app(tenant: Tenant, **changes: Any) -> Flask:
    """Make an application, as a factory would."""
    app = Flask(__name__)
    app.config.update(make_settings(tenant, **changes))
    auth0 = Auth0TX()
    auth0.init_app(app)
    auth0.handle_errors(app)
    app.register_blueprint(auth0.backchannel_logout())

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
        found = current_auth0.user
        return {
            "sub": found and found["sub"],
            "session": current_auth0.session is not None,
        }

    @app.get("/token")
    def token() -> Any:
        return {"token": current_auth0.get_access_token(API)}

    @app.get("/token-then-error")
    def token_then_error() -> Any:
        current_auth0.get_access_token(API)
        raise KeyError("a bug of the application's")

    @app.get("/token-then-abort")
    def token_then_abort() -> Any:
        current_auth0.get_access_token(API)
        abort(418)

    @app.get("/behalf")
    def behalf() -> Any:
        answer = current_auth0.get_token_on_behalf_of(OTHER)
        return {"scope": answer.scope}

    @app.post("/logout")
    def logout() -> Any:
        return redirect(current_auth0.logout(return_to="http://localhost/"))

    @app.get("/nothing")
    def nothing() -> Any:
        return "nothing"

    return app


def log_in(app: Flask, tenant: Tenant, user: str = "auth0|alice") -> Any:
    """Return a browser in which a user is logged in."""
    browser = app.test_client()
    answer = browser.post("/login", data=tenant.subject_token(user), base_url=HTTPS)
    assert 302 == answer.status_code, answer.text
    return browser


def get(browser: Any, path: str, **more: Any) -> Any:
    """Ask for a page over https, as ``Secure`` cookies need."""
    return browser.get(path, base_url=HTTPS, **more)
