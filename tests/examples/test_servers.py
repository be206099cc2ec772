"""The example applications on the servers that they are deployed on."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from auth0_tx.tenant import Tenant
from tests.examples.chromium import Browser
from tests.examples.running_app import API, EXAMPLES, RunningApp
from tests.redis_server import RedisServer

pytestmark = pytest.mark.browser

TOKEN = "/oauth/token"

# On Pythons that it has no wheel for, it is not installed.
HAS_UWSGI = Path(sysconfig.get_path("scripts"), "uwsgi").exists()
needs_uwsgi = pytest.mark.skipif(not HAS_UWSGI, reason="uWSGI is not installed")


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("django_app", "gunicorn"),
        ("django_app", "uvicorn for Django"),
        pytest.param("flask_app", "uwsgi", marks=needs_uwsgi),
        ("fastapi_app", "uvicorn"),
    ],
)
def test_sessions_on_a_server(
    name: str,
    server: str,
    browser: Browser,
    other_browser: Browser,
    tenant: Tenant,
    redis_for_sessions: RedisServer,
    start: Callable[..., RunningApp],
    tmp_path: Path,
) -> None:
    """Every worker knows each user, renews their tokens, and knows who has left."""
    settings = {"DATABASE": f"{tmp_path}/sqlite3", "REDIS_URL": redis_for_sessions.url}
    if name == "django_app":
        migrate(tenant, settings)
    app = start(name, server=server, **settings)
    tenant.apis.change(API, token_lifetime=1)
    visitors = {"auth0|alice": browser, "auth0|bob": other_browser}
    for user, visitor in visitors.items():
        visitor.visit(f"{app.home}profile")
        visitor.send_login(tenant.subject_token(user))
        assert f"{app.home}profile" == visitor.url
    sent = tenant.count(TOKEN)
    time.sleep(1)
    tenant.apis.change(API, token_lifetime=86400)

    fields = {}
    for user, visitor in visitors.items():
        visitor.visit(f"{app.home}api-call")
        assert f'"sub":"{user}"' in (visitor.read_text("answer") or "")
        cookies = visitor.list_cookies().items()
        fields[user] = "; ".join(
            f"{name}={cookie['value']}" for name, cookie in cookies
        )
        assert [True] * 8 == [user in text for text in read_anew(app, fields[user])]
    assert sent + 2 == tenant.count(TOKEN)

    tenant.send_backchannel_logout("auth0|alice", client_id=app.client_id)
    other_browser.visit(f"{app.home}profile")
    other_browser.press("logout")

    for user, visitor in visitors.items():
        # Nor is a cookie of any use that somebody kept.
        assert [False] * 8 == [user in text for text in read_anew(app, fields[user])]
        visitor.visit(f"{app.home}profile")
        assert f"{app.home}login?next=/profile" == visitor.url
    app.terminate()
    assert "Traceback" not in app.output


def read_anew(app: RunningApp, cookies: str) -> list[str]:
    """Return the profile that each of eight connections gets.

    A browser would keep one connection, and with it one worker.
    """
    headers = {"Accept": "text/html", "Cookie": cookies}
    texts = []
    for _ in range(8):
        with urlopen(Request(f"{app.home}profile", headers=headers)) as answer:
            texts.append(answer.read().decode())
    return texts


def migrate(tenant: Tenant, settings: dict[str, str]) -> None:
    """Make the tables of Django's application, as a deployment does before it starts."""
    subprocess.run(
        [sys.executable, "app.py", "migrate", "--verbosity", "0"],
        cwd=EXAMPLES / "django_app",
        env={
            **os.environ,
            **settings,
            "AUTH0_DOMAIN": tenant.domain,
            "AUTH0_CLIENT_ID": tenant.client_id,
            "AUTH0_CLIENT_SECRET": tenant.client_secret or "",
            "AUTH0_SECRET": "a secret of the session, long and random",
            "AUTH0_AUDIENCE": API,
        },
        check=True,
    )
