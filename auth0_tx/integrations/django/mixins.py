"""Mixins for class-based views, sync and async, that need a user or a scope.

Put them before ``View`` among the bases, as Django's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from ..settings import DEFAULT
from .decorators import auth0_login_required, check_scope_names, scopes_required


class Auth0LoginRequiredMixin:
    """Let only logged-in users in, as :func:`auth0_login_required` does.

    Attributes:
        auth0_client: the name in ``AUTH0_TX`` of the client whose login is needed.
        login_url: the login page, or the name of its URL pattern; ``LOGIN_URL`` by default.
    """

    auth0_client: str = DEFAULT
    login_url: str | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Dispatch the request of a logged-in user, and answer all others."""
        decorate = auth0_login_required(
            client=self.auth0_client, login_url=self.login_url
        )
        return decorate(_get_dispatch(self, super()))(request, *args, **kwargs)


class ScopesRequiredMixin:
    """Let only users with certain scopes in, as :func:`scopes_required` does.

    Attributes:
        required_scopes: the scopes that the user's access token must have been granted.
        scopes_audience: the API; ``None`` for the one that the login was for.
        auth0_client: the name in ``AUTH0_TX`` of the client whose login is needed.
        login_url: the login page, or the name of its URL pattern; ``LOGIN_URL`` by default.
    """

    required_scopes: Sequence[str] = ()
    scopes_audience: str | None = None
    auth0_client: str = DEFAULT
    login_url: str | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Dispatch the request of a user with the scopes, and answer all others."""
        # A string would be taken for its letters.
        check_scope_names(self.required_scopes)
        decorate = scopes_required(
            *self.required_scopes,
            audience=self.scopes_audience,
            client=self.auth0_client,
            login_url=self.login_url,
        )
        return decorate(_get_dispatch(self, super()))(request, *args, **kwargs)


def _get_dispatch(view: Any, parent: Any) -> Any:
    """Return the ``dispatch`` of a view's next base: a coroutine function if the view is async."""
    dispatch = parent.dispatch
    if not view.view_is_async:
        return dispatch

    async def dispatch_async(*args: Any, **kwargs: Any) -> Any:
        return await dispatch(*args, **kwargs)

    return dispatch_async
