"""``request.auth0``: the project's client, bound to a request, for views of both kinds.

An async view awaits the methods that begin with *a*, as in Django's own API.  They run the
blocking method in Django's thread-sensitive executor, like ORM calls: one client and one store
serve both kinds of views, and a session in the database is read on the request's own
connection.  In any other thread nobody would close that connection at the end of the request.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.asyncio import async_unsafe
from django.views.decorators.debug import sensitive_variables

from ...core.session.legacy import LEGACY_COOKIE
from ...errors import (
    ConfigurationError,
    InvalidInputError,
    LoginRefusedError,
)
from ...frameworks.cookies import HttpCookies
from ...session_values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    SessionData,
    UserClaims,
)
from ..request_base import check_login, check_scopes
from ..request_client import RequestAuth0
from ..settings import DEFAULT
from .clients import get_client, list_client_names
from .login_check import LOGIN_KEY, get_login_check, hash_user
from .project import has_backend

P = ParamSpec("P")
T = TypeVar("T")

# An attribute of the request: the clients that are bound to it, but for the default one.
_OTHERS = "_auth0_tx_clients"

# A key of Django's session: a hash of the user who logged in last, whose data it may have.
_OWNER = "_auth0_tx_owner"

# As Django's own database says it in an async view; said here before a token is spent.
_IN_ASYNC_VIEW = "this blocks, and an async view has an event loop: use await {}"

log: logging.Logger = logging.getLogger("auth0_tx.session")


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

    @async_unsafe(_IN_ASYNC_VIEW.format("request.auth0.alogin()"))
    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token, log its user in, and change the key of Django's session.

        Whoever planted the key that the browser had before cannot use it any more.  If
        another user was the last to log in, Django's session is flushed, and a login to Django
        with it.
        """
        result = super().login(options)
        self._renew_django_session(hash_user(result.state_data["user"]))
        return result

    def _renew_django_session(self, user: str | None) -> None:
        """Change the key of Django's session, and flush what it has of another than *user*."""
        session = getattr(self._request, "session", None)
        if session is None:
            return
        # Django's session is the default client's: its users log in with that one.
        if self._name == DEFAULT:
            check = get_login_check(self._request)
            is_ended = check.end_login_of_others(user)
            if not is_ended and session.get(_OWNER, user) != user:
                # Of a user without a login to Django, whose session may have ended since.
                check.end_django_login()
                is_ended = True
            if is_ended:
                end_other_sessions(self._request)
            session[_OWNER] = user
        session.cycle_key()

    @async_unsafe(_IN_ASYNC_VIEW.format("request.auth0.alogout()"))
    def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out, of Django too; return the URL that ends Auth0's session.

        If the store or the domain resolver fails, Django's session is flushed all the same.
        """
        return self._log_out(self._request, return_to, revoke)

    def _log_out(self, request: Any, return_to: str | None, revoke: bool = True) -> str:
        """Log out of both; *request* is the view's, which may be a wrapper."""
        if self._name != DEFAULT:
            # Django's session is the default client's: its users log in with that one.
            return super().logout(return_to=return_to, revoke=revoke)
        check = get_login_check(self._request)
        with check.suspend(), _end_afterwards(lambda: _log_out_of_django(request)):
            check.forget_session()
            return super().logout(return_to=return_to, revoke=revoke)

    def has_session_cookie(self) -> bool:
        """Return whether the browser has a cookie that may hold or name a session."""
        cookies = HttpCookies().read(self.store_options)
        name = self.client.session_cookie
        # Beside the session's own, there may be those of Auth0's own SDK.
        return name is not None and any(
            cookie.startswith((name, LEGACY_COOKIE)) for cookie in cookies
        )

    def end_session_quietly(self) -> None:
        """End the login session, whatever fails; Django's session stays as it is.

        The session's cookies are deleted first.  An error is logged, because the caller is
        about to end a login of Django and must get there.
        """
        try:
            if self._name == DEFAULT:
                get_login_check(self._request).forget_session()
            super().logout()
        except Exception as error:
            log.error("a login session could not be ended: %s", error, exc_info=error)

    def require_user(self) -> UserClaims:
        """Return the claims of the logged-in user.

        Raises:
            LoginRequiredError: nobody is logged in.
            StoreError: the store cannot be read.
        """
        return check_login(self.user)

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


# A template calls whatever it names: "{{ request.auth0.logout }}" must not log out, nor
# "{{ request.auth0.get_access_token }}" show a token.
for _method in (
    DjangoRequestAuth0.login,
    DjangoRequestAuth0.logout,
    RequestAuth0.get_access_token,
    RequestAuth0.get_token_set,
    RequestAuth0.get_token_on_behalf_of,
):
    vars(_method)["alters_data"] = True


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


def end_other_sessions(request: Any) -> None:
    """End the sessions of all clients but the default one: another user has the browser now."""
    for name in list_client_names():
        if name != DEFAULT and auth0_of(request, name).has_session_cookie():
            auth0_of(request, name).end_session_quietly()


@async_unsafe(_IN_ASYNC_VIEW.format("alogin()"))
@sensitive_variables()
def login(request: Any, options: LoginWithCustomTokenExchangeOptions) -> Any:
    """Exchange a token, and log its user in to Django; return Django's user.

    The login session is kept as ``AUTH0_TX`` says, and Django's session gets another key.
    Django's login lasts as long as the login session: when that ends, the user is anonymous.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        options: the options of the exchange.

    Raises:
        ConfigurationError: a middleware or a backend is missing; nothing was sent.
        LoginRefusedError: no backend returns a user for the claims, or the user is not
            active; nobody is logged in.
        CustomTokenExchangeError: the root of these and of every failure of the exchange.
        SynchronousOnlyOperation: the view is async; nothing was sent.
    """
    _check_can_log_in(request)
    bound: DjangoRequestAuth0 = request.auth0
    with get_login_check(request).suspend():
        result = RequestAuth0.login(bound, options)
        try:
            claims = result.state_data["user"]
            bound._renew_django_session(hash_user(claims))
            return _log_in_to_django(request, claims)
        except BaseException:
            # Nobody must be logged in by half: neither here nor in Django.
            bound.end_session_quietly()
            if LOGIN_KEY in request.session:
                get_login_check(request).end_django_login()
            raise


async def alogin(request: Any, options: LoginWithCustomTokenExchangeOptions) -> Any:
    """Do what :func:`login` does, in an async view."""
    return await sync_to_async(login, thread_sensitive=True)(request, options)


def logout(request: Any, *, return_to: str | None = None) -> str:
    """Log out of Django and end the login session; return the URL that ends Auth0's own.

    If the store or the domain resolver fails, the user is logged out of Django all the same.

    Args:
        request: a request that has passed ``Auth0Middleware``.
        return_to: where Auth0 sends the browser afterwards; an Allowed Logout URL there.

    Raises:
        InvalidInputError: *return_to* is not a URL; nobody is logged out.
        StoreError: the session could not be deleted from its store.
        SynchronousOnlyOperation: the view is async.
    """
    return _log_out(request, return_to)


async def alogout(request: Any, *, return_to: str | None = None) -> str:
    """Do what :func:`logout` does, in an async view."""
    url: str = await sync_to_async(_log_out, thread_sensitive=True)(request, return_to)
    return url


@async_unsafe(_IN_ASYNC_VIEW.format("alogout()"))
def _log_out(request: Any, return_to: str | None) -> str:
    bound: DjangoRequestAuth0 = request.auth0
    return bound._log_out(request, return_to)


def _check_can_log_in(request: Any) -> None:
    """Refuse a login that cannot succeed, before it spends a token.

    Raises:
        ConfigurationError: the project lacks something that the login needs.
    """
    if getattr(request, "auth0", None) is None:
        raise ConfigurationError(
            "login() needs auth0_tx.integrations.django.middleware.Auth0Middleware",
            parameter="MIDDLEWARE",
        )
    if getattr(request, "session", None) is None:
        raise ConfigurationError(
            "login() needs django.contrib.sessions.middleware.SessionMiddleware",
            parameter="MIDDLEWARE",
        )
    if not has_backend():
        raise ConfigurationError(
            "login() needs a backend that takes auth0_claims, such as "
            "auth0_tx.integrations.django.backends.Auth0Backend",
            parameter="AUTHENTICATION_BACKENDS",
        )


@sensitive_variables()
def _log_in_to_django(request: Any, claims: Mapping[str, Any]) -> Any:
    """Log the user of verified claims in to Django, and mark Django's session."""
    user = _find_django_user(request, claims)
    if user is None:
        raise LoginRefusedError(
            "no authentication backend lets this user in",
            tokens_issued=True,
            hint="the user is not active, or the backend does not create users",
        )
    check, whose = get_login_check(request), hash_user(claims) or ""
    known = request.session.get(auth.SESSION_KEY)
    if known is not None and known != user._meta.pk.value_to_string(user):
        check.end_django_login()
        end_other_sessions(request)
    # Before Django sends its signal, whose receivers may ask for the user, and again: Django
    # empties its session if the user's password has changed.
    check.mark(whose)
    try:
        auth.login(request, user)
    except BaseException:
        # A receiver of the signal failed, which Django sends when the user is logged in.
        check.end_django_login()
        raise
    if request.session.get(auth.SESSION_KEY) != user._meta.pk.value_to_string(user):
        raise LoginRefusedError(
            "a receiver of user_logged_in logged the user out again", tokens_issued=True
        )
    check.mark(whose)
    return user


@sensitive_variables()
def _find_django_user(request: Any, claims: Mapping[str, Any]) -> Any:
    """Return the user whom a backend knows by verified claims, or ``None``.

    As ``django.contrib.auth.authenticate`` does it; but that hands the claims, the user's name
    and address among them, to the receivers of ``user_login_failed``.
    """
    for path in settings.AUTHENTICATION_BACKENDS:
        backend = auth.load_backend(path)
        try:
            inspect.signature(backend.authenticate).bind(request, auth0_claims=claims)
        except TypeError:
            continue
        try:
            user = backend.authenticate(request, auth0_claims=claims)
        except PermissionDenied:
            break
        if user is not None:
            user.backend = path
            return user
    user_login_failed.send(
        sender=auth.__name__, credentials={"auth0_claims": "*" * 20}, request=request
    )
    return None


def _log_out_of_django(request: Any) -> None:
    session = getattr(request, "session", None)
    if session is None:
        return
    if apps.is_installed("django.contrib.auth"):
        auth.logout(request)
    else:
        session.flush()


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
