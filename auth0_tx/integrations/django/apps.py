"""The app config that Django loads."""

from __future__ import annotations

from django.apps import AppConfig


class Auth0TXConfig(AppConfig):
    """Register the system checks."""

    name = "auth0_tx.integrations.django"
    label = "auth0_tx"
    verbose_name = "Auth0 token exchange"

    def ready(self) -> None:
        """Register the checks of ``manage.py check``, and follow Django's logins."""
        from . import checks, signals

        checks.register_all()
        signals.connect()
