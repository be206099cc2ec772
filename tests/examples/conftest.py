"""The example applications, each in its own process, and browsers to visit them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex

import pytest

from auth0_tx.tenant import Application, KeySupply, Tenant
from tests.examples.chromium import Browser
from tests.examples.running_app import API, APPS, RunningApp
from tests.examples.shared_cache import SharedCache, find_nginx
from tests.redis_server import RedisServer, has_program, skip_without_redis


def _find_missing_program() -> str | None:
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not on PATH: apt-get install chromium chromium-driver"
    if find_nginx() is None:
        return "nginx is not installed: apt-get install nginx-light"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: see tests/requirements-examples.txt"
    return None


@pytest.fixture(scope="session")
def browsers() -> Iterator[tuple[Browser, Browser]]:
    """Two browsers, each with its own profile."""
    missing = _find_missing_program()
    if missing is not None:
        reason = f"THE EXAMPLES WERE NOT TRIED IN A BROWSER: {missing}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    opened: list[Browser] = []
    try:
        opened += [Browser()]
        opened += [Browser()]
        yield opened[0], opened[1]
    finally:
        for browser in opened:
            browser.close()


@pytest.fixture
def browser(browsers: tuple[Browser, Browser]) -> Browser:
    """A browser without cookies."""
    browsers[0].clear()
    return browsers[0]


@pytest.fixture
def other_browser(browsers: tuple[Browser, Browser]) -> Browser:
    """The browser of another person, without cookies."""
    browsers[1].clear()
    return browsers[1]


@pytest.fixture(scope="session", params=APPS)
def app(
    request: pytest.FixtureRequest,
    browsers: tuple[Browser, Browser],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    """Each application as a newcomer starts it: without settings."""
    log = tmp_path_factory.mktemp(request.param) / "output"
    running = RunningApp(request.param, log, {})
    yield running
    running.close()


@pytest.fixture(scope="session")
def running_tenant() -> Iterator[Tenant]:
    """A tenant outside the applications."""
    with Tenant(tls=False, keys=KeySupply()) as tenant:
        yield tenant


@pytest.fixture
def tenant(running_tenant: Tenant) -> Iterator[Tenant]:
    """The tenant, which a test may change."""
    running_tenant.clear()
    yield running_tenant
    running_tenant.apis.change(
        API, token_lifetime=86400, scopes=("read:data", "write:data")
    )


def _start_app(
    tenant: Tenant,
    name: str,
    log: Path,
    settings: Mapping[str, str],
    client_id: str | None = None,
    server: str | None = None,
) -> RunningApp:
    if client_id is None:
        client_id = tenant.applications.add(
            Application(token_hex(8), token_hex(32), name=name)
        ).client_id
    application = tenant.applications[client_id]
    app = RunningApp(
        name,
        log,
        {
            "AUTH0_DOMAIN": tenant.domain,
            "AUTH0_CLIENT_ID": application.client_id,
            "AUTH0_CLIENT_SECRET": application.client_secret or "",
            "AUTH0_SECRET": "a secret of the session, long and random",
            "AUTH0_AUDIENCE": API,
            **settings,
        },
        server,
    )
    tenant.applications.change(
        application.client_id,
        allowed_logout_urls=[app.home],
        backchannel_logout_uri=f"{app.home}{app.site.backchannel_logout}",
    )
    return app


@pytest.fixture(scope="session")
def redis_for_sessions() -> Iterator[RedisServer]:
    """A Redis for the sessions of all applications that keep them in one."""
    if not has_program():
        skip_without_redis()
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="session", params=APPS)
def configured(
    request: pytest.FixtureRequest,
    browsers: tuple[Browser, Browser],
    running_tenant: Tenant,
    redis_for_sessions: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningApp]:
    """Each application configured for `tenant`, as for a real one."""
    log = tmp_path_factory.mktemp(request.param) / "output"
    # In the development mode, Python also warns of connections that nobody closed.
    settings = {"PYTHONDEVMODE": "1", "REDIS_URL": redis_for_sessions.url}
    app = _start_app(running_tenant, request.param, log, settings)
    yield app
    app.close()


@pytest.fixture
def start(
    browsers: tuple[Browser, Browser], tenant: Tenant, tmp_path: Path
) -> Iterator[Callable[..., RunningApp]]:
    """Start an application for one test, configured for `tenant`."""
    started: list[RunningApp] = []

    def start(
        name: str,
        before: RunningApp | None = None,
        server: str | None = None,
        **settings: str,
    ) -> RunningApp:
        log = tmp_path / f"output-{len(started)}"
        client_id = None if before is None else before.client_id
        app = _start_app(tenant, name, log, settings, client_id, server)
        started.append(app)
        return app

    yield start
    for app in started:
        app.close()


@pytest.fixture
def cache(configured: RunningApp, tmp_path: Path) -> Iterator[SharedCache]:
    """An empty shared cache in front of an application."""
    cache = SharedCache(configured, tmp_path)
    yield cache
    cache.close()
