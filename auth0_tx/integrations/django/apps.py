"""The application that Django installs."""

from __future__ import annotations

from django.apps import AppConfig


class Auth0TXConfig(AppConfig):  # type: ignore[misc]
    """Register the system checks."""

    name = "auth0_tx.integrations.django"
    label = "auth0_tx"
    verbose_name = "Auth0 token exchange"

    def ready(self) -> None:
        """Have ``manage.py check`` look at ``AUTH0_TX``."""
        from . import checks

        checks.register_all()
