"""The Flask extension as users write it: read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, assert_type

from flask import Blueprint, Flask

from auth0_tx import (
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
    UserClaims,
)
from auth0_tx.integrations.flask import (
    Auth0TX,
    auth0_of,
    current_auth0,
    get_next_url,
    login_not_required,
    login_required,
    require_login,
    same_origin_required,
)
from auth0_tx.integrations.flask.flask_login import connect_flask_login

app = Flask(__name__)
auth0 = Auth0TX(app, clients={"orders": {"client_id": "orders"}}, login_view="login")
assert_type(auth0.client_of(app, "orders"), ServerClient)
auth0.handle_errors(app)
app.register_blueprint(auth0.backchannel_logout("/orders/logout", client="orders"))


def load_user(claims: UserClaims) -> str | None:
    return claims.get("name")


connect_flask_login(app, load_user, client="orders")
connect_flask_login(app, str.upper)  # type: ignore[arg-type]


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token, subject_token_type="urn:acme:legacy-token"
    )


assert_type(auth0.routes(make_options, return_to="https://app.example.com"), Blueprint)
auth0.routes({"audience": "a"})  # type: ignore[arg-type]

office = Blueprint("office", __name__)
office.before_request(require_login)
office.before_request(partial(require_login, scopes="write:orders"))
require_login(scope="write:orders")  # type: ignore[call-arg]


@app.get("/plain")
@login_required
def plain(page: int) -> str:
    assert_type(current_auth0.user, UserClaims | None)
    assert_type(auth0_of("orders").user, UserClaims | None)
    return get_next_url("/home")


@app.get("/orders")
@login_required(scopes=["read:orders"], audience="https://api.example.com")
async def orders(page: int) -> dict[str, Any]:
    return {}


@app.post("/logout")
@same_origin_required(trusted_origins=["https://login.example.com"])
def logout() -> str:
    return current_auth0.logout()


@app.get("/about")
@login_not_required
def about() -> str:
    return "about"


assert_type(about, Callable[[], str])
plain("one")  # type: ignore[arg-type]
orders(page="one")  # type: ignore[arg-type]
