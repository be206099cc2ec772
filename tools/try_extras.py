"""Install a built wheel with each extra alone, and do what the extra's page shows.

    python tools/try_extras.py DIST

Each extra gets a clean environment: no pytest, and nothing that another extra brings.  There,
every module of its integration is imported, the examples of its page are run, and its commands.
An extra that is not listed here is an error.  Without an extra, importing an integration
must say which extra to install.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

ROOT = Path(__file__).parent.parent
INTEGRATIONS = "auth0_tx.integrations"

TEST = """
from auth0_tx import CustomTokenExchangeOptions, ServerClient


def test_exchange(auth0_tenant, auth0_client_settings, auth0_clock):
    auth0_clock.move(3600)
    with ServerClient(**auth0_client_settings) as client:
        client.custom_token_exchange(
            CustomTokenExchangeOptions(
                subject_token=auth0_tenant.subject_token("auth0|alice"),
                subject_token_type="urn:acme:legacy-token",
            )
        )
    assert 1 == auth0_tenant.count("/oauth/token")
"""

CELERY_APP = """
from celery import Celery

app = Celery("reports", broker="redis://127.0.0.1:9", backend="redis://127.0.0.1:9")
"""

DJANGO_SETTINGS = """
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "auth0_tx.integrations.django"
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = ["auth0_tx.integrations.django.middleware.Auth0Middleware"]
AUTHENTICATION_BACKENDS = ["auth0_tx.integrations.django.backends.Auth0Backend"]
SECRET_KEY = "of django, and long enough: 0123456789"
AUTH0_TX = {"DOMAIN": "tenant.us.auth0.com", "CLIENT_ID": "a", "CLIENT_SECRET": "b"}
"""

FLASK_APP = """
from flask import Flask
from auth0_tx.integrations.flask import Auth0TX

app = Flask("shop")
app.secret_key = "of flask, and long enough: 0123456789"
Auth0TX(app, domain="tenant.us.auth0.com", client_id="a", client_secret="b")
"""

FORM_OVER_ASGI = """
import asyncio

from starlette.applications import Starlette
from starlette.routing import Route

from auth0_tx import AsyncServerClient
from auth0_tx.integrations.starlette import auth0_lifespan, backchannel_logout
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant

tenant = Tenant().start()
client = AsyncServerClient(
    secret="of sessions, and long enough: 0123456789",
    state_store=MemoryStore(),
    **tenant.client_settings,
)
app = Starlette(
    routes=[Route("/logout", backchannel_logout, methods=["POST"])],
    lifespan=auth0_lifespan(client),
)


async def post_form():
    sent = []
    scope = {"type": "http", "method": "POST", "path": "/logout", "query_string": b"",
             "headers": [(b"content-type", b"application/x-www-form-urlencoded")]}
    async with app.router.lifespan_context(app) as state:
        body = {"type": "http.request", "body": b"logout_token=none"}
        async def receive(): return body
        async def send(message): sent.append(message)
        await app({**scope, "state": dict(state)}, receive, send)
    assert 400 == sent[0]["status"], sent


asyncio.run(post_form())
tenant.close()
"""


@dataclass(frozen=True)
class Trial:
    """A trial of one extra.

    Attributes:
        page: the page of the documentation whose examples are run.
        options: those of ``run_page.py``.
        files: files to write before, by name.
        commands: commands to run, without the path of the environment's programs.
    """

    page: str | None = None
    options: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


def build_trial(module: str, page: str, *options: str, **more: object) -> Trial:
    """Return the trial of an integration."""
    return Trial(page, ("--import", f"{INTEGRATIONS}.{module}", *options), **more)  # type: ignore[arg-type]


TRIALS = {
    "celery": build_trial(
        "celery",
        "celery.md",
        "--offline",
        files=(("reports.py", CELERY_APP),),
        # Loads the transport and the result backend, and asks nobody.
        commands=(("celery", "-A", "reports", "report"),),
    ),
    "cli": Trial(commands=(("auth0-tx", "demo"), ("auth0-tx", "doctor", "--help"))),
    "django": build_trial(
        "django",
        "django.md",
        "--beside",
        "rest_framework",
        "--beside",
        "djangorestframework",
        files=(("site_settings.py", DJANGO_SETTINGS),),
        commands=(
            (
                "django-admin",
                "check",
                "--settings",
                "site_settings",
                "--pythonpath",
                ".",
            ),
            ("django-admin", "auth0_tx", "--help", "--settings", "site_settings"),
        ),
    ),
    "drf": build_trial("django", "django.md"),
    "fastapi": build_trial("fastapi", "fastapi.md", "--beside", "httpx2"),
    "flask": build_trial(
        "flask",
        "flask.md",
        "--beside",
        "flask_login",
        files=(("shop.py", FLASK_APP),),
        commands=(("flask", "--app", "shop", "auth0-tx", "--help"),),
    ),
    "otel": build_trial("otel", "observing.md"),
    "redis": Trial("caching.md", ("--import", "auth0_tx.stores", "--offline")),
    "starlette": build_trial(
        "starlette",
        "on_behalf_of.md",
        files=(("form.py", FORM_OVER_ASGI),),
        commands=(("python", "form.py"),),
    ),
    "test": Trial(
        files=(("test_exchange.py", TEST),),
        commands=(("pytest", "-q", "-W", "error", "test_exchange.py"),),
    ),
}


def main(dist: Path) -> int:
    """Try every extra of the one wheel in *dist*."""
    (wheel,) = dist.resolve().glob("*.whl")
    extras = read_extras(wheel)
    unknown = extras.symmetric_difference(TRIALS)
    if unknown:
        print(f"extras without a trial, or trials without an extra: {sorted(unknown)}")
        return 1
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:
        homes = {name: Path(folder, name or "none") for name in ("", *extras)}
        problems = list(
            threads.map(lambda name: try_extra(wheel, name, homes[name]), homes)
        )
    for problem in filter(None, problems):
        print(problem)
    return int(any(problems))


def read_extras(wheel: Path) -> set[str]:
    """Return the names of the wheel's extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode())
    return set(metadata.get_all("Provides-Extra", ()))


def try_extra(wheel: Path, extra: str, home: Path) -> str | None:
    """Return what is wrong with an extra in a clean environment, or ``None``."""
    started = time.monotonic()
    programs = home / "venv" / "bin"
    home.mkdir(exist_ok=True)
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    steps: list[list[str]] = [
        ["uv", "venv", "-q", "-p", sys.executable, str(programs.parent)],
        ["uv", "pip", "install", "-q", "-p", str(programs / "python"), wanted],
    ]
    python = str(programs / "python")
    if extra:
        trial = TRIALS[extra]
        for name, text in trial.files:
            (home / name).write_text(text)
        if extra != "test":
            steps.append([python, "-c", NO_PYTEST])
        if trial.page is not None:
            page, runner = ROOT / "docs" / trial.page, ROOT / "tools" / "run_page.py"
            steps.append([python, str(runner), str(page), *trial.options])
        steps += [
            [str(programs / command[0]), *command[1:]] for command in trial.commands
        ]
    else:
        steps.append([python, "-c", WITHOUT_EXTRAS])
    for step in steps:
        # From elsewhere, so that it is the installed package which answers.
        ran = subprocess.run(
            step,
            cwd=home,
            env=build_environment(step[0], home),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            output = (ran.stdout + ran.stderr).strip()[-3_000:]
            return f"[{extra}] {' '.join(step)[:200]}\n{output}"
    print(f"[{extra}] works ({time.monotonic() - started:.0f} s)")
    return None


NO_PYTEST = (
    "import importlib.util as u, sys; sys.exit(u.find_spec('pytest') is not None)"
)

WITHOUT_EXTRAS = """
import importlib
from auth0_tx import ConfigurationError
for name in ("celery", "django", "fastapi", "flask", "otel", "starlette"):
    try:
        importlib.import_module(f"auth0_tx.integrations.{name}")
    except ConfigurationError as error:
        assert f"auth0-tx[{name}]" in str(error), error
    else:
        raise AssertionError(name)
import auth0_tx.integrations.aiohttp_web, auth0_tx.stores, auth0_tx.caches
"""


def build_environment(program: str, home: Path) -> dict[str, str]:
    """Return the environment variables of an installer, or of a program that is tried."""
    if program == "uv":
        return dict(os.environ)
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": str(home)}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
