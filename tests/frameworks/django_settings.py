"""Django with nothing but what it takes to answer a request, configured once a process."""

from __future__ import annotations

from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF="tests.frameworks.django_app",
        SECRET_KEY="unused, as nothing is signed",
        USE_TZ=True,
    )
