"""A Flask application with logins, pages and streams, for servers with workers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import redis
from flask import Flask, Response, stream_with_context
from flask_login import LoginManager, UserMixin, current_user

from auth0_tx import LoginWithCustomTokenExchangeOptions, UserClaims
from auth0_tx.integrations.flask import Auth0TX, current_auth0, login_required
from auth0_tx.integrations.flask.flask_login import connect_flask_login
from auth0_tx.stores import RedisStore

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_SITE"])
app = Flask(__name__)
app.config.update(told["settings"])
app.config["AUTH0_TX_STATE_STORE"] = RedisStore(
    redis.Redis.from_url(told["redis"]), prefix=told["prefix"]
)
auth0 = Auth0TX(app)
LoginManager(app)


class Member(UserMixin):  # type: ignore[misc, unused-ignore]
    """A user of the application."""

    def __init__(self, number: str) -> None:
        self.id = number


def load_member(claims: UserClaims) -> Member:
    """Return the user whom the claims are about."""
    return Member(claims["sub"])


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="urn:acme:legacy-token",
        audience="https://api.example.com",
        scope="openid offline_access",
    )


connect_flask_login(app, load_member)
app.register_blueprint(auth0.routes(make_options))


def read_users() -> list[str | None]:
    """Return who is logged in: with Auth0, and with Flask-Login."""
    user = current_auth0.user
    return [user and user["sub"], current_user.get_id()]


@app.get("/page")
@login_required
def page() -> dict[str, Any]:
    """Return the process and the user."""
    return {"pid": os.getpid(), "users": read_users()}


@app.get("/async")
@login_required
async def asynchronous() -> dict[str, Any]:
    """Return the process and the user, from an event loop."""
    return {"pid": os.getpid(), "users": read_users()}


@app.get("/stream")
@login_required
def stream() -> Response:
    """Write the user several times."""

    @stream_with_context
    def write() -> Iterator[str]:
        for _ in range(3):
            yield json.dumps(read_users())

    return Response(write())  # type: ignore[arg-type]
