"""Requests and responses of each framework, made without a socket."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import attrs
import flask
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from starlette.requests import Request
from starlette.responses import Response
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from tests.frameworks import django_settings  # noqa: F401
from tests.frameworks.set_cookies import SentCookie, parse_set_cookie


@attrs.frozen
class Kind:
    """How one framework makes requests and responses, and shows the latter's headers.

    Attributes:
        name: the framework's.
        request: a request with a ``Cookie`` field.
        again: another request object for the same request.
        response: a response with nothing set.
        fields: every field of a name that a response will have, without cookies.
        cookies: the response's ``Set-Cookie`` fields.
    """

    name: str
    request: Callable[[str], Any]
    again: Callable[[Any], Any]
    response: Callable[[], Any]
    fields: Callable[[Any, str], list[str]]
    cookies: Callable[[Any], list[str]]

    def read_cookies(self, response: Any) -> list[SentCookie]:
        """Return the cookies that the response sets."""
        return [parse_set_cookie(field) for field in self.cookies(response)]


def build_environ(cookie: str) -> dict[str, Any]:
    return EnvironBuilder(headers={"Cookie": cookie}).get_environ()


def build_scope(cookie: str) -> dict[str, Any]:
    headers = [(b"cookie", cookie.encode("latin-1"))]
    return {"type": "http", "method": "GET", "path": "/", "headers": headers}


def _list_jar_cookies(response: Any) -> list[str]:
    return [morsel.OutputString() for morsel in response.cookies.values()]


def _list_cookie_fields(response: Any) -> list[str]:
    return list(response.headers.getlist("Set-Cookie"))


def list_fields(response: Any, name: str) -> list[str]:
    if name not in response.headers:
        return []
    for method in ("getlist", "getall"):
        if hasattr(response.headers, method):
            return list(getattr(response.headers, method)(name))
    return [response.headers[name]]


DJANGO = Kind(
    "django",
    lambda cookie: WSGIRequest(build_environ(cookie)),
    lambda request: WSGIRequest(request.environ),
    HttpResponse,
    list_fields,
    _list_jar_cookies,
)
DJANGO_ASYNC = Kind(
    "django-async",
    lambda cookie: ASGIRequest(build_scope(cookie), BytesIO()),
    lambda request: ASGIRequest(request.scope, BytesIO()),
    HttpResponse,
    list_fields,
    _list_jar_cookies,
)
WERKZEUG = Kind(
    "werkzeug",
    lambda cookie: WerkzeugRequest(build_environ(cookie)),
    lambda request: WerkzeugRequest(request.environ),
    WerkzeugResponse,
    list_fields,
    _list_cookie_fields,
)
STARLETTE = Kind(
    "starlette",
    lambda cookie: Request(build_scope(cookie)),
    lambda request: Request(request.scope),
    Response,
    list_fields,
    _list_cookie_fields,
)
AIOHTTP = Kind(
    "aiohttp",
    lambda cookie: make_mocked_request("GET", "/", headers={"Cookie": cookie}),
    lambda request: request.clone(),
    web.Response,
    list_fields,
    _list_jar_cookies,
)


def build_flask_request(cookie: str) -> Any:
    # Its ``request`` stands for whichever is under way; the fixture ends that again.
    app = flask.Flask(__name__)
    FLASK_CONTEXTS.enter_context(app.test_request_context(headers={"Cookie": cookie}))
    return flask.request


FLASK_CONTEXTS = ExitStack()
FLASK = Kind(
    "flask",
    build_flask_request,
    lambda _: flask.request,
    flask.Response,
    list_fields,
    _list_cookie_fields,
)
KINDS = [DJANGO, DJANGO_ASYNC, WERKZEUG, FLASK, STARLETTE, AIOHTTP]
