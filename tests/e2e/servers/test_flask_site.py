"""Flask on real servers: each user their own page and stream, until their session ends."""

from __future__ import annotations

import json
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat
from typing import Any

import pytest

from auth0_tx.tenant import Tenant, User
from tests.documented_sites import Visitor
from tests.e2e.servers.running import run_command

SITE = "tests.e2e.servers.flask_site:app"
USERS = [f"auth0|user_{number}" for number in range(8)]


def gunicorn(port: int) -> list[str]:
    """Return the command of gunicorn with threads: the application is loaded once, and forked."""
    return [
        *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
        *("--threads", "4", "--bind", f"127.0.0.1:{port}", SITE),
    ]


def gevent(port: int) -> list[str]:
    """Return the command of gunicorn with greenlets."""
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gevent"),
        *("--workers", "2", "--bind", f"127.0.0.1:{port}", SITE),
    ]


def uwsgi(port: int) -> list[str]:
    """Return the command of uWSGI, whose master forks without Python's fork hooks."""
    return [
        *(f"{sysconfig.get_path('scripts')}/uwsgi", "--master", "--processes", "2"),
        *("--threads", "4", "--die-on-term", "--need-app", "--disable-logging"),
        *("--http-socket", f"127.0.0.1:{port}", "--module", SITE),
    ]


def ask(visitor: Visitor, path: str, **form: str) -> Any:
    """Ask for a page, or post a form, over a new connection.

    uWSGI keeps no connection alive, and does not say so.
    """
    visitor.close()
    return visitor.post(path, data=form) if form else visitor.get(path)


def read_answers(visitor: Visitor, pages: list[str]) -> list[Any]:
    """Ask for pages and for the stream, several times; return who is seen."""
    seen = []
    for _ in range(4):
        seen += [ask(visitor, path).json()["users"] for path in pages]
        stream = ask(visitor, "/stream")
        assert "Cookie" in stream.headers["Vary"]
        seen += json.loads(f"[{stream.text.replace('][', '],[')}]")
    return seen


# Flask's async views and greenlets exclude each other.
@pytest.mark.parametrize(
    ("server", "pages"),
    [
        (gunicorn, ["/page", "/async"]),
        (gevent, ["/page"]),
        (uwsgi, ["/page", "/async"]),
    ],
)
def test_flask_site(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    server: Any,
    pages: list[str],
) -> None:
    """Users side by side are never mixed up, and a logout of either kind ends one session."""
    for user in USERS:
        auth0_tenant.users.add(User(user))
    told = {
        "settings": {
            "AUTH0_DOMAIN": auth0_tenant.domain,
            "AUTH0_CLIENT_ID": auth0_tenant.client_id,
            "AUTH0_CLIENT_SECRET": auth0_tenant.client_secret,
            "AUTH0_TX_VERIFY": auth0_tenant.ca_file,
            "SECRET_KEY": "of flask's own, and long enough: 0123456789",
        },
        "redis": redis_url,
        "prefix": redis_prefix,
    }
    with ExitStack() as stack:
        port = stack.enter_context(run_command(server, told))
        threads = stack.enter_context(ThreadPoolExecutor(len(USERS)))
        visitors = [stack.enter_context(Visitor(port)) for _ in USERS]
        stranger = stack.enter_context(Visitor(port))
        tokens = [auth0_tenant.subject_token(user) for user in USERS]
        logins = [
            ask(visitor, "/login", subject_token=token).status_code
            for visitor, token in zip(visitors, tokens, strict=True)
        ]
        seen = list(threads.map(read_answers, visitors, repeat(pages)))
        first, second, *others = visitors
        logout = ask(first, "/logout", next="/").status_code
        token = auth0_tenant.logout_token(sub=USERS[1])
        ended = ask(stranger, "/backchannel-logout", logout_token=token).status_code
        after = [
            ask(visitor, "/page").status_code for visitor in (stranger, first, second)
        ]
        still = list(threads.map(read_answers, others, repeat(pages)))

    expected = [[[user, user]] * 4 * (len(pages) + 3) for user in USERS]
    assert [303] * len(USERS) == logins
    assert expected == seen
    assert (303, 200) == (logout, ended)
    assert [401, 401, 401] == after
    assert expected[2:] == still
