"""Decorators for views, sync and async, that need a user or a scope.

They ask for the login session, so a project needs no Django users for them.  A project that has
them may as well use Django's own ``login_required`` and ``permission_required``: ``request.user``
stands on the same session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction

from ...errors import InsufficientScopeError, LoginRequiredError
from ..settings import DEFAULT
from .error_responses import make_error_response
from .request_client import DjangoRequestAuth0, auth0_of

V = TypeVar("V", bound=Callable[..., Any])


@overload
def auth0_login_required(view: V, /) -> V: ...
@overload
def auth0_login_required(
    *, client: str = DEFAULT, login_url: str | None = None
) -> Callable[[V], V]: ...
def auth0_login_required(
    view: Any = None, /, *, client: str = DEFAULT, login_url: str | None = None
) -> Any:
    """Call a view for a logged-in user only.

    A browser that opens a page is redirected to the login page, with ``next``; anybody else
    gets a 401.

    Args:
        view: the view, where the decorator has no arguments.
        client: the name in ``AUTH0_TX`` of the client whose login is needed.
        login_url: the login page, or the name of its URL pattern; ``LOGIN_URL`` by default.
    """
    decorate = _make_decorator(
        lambda auth0: auth0.require_user(),
        lambda auth0: auth0.arequire_user(),
        client,
        login_url,
    )
    return decorate if view is None else decorate(view)


def scopes_required(
    *scopes: str,
    audience: str | None = None,
    client: str = DEFAULT,
    login_url: str | None = None,
) -> Callable[[V], V]:
    """Call a view only if the user's access token was granted every scope.

    Without a login it is as with :func:`auth0_login_required`; without a scope, the answer is a
    403 that names those that are needed (RFC 6750 section 3.1).  The session knows what was
    granted, so Auth0 is asked only for a token that is missing or about to expire.

    Args:
        *scopes: the scopes, each a string without spaces.
        audience: the API; ``None`` for the one that the login was for.
        client: the name in ``AUTH0_TX`` of the client whose login is needed.
        login_url: the login page, or the name of its URL pattern; ``LOGIN_URL`` by default.

    Raises:
        TypeError: there is no scope, or one that is not a string without spaces.
    """
    check_scope_names(scopes)
    return _make_decorator(
        lambda auth0: auth0.require_scopes(*scopes, audience=audience),
        lambda auth0: auth0.arequire_scopes(*scopes, audience=audience),
        client,
        login_url,
    )


def check_scope_names(scopes: object) -> None:
    """Raise an error if *scopes* are not scopes.

    Whoever forgets the parentheses of a decorator, or writes two scopes in one string, would
    otherwise have a view that lets everybody in, or nobody.

    Raises:
        TypeError: there is no scope, or one that is not a string without spaces.
    """
    names = list(scopes) if isinstance(scopes, list | tuple | set | frozenset) else []
    if not names or not all(
        isinstance(name, str) and name and " " not in name for name in names
    ):
        raise TypeError("scopes must be given, each as a string without spaces")


def _make_decorator(
    require: Callable[[DjangoRequestAuth0], object],
    require_async: Callable[[DjangoRequestAuth0], Awaitable[object]],
    client: str,
    login_url: str | None,
) -> Callable[[V], V]:
    """Return a decorator that calls one of two functions before the view."""

    def decorate(view: Any) -> Any:
        # Answered here, and not left to the middleware: a project that answers errors of
        # views by itself has decorated its views all the same.
        @wraps(view)
        def call_view(request: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                require(auth0_of(request, client))
            except (LoginRequiredError, InsufficientScopeError) as error:
                return make_error_response(request, error, login_url)
            return view(request, *args, **kwargs)

        @wraps(view)
        async def await_view(request: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                await require_async(auth0_of(request, client))
            except (LoginRequiredError, InsufficientScopeError) as error:
                return make_error_response(request, error, login_url)
            return await view(request, *args, **kwargs)

        return await_view if _is_async(view) else call_view

    return decorate


def _is_async(view: Any) -> bool:
    """Return whether a view is a coroutine function, or the ``dispatch`` of an async class.

    ``method_decorator(..., name="dispatch")`` passes the latter as a partial function, and it
    returns a coroutine without being a coroutine function.
    """
    instance = getattr(getattr(view, "func", None), "__self__", None)
    return iscoroutinefunction(view) or bool(getattr(instance, "view_is_async", False))
