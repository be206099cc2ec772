"""Session cookies in requests and responses of Django, Flask, Starlette and aiohttp.web.

No framework is imported.  A request's ``Cookie`` field is read as the server received it, and
not through the framework's own parser: each of them reads something else into a field that no
browser checked (see ``parse_cookies``).  All responses have a ``set_cookie`` that takes the
same keywords.  How a session's cookies get to the browser:

1. A flow calls :meth:`HttpCookies.read`, and :meth:`HttpCookies.write` if the session changes.
   Both note what they did in the request's :class:`ResponseState`.
2. The state is kept where all objects for one request share it: the ASGI scope, the WSGI
   environ or Django's ``META``.  So a later read sees what an earlier write set, even through
   another request object, and a middleware sees what a view did.
3. A middleware (each integration has one) applies the state when the response begins.  This
   serves redirects, streams and error pages, too.  Without a middleware, the changes go
   directly to the ``response`` in *store_options*.

Such a response belongs to one visitor, so its headers say so to caches in both cases.  A cache
that does not know keeps one user's page, or session, for all others (CVE-2025-48947).
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Any

import attrs

from ..core.session.cookies import (
    SetCookie,
    parse_cookie_name,
    parse_cookies,
    vary_on_cookies,
)
from ..errors import InvalidInputError
from ..secret import SecretBytes, SecretStr, secret
from .plain_http import warn_of_plain_http

RESPONSE_STATE = "auth0_tx.response"
"""The key of a request's :class:`ResponseState` in a scope, an environ or ``META``."""

# Django 4.2's cache middleware knows ``private`` and not ``no-store``; proxies know both.
_FOR_NO_CACHE = "private, no-store"

log: logging.Logger = logging.getLogger("auth0_tx.session")

# Counts the occasions: the step is atomic, so that of several threads one logs.
_occasions = itertools.count()

_SHARED_PLACES = ("scope", "META", "environ")
"""Attributes of a request that all objects around the same request share."""


@attrs.define(eq=False, repr=False)
class ResponseState:
    """The headers that a response needs because its request used the session.

    Attributes:
        cookies: the cookies to set, by name.
        was_read: whether the session was read.
        is_bound: whether the application has a client that is bound to the request.  A stream
            is made after its header fields were sent, and may yet read the session with it.
        has_middleware: whether a middleware applies this state when the response begins.
        has_begun: whether the response has begun, so that no header can be added.
    """

    cookies: dict[str, SetCookie] = attrs.field(factory=dict)
    was_read: bool = False
    is_bound: bool = False
    has_middleware: bool = False
    has_begun: bool = False

    def can_take_cookies(self) -> bool:
        """Return whether a middleware will still set what is added to *cookies*."""
        return self.has_middleware and not self.has_begun

    def cache_headers(
        self, cache_control: str | None, vary_fields: Iterable[str]
    ) -> dict[str, str]:
        """Return the header fields that keep caches from serving the response to others.

        No cache may keep a response that sets a session.  A response that only shows one
        keeps the view's own ``Cache-Control``: a browser's cache may be meant.  Both need
        ``Vary`` (RFC 9111 section 4.1), or a cache would answer the next visitor with it.

        Args:
            cache_control: what the response already has, or ``None``.
            vary_fields: the ``Vary`` fields that it already has.
        """
        if not (self.cookies or self.was_read):
            return {}
        if self.cookies or cache_control is None:
            cache_control = _FOR_NO_CACHE
        return {"Cache-Control": cache_control, "Vary": vary_on_cookies(vary_fields)}


class HttpCookies:
    """The cookies of the request and response that an application passes in *store_options*."""

    def read(self, store_options: Mapping[str, Any] | None) -> Mapping[str, str]:
        """Return the request's cookies, with what was already written for it.

        Raises:
            InvalidInputError: there is no request, or the response cannot take cookies.  The
                latter is raised here too, so that it does not depend on the session's state
                whether a wrong response is noticed.
        """
        request, response = _get_request(store_options), _get_response(store_options)
        cookies = _read_cookies(request)
        state = get_state(request)
        state.was_read = True
        disable_django_cache(request)
        if response is not None and not state.has_middleware:
            _set_cache_headers(response.headers, state)
        elif not state.has_middleware:
            _warn_of_unmarked_response(request)
        for name, cookie in state.cookies.items():
            if cookie.max_age > 0:
                cookies[name] = secret(cookie.value)
            else:
                cookies.pop(name, None)
        return cookies

    def can_write(self, store_options: Mapping[str, Any] | None) -> bool:
        """Return whether there is a response, or a middleware that will have one.

        Raises:
            InvalidInputError: there is no request, or the response cannot take cookies.
        """
        request = _get_request(store_options)
        if _get_response(store_options) is not None:
            return True
        state = _find_state(request)
        return state is not None and state.can_take_cookies()

    def write(
        self, store_options: Mapping[str, Any] | None, cookies: Collection[SetCookie]
    ) -> None:
        """Set *cookies* on the response, or have the middleware set them.

        Raises:
            InvalidInputError: there is no response, or it cannot take cookies.
        """
        request, response = _get_request(store_options), _get_response(store_options)
        state = get_state(request)
        if response is None and not state.can_take_cookies():
            raise _invalid("must have a response to set cookies on")
        if any(cookie.secure and cookie.max_age > 0 for cookie in cookies):
            warn_of_plain_http(request)
        state.cookies.update({cookie.name: cookie for cookie in cookies})
        if not state.can_take_cookies():
            _apply_state(response, state)


def get_state(request: Any) -> ResponseState:
    """Return the state of the response to *request*; the first call creates it.

    Raises:
        InvalidInputError: *request* has no place for it, so it is not a framework's request.
    """
    state = _find_state(request)
    if state is not None:
        return state
    state = ResponseState()
    if _is_aiohttp_request(request):
        from . import aiohttp_keys

        request[aiohttp_keys.RESPONSE_STATE] = state
        return state
    for name in (*_SHARED_PLACES, "__dict__"):
        place = getattr(request, name, None)
        if isinstance(place, MutableMapping):
            place[RESPONSE_STATE] = state
            return state
    raise _invalid("must have as 'request' a request of your framework")


def _warn_of_unmarked_response(request: Any) -> None:
    """Log a warning, once in a process, if nothing tells caches whose a response is."""
    scope = getattr(request, "scope", None)
    # No cache keeps what a WebSocket sends.
    is_websocket = isinstance(scope, Mapping) and scope.get("type") == "websocket"
    if not is_websocket and next(_occasions) == 0:
        log.warning(
            "a session was read, and nothing tells caches that the response is one visitor's: "
            "a shared cache may give it to others. Add the middleware of your framework's "
            "integration, or pass the response in store_options"
        )


def expect_commit(request: Any) -> ResponseState:
    """Make cookies wait for the response to *request*; called by the middleware that commits."""
    state = get_state(request)
    state.has_middleware = True
    return state


def commit(response: Any, state: ResponseState) -> None:
    """Set cookies and cache headers on *response*, which begins right after."""
    state.has_begun = True
    _apply_state(response, state)


def _apply_state(response: Any, state: ResponseState) -> None:
    if state.cookies:
        _remove_cookies(response.headers, state.cookies)
        for cookie in state.cookies.values():
            _set_cookie(response, cookie)
    _set_cache_headers(response.headers, state)


def _set_cache_headers(headers: Any, state: ResponseState) -> None:
    given = ", ".join(_list_fields(headers, "Cache-Control")) or None
    varies = _list_fields(headers, "Vary")
    for name, value in state.cache_headers(given, varies).items():
        headers[name] = value


def _invalid(rule: str) -> InvalidInputError:
    return InvalidInputError(f"store_options {rule}", parameter="store_options")


def _get_request(store_options: Mapping[str, Any] | None) -> Any:
    request = None
    if isinstance(store_options, Mapping):
        request = store_options.get("request")
    if request is None:
        raise _invalid("must be a mapping that has the request")
    if hasattr(request, "set_cookie"):
        raise _invalid("must have the request as 'request', and not a response")
    return request


def _get_response(store_options: Mapping[str, Any] | None) -> Any:
    """Return the response, or ``None`` if there is none.

    Raises:
        InvalidInputError: it is not a response, or has begun: its cookies would be lost.
    """
    response = (store_options or {}).get("response")
    if response is None:
        return None
    if (
        isinstance(response, type)
        or not callable(getattr(response, "set_cookie", None))
        or not hasattr(getattr(response, "headers", None), "__setitem__")
    ):
        raise _invalid(
            "must have as 'response' a response of your framework, "
            "with set_cookie and headers"
        )
    state = _find_state((store_options or {}).get("request"))
    # aiohttp.web has ``prepared``, and sets a cookie on a response that was sent without
    # raising: the browser would never get it.
    if getattr(response, "prepared", False) is True or (state and state.has_begun):
        raise _invalid("must have a response that has not begun to be sent")
    return response


def _read_cookies(request: Any) -> dict[str, str]:
    field = _read_cookie_field(request)
    if field is not None:
        return parse_cookies(field)
    # A request that a test made by hand, or one without cookies.  Django's attribute is in
    # capitals.
    cookies = getattr(request, "COOKIES", None)
    if cookies is None:
        cookies = getattr(request, "cookies", None)
    if not isinstance(cookies, Mapping):
        raise _invalid("must have as 'request' a request of your framework")
    sent: Mapping[str, str] = cookies
    # Looked up one by one: a multi-valued mapping returns the first value of a name.
    return {name: secret(sent[name]) for name in sent}


def _read_cookie_field(request: Any) -> str | None:
    """Return the ``Cookie`` field as the server received it, or ``None`` if there is none.

    Over HTTP/2 a browser may send several, which are one in pieces (RFC 9113 section 8.2.3).
    """
    scope = getattr(request, "scope", None)
    if isinstance(scope, Mapping):
        # ASGI: names in lower case, and bytes.
        pieces = [
            SecretBytes(value)
            for name, value in scope.get("headers", ())
            if name == b"cookie"
        ]
        return SecretStr(b"; ".join(pieces).decode("latin-1")) if pieces else None
    # WSGI, and Django over it: a server that gets several fields joins them with commas, and
    # then none but the first is read.  Browsers send one.
    for place in ("META", "environ"):
        environ = getattr(request, place, None)
        if isinstance(environ, Mapping):
            field = secret(environ.get("HTTP_COOKIE"))
            return field if isinstance(field, str) else None
    if _is_aiohttp_request(request):
        return SecretStr("; ".join(request.headers.getall("Cookie", ()))) or None
    return None


def _set_cookie(response: Any, cookie: SetCookie) -> None:
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=cookie.max_age,
        path=cookie.path,
        domain=cookie.domain,
        secure=cookie.secure,
        httponly=True,
        samesite=cookie.same_site.capitalize(),
    )


def _remove_cookies(headers: Any, names: Collection[str]) -> None:
    """Remove the ``Set-Cookie`` fields of *names*, so that each cookie is set once.

    Django and aiohttp keep cookies in a jar, where a name is set once anyway.  Werkzeug and
    Starlette append a field for each ``set_cookie``.
    """
    if not hasattr(headers, "getlist"):
        return
    fields = _list_fields(headers, "Set-Cookie")
    others = [field for field in fields if parse_cookie_name(field) not in names]
    if len(others) == len(fields):
        return
    del headers["Set-Cookie"]
    add = headers.add if hasattr(headers, "add") else headers.append
    for field in others:
        add("Set-Cookie", field)


def _list_fields(headers: Any, name: str) -> list[str]:
    """Return every field of a name; Django's headers have at most one."""
    if name not in headers:
        return []
    for method in ("getlist", "getall"):
        if hasattr(headers, method):
            return list(getattr(headers, method)(name))
    return [headers[name]]


def _find_state(request: Any) -> ResponseState | None:
    if _is_aiohttp_request(request):
        from . import aiohttp_keys

        found = request.get(aiohttp_keys.RESPONSE_STATE)
        return found if isinstance(found, ResponseState) else None
    for name in (*_SHARED_PLACES, "__dict__"):
        place = getattr(request, name, None)
        if isinstance(place, Mapping):
            found = place.get(RESPONSE_STATE)
            if isinstance(found, ResponseState):
                return found
    return None


def disable_django_cache(request: Any) -> None:
    """Keep Django's cache middleware and ``cache_page`` from storing the response.

    ``cache_page`` wraps the view inside all middlewares: it stores the response before any
    middleware adds a header, and would serve it to the next visitor.  It stores nothing for
    a request with this attribute, which Django's cache middleware uses itself.
    """
    # Django REST Framework wraps the request.
    request = getattr(request, "_request", request)
    if hasattr(request, "META") and hasattr(request, "COOKIES"):
        request._cache_update_cache = False


def _is_aiohttp_request(request: Any) -> bool:
    web = sys.modules.get("aiohttp.web")
    return web is not None and isinstance(request, web.BaseRequest)
