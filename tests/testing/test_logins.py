"""``login`` for the test client of each framework."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx import (
    ConfigurationError,
    CustomTokenExchangeError,
    InvalidInputError,
    LoginRequiredError,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from auth0_tx.testing import alogin, login
from tests.testing.sites import API, NOWHERE, SITES

OTHER = "https://other.example.com"

HOSTS = pytest.mark.parametrize("host", SITES)


@HOSTS
@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["cookies", "memory"])
def test_user_is_logged_in(open_site: Any, host: str, store: Any) -> None:
    """The test client's requests are the user's, and no request was sent to a tenant."""
    site = open_site(host, NOWHERE, store)
    assert site.get("/user")["user"] is None
    claims = {"sub": "auth0|alice", "name": "Alice Adams", "email": "a@example.com"}

    returned = site.log_in(claims)
    seen = site.get("/user")["user"]

    assert (
        claims
        == {name: seen[name] for name in claims}
        == {name: returned[name] for name in claims}
    )
    assert "https://tenant.us.auth0.com/" == seen["iss"]


@HOSTS
def test_access_tokens(open_site: Any, host: str) -> None:
    """The user has the access tokens that the test names, and no other."""
    site = open_site(host, NOWHERE, MemoryStore())
    site.log_in("auth0|alice", access_tokens={API: "read:data", OTHER: "write:data"})

    tokens = [
        site.get(f"/user?audience={audience}")["token"] for audience in ("", API, OTHER)
    ]

    assert tokens[0] == tokens[1] != tokens[2]
    assert all(token.startswith("access-token-of-a-test.") for token in tokens)


@HOSTS
def test_another_user(open_site: Any, host: str) -> None:
    """A second login of the same client is the next user's."""
    site = open_site(host, NOWHERE)
    for user in ("auth0|alice", "auth0|bob", "auth0|alice"):
        site.log_in(user)
        assert user == site.get("/user")["user"]["sub"]


@HOSTS
def test_named_client(open_site: Any, host: str) -> None:
    """A login may be of one of several clients, beside that of another."""
    site = open_site(host, NOWHERE)
    site.log_in("auth0|alice")
    site.log_in("auth0|bob", name="orders")

    assert ["auth0|alice", "auth0|bob"] == [
        site.get(f"/user{query}")["user"]["sub"] for query in ("", "?client=orders")
    ]


@HOSTS
@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["cookies", "memory"])
def test_real_login(
    open_site: Any,
    host: str,
    store: Any,
    auth0_tenant: Tenant,
    auth0_client_settings: dict[str, Any],
) -> None:
    """With a tenant the login is an exchange, and its tokens are real."""
    site = open_site(host, auth0_client_settings, store)

    user = site.log_in(
        "auth0|newcomer", access_tokens={API: "read:data"}, tenant=auth0_tenant
    )
    token = site.get(f"/user?audience={API}")["token"]

    assert "auth0|newcomer" == user["sub"]
    assert 1 == auth0_tenant.count("/oauth/token")
    assert 3 == len(token.split("."))


@pytest.mark.parametrize("host", ["django", "django-async"])
def test_login_to_django(open_site: Any, host: str) -> None:
    """A login for Django's client is one to Django, too, as its backend finds the user."""
    site = open_site(host, NOWHERE)
    assert not site.get("/user")["django"]
    site.log_in("auth0|alice")

    assert site.get("/user")["django"]


def test_client_of_rest_framework(open_site: Any) -> None:
    """A subclass of a test client, such as that of Django REST Framework, is one, too."""
    from rest_framework.test import APIClient

    open_site("django", NOWHERE)
    client = APIClient()
    login(client, "auth0|alice")

    assert "auth0|alice" == client.get("/user").json()["user"]["sub"]


def test_django_without_a_backend(open_site: Any) -> None:
    """In a project whose users are not Django's, the login is to Auth0 alone."""
    from django.test import override_settings

    site = open_site("django", NOWHERE)
    backends = ["django.contrib.auth.backends.ModelBackend"]
    with override_settings(AUTHENTICATION_BACKENDS=backends):
        site.log_in("auth0|alice")
        seen = site.get("/user")

    assert ("auth0|alice", False) == (seen["user"]["sub"], seen["django"])


def test_client_stays_as_it_was(open_site: Any) -> None:
    """A login leaves the handler of Django's client, and the functions of Flask, alone."""
    django, flask = open_site("django", NOWHERE), open_site("flask", NOWHERE)
    handler = django.client.handler
    functions = {**flask.app.before_request_funcs}
    for site in (django, flask):
        site.log_in("auth0|alice")

    assert handler is django.client.handler
    assert {name: list(found) for name, found in functions.items()} == {
        name: list(found) for name, found in flask.app.before_request_funcs.items()
    }


def test_flask_session_is_kept(open_site: Any) -> None:
    """What Flask's own session has stays over a login."""
    site = open_site("flask", NOWHERE)
    with site.client.session_transaction() as session:
        session["basket"] = "3 apples"
    site.log_in("auth0|alice")

    with site.client.session_transaction() as session:
        assert "3 apples" == session["basket"]


def test_middleware_answers(open_site: Any) -> None:
    """A middleware that answers in place of the login is not passed over in silence."""
    from django.conf import settings
    from django.test import override_settings

    site = open_site("django", NOWHERE)
    middleware = ["tests.testing.test_logins.refuse_all", *settings.MIDDLEWARE]
    with (
        override_settings(MIDDLEWARE=middleware),
        pytest.raises(CustomTokenExchangeError, match="status 418"),
    ):
        site.log_in("auth0|alice")


def refuse_all(get_response: Any) -> Any:
    """A middleware of a site that is closed."""
    from django.http import HttpResponse

    return lambda request: HttpResponse(status=418)


@HOSTS
@pytest.mark.parametrize(
    "user", ["", {}, {"sub": 7}, {"sub": "a", "session_expiry": 1}]
)
def test_unfit_users(open_site: Any, host: str, user: Any) -> None:
    """Claims of which no session can be made are refused."""
    site = open_site(host, NOWHERE)

    with pytest.raises(InvalidInputError, match="user"):
        site.log_in(user)


@HOSTS
def test_expired_token(open_site: Any, host: str) -> None:
    """A token that has expired cannot be renewed, as no refresh token is made up."""
    site = open_site(host, NOWHERE)
    site.log_in("auth0|alice", access_tokens={API: ""}, expires_in=-1)

    # Some test clients raise what the view raised; others see the server's error page.
    with pytest.raises((AssertionError, LoginRequiredError)):
        site.get(f"/user?audience={API}")
    assert "auth0|alice" == site.get("/user")["user"]["sub"]


async def test_other_clients() -> None:
    """A client that is not known is refused by its name, and one of the other kind too."""
    from django.test import AsyncClient, Client

    with pytest.raises(
        ConfigurationError, match=r"builtins\.object is not a test client"
    ):
        login(object(), "auth0|alice")
    with pytest.raises(ConfigurationError, match="await alogin"):
        login(AsyncClient(), "auth0|alice")
    with pytest.raises(ConfigurationError, match="call login"):
        await alogin(Client(), "auth0|alice")


def test_lifespan_does_not_run() -> None:
    """A test client outside its ``with`` has no client of the application's."""
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    with pytest.raises(ConfigurationError, match="with TestClient"):
        login(TestClient(Starlette()), "auth0|alice")


def test_client_without_sessions(open_site: Any) -> None:
    """An application that keeps no sessions has no login."""
    from flask import Flask

    from auth0_tx.integrations.flask import Auth0TX

    app = Flask("tests")
    Auth0TX(app, **NOWHERE)

    app.testing = True
    with pytest.raises(ConfigurationError, match="secret"):
        login(app.test_client(), "auth0|alice")
