"""Django on real servers: each user their own page, until their session or their login ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.tenant import Tenant, User
from tests.documented_sites import Visitor
from tests.e2e.servers.running import ROOT, run_command

SITE = "tests.e2e.servers.django_login_site"
NAMES = [f"user_{number}" for number in range(8)]
PAGES = ["/page", "/session", "/async"]


def gunicorn(port: int) -> list[str]:
    """Return the command of gunicorn with threads: the project is loaded once, and forked."""
    return [
        *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
        *("--threads", "4", "--bind", f"127.0.0.1:{port}", f"{SITE}:application"),
    ]


def uwsgi(port: int) -> list[str]:
    """Return the command of uWSGI, whose master forks without Python's fork hooks."""
    return [
        *(f"{sysconfig.get_path('scripts')}/uwsgi", "--master", "--processes", "2"),
        *("--threads", "4", "--die-on-term", "--need-app", "--disable-logging"),
        *("--http-socket", f"127.0.0.1:{port}", "--module", f"{SITE}:application"),
    ]


def uvicorn(port: int) -> list[str]:
    """Return the command of uvicorn."""
    return [
        *(sys.executable, "-m", "uvicorn", "--workers", "2", "--log-level", "error"),
        *("--lifespan", "off", "--port", str(port), f"{SITE}:asgi_application"),
    ]


def ask(visitor: Visitor, path: str, **form: str) -> Any:
    """Ask for a page, or post a form, over a new connection.

    uWSGI keeps no connection alive, and does not say so.
    """
    visitor.close()
    return visitor.post(path, data=form) if form else visitor.get(path)


def read_answers(visitor: Visitor) -> set[tuple[str, ...]]:
    """Ask for every page several times; return who is seen."""
    return {
        tuple(ask(visitor, path).json()["users"]) for _ in range(6) for path in PAGES
    }


@pytest.mark.parametrize(
    ("server", "seconds"), [(gunicorn, 2), (uwsgi, 0), (uvicorn, 0)]
)
def test_django_site(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    tmp_path: Path,
    server: Callable[[int], list[str]],
    seconds: float,
) -> None:
    """Users side by side are never mixed up, and a logout of any kind ends one login."""
    for name in NAMES:
        address = f"{name}@example.com"
        auth0_tenant.users.add(
            User(f"auth0|{name}", email=address, email_verified=True)
        )
    told = {
        "settings": {
            "DOMAIN": auth0_tenant.domain,
            "CLIENT_ID": auth0_tenant.client_id,
            "CLIENT_SECRET": auth0_tenant.client_secret,
            "LOGIN_CHECK_SECONDS": seconds,
            "STATE_STORE": "cache",
            "VERIFY": auth0_tenant.ca_file,
        },
        "database": str(tmp_path / "users.sqlite3"),
        "redis": redis_url,
        "prefix": redis_prefix,
    }
    subprocess.run(
        [sys.executable, "-m", SITE],
        env={**os.environ, "AUTH0_TX_TEST_SITE": json.dumps(told)},
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    with ExitStack() as stack:
        port = stack.enter_context(run_command(server, told))
        threads = stack.enter_context(ThreadPoolExecutor(len(NAMES)))
        visitors = [stack.enter_context(Visitor(port)) for _ in NAMES]
        stranger = stack.enter_context(Visitor(port))
        tokens = [auth0_tenant.subject_token(f"auth0|{name}") for name in NAMES]

        def log_in(visitor: Visitor, token: str, path: str) -> str:
            answer = ask(visitor, path, subject_token=token)
            assert 200 == answer.status_code, answer.text
            return str(answer.text)

        paths = ["/login", "/login-async"] * 4
        seen = list(threads.map(log_in, visitors, tokens, paths))
        pages = list(threads.map(read_answers, visitors))
        first, second, third, fourth, *others = visitors
        statuses = [
            ask(first, "/logout").status_code,
            ask(second, "/logout-of-django").status_code,
        ]
        log_in(fourth, tokens[0], "/login")
        fourth_sees = read_answers(fourth)
        token = auth0_tenant.logout_token(sub=f"auth0|{NAMES[2]}")
        statuses.append(
            ask(stranger, "/backchannel-logout", logout_token=token).status_code
        )
        # A process that has found the session looks again after so long.
        time.sleep(seconds)
        gone = (first, second, third, stranger)
        ended = [ask(visitor, "/page").status_code for visitor in gone]
        nobody = {
            tuple(ask(visitor, path).json()["users"])
            for visitor in gone
            for path in ("/session", "/async")
        }
        still = list(threads.map(read_answers, others))

    own = [f"{name}@example.com" for name in NAMES]
    assert own == seen
    assert [{(address, address)} for address in own] == pages
    assert [200, 200, 200] == statuses
    assert {(own[0], own[0])} == fourth_sees
    assert [302] * 4 == ended
    assert pages[4:] == still
    assert {("nobody", None)} == nobody
