"""Do slow work for a user, and for nobody, in Django with Celery: the messages have no token.

    pip install "auth0-tx[celery,django]"
    python examples/django_celery_app/app.py

It starts a site, and a worker with beat.  Celery's messages go through Redis: REDIS_URL, or the
one on this machine; tokens are kept in Django's database.  Without settings it runs with a local
Auth0 tenant.  For your own tenant set AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET,
AUTH0_SECRET (random, 32 characters or more), AUTH0_AUDIENCE, AUTH0_TOKEN_TYPE, and
MACHINE_TOKEN_FILE, a file with a token of the machine's own.

Read ``settings.py``, then ``tasks.py`` and ``views.py``.  In production the three parts are
services of their own: a server for the site, ``celery -A tasks worker`` and ``celery -A tasks beat``.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from django.core.management import execute_from_command_line

HERE = Path(__file__).parent
PORT = os.environ.get("PORT", "8000")


def start_tenant(folder):
    """Start a local tenant; the worker is another process, and finds it in the environment."""
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    machine_token = Path(folder) / "machine_token"
    machine_token.write_text(tenant.subject_token("auth0|support_agent"))
    os.environ.update(
        AUTH0_DOMAIN=tenant.domain,
        AUTH0_CLIENT_ID=tenant.client_id,
        AUTH0_CLIENT_SECRET=tenant.client_secret,
        AUTH0_SECRET=secrets.token_urlsafe(32),
        AUTH0_AUDIENCE="https://api.example.com",
        MACHINE_TOKEN_FILE=str(machine_token),
    )
    return tenant


def main(folder):
    tenant = None if "AUTH0_DOMAIN" in os.environ else start_tenant(folder)
    os.environ.setdefault("EXAMPLE_FOLDER", folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    sys.path.insert(0, str(HERE))
    execute_from_command_line(["app.py", "migrate", "--verbosity", "0"])
    worker = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "celery", "-A", "tasks", "worker", "--beat"),
            *("--concurrency", "2", "--loglevel", "WARNING"),
            *("--schedule", f"{folder}/schedule"),
        ],
        cwd=HERE,
    )
    try:
        import views

        views.tenant = tenant
        print(f"Open http://localhost:{PORT}/", flush=True)
        execute_from_command_line(
            ["app.py", "runserver", "--noreload", f"localhost:{PORT}"]
        )
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
