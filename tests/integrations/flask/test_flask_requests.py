"""``current_auth0`` belongs to a request, whatever else shares its contexts."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import (
    Flask,
    Response,
    copy_current_request_context,
    current_app,
    render_template_string,
    request,
    stream_with_context,
)
from werkzeug.serving import make_server

from auth0_tx.integrations.flask import Auth0TX, auth0_of, current_auth0
from auth0_tx.tenant import Tenant, User
from tests.integrations.flask.sites import (
    HTTPS,
    get,
    log_in,
    make_app,
    make_settings,
)


@pytest.fixture
def app(auth0_tenant: Tenant) -> Flask:
    """An application that keeps sessions in cookies."""
    return make_app(auth0_tenant)


def read_user() -> str:
    """Return who is logged in, as a view would show it."""
    user = current_auth0.user
    return user["sub"] if user else "nobody"


def test_requests_of_one_application_context(app: Flask, auth0_tenant: Tenant) -> None:
    """Several requests within one application context each have their own user."""
    with app.app_context():
        alice, bob = log_in(app, auth0_tenant), log_in(app, auth0_tenant, "auth0|bob")
        seen = [
            get(browser, "/user").json["sub"]
            for browser in (alice, bob, app.test_client(), alice)
        ]

    assert ["auth0|alice", "auth0|bob", None, "auth0|alice"] == seen


def test_request_within_a_request(app: Flask, auth0_tenant: Tenant) -> None:
    """A view that asks its own application, as another user, stays with its own."""

    @app.get("/both")
    def both() -> Any:
        return [read_user(), get(bob, "/user").json["sub"], read_user()]

    bob = log_in(app, auth0_tenant, "auth0|bob")
    seen = get(log_in(app, auth0_tenant), "/both").json

    assert ["auth0|alice", "auth0|bob", "auth0|alice"] == seen


def test_context_of_another_application(app: Flask, auth0_tenant: Tenant) -> None:
    """Another application's context does not change who serves the request."""
    other = make_app(
        auth0_tenant, AUTH0_SECRET="of the other one: 0123456789 0123456789"
    )

    @app.get("/inside")
    def inside() -> str:
        with other.app_context():
            assert other is current_app._get_current_object()  # type: ignore[attr-defined]
            return read_user()

    assert "auth0|alice" == get(log_in(app, auth0_tenant), "/inside").text


@pytest.mark.parametrize("use", ["decorator", "captured", "read before"])
def test_streams(app: Flask, auth0_tenant: Tenant, use: str) -> None:
    """A stream knows its user while it runs, and caches are told before it begins."""

    @app.get("/stream")
    def stream() -> Any:
        if use == "captured":
            auth0 = auth0_of()
            return Response(str((auth0.user or {}).get("sub")) for _ in range(2))
        if use == "read before":
            read_user()

        @stream_with_context
        def write() -> Iterator[str]:
            yield read_user()
            yield read_user()

        return Response(write())  # type: ignore[arg-type]

    alice, bob = log_in(app, auth0_tenant), log_in(app, auth0_tenant, "auth0|bob")
    answers = [
        browser.get("/stream", base_url=HTTPS, buffered=True)
        for browser in (alice, bob)
    ]

    assert ["auth0|alice" * 2, "auth0|bob" * 2] == [answer.text for answer in answers]
    assert "private, no-store" == answers[0].headers["Cache-Control"]
    assert "Cookie" in answers[0].headers["Vary"]


def test_streams_at_the_same_time(app: Flask, auth0_tenant: Tenant) -> None:
    """Streams that a server writes side by side each have their own user."""
    barrier = threading.Barrier(4, timeout=20)

    @app.get("/stream")
    def stream() -> Any:
        @stream_with_context
        def write() -> Iterator[str]:
            for _ in range(5):
                barrier.wait()
                yield f"{read_user()} "

        return Response(write())  # type: ignore[arg-type]

    def visit(user: str) -> str:
        with requests.Session() as session:
            token = auth0_tenant.subject_token(user)
            home = f"http://127.0.0.1:{server.server_port}"
            answer = session.post(f"{home}/login", token, allow_redirects=False)
            pairs = [f"{cookie.name}={cookie.value}" for cookie in answer.cookies]
            headers = {"Cookie": "; ".join(pairs)}
            return session.get(f"{home}/stream", headers=headers, timeout=20).text

    users = [f"auth0|user_{number}" for number in range(4)]
    for user in users:
        auth0_tenant.users.add(User(user))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            seen = list(threads.map(visit, users))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert [f"{user} " * 5 for user in users] == seen


def test_other_streams(app: Flask, auth0_tenant: Tenant) -> None:
    """A stream and a file that have nothing to do with the session are left alone."""
    app.static_folder = str(Path(__file__).parent)
    app.add_url_rule("/stream", "stream", lambda: iter(["a", "b"]))
    app.add_url_rule("/file", "file", lambda: app.send_static_file(Path(__file__).name))
    browser = log_in(app, auth0_tenant)
    answers = [get(browser, path) for path in ("/stream", "/file")]

    for answer in answers:
        answer.close()

    assert [200, 200] == [answer.status_code for answer in answers]
    assert not any("Vary" in answer.headers for answer in answers)


def test_streams_without_sessions(auth0_tenant: Tenant) -> None:
    """A client that keeps no sessions has no part in what caches may keep."""
    app = Flask(__name__)
    app.config.update(make_settings(auth0_tenant, AUTH0_SECRET=None, SECRET_KEY=None))
    Auth0TX(app)

    @app.get("/stream")
    def stream() -> Any:
        auth0 = auth0_of()
        return Response(str(auth0.client.session_cookie) for _ in range(2))

    answer = app.test_client().get("/stream")

    assert "NoneNone" == answer.text
    assert "Vary" not in answer.headers


def test_threads(app: Flask, auth0_tenant: Tenant) -> None:
    """A thread with a copy of the request's context has its user, also beside others."""
    barrier = threading.Barrier(2, timeout=10)

    @app.get("/thread")
    def thread() -> str:
        @copy_current_request_context
        def work() -> str:
            barrier.wait()
            return read_user()

        with ThreadPoolExecutor(1) as threads:
            return threads.submit(work).result(10)

    browsers = [log_in(app, auth0_tenant), log_in(app, auth0_tenant, "auth0|bob")]
    with ThreadPoolExecutor(2) as threads:
        seen = threads.map(lambda browser: get(browser, "/thread").text, browsers)

    assert ["auth0|alice", "auth0|bob"] == list(seen)


def test_async_views(app: Flask, auth0_tenant: Tenant) -> None:
    """Async views have the request's user, and cookies are set."""

    @app.get("/async")
    async def asynchronous() -> str:
        return read_user()

    @app.post("/async-login")
    async def asynchronous_login() -> Any:
        return app.view_functions["login"]()

    browser = app.test_client()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.post("/async-login", data=token, base_url=HTTPS)

    assert 302 == answer.status_code
    assert "auth0|alice" == get(browser, "/async").text


@pytest.mark.parametrize("home", ["http://localhost/", "https://localhost/"])
def test_test_client(app: Flask, auth0_tenant: Tenant, home: str) -> None:
    """Flask's test client stays logged in over either scheme."""
    browser = app.test_client()
    token = auth0_tenant.subject_token("auth0|alice")
    browser.post("/login", data=token, base_url=home)

    assert "auth0|alice" == browser.get("/user", base_url=home).json["sub"]


def test_test_client_that_keeps_the_context(app: Flask, auth0_tenant: Tenant) -> None:
    """A test may ask who is logged in after the request, within the client's context."""
    token = auth0_tenant.subject_token("auth0|alice")
    with app.test_client() as browser:
        browser.post("/login", data=token, base_url=HTTPS)
        after_login = read_user()
        get(browser, "/user")
        after_page = read_user()
    with app.test_client() as browser:
        get(browser, "/user")
        stranger = read_user()

    assert ["auth0|alice", "auth0|alice", "nobody"] == [
        after_login,
        after_page,
        stranger,
    ]


def test_after_each_request(auth0_tenant: Tenant) -> None:
    """A function that runs after requests may read the session, wherever it was registered."""
    app = Flask(__name__)

    @app.after_request
    def add_user(response: Response) -> Response:
        response.headers["X-User"] = read_user()
        return response

    app.config.update(make_settings(auth0_tenant))
    Auth0TX(app)
    app.add_url_rule("/page", view_func=lambda: "a page")
    answer = get(app.test_client(), "/page")

    assert "nobody" == answer.headers["X-User"]
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert "Cookie" in answer.headers["Vary"]


def test_requests_are_freed(app: Flask) -> None:
    """A request does not wait for the garbage collector, with what was uploaded in it."""
    references = []

    @app.get("/kept")
    def kept() -> str:
        current: Any = request
        references.append(weakref.ref(current._get_current_object()))
        return read_user()

    gc.collect()
    gc.disable()
    try:
        get(app.test_client(), "/kept").close()

        assert [None] == [reference() for reference in references]
    finally:
        gc.enable()


# Templates.


def test_templates(app: Flask, auth0_tenant: Tenant) -> None:
    """A template has ``current_auth0``, and one that does not name it reads nothing."""
    page = "{% if current_auth0.user %}{{ current_auth0.user.sub }}{% endif %}"
    app.add_url_rule("/page", view_func=lambda: render_template_string(page))
    app.add_url_rule("/other", "other", lambda: render_template_string("a page"))
    alice = log_in(app, auth0_tenant)
    seen = [get(browser, "/page") for browser in (alice, app.test_client())]
    other = get(alice, "/other")

    assert ["auth0|alice", ""] == [answer.text for answer in seen]
    assert all("Cookie" in answer.headers["Vary"] for answer in seen)
    assert "Vary" not in other.headers


def test_templates_outside_of_requests(app: Flask) -> None:
    """A template for an e-mail, without a request, is rendered as before."""
    with app.app_context():
        assert "a letter" == render_template_string("a letter")
