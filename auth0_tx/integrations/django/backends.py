"""Django's users by what Auth0 says of them: issuer and subject, and never an e-mail address.

Who controls an address may change, and not every identity provider verifies one.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest


class Auth0Backend(ModelBackend):  # type: ignore[misc]
    """Find, or make, the user of verified claims; for ``AUTHENTICATION_BACKENDS``.

    A user is known by a username that is made of issuer and subject, and has no password: one
    of that name who has was registered by somebody else, and is not logged in.  For another
    user model, or users that you have already, override :meth:`find_user` and
    :meth:`create_user`.
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
        """Give the user of *auth0_claims*, or ``None``.

        Args:
            request: the request, as Django has it.
            username: not looked at, nor is *password*: that is another backend's affair.
            password: as above.
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
        """Give the user who is known by issuer and subject, or ``None``."""
        users = get_user_model()._default_manager
        name = {get_user_model().USERNAME_FIELD: username_of(issuer, subject)}
        user = users.filter(**name).first()
        return None if user is None or user.has_usable_password() else user

    def create_user(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> Any:
        """Make a user who can log in by Auth0 alone; ``None`` where nobody new may."""
        model = get_user_model()
        name = {model.USERNAME_FIELD: username_of(issuer, subject)}
        # In one step: another call may find the user right after it.
        user, _ = model._default_manager.get_or_create(
            **name, defaults={"password": make_password(None)}
        )
        # Whoever knows its password was here first, and would share what comes.
        return None if user.has_usable_password() else user

    def update_user(self, user: Any, claims: Mapping[str, Any]) -> None:
        """Take over what has changed at Auth0; nothing, unless you override it."""


def username_of(issuer: str, subject: str) -> str:
    """Give the username of a user of Auth0's: the same for the same, and for no other."""
    octets = f"{len(issuer)}:{issuer}{subject}".encode()
    return f"auth0-{sha256(octets).hexdigest()[:48]}"
