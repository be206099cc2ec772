"""Log in with a token of your old system: Django, the sessions in its database.

    pip install "auth0-tx[django]"
    python examples/django_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
Your application's Back-Channel Logout URI there is /auth0/backchannel-logout/.
DATABASE is the file of the database; without it, everything ends with this process.

This file is what a project has in settings.py and manage.py; pages.py has the views.
"""

import atexit
import os
import secrets
import sys
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.management import call_command, execute_from_command_line
from django.core.wsgi import get_wsgi_application

PORT = int(os.environ.get("PORT", "8000"))
HOME = f"http://localhost:{PORT}/"  # in production: your own, over https
HERE = Path(__file__).parent

env, tenant = dict(os.environ), None
if "AUTH0_DOMAIN" not in env:
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    tenant.applications.change(
        tenant.client_id,
        allowed_logout_urls=[HOME],
        backchannel_logout_uri=f"{HOME}auth0/backchannel-logout/",
    )
    env["AUTH0_DOMAIN"] = tenant.domain
    env["AUTH0_CLIENT_ID"] = tenant.client_id
    env["AUTH0_CLIENT_SECRET"] = tenant.client_secret
    env["AUTH0_SECRET"] = secrets.token_urlsafe(32)
    env["AUTH0_AUDIENCE"] = "https://api.example.com"
if "DATABASE" not in env:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    env["DATABASE"] = f"{folder.name}/db.sqlite3"

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    AUTH0_TX={
        "DOMAIN": env["AUTH0_DOMAIN"],
        "CLIENT_ID": env["AUTH0_CLIENT_ID"],
        "CLIENT_SECRET": env["AUTH0_CLIENT_SECRET"],
        # Beside Django's own sessions, where Auth0 can end them (back-channel logout).
        "STATE_STORE": "session",
        "LOGIN": {
            "subject_token_type": env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token"),
            "audience": env["AUTH0_AUDIENCE"],
            "scope": "openid profile email offline_access read:data",
        },
    },
    AUTHENTICATION_BACKENDS=["auth0_tx.integrations.django.backends.Auth0Backend"],
    CACHE_MIDDLEWARE_SECONDS=60,
    DATABASES={
        # In production, a database that several can write to at once.
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": env["DATABASE"]}
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "auth0_tx.integrations.django",
    ],
    LOCAL_TENANT=tenant,
    LOGIN_REDIRECT_URL="/profile",
    LOGIN_URL="/login",
    # Auth0 ends its own session, too, and sends the browser there: an Allowed Logout URL.
    LOGOUT_REDIRECT_URL=HOME,
    MIDDLEWARE=[
        # A cache for pages that do not depend on a session.
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    ROOT_URLCONF="pages",
    SECRET_KEY=env["AUTH0_SECRET"],
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [HERE / "templates"],
            "OPTIONS": {
                "context_processors": [
                    "django.contrib.auth.context_processors.auth",
                    "auth0_tx.integrations.django.context_processors.auth0",
                ]
            },
        }
    ],
)
sys.path.insert(0, str(HERE))

# For other servers: gunicorn app:application, after `python app.py migrate`.
application = get_wsgi_application()

if __name__ == "__main__":
    if sys.argv[1:]:
        execute_from_command_line(sys.argv)
    else:
        call_command("migrate", verbosity=0)
        print(
            f"Open {HOME} and log in"
            + (" with a token from that page." if tenant else ".")
        )
        call_command("runserver", f"localhost:{PORT}", use_reloader=False)
