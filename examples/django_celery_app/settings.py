"""Django's settings, and Celery's, which begin with CELERY_."""

import os
from pathlib import Path

from auth0_tx import RetryPolicy

FOLDER = Path(os.environ["EXAMPLE_FOLDER"])

ALLOWED_HOSTS = ["localhost"]
AUTH0_TX = {
    "DOMAIN": os.environ["AUTH0_DOMAIN"],
    "CLIENT_ID": os.environ["AUTH0_CLIENT_ID"],
    "CLIENT_SECRET": os.environ["AUTH0_CLIENT_SECRET"],
    "SECRET": os.environ["AUTH0_SECRET"],
    # Only tasks use the client: their messages wait for a retry, and the worker does not.
    "RETRY": RetryPolicy(attempts=1),
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": FOLDER / "cache",
    }
}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
# The vault keeps tokens in the table of Django's sessions.
INSTALLED_APPS = ["django.contrib.sessions", "auth0_tx.integrations.django"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
# A site with logins has Auth0Middleware, which this warning misses.
SILENCED_SYSTEM_CHECKS = ["auth0_tx.W001"]
ROOT_URLCONF = "views"
SECRET_KEY = os.environ["AUTH0_SECRET"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
USE_TZ = True

CELERY_BROKER_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_RESULT_EXPIRES = 3600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = f"auth0_tx_example:{os.environ['AUTH0_DOMAIN']}"
CELERY_BEAT_SCHEDULE = {
    # A run that no worker took in time is dropped.
    "prices": {
        "task": "refresh_prices",
        "schedule": 5.0,
        "options": {"expires": 4},
    }
}
