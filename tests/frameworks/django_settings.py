"""Django with what these tests need of it, configured once a process."""

from __future__ import annotations

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "file:auth0_tx-test?mode=memory&cache=shared",
                "OPTIONS": {"uri": True},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "auth0_tx.integrations.django",
            "tests.integrations.django.own_users",
        ],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        # Quick on purpose: the others take a good part of a second for each password.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="tests.frameworks.django_app",
        SECRET_KEY="unused, as nothing is signed",
        USE_TZ=True,
    )
    django.setup()
