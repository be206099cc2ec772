"""Cookies of the requests and responses of each framework, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from starlette.websockets import WebSocket

from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.errors import InvalidInputError
from auth0_tx.frameworks import cookies
from auth0_tx.frameworks.cookies import (
    RESPONSE_STATE,
    HttpCookies,
    ResponseState,
    expect_commit,
)
from tests.frameworks.framework_kinds import (
    AIOHTTP,
    FLASK_CONTEXTS,
    KINDS,
    STARLETTE,
    Kind,
    build_scope,
)

NAME = "__Host-auth0_tx"
COOKIES = HttpCookies()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """Each framework."""
    with FLASK_CONTEXTS:
        yield request.param


def build_cookie(value: str, *, name: str = NAME, **attributes: Any) -> SetCookie:
    """Build a cookie to set for an hour."""
    return SetCookie(**{"name": name, "value": value, "max_age": 3600, **attributes})


def build_deletion(name: str = NAME, **attributes: Any) -> SetCookie:
    """Build a cookie to delete."""
    return SetCookie(**{"name": name, "value": "", "max_age": 0, **attributes})


def test_reads_cookies(kind: Kind) -> None:
    """The cookies of a request are read by their names."""
    request = kind.request(f"{NAME}.0=eyJh.._-; {NAME}.1=second; theme=dark")

    expected = {f"{NAME}.0": "eyJh.._-", f"{NAME}.1": "second", "theme": "dark"}
    assert expected == COOKIES.read({"request": request})


def test_reads_no_cookies(kind: Kind) -> None:
    """A request without cookies has none."""
    assert {} == COOKIES.read({"request": kind.request("")})


def test_reads_cookies_set_by_hand() -> None:
    """A request without a ``Cookie`` field has the cookies that a test gave it."""
    by_hand = HttpRequest()
    by_hand.COOKIES = {NAME: "sealed"}
    asgi = ASGIRequest({**build_scope(""), "headers": []}, BytesIO())
    asgi.COOKIES = {NAME: "sealed"}

    for request in (SimpleNamespace(cookies={NAME: "sealed"}), by_hand, asgi):
        read = COOKIES.read({"request": request})
        assert {NAME: "sealed"} == read
        assert "sealed" not in repr(read)


def test_values_do_not_print(kind: Kind) -> None:
    """The mapping that is read does not print the cookies' values."""
    read = COOKIES.read({"request": kind.request(f"{NAME}=sealed")})

    assert "sealed" not in repr(read)


@pytest.mark.parametrize(
    "field",
    [
        ";;;=;==;",
        f"{NAME}",
        f"{NAME}=",
        f"{NAME}=a; {NAME}=b",
        f'{NAME}="unended',
        f'{NAME}="\\777\\"',
        f"{NAME}=\xe9\xff\x80",
        "\xe9\xff=\xfe",
        f"{NAME}={'x' * 100_000}",
        "; ".join(f"n{number}=v" for number in range(5_000)),
    ],
    ids=lambda field: ascii(field[:20]),
)
def test_reads_any_cookies(kind: Kind, field: str) -> None:
    """Whatever a browser sends is read as some texts, and never raises."""
    read = COOKIES.read({"request": kind.request(field)})

    assert [] == [text for pair in read.items() for text in pair if type(text) is bytes]
    assert isinstance(read.get(NAME, ""), str)


def test_sets_a_cookie(kind: Kind) -> None:
    """A cookie is set for this host, from scripts and other sites kept away, and by https."""
    response = kind.response()

    COOKIES.write(
        {"request": kind.request(""), "response": response}, [build_cookie("s.1-_")]
    )

    attributes = {
        "max-age": "3600",
        "path": "/",
        "httponly": "",
        "secure": "",
        "samesite": "Lax",
    }
    assert [(NAME, "s.1-_", attributes)] == kind.read_cookies(response)


def test_sets_a_cookie_for_a_domain(kind: Kind) -> None:
    """A cookie for a whole domain, or some paths, or plain http, is set as such."""
    response, request = kind.response(), kind.request("")
    domain = {"domain": "example.com", "path": "/app", "same_site": "strict"}
    mine = build_cookie("sealed", name="auth0_tx", secure=False, **domain)

    COOKIES.write({"request": request, "response": response}, [mine])

    attributes = {
        "max-age": "3600",
        "path": "/app",
        "domain": "example.com",
        "httponly": "",
        "samesite": "Strict",
    }
    assert [("auth0_tx", "sealed", attributes)] == kind.read_cookies(response)


@pytest.mark.parametrize(
    ("name", "domain", "path"),
    [(NAME, None, "/"), ("__Secure-auth0_tx", "example.com", "/app")],
)
def test_deletes_a_cookie(kind: Kind, name: str, domain: str | None, path: str) -> None:
    """A cookie is deleted with the attributes that its prefix stands for."""
    response = kind.response()
    gone = build_deletion(name, domain=domain, path=path)

    COOKIES.write({"request": kind.request(f"{name}=x"), "response": response}, [gone])

    [(found, value, attributes)] = kind.read_cookies(response)
    assert (name, "") == (found, value)
    assert "0" == attributes["max-age"]
    assert "secure" in attributes
    assert (domain, path) == (attributes.get("domain"), attributes["path"])


def test_of_two_writes_the_last_holds(kind: Kind) -> None:
    """A cookie that is written twice is set once, and those of the application stay."""
    request, response = kind.request(""), kind.response()
    store_options = {"request": request, "response": response}
    response.set_cookie("theme", "dark")

    COOKIES.write(
        store_options, [build_cookie("first"), build_cookie("chunk", name=f"{NAME}.0")]
    )
    response.set_cookie("shape", "round")
    COOKIES.write(store_options, [build_cookie("second"), build_deletion(f"{NAME}.0")])

    found = {name: value for name, value, _ in kind.read_cookies(response)}
    assert 4 == len(kind.read_cookies(response))
    assert {"theme": "dark", "shape": "round", NAME: "second", f"{NAME}.0": ""} == found


def test_no_cache_keeps_it(kind: Kind) -> None:
    """A response that sets a cookie is not to be stored, and depends on the cookies."""
    response = kind.response()
    response.headers["cache-control"] = "public, max-age=600"
    response.headers["vary"] = "Accept-Language"

    COOKIES.write(
        {"request": kind.request(""), "response": response}, [build_cookie("sealed")]
    )

    assert ["private, no-store"] == kind.fields(response, "Cache-Control")
    assert ["Accept-Language, Cookie"] == kind.fields(response, "Vary")


def test_answer_that_shows_a_session_is_for_no_cache(kind: Kind) -> None:
    """A response whose request read the session is one visitor's, also where nobody is logged in."""
    response = kind.response()

    COOKIES.read({"request": kind.request(""), "response": response})

    assert ["private, no-store"] == kind.fields(response, "Cache-Control")
    assert ["Cookie"] == kind.fields(response, "Vary")


def test_the_views_own_cache_control_is_kept(kind: Kind) -> None:
    """A view that says how long its page may be kept is obeyed; the page still varies."""
    response = kind.response()
    response.headers["cache-control"] = "max-age=60"
    response.headers["vary"] = "Accept-Language"

    COOKIES.read({"request": kind.request(""), "response": response})

    assert ["max-age=60"] == kind.fields(response, "Cache-Control")
    assert ["Accept-Language, Cookie"] == kind.fields(response, "Vary")


def test_asking_for_a_response_marks_nothing(kind: Kind) -> None:
    """A response is left alone as long as nothing was read for it."""
    response = kind.response()

    assert COOKIES.can_write({"request": kind.request(""), "response": response})
    assert [] == kind.fields(response, "Cache-Control")
    assert [] == kind.fields(response, "Vary")


def test_vary_has_cookie_once(kind: Kind) -> None:
    """Writing twice says once that the response depends on the cookies."""
    store_options = {"request": kind.request(""), "response": kind.response()}

    COOKIES.write(store_options, [build_cookie("first")])
    COOKIES.write(store_options, [build_cookie("second")])

    assert ["Cookie"] == kind.fields(store_options["response"], "Vary")


@pytest.mark.parametrize("several", [STARLETTE, AIOHTTP], ids=lambda kind: kind.name)
def test_keeps_several_vary_fields(several: Kind) -> None:
    """The names in several Vary fields are kept."""
    response = several.response()
    add = getattr(response.headers, "append", None) or response.headers.add
    add("Vary", "Accept")
    add("Vary", "Origin")

    request = several.request("")
    COOKIES.write({"request": request, "response": response}, [build_cookie("sealed")])

    assert ["Accept, Origin, Cookie"] == several.fields(response, "Vary")


def test_later_reads_see_what_was_written(kind: Kind) -> None:
    """A read after a write of the same request sees what the browser will have."""
    request = kind.request(f"{NAME}.0=old; {NAME}.1=old; theme=dark")
    store_options = {"request": request, "response": kind.response()}

    COOKIES.write(
        store_options,
        [build_cookie("new"), build_deletion(f"{NAME}.0"), build_deletion(f"{NAME}.1")],
    )

    assert {NAME: "new", "theme": "dark"} == COOKIES.read({"request": request})
    again = kind.again(request)
    assert {NAME: "new", "theme": "dark"} == COOKIES.read({"request": again})


def test_writes_of_one_request_are_no_others(kind: Kind) -> None:
    """Another request does not see what was written for this one."""
    store_options = {"request": kind.request(""), "response": kind.response()}

    COOKIES.write(store_options, [build_cookie("mine")])

    assert {} == COOKIES.read({"request": kind.request("")})


def test_request_of_any_other_kind() -> None:
    """Any object with cookies is a request; what was written for it is kept with it."""
    request = SimpleNamespace(cookies={"theme": "dark"})

    COOKIES.write(
        {"request": request, "response": AIOHTTP.response()}, [build_cookie("new")]
    )

    assert {"theme": "dark", NAME: "new"} == COOKIES.read({"request": request})


def test_cannot_write_without_a_response(kind: Kind) -> None:
    """Without a response there is nothing to set cookies on."""
    request = kind.request("")

    assert not COOKIES.can_write({"request": request})
    assert COOKIES.can_write({"request": request, "response": kind.response()})
    with pytest.raises(InvalidInputError, match="store_options must have a response"):
        COOKIES.write({"request": request}, [build_cookie("sealed")])


def collect_refusals(store_options: Any) -> list[str]:
    """Return the error of each way of using *store_options*."""
    refused = []
    for use in (
        COOKIES.read,
        COOKIES.can_write,
        lambda options: COOKIES.write(options, [build_cookie("sealed")]),
    ):
        with pytest.raises(InvalidInputError) as failed:
            use(store_options)
        assert "store_options" == failed.value.parameter
        refused.append(failed.value.message)
    return refused


@pytest.mark.parametrize(
    "store_options",
    [None, {}, {"response": 1}, {"request": None}, "request", [1]],
    ids=str,
)
def test_no_request(store_options: Any) -> None:
    """Store options without a request are refused by their name."""
    expected = "store_options must be a mapping that has the request"

    assert {expected} == set(collect_refusals(store_options))


def test_request_in_place_of_store_options(kind: Kind) -> None:
    """A request in place of *store_options* is refused, even if it is a mapping itself."""
    assert 3 == len(collect_refusals(kind.request("")))


@pytest.mark.parametrize(
    "request_",
    [object(), {"cookies": {}}, "GET / HTTP/1.1"],
    ids=["an object", "a mapping", "text"],
)
def test_request_without_cookies(request_: Any) -> None:
    """An object without cookies is not a request."""
    with pytest.raises(
        InvalidInputError, match="'request' a request of your framework"
    ):
        COOKIES.read({"request": request_})


def test_response_in_place_of_the_request(kind: Kind) -> None:
    """A response is refused as a request, also where it has cookies."""
    expected = "store_options must have the request as 'request', and not a response"

    assert {expected} == set(collect_refusals({"request": kind.response()}))


@pytest.mark.parametrize(
    "response",
    [
        web.Response,
        {"user": "alice"},
        "<html>",
        ("<html>", 200),
        object(),
        SimpleNamespace(set_cookie=print),
        SimpleNamespace(set_cookie=print, headers=None),
        False,
    ],
    ids=lambda response: str(type(response)),
)
def test_response_of_another_kind(kind: Kind, response: Any) -> None:
    """Anything but a response, such as its class, is refused before anything is sent."""
    expected = (
        "store_options must have as 'response' a response of your framework, "
        "with set_cookie and headers"
    )
    store_options = {"request": kind.request(""), "response": response}

    assert {expected} == set(collect_refusals(store_options))


def test_response_that_was_sent() -> None:
    """A response of aiohttp.web that is under way already is refused."""
    request, response = make_mocked_request("GET", "/"), web.StreamResponse()

    async def prepare() -> None:
        await response.prepare(request)

    asyncio.run(prepare())

    expected = "store_options must have a response that has not begun to be sent"
    assert {expected} == set(
        collect_refusals({"request": request, "response": response})
    )
    assert {} == COOKIES.read({"request": request})


def test_middleware_takes_the_cookies() -> None:
    """Where a middleware commits cookies, a request is enough, and a response is left alone."""
    request, response = STARLETTE.request("theme=dark"), STARLETTE.response()
    state = request.scope[RESPONSE_STATE] = ResponseState(has_middleware=True)

    assert COOKIES.can_write({"request": request})
    COOKIES.write({"request": request}, [build_cookie("first")])
    COOKIES.write({"request": request, "response": response}, [build_cookie("second")])

    assert {NAME: build_cookie("second")} == state.cookies
    assert [] == STARLETTE.read_cookies(response)
    assert {"theme": "dark", NAME: "second"} == COOKIES.read({"request": request})


def test_middleware_that_has_begun() -> None:
    """Once a middleware has sent the response's head, nothing can be set any more."""
    request = STARLETTE.request("theme=dark")
    request.scope[RESPONSE_STATE] = ResponseState(has_middleware=True, has_begun=True)

    assert {"theme": "dark"} == COOKIES.read({"request": request})
    assert not COOKIES.can_write({"request": request})
    expected = "store_options must have a response that has not begun to be sent"
    options = {"request": request, "response": STARLETTE.response()}
    assert {expected} == set(collect_refusals(options))


def test_websocket() -> None:
    """The session of a websocket can be read, and not be written."""
    headers = [(b"cookie", f"{NAME}=sealed".encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers}
    socket = WebSocket(scope, lambda: None, lambda _: None)  # type: ignore[arg-type]

    assert {NAME: "sealed"} == COOKIES.read({"request": socket})
    assert not COOKIES.can_write({"request": socket})


def test_response_that_nobody_marks(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A session that is read without a response or a middleware is warned of, once."""
    monkeypatch.setattr(cookies, "_occasions", count())

    for _ in range(2):
        COOKIES.read({"request": kind.request("")})

    [record] = caplog.records
    assert ("auth0_tx.session", "WARNING") == (record.name, record.levelname)
    assert "a shared cache may give it to others" in record.getMessage()


def test_response_that_is_marked(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a response or a middleware nothing is warned of, and neither on a WebSocket."""
    monkeypatch.setattr(cookies, "_occasions", count())
    marked = kind.request("")
    expect_commit(marked)
    scope = {**build_scope(""), "type": "websocket"}

    COOKIES.read({"request": marked})
    COOKIES.read({"request": kind.request(""), "response": kind.response()})
    COOKIES.read({"request": WebSocket(scope, receive=None, send=None)})

    assert [] == caplog.records
