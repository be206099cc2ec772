"""Login sessions and scopes in Django REST Framework (extra ``auth0-tx[drf]``).

In ``settings.py``::

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "auth0_tx.integrations.django.rest_framework.Auth0SessionAuthentication",
        ],
        "EXCEPTION_HANDLER": "auth0_tx.integrations.django.rest_framework.exception_handler",
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from django.conf import settings
from django.core.signals import got_request_exception

from ...errors import (
    Auth0Error,
    ConfigurationError,
    InsufficientScopeError,
    LoginRequiredError,
)
from ...session_values import UserClaims
from ..error_answers import answer_for
from ..settings import DEFAULT
from .decorators import check_scope_names
from .login_check import hash_identity
from .project import find_backend
from .request_client import auth0_of

try:
    from rest_framework import exceptions
    from rest_framework.authentication import SessionAuthentication
    from rest_framework.permissions import BasePermission
except ImportError:
    raise ConfigurationError(
        "djangorestframework is not installed: pip install 'auth0-tx[drf]'",
        parameter="djangorestframework",
    ) from None

# An attribute of the request: the scope that a permission asked for in vain.
_MISSING_SCOPE = "_auth0_tx_missing_scope"


@attrs.frozen(eq=False)
class ClaimsUser:
    """The user of a request in a project without Django users.

    Two are equal if their issuer and subject are, as Django's users are by their keys.

    Attributes:
        claims: the claims of the verified ID token.
    """

    claims: UserClaims

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __str__(self) -> str:
        return self.get_username()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClaimsUser) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    @property
    def pk(self) -> str:
        """A hash of issuer and subject: the name of the user in throttles and logs."""
        return hash_identity(str(self.claims.get("iss", "")), self.claims["sub"])

    id = pk

    def get_username(self) -> str:
        """Return the subject of the ID token."""
        return self.claims["sub"]

    def has_perm(self, permission: str, obj: object = None) -> bool:
        """Return ``False``: permissions of Django are those of Django's users."""
        return False

    def has_perms(self, permissions: Sequence[str], obj: object = None) -> bool:
        """Return whether no permission is asked for."""
        return not permissions


class Auth0SessionAuthentication(SessionAuthentication):
    """Authenticate by the login session, with Django's CSRF check.

    The user is the one whom ``Auth0Backend`` finds or creates for the session's claims or,
    without that backend, a :class:`ClaimsUser`.  Without a login the answer is a 401, and not a
    403 as with Django REST Framework's own session authentication.

    Attributes:
        client: the name in ``AUTH0_TX`` of the client whose login counts.
    """

    client: str = DEFAULT

    def authenticate(self, request: Any) -> tuple[Any, None] | None:
        """Return the user of the login session, or ``None`` if there is none.

        Raises:
            AuthenticationFailed: the user is not active.
            PermissionDenied: the CSRF token is missing.
            StoreError: the store cannot be read.
        """
        claims = auth0_of(request, self.client).user
        if claims is None:
            return None
        # A browser sends the session's cookie with other sites' requests, too.
        self.enforce_csrf(request)
        user = self.get_user(request, claims)
        if user is None:
            raise exceptions.AuthenticationFailed("the user is not active")
        return user, None

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of a 401 (RFC 9110 section 11.6.1)."""
        return "Bearer"

    def get_user(self, request: Any, claims: UserClaims) -> Any:
        """Return the user of verified claims, or ``None`` for one who may not log in.

        Args:
            request: the request.
            claims: the claims of the login session.
        """
        kind = find_backend()
        if kind is None:
            return ClaimsUser(claims)
        backend, issuer = kind(), claims.get("iss")
        if not hasattr(backend, "find_user") or not isinstance(issuer, str):
            return backend.authenticate(request._request, auth0_claims=claims)
        user = backend.find_user(issuer, claims["sub"], claims)
        if user is None:
            # Logged in to Auth0 alone, and here for the first time.
            user = backend.create_user(issuer, claims["sub"], claims)
        return user if user and backend.user_can_authenticate(user) else None


class HasScopes(BasePermission):
    """Let in only users whose access token was granted certain scopes.

    ``permission_classes = [HasScopes.of("read:orders", audience=...)]``, or ``[HasScopes]`` with
    the attributes *required_scopes* and *scopes_audience* of the view.  The session knows what
    was granted, so Auth0 is asked only for a token that is missing or about to expire.

    Attributes:
        required_scopes: the scopes; ``None`` for those of the view.
        scopes_audience: the API; ``None`` for the view's, or the one that the login was for.
        client: the name in ``AUTH0_TX`` of the client whose login counts.
    """

    required_scopes: Sequence[str] | None = None
    scopes_audience: str | None = None
    client: str = DEFAULT

    message = "the user's access token lacks a scope"
    code = "insufficient_scope"

    @classmethod
    def of(
        cls, *scopes: str, audience: str | None = None, client: str = DEFAULT
    ) -> type[HasScopes]:
        """Return a permission class for certain scopes.

        Args:
            *scopes: the scopes, each a string without spaces.
            audience: the API; ``None`` for the one that the login was for.
            client: the name in ``AUTH0_TX`` of the client whose login counts.

        Raises:
            TypeError: there is no scope, or one that is not a string without spaces.
        """
        check_scope_names(scopes)

        class HasTheseScopes(cls):  # type: ignore[misc, valid-type, unused-ignore]
            required_scopes = scopes
            scopes_audience = audience

        HasTheseScopes.client = client
        return HasTheseScopes

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return whether every scope was granted.

        Raises:
            NotAuthenticated: nobody is logged in, or the token cannot be renewed.
            StoreError: the store failed.
            CustomTokenExchangeError: the token could not be renewed this time.
        """
        scopes, audience = self.required_scopes, self.scopes_audience
        if scopes is None:
            scopes = getattr(view, "required_scopes", None)
        if audience is None:
            audience = getattr(view, "scopes_audience", None)
        check_scope_names(scopes)
        try:
            auth0_of(request, self.client).require_scopes(
                *(scopes or ()), audience=audience
            )
        except LoginRequiredError:
            raise exceptions.NotAuthenticated from None
        except InsufficientScopeError as error:
            # False, and not the error: the permission may be one side of an "or".
            setattr(request, _MISSING_SCOPE, error.scope)
            return False
        return True


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Any:
    """Return the response to an error of a view, as ``EXCEPTION_HANDLER`` of the settings.

    Errors of this library are answered by the table of all hosts; all others by Django REST
    Framework's own handler.

    Args:
        exc: the error.
        context: Django REST Framework's context: the view and the request.
    """
    # Not at the top: it reads Django's settings when it is imported.
    from rest_framework.response import Response
    from rest_framework.views import exception_handler as handle_others
    from rest_framework.views import set_rollback

    error = exc
    if isinstance(exc, exceptions.PermissionDenied) and exc.get_codes() == (
        HasScopes.code
    ):
        scope = getattr(context.get("request"), _MISSING_SCOPE, None)
        error = InsufficientScopeError(HasScopes.message).with_scope(scope or "")
    if not isinstance(error, Auth0Error):
        return handle_others(exc, dict(context))
    answer = answer_for(error)
    if answer.status == 500:
        if settings.DEBUG:
            # For Django's page, which shows the developer where it happened.
            return None
        # Error trackers and Django's test client listen to it, as for any error of a view.
        got_request_exception.send(sender=None, request=context.get("request"))
    set_rollback()
    return Response(answer.body, status=answer.status, headers=answer.headers)
