"""``request.auth0``: the project's client, bound to a request, for views of both kinds.

An async view awaits the methods that begin with *a*, as in Django's own API.  They run the
blocking method in Django's thread-sensitive executor, like ORM calls: one client and one store
serve both kinds of views, and a session in the database is read on the request's own
connection.  In any other thread nobody would close that connection at the end of the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.http import HttpRequest

from ...errors import ConfigurationError, InvalidInputError, LoginRequiredError
from ...values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    SessionData,
    UserClaims,
)
from ..request_base import check_scopes
from ..request_client import RequestAuth0
from ..settings import DEFAULT
from .clients import get_client

P = ParamSpec("P")
T = TypeVar("T")

# An attribute of the request: the clients that are bound to it, but for the default one.
_OTHERS = "_auth0_tx_clients"


def _to_async(
    method: Callable[Concatenate[DjangoRequestAuth0, P], T],
) -> Callable[Concatenate[DjangoRequestAuth0, P], Awaitable[T]]:
    """Return the async twin of a method or property of :class:`DjangoRequestAuth0`."""

    async def call_in_request_thread(
        self: DjangoRequestAuth0, /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        run = sync_to_async(method, thread_sensitive=True)
        result: T = await run(self, *args, **kwargs)
        return result

    call_in_request_thread.__doc__ = method.__doc__
    return call_in_request_thread


class DjangoRequestAuth0(RequestAuth0):
    """One of the project's clients, bound to one request."""

    def __init__(self, request: HttpRequest, name: str = DEFAULT) -> None:
        authorization = request.META.get("HTTP_AUTHORIZATION")
        super().__init__(get_client(name), {"request": request}, authorization)
        self._request = request
        self._name = name

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token, log its user in, and change the key of Django's session.

        Whoever planted the key that the browser had before cannot use it any more.
        """
        result = super().login(options)
        session = getattr(self._request, "session", None)
        if session is not None:
            session.cycle_key()
        return result

    def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out and flush Django's session; return the URL that ends Auth0's.

        If the store or the domain resolver fails, Django's session is flushed all the same.
        """
        with _end_afterwards(self._flush_session):
            return super().logout(return_to=return_to, revoke=revoke)

    def _flush_session(self) -> None:
        session = getattr(self._request, "session", None)
        # Django's session is the default client's: its users log in with that one.
        if session is not None and self._name == DEFAULT:
            session.flush()

    def require_user(self) -> UserClaims:
        """Return the claims of the logged-in user.

        Raises:
            LoginRequiredError: nobody is logged in.
            StoreError: the store cannot be read.
        """
        user = self.user
        if user is None:
            raise LoginRequiredError("nobody is logged in")
        return user

    def require_scopes(self, *scopes: str, audience: str | None = None) -> None:
        """Raise an error if the user's access token was not granted every scope.

        Args:
            *scopes: the scopes, each a string without spaces.
            audience: the API; ``None`` for the one that the login was for.

        Raises:
            InsufficientScopeError: a scope was not granted.
            LoginRequiredError: nobody is logged in, or the token cannot be renewed.
            StoreError: the store failed.
            CustomTokenExchangeError: the token could not be renewed this time.
        """
        check_scopes(self.get_token_set(audience), scopes)

    def _get_user(self) -> UserClaims | None:
        """Return the claims of the logged-in user, or ``None``."""
        return self.user

    def _get_session(self) -> SessionData | None:
        """Return the login session, or ``None``."""
        return self.session

    aget_user = _to_async(_get_user)
    aget_session = _to_async(_get_session)
    aget_access_token = _to_async(RequestAuth0.get_access_token)
    aget_token_set = _to_async(RequestAuth0.get_token_set)
    aget_token_on_behalf_of = _to_async(RequestAuth0.get_token_on_behalf_of)
    arequire_scopes = _to_async(require_scopes)
    arequire_user = _to_async(require_user)
    alogin = _to_async(login)
    alogout = _to_async(logout)


def auth0_of(request: Any, name: str | None = None) -> DjangoRequestAuth0:
    """Return one of the project's clients, bound to *request*.

    Args:
        request: a request that has passed ``Auth0Middleware``, also one that Django REST
            Framework has wrapped.
        name: the client's name in ``AUTH0_TX``; ``None`` for the default client, which is
            ``request.auth0``.

    Raises:
        ConfigurationError: the request has not passed the middleware, ``AUTH0_TX`` breaks a
            rule, or it has no such client.
    """
    request = getattr(request, "_request", request)
    default: DjangoRequestAuth0 | None = getattr(request, "auth0", None)
    if default is None:
        raise ConfigurationError(
            "the request has not passed Auth0Middleware: add it to MIDDLEWARE",
            parameter="MIDDLEWARE",
        )
    if name is None or name == DEFAULT:
        return default
    others: dict[str, DjangoRequestAuth0] = vars(request).setdefault(_OTHERS, {})
    if name not in others:
        others[name] = DjangoRequestAuth0(request, name)
    return others[name]


def login(request: Any, options: LoginWithCustomTokenExchangeOptions) -> Any:
    """Exchange a token, and log its user in to Django; return Django's user.

    The login session is kept as ``AUTH0_TX`` says, and Django's session gets another key.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        options: the options of the exchange.

    Raises:
        LoginRequiredError: no backend returns a user for the claims, or the user is not
            active; nobody is logged in.
        CustomTokenExchangeError: the exchange failed.
    """
    bound: DjangoRequestAuth0 = request.auth0
    result = bound.login(options)
    user = auth.authenticate(request, auth0_claims=result.state_data["user"])
    if user is None:
        bound.logout()
        raise LoginRequiredError("no backend has an active user for these claims")
    auth.login(request, user)
    return user


def logout(request: Any, *, return_to: str | None = None) -> str:
    """Log out of Django and end the login session; return the URL that ends Auth0's own.

    If the store or the domain resolver fails, the user is logged out of Django all the same.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        return_to: where Auth0 sends the browser afterwards; an Allowed Logout URL there.

    Raises:
        InvalidInputError: *return_to* is not a URL; nobody is logged out.
        StoreError: the session could not be deleted from its store.
    """
    bound: DjangoRequestAuth0 = request.auth0
    with _end_afterwards(lambda: auth.logout(request)):
        return bound.logout(return_to=return_to)


@contextmanager
def _end_afterwards(end: Callable[[], object]) -> Iterator[None]:
    """End something of Django's after a logout, also after one that failed halfway."""
    is_refused = False
    try:
        yield
    except InvalidInputError as error:
        # Of a logout's own arguments: nothing has ended, and nothing must.
        is_refused = error.parameter in ("return_to", "store_options")
        raise
    finally:
        if not is_refused:
            end()
