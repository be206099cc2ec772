"""Django behind several workers, with sessions in a database that they share."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest
import requests

from auth0_tx.tenant import Tenant, User
from tests.e2e.servers.running import run_command
from tests.e2e.servers.test_worker_processes import read_user
from tests.e2e.sessions.logins import AUDIENCE, count_refreshes
from tests.e2e.sessions.visits import list_reuses
from tests.stores.django_databases import open_database

SITE = "tests.e2e.servers.django_site"
USERS = [f"auth0|user_{number}" for number in range(4)]


def gunicorn(port: int) -> list[str]:
    """Return the command of gunicorn with four workers."""
    return [
        *(sys.executable, "-m", "gunicorn", "--workers", "4", "--threads", "2"),
        *("--bind", f"127.0.0.1:{port}", f"{SITE}:application"),
    ]


def uvicorn(port: int) -> list[str]:
    """Return the command of uvicorn with two workers."""
    return [
        *(sys.executable, "-m", "uvicorn", "--workers", "2", "--log-level", "warning"),
        *("--host", "127.0.0.1", "--port", f"{port}", f"{SITE}:asgi_application"),
    ]


def ask(browser: requests.Session, home: str, path: str) -> str:
    """Return what a page has, or the status of one that failed."""
    answer = browser.get(f"{home}/{path}", timeout=30)
    return answer.text if answer.ok else str(answer.status_code)


def count_connections(url: dict[str, Any], name: str) -> int:
    """Return how many connections PostgreSQL has that gave a name."""
    import psycopg

    with psycopg.connect(
        host=url["HOST"],
        port=url["PORT"],
        user=url["USER"],
        password=url["PASSWORD"],
        dbname=url["NAME"],
    ) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        ).fetchone()
    assert rows is not None
    return int(rows[0])


@pytest.mark.parametrize(
    ("server", "atomic"), [(gunicorn, False), (gunicorn, True), (uvicorn, True)]
)
def test_sessions_of_workers(
    auth0_tenant: Tenant, postgres: dict[str, Any], server: Any, atomic: bool
) -> None:
    """One refresh for all workers, also for views that fail; and Auth0 ends all sessions."""
    name = token_hex(8)
    database = {**postgres, "ATOMIC_REQUESTS": atomic}
    database["OPTIONS"] = {**postgres["OPTIONS"], "application_name": name}
    told = {
        "database": database,
        "settings": {
            "DOMAIN": auth0_tenant.domain,
            "CLIENT_ID": auth0_tenant.client_id,
            "CLIENT_SECRET": auth0_tenant.client_secret,
            "SESSION_POLICY": {"COOKIE_SECURE": False},
            "STATE_STORE": "session",
            "VERIFY": auth0_tenant.ca_file,
        },
    }
    for user in USERS:
        auth0_tenant.users.add(User(user))
    with (
        ThreadPoolExecutor(16) as threads,
        ThreadPoolExecutor(1) as thread,
        open_database(postgres, thread),
        run_command(server, told) as port,
    ):
        home = f"http://127.0.0.1:{port}"
        browsers = {user: requests.Session() for user in USERS}
        auth0_tenant.apis.change(AUDIENCE, token_lifetime=1)

        def log_in(user: str) -> None:
            token = auth0_tenant.subject_token(user)
            answer = browsers[user].post(f"{home}/login", data=token, timeout=30)
            assert 200 == answer.status_code, answer.text

        list(threads.map(log_in, USERS))
        for path in ("fail", "token"):
            time.sleep(1.1)
            auth0_tenant.clear()
            # Those of a round are served by one refresh, whose token lasts.
            lifetime = 1 if path == "fail" else 86_400
            auth0_tenant.apis.change(AUDIENCE, token_lifetime=lifetime)
            asked = USERS if path == "fail" else USERS * 8
            pages = list(
                threads.map(
                    lambda user, path=path: ask(browsers[user], home, path), asked
                )
            )
            if path == "fail":
                assert {"500"} == set(pages)
            else:
                assert [] == [page for page in pages if "." not in page]
                assert asked == [read_user(page) for page in pages]
            assert len(USERS) == count_refreshes(auth0_tenant)
            assert [] == list_reuses(auth0_tenant)
        for path in ("stream", "threads", "token-async"):
            assert USERS[0] == read_user(ask(browsers[USERS[0]], home, path))
        # Each request has closed what it opened, and each thread.
        until = time.monotonic() + 5
        while count_connections(postgres, name) and time.monotonic() < until:
            time.sleep(0.05)
        assert 0 == count_connections(postgres, name)
        for user in USERS:
            answer = requests.post(
                f"{home}/backchannel-logout",
                data={"logout_token": auth0_tenant.logout_token(sub=user)},
                timeout=30,
            )
            assert 200 == answer.status_code, answer.text
            assert "error: login_required" == ask(browsers[user], home, "token")
