"""Workers of real servers: each user their own token, and one exchange for all workers."""

from __future__ import annotations

import base64
import json
import sys
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from auth0_tx.tenant import Tenant, User
from tests.e2e.servers.running import run_command

HERE = "tests.e2e.servers"
USERS = [f"auth0|user_{number}" for number in range(10)]


def gunicorn(port: int) -> list[str]:
    """Return the command of gunicorn: the application is loaded once, and forked."""
    return [
        *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
        *("--threads", "4", "--bind", f"127.0.0.1:{port}", f"{HERE}.wsgi_app:app"),
    ]


def uvicorn(port: int) -> list[str]:
    """Return the command of uvicorn with two workers."""
    return [
        *(sys.executable, "-m", "uvicorn", "--workers", "2", "--log-level", "warning"),
        *("--host", "127.0.0.1", "--port", f"{port}", f"{HERE}.asgi_app:app"),
    ]


def uwsgi(port: int) -> list[str]:
    """Return the command of uWSGI, whose master forks without Python's fork hooks."""
    return [
        *(f"{sysconfig.get_path('scripts')}/uwsgi", "--master", "--processes", "2"),
        *("--threads", "4", "--die-on-term", "--need-app", "--disable-logging"),
        *("--http-socket", f"127.0.0.1:{port}", "--module", f"{HERE}.wsgi_app:app"),
    ]


SERVERS = {
    "gunicorn --preload": gunicorn,
    "uvicorn --workers 2": uvicorn,
    "uwsgi --master": uwsgi,
}


@contextmanager
def run_server(
    server: str, tenant: Tenant, redis_url: str, prefix: str, *, cached: bool
) -> Iterator[str]:
    """Run a server until the caller is done; return its home."""
    keywords = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
    }
    told = {
        "keywords": keywords,
        "settings": {
            "AUTH0_DOMAIN": tenant.domain,
            "AUTH0_CLIENT_ID": tenant.client_id,
            "AUTH0_CLIENT_SECRET": tenant.client_secret,
            "AUTH0_TX_VERIFY": tenant.ca_file,
        },
        "redis": redis_url,
        "prefix": prefix,
        "cached": cached,
    }
    with run_command(SERVERS[server], told) as port:
        yield f"http://127.0.0.1:{port}"


def exchange(home: str, token: str) -> tuple[int, str]:
    """Have a server exchange a token; return the worker's process, and the access token."""
    answer = requests.post(f"{home}/exchange", data=token, timeout=30)
    assert 200 == answer.status_code, answer.text
    members = answer.json()
    return members["pid"], members["token"]


def wait_for_both(home: str, token: str) -> int:
    """Ask until both workers have answered; return how often that was."""
    pids: set[int] = set()
    for asked in range(1, 2_000):
        pids.add(exchange(home, token)[0])
        if len(pids) == 2:
            return asked
        time.sleep(0.01)
    raise AssertionError("one worker answers everything")


def read_user(token: str) -> str:
    """Read whose an access token is."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return str(claims["sub"])


@pytest.mark.parametrize("cached", [False, True], ids=["every-call", "cached"])
@pytest.mark.parametrize("server", SERVERS)
def test_workers(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    server: str,
    cached: bool,
) -> None:
    """Both workers give each user their own token; with a cache each is exchanged once."""
    for user in USERS:
        auth0_tenant.users.add(User(user))
    tokens = {user: auth0_tenant.subject_token(user) for user in USERS}
    with (
        run_server(
            server, auth0_tenant, redis_url, redis_prefix, cached=cached
        ) as home,
        ThreadPoolExecutor(10) as threads,
    ):
        warm = wait_for_both(home, tokens[USERS[0]])
        asked = USERS * 8
        given = list(threads.map(lambda user: exchange(home, tokens[user]), asked))

    assert asked == [read_user(token) for _, token in given]
    assert (10 if cached else 80 + warm) == auth0_tenant.count("/oauth/token")
    if cached:
        assert 10 == len({token for _, token in given})
