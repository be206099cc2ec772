"""Django's users, by the issuer and subject of verified claims.

E-mail addresses are not used to find a user: whoever controls an address may change, and not
every identity provider verifies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest


class Auth0Backend(ModelBackend):
    """Find or create the user of verified claims; for ``AUTHENTICATION_BACKENDS``.

    The username is made from issuer and subject, and the user has no password.  Usernames
    are predictable, so a user of that name with a password was registered by somebody else
    and is not logged in.  For another user model, or for existing users, override
    :meth:`find_user` and :meth:`create_user`.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        auth0_claims: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user of *auth0_claims*, or ``None``.

        Args:
            request: the request, as Django passes it.
            username: ignored, as *password* is: other backends check passwords.
            password: ignored.
            auth0_claims: the claims of a *verified* ID token.
        """
        if auth0_claims is None:
            return None
        issuer, subject = auth0_claims.get("iss"), auth0_claims.get("sub")
        if not (isinstance(issuer, str) and isinstance(subject, str)):
            return None
        user = self.find_user(issuer, subject, auth0_claims)
        if user is None:
            user = self.create_user(issuer, subject, auth0_claims)
        if user is None or not self.user_can_authenticate(user):
            return None
        self.update_user(user, auth0_claims)
        return user

    def find_user(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> Any:
        """Return the user with this issuer and subject, or ``None``."""
        # The application's own model: nothing is known of its fields.
        model: Any = get_user_model()
        name = {model.USERNAME_FIELD: username_of(issuer, subject)}
        user = model._default_manager.filter(**name).first()
        return None if user is None or user.has_usable_password() else user

    def create_user(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> Any:
        """Create a user who can log in through Auth0 only; ``None`` to refuse new users."""
        model: Any = get_user_model()
        name = {model.USERNAME_FIELD: username_of(issuer, subject)}
        # In one step: another request of the same user may create it at the same time.
        user, _ = model._default_manager.get_or_create(
            **name, defaults={"password": make_password(None)}
        )
        # Somebody registered the name with a password first, and would share the account.
        return None if user.has_usable_password() else user

    def update_user(self, user: Any, claims: Mapping[str, Any]) -> None:
        """Copy what has changed at Auth0; does nothing unless you override it."""


def username_of(issuer: str, subject: str) -> str:
    """Return the username of an Auth0 user: no two users have the same."""
    # The length separates both texts, so that no other split gives the same octets.
    octets = f"{len(issuer)}:{issuer}{subject}".encode()
    return f"auth0-{sha256(octets).hexdigest()[:48]}"
