"""Django's included views, guards and answers to errors, on real servers."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx.tenant import Api, Application, Tenant
from tests.documented_sites import Visitor
from tests.e2e.servers.running import run_command

SITE = "tests.e2e.servers.django_access_site"
API = "https://data.example.com"
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
GUARDED = ["/account", "/account-of-orders", "/read", "/change", "/token"]


def gunicorn(port: int) -> list[str]:
    """Return the command of gunicorn: the project is loaded once, and forked."""
    return [
        *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
        *("--threads", "2", "--bind", f"127.0.0.1:{port}", f"{SITE}:application"),
    ]


def uwsgi(port: int) -> list[str]:
    """Return the command of uWSGI."""
    return [
        *(f"{sysconfig.get_path('scripts')}/uwsgi", "--master", "--processes", "2"),
        *("--threads", "2", "--die-on-term", "--need-app", "--disable-logging"),
        *("--http-socket", f"127.0.0.1:{port}", "--module", f"{SITE}:application"),
    ]


def uvicorn(port: int) -> list[str]:
    """Return the command of uvicorn."""
    return [
        *(sys.executable, "-m", "uvicorn", "--workers", "2", "--log-level", "error"),
        *("--lifespan", "off", "--port", str(port), f"{SITE}:asgi_application"),
    ]


def ask(visitor: Visitor, path: str, **headers: str) -> Any:
    """Ask for a page over a new connection, as uWSGI keeps none and does not say so."""
    visitor.close()
    return visitor.get(path, headers=headers)


def submit(visitor: Visitor, path: str, **fields: str) -> Any:
    """Post a form of the site's own, with its CSRF token."""
    csrf = ask(visitor, "/form").text
    visitor.close()
    return visitor.post(path, data={**fields, "csrfmiddlewaretoken": csrf})


def list_statuses(visitor: Visitor) -> list[int]:
    """Return how each guarded view answers a browser."""
    return [ask(visitor, path).status_code for path in GUARDED]


@pytest.mark.parametrize("server", [gunicorn, uwsgi, uvicorn])
def test_django_site(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    server: Callable[[int], list[str]],
) -> None:
    """A login opens what it is for, with each of two clients, until Auth0 ends it."""
    auth0_tenant.apis.add(Api(API, scopes=("read:data", "write:data")))
    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))
    default = {
        "DOMAIN": auth0_tenant.domain,
        "CLIENT_ID": auth0_tenant.client_id,
        "CLIENT_SECRET": auth0_tenant.client_secret,
        "LOGIN": {
            "subject_token_type": "urn:acme:legacy-token",
            "audience": API,
            "scope": "openid read:data",
        },
        "STATE_STORE": "cache",
        "VERIFY": auth0_tenant.ca_file,
    }
    orders = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    told = {
        "settings": {"default": default, "orders": orders},
        "redis": redis_url,
        "prefix": redis_prefix,
    }
    tokens = [auth0_tenant.subject_token(f"auth0|{who}") for who in ("alice", "bob")]
    with run_command(server, told) as port, Visitor(port) as visitor:
        pages = [ask(visitor, path, **PAGE) for path in GUARDED]
        assert [401] * 5 == list_statuses(visitor)
        ask(visitor, "/form")
        visitor.close()
        # With a token, or Django would not read the body, and uWSGI reset the connection.
        posted = {"subject_token": tokens[0], "csrfmiddlewaretoken": "a" * 64}
        refused = visitor.post("/auth0/login/", data=posted)
        answer = submit(
            visitor, "/auth0/login/", subject_token=tokens[0], next="/account?a=b"
        )
        assert [200, 401, 200, 403, 200] == list_statuses(visitor)
        challenge = ask(visitor, "/change", **PAGE)
        submit(visitor, "/orders/login", subject_token=tokens[1])
        seen = [ask(visitor, path).text for path in GUARDED[:2]]
        logout_token = auth0_tenant.logout_token(sub="auth0|alice")
        visitor.close()
        posted = {"logout_token": logout_token}
        ended = visitor.post("/auth0/backchannel-logout/", data=posted)
        assert [401, 200, 401, 401, 401] == list_statuses(visitor)
        logout = submit(visitor, "/auth0/logout/")

    assert [(302, f"/form?next={path}") for path in GUARDED] == [
        (page.status_code, page.headers["Location"]) for page in pages
    ]
    assert all("no-store" in page.headers["Cache-Control"] for page in pages)
    assert (403, 200) == (refused.status_code, ended.status_code)
    assert (302, "/account?a=b") == (answer.status_code, answer.headers["Location"])
    assert 'scope="write:data"' in challenge.headers["WWW-Authenticate"]
    assert ["auth0|alice", "auth0|bob"] == seen
    assert logout.headers["Location"].startswith(f"{auth0_tenant.issuer}v2/logout")
