"""Views for logged-in users, and for pages of this site: who else asks is refused.

A browser that opens a page is redirected to ``AUTH0_TX_LOGIN_URL`` or ``AUTH0_TX_LOGIN_VIEW``;
everything else gets a status and JSON.  If the application has an error handler for the error,
it decides instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar, overload

from flask import Response, current_app, make_response, redirect, request, url_for

from ...errors import Auth0Error, ConfigurationError
from ..cross_origin import refuse_other_origin
from ..error_answers import NO_STORE, ErrorAnswer, answer_for
from ..login_redirects import (
    NEXT,
    choose_login_redirect,
    format_page,
    is_login_page,
    read_next,
)
from ..request_base import check_login, check_scopes
from .current import auth0_of, get_serving_state

P = ParamSpec("P")
V = TypeVar("V", bound=Callable[..., Any])

_IS_FOR_ALL = "_auth0_tx_login_not_required"


@overload
def login_required(view: Callable[P, Any], /) -> Callable[P, Any]: ...


@overload
def login_required(
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> Callable[[Callable[P, Any]], Callable[P, Any]]: ...


def login_required(
    view: Callable[P, Any] | None = None,
    /,
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> Any:
    """Let only logged-in users reach a view.

    A decorator, with or without arguments, for views that are ``def`` or ``async def``.  It
    stands below the route's decorator.  A browser that opens a page is redirected to the login
    page, if the application names one; everything else is answered 401, or 403 if the user's
    access token lacks a scope.

    Args:
        view: the view.
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection.  A token that is due is renewed first.
        audience: the API of that token; ``None`` for the login's.
        client: the name of the client whose session counts; ``None`` for the default client.
    """

    def find_refusal() -> Response | None:
        return _check(scopes, audience, client)

    def decorate(view: Callable[P, Any]) -> Callable[P, Any]:
        return _guard(view, find_refusal)

    return decorate if view is None else decorate(view)


@overload
def same_origin_required(view: Callable[P, Any], /) -> Callable[P, Any]: ...


@overload
def same_origin_required(
    *, trusted_origins: Collection[str] = ()
) -> Callable[[Callable[P, Any]], Callable[P, Any]]: ...


def same_origin_required(
    view: Callable[P, Any] | None = None,
    /,
    *,
    trusted_origins: Collection[str] = (),
) -> Any:
    """Refuse requests that a browser sends for a page of another origin (403).

    A decorator, with or without arguments, for views that log in or out: ``SameSite=Lax``
    cookies protect neither.  Programs that aren't browsers pass.

    Args:
        view: the view, for POST and other methods that change something.
        trusted_origins: other origins whose pages may ask, such as
            ``https://login.example.com``.
    """

    def find_refusal() -> Response | None:
        answer = refuse_other_origin(
            host=request.host,
            origin=request.headers.get("Origin"),
            fetch_site=request.headers.get("Sec-Fetch-Site"),
            trusted_origins=trusted_origins,
        )
        return None if answer is None else respond(answer)

    def decorate(view: Callable[P, Any]) -> Callable[P, Any]:
        return _guard(view, find_refusal)

    return decorate if view is None else decorate(view)


def login_not_required(view: V) -> V:
    """Let everybody reach a view although :func:`require_login` runs before it."""
    setattr(view, _IS_FOR_ALL, True)
    return view


def require_login(
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> Response | None:
    """Return the answer to whoever is not logged in, or ``None``.

    For a whole blueprint or application: ``orders.before_request(require_login)``.  The login
    page, views under :func:`login_not_required`, and a browser's question whether another site
    may ask (an automatic answer to ``OPTIONS``), need no login.

    Args:
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection; pass it with ``functools.partial``.
        audience: the API of that token; ``None`` for the login's.
        client: the name of the client whose session counts; ``None`` for the default client.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, _IS_FOR_ALL, False) or _is_login_page():
        return None
    # A browser sends no cookies with it, and no view answers it.
    is_automatic = getattr(request.url_rule, "provide_automatic_options", False)
    if request.method == "OPTIONS" and is_automatic:
        return None
    return _check(scopes, audience, client)


def get_next_url(default: str = "/") -> str:
    """Return the page of this site to return to after the login.

    It is read from ``next`` in the query or the form; what leads to another site is not used.

    Args:
        default: the page if there is none.
    """
    return read_next(request.args.get(NEXT, request.form.get(NEXT)), default)


def answer_error(error: Auth0Error) -> Response:
    """Return the answer to a request that failed with *error*, and log the details."""
    answer = answer_for(error)
    target = choose_login_redirect(
        answer,
        _find_login_url,
        _get_page(),
        method=request.method,
        accept=request.headers.get("Accept"),
        fetch_mode=request.headers.get("Sec-Fetch-Mode"),
    )
    if target is None:
        return respond(answer)
    response = redirect(target)
    response.headers.update(NO_STORE)
    # Flask's applications may have a class of responses of their own.
    return make_response(response)


def answer_or_raise(error: Auth0Error) -> Response:
    """Return the answer to a request that failed with *error*.

    Raises:
        Auth0Error: *error*, if the application has a handler for it.
    """
    if _has_handler(error):
        raise error
    return answer_error(error)


def respond(answer: ErrorAnswer) -> Response:
    """Return the response with an answer's status, code and header fields."""
    return make_response((answer.body, answer.status, answer.headers))


def _guard(
    view: Callable[P, Any], find_refusal: Callable[[], Response | None]
) -> Callable[P, Any]:
    """Return a view that answers as *find_refusal* does, unless that returns ``None``."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def answer_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            # Under WsgiToAsgi the view's loop is the server's.
            refusal = await asyncio.to_thread(find_refusal)
            return await view(*args, **kwargs) if refusal is None else refusal

        return answer_async

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Any:
        refusal = find_refusal()
        return view(*args, **kwargs) if refusal is None else refusal

    return answer


def _check(
    scopes: str | Collection[str], audience: str | None, client: str | None
) -> Response | None:
    """Return the answer to a request that may not go on, or ``None``.

    Raises:
        Auth0Error: the application has a handler for it.
        ConfigurationError: a setting is wrong.
    """
    try:
        auth0 = auth0_of(client)
        check_login(auth0.user)
        if scopes:
            check_scopes(auth0.get_token_set(audience), scopes)
    except ConfigurationError:
        # Of this service: its developer must see where.
        raise
    except Auth0Error as error:
        return answer_or_raise(error)
    return None


def _has_handler(error: Auth0Error) -> bool:
    """Return whether the application handles errors of this kind, and not only any error."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, Auth0Error)]
    spec = current_app.error_handler_spec
    return any(
        kind in spec.get(name, {}).get(None, {})
        for name in (*request.blueprints, None)
        for kind in kinds
    )


def _find_login_url() -> str | None:
    if _is_login_page():
        # It may have several URLs.
        return None
    page = get_serving_state().login_page
    return url_for(page.view) if page.view else page.url


def _is_login_page() -> bool:
    page = get_serving_state().login_page
    if page.view is not None:
        return request.endpoint == page.view
    return page.url is not None and is_login_page(page.url, _get_page())


def _get_page() -> str:
    return format_page(f"{request.root_path}{request.path}", request.query_string)
