"""Logging in and out of Django and of Auth0 in one step."""

from __future__ import annotations

from typing import Any

from django.contrib import auth

from ...errors import LoginRequiredError
from ...values import LoginWithCustomTokenExchangeOptions
from .session_store import is_ours


def login(request: Any, options: LoginWithCustomTokenExchangeOptions) -> Any:
    """Exchange a token, and log its user in to Django; give the user.

    The login session is kept as ``AUTH0_TX`` says, and Django's session gets another key.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        options: of the exchange.

    Raises:
        LoginRequiredError: no backend gives a user for the claims, or the user is not active;
            nobody is logged in.
        CustomTokenExchangeError: the exchange failed.
    """
    bound: Any = request.auth0
    result = bound.login(options)
    user = auth.authenticate(request, auth0_claims=result.state_data["user"])
    if user is None:
        bound.logout()
        raise LoginRequiredError("no backend has an active user for these claims")
    # Over another user's login Django empties its session, in which ours may be.
    ours = {key: each for key, each in request.session.items() if is_ours(key)}
    auth.login(request, user)
    request.session.update(ours)
    return user


def logout(request: Any, *, return_to: str | None = None) -> str:
    """Log out of Django and of the login session; give the URL that ends Auth0's own.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        return_to: where Auth0 sends the browser afterwards; an Allowed Logout URL there.
    """
    bound: Any = request.auth0
    url: str = bound.logout(return_to=return_to)
    auth.logout(request)
    return url
