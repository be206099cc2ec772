"""The warning about ``Secure`` cookies over plain http, which browsers drop."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from typing import Any

import flask
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import override_settings
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.frameworks import plain_http
from auth0_tx.frameworks.cookies import HttpCookies
from tests.frameworks import django_app
from tests.frameworks.clients import World
from tests.frameworks.conftest import SITES, Site

LOGGER = "auth0_tx.session"
COOKIE = SetCookie(name="__Host-auth0_tx", value="needle-sealed", max_age=60)
ALL_SITES = {**SITES, "django-asgi": django_app.serve_asgi}


@pytest.fixture(autouse=True)
def fresh_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a process that has not warned yet."""
    monkeypatch.setattr(plain_http, "_occasions", count())
    caplog.set_level(logging.WARNING, LOGGER)


@pytest.fixture(scope="module", params=ALL_SITES)
def site(request: pytest.FixtureRequest, world: World) -> Iterator[Site]:
    """A site of each framework that keeps sessions in cookies."""
    with ALL_SITES[request.param](world) as port:
        yield Site(request.param, port, "cookie", world)


def log_in(site: Site, *fields: str) -> None:
    """Log in with a request that has these header fields, as a proxy or a browser sends it."""
    token = site.world.tenant.subject_token("auth0|alice").encode()
    lines = [
        b"POST /cookie/login HTTP/1.1",
        *(field.encode() for field in fields),
        b"Content-Length: %d" % len(token),
        b"Connection: close",
    ]
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + token)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b"auth0_tx=" in answer, answer


def list_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_login_over_plain_http(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The first login over plain http is warned of, once in a process, without a secret."""
    for _ in range(3):
        log_in(site, "Host: app.example.com", "Authorization: Bearer needle")

    [warning] = list_warnings(caplog)
    assert "https" in warning
    assert "cookie_secure=False" in warning
    assert "needle" not in warning
    for cookie in site.log_in_new_browser().cookies.values():
        assert cookie not in warning


@pytest.mark.parametrize(
    "fields",
    [
        ("Host: localhost:8000",),
        ("Host: 127.0.0.1",),
        ("Host: 127.8.9.10:80",),
        ("Host: [::1]:8000",),
        ("Host: shop.localhost:8000",),
        ("Host: app.example.com", "X-Forwarded-Proto: https"),
        ("Host: app.example.com", "X-Forwarded-Proto: HTTPS, http"),
        ("Host: app.example.com", 'Forwarded: for=192.0.2.1;proto="https";by=x'),
    ],
    ids=" ".join,
)
def test_browser_keeps_the_cookie(
    site: Site, caplog: pytest.LogCaptureFixture, fields: tuple[str, ...]
) -> None:
    """Browsers trust their own machine without https, and a proxy may have ended it."""
    log_in(site, *fields)

    assert [] == list_warnings(caplog)


@pytest.mark.parametrize(
    "fields",
    [
        ("Host: app.example.com", "X-Forwarded-Proto: http"),
        ("Host: app.example.com:443", "X-Forwarded-For: 192.0.2.1"),
        ("Host: localhost.example.com",),
        ("Host: 192.168.0.7:8000",),
        ("Host: [fe80::1]",),
    ],
    ids=" ".join,
)
def test_browser_drops_the_cookie(
    site: Site, caplog: pytest.LogCaptureFixture, fields: tuple[str, ...]
) -> None:
    """Any other host is warned of, also behind a proxy that speaks plain http."""
    log_in(site, *fields)

    assert 1 == len(list_warnings(caplog))


def build_environ(scheme: str) -> dict[str, Any]:
    return EnvironBuilder(base_url=f"{scheme}://app.example.com").get_environ()


def build_scope(scheme: str, kind: str = "http") -> dict[str, Any]:
    return {
        "type": kind,
        "scheme": scheme,
        "method": "POST",
        "path": "/",
        "headers": [(b"host", b"app.example.com")],
    }


def build_aiohttp_request(scheme: str) -> web.Request:
    request = make_mocked_request("POST", "/", headers={"Host": "app.example.com"})
    return request.clone(scheme=scheme)


def build_flask_request(scheme: str) -> flask.Request:
    return flask.Request(build_environ(scheme))


REQUESTS: dict[str, tuple[Callable[[str], Any], Callable[[], Any], str]] = {
    "django": (
        lambda scheme: WSGIRequest(build_environ(scheme)),
        HttpResponse,
        "SECURE_PROXY_SSL_HEADER",
    ),
    "django-asgi": (
        lambda scheme: ASGIRequest(build_scope(scheme), BytesIO()),
        HttpResponse,
        "SECURE_PROXY_SSL_HEADER",
    ),
    "flask": (build_flask_request, flask.Response, "ProxyFix"),
    "starlette": (
        lambda scheme: Request(build_scope(scheme)),
        Response,
        "--proxy-headers",
    ),
    "starlette-websocket": (
        lambda scheme: HTTPConnection(
            build_scope(scheme.replace("http", "ws"), "websocket")
        ),
        Response,
        "--proxy-headers",
    ),
    "aiohttp": (build_aiohttp_request, web.Response, "XForwardedRelaxed"),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_setting_of_the_framework(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the framework's own setting for proxies, and https needs none."""
    make_request, make_response, setting = REQUESTS[kind]
    for scheme in ("https", "http"):
        options = {"request": make_request(scheme), "response": make_response()}
        HttpCookies().write(options, [COOKIE])

    [warning] = list_warnings(caplog)
    assert setting in warning


@pytest.mark.parametrize(
    "cookie",
    [
        SetCookie(name="auth0_tx", value="x", max_age=60, secure=False),
        SetCookie(name="__Host-auth0_tx", value="", max_age=0),
    ],
    ids=["not secure", "deleted"],
)
def test_cookie_that_nobody_misses(
    cookie: SetCookie, caplog: pytest.LogCaptureFixture
) -> None:
    """A cookie that is not ``Secure`` arrives, and one that is deleted is not to arrive."""
    options = {"request": build_flask_request("http"), "response": flask.Response()}

    HttpCookies().write(options, [cookie])

    assert [] == list_warnings(caplog)


def test_settings_for_proxies(caplog: pytest.LogCaptureFixture) -> None:
    """A framework that trusts the header field of its proxy knows of https."""
    environ = build_environ("http") | {"HTTP_X_SCHEME": "https"}
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_SCHEME", "https")):
        request = WSGIRequest(environ)
        HttpCookies().write({"request": request, "response": HttpResponse()}, [COOKIE])

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        options = {"request": WerkzeugRequest(environ), "response": WerkzeugResponse()}
        HttpCookies().write(options, [COOKIE])
        return []

    environ = build_environ("http") | {"HTTP_X_FORWARDED_PROTO": "https"}
    ProxyFix(application, x_proto=1)(environ, lambda *_: None)  # type: ignore[arg-type]

    assert [] == list_warnings(caplog)


def test_request_of_no_browser(caplog: pytest.LogCaptureFixture) -> None:
    """A request that a test made by hand has no host, and nobody is warned of it."""
    headers: dict[str, str] = {}
    request = type("Request", (), {"cookies": {}, "headers": headers})()

    HttpCookies().write({"request": request, "response": flask.Response()}, [COOKIE])

    assert [] == list_warnings(caplog)
