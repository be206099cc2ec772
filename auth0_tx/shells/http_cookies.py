"""The cookies of requests and responses as Django, Flask, Starlette and aiohttp have them.

Nothing of a framework is imported.  All of them have the cookies of a request as a mapping,
and a ``set_cookie`` that takes the same words.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from typing import Any

import attrs

from ..core.session.cookies import SetCookie, named_by, vary_on_cookies
from ..errors import InvalidInputError
from ..secret import secret

RESPONSE_STATE = "auth0_tx.response"
"""Where a scope or an environ has the :class:`ResponseState` of its request."""

# A cache that keeps such a response gives one user's session to all (CVE-2025-48947).
# That of Django 4.2 knows ``private`` and not ``no-store``.
CACHE_CONTROL = "private, no-store"

_PLACES = ("scope", "META", "environ")
"""Where a framework's request has what all that wrap it have in common."""


@attrs.define(eq=False)
class ResponseState:
    """What the response to one request must say, because the request used its session.

    Kept with the request, so that each object that wraps it finds the same.

    Attributes:
        cookies: what was written for the request, by name; its own later reads see it.
        was_read: whether the session was read, so that the answer is one visitor's alone.
        has_middleware: whether a middleware applies this as the response begins.
        has_begun: whether the response is under way, so that nothing can be added.
    """

    cookies: dict[str, SetCookie] = attrs.field(factory=dict)
    was_read: bool = False
    has_middleware: bool = False
    has_begun: bool = False

    def can_take_cookies(self) -> bool:
        """Return whether a middleware will still set what is put into *cookies*."""
        return self.has_middleware and not self.has_begun

    def headers_over(
        self, cache_control: str | None, varies: Iterable[str]
    ) -> dict[str, str]:
        """Return the header fields that keep shared caches away from the response.

        A session that is set is for no cache at all.  One that was only read leaves the
        view its own ``Cache-Control``: it may know that its page may be kept.  ``Vary`` is
        needed in both cases (RFC 9111 section 4.1), or the next visitor is served this
        visitor's page.

        Args:
            cache_control: what the response says by itself, or ``None``.
            varies: its ``Vary`` fields.
        """
        if not (self.cookies or self.was_read):
            return {}
        if self.cookies or cache_control is None:
            cache_control = CACHE_CONTROL
        return {"Cache-Control": cache_control, "Vary": vary_on_cookies(varies)}


class HttpCookies:
    """The cookies of whatever an application hands in as *store_options*."""

    def read(self, store_options: Mapping[str, Any] | None) -> Mapping[str, str]:
        """Give the cookies of the request, as they are after what was written for it.

        Raises:
            InvalidInputError: there is no request, or the response is not fit to be set
                cookies on: told here too, so that it does not depend on the session.
        """
        request, response = _request(store_options), _response(store_options)
        sent = _cookies_of(request)
        # Each by its name: some have several values of one, and give the first of them.
        cookies = {name: secret(sent[name]) for name in sent}
        state = state_of(request)
        state.was_read = True
        _keep_from_django_cache(request)
        if response is not None and not state.has_middleware:
            _put_headers(response.headers, state)
        for name, cookie in state.cookies.items():
            if cookie.max_age > 0:
                cookies[name] = secret(cookie.value)
            else:
                cookies.pop(name, None)
        return cookies

    def can_write(self, store_options: Mapping[str, Any] | None) -> bool:
        """Tell whether there is a response, or a middleware that will have one.

        Raises:
            InvalidInputError: there is no request, or the response is not fit.
        """
        request = _request(store_options)
        if _response(store_options) is not None:
            return True
        state = _find_state(request)
        return state is not None and state.can_take_cookies()

    def write(
        self, store_options: Mapping[str, Any] | None, cookies: Collection[SetCookie]
    ) -> None:
        """Set *cookies* on the response, which no cache may keep from then on.

        Raises:
            InvalidInputError: there is no response, or it is not fit.
        """
        request, response = _request(store_options), _response(store_options)
        by_name = {each.name: each for each in cookies}
        state = state_of(request)
        if response is None and not state.can_take_cookies():
            raise _problem("must have a response to set cookies on")
        state.cookies.update(by_name)
        if not state.can_take_cookies():
            apply_to(response, state)


def state_of(request: Any) -> ResponseState:
    """Return what is known of the response to *request*; the first to ask makes it.

    Raises:
        InvalidInputError: there is no place for it: that is no request of a framework.
    """
    state = _find_state(request)
    if state is not None:
        return state
    state = ResponseState()
    if _is_of_aiohttp(request):
        from . import aiohttp_requests

        request[aiohttp_requests.RESPONSE_STATE] = state
        return state
    for name in (*_PLACES, "__dict__"):
        place = getattr(request, name, None)
        if isinstance(place, MutableMapping):
            place[RESPONSE_STATE] = state
            return state
    raise _problem("must have as 'request' a request of your framework's")


def expect_commit(request: Any) -> ResponseState:
    """Have what is written for *request* wait for its response; for a middleware."""
    state = state_of(request)
    state.has_middleware = True
    return state


def commit_to(response: Any, state: ResponseState) -> None:
    """Say on *response*, which is about to begin, what its request requires."""
    state.has_begun = True
    apply_to(response, state)


def apply_to(response: Any, state: ResponseState) -> None:
    """Set cookies on a framework's response, in place of earlier ones of their names."""
    if state.cookies:
        _take_back(response.headers, state.cookies)
        for cookie in state.cookies.values():
            _set(response, cookie)
    _put_headers(response.headers, state)


def _put_headers(headers: Any, state: ResponseState) -> None:
    given = ", ".join(_fields(headers, "Cache-Control")) or None
    for name, value in state.headers_over(given, _fields(headers, "Vary")).items():
        headers[name] = value


def _problem(rule: str) -> InvalidInputError:
    return InvalidInputError(f"store_options {rule}", parameter="store_options")


def _request(store_options: Mapping[str, Any] | None) -> Any:
    request = None
    if isinstance(store_options, Mapping):
        request = store_options.get("request")
    if request is None:
        raise _problem("must be a mapping that has the request")
    if hasattr(request, "set_cookie"):
        raise _problem("must have the request as 'request', and not a response")
    return request


def _response(store_options: Mapping[str, Any] | None) -> Any:
    """Give the response, where there is one.

    Raises:
        InvalidInputError: it is of another kind, or has begun: its cookies would be lost.
    """
    response = (store_options or {}).get("response")
    if response is None:
        return None
    if (
        isinstance(response, type)
        or not callable(getattr(response, "set_cookie", None))
        or not hasattr(getattr(response, "headers", None), "__setitem__")
    ):
        raise _problem(
            "must have as 'response' a response of your framework's, "
            "with set_cookie and headers"
        )
    state = _find_state((store_options or {}).get("request"))
    # aiohttp.web has ``prepared``, and would set a cookie on what is sent without a word.
    if getattr(response, "prepared", False) is True or (state and state.has_begun):
        raise _problem("must have a response that has not begun to be sent")
    return response


def _cookies_of(request: Any) -> Mapping[str, str]:
    # Django's is in capitals.
    cookies = getattr(request, "COOKIES", None)
    if cookies is None:
        cookies = getattr(request, "cookies", None)
    if not isinstance(cookies, Mapping):
        raise _problem("must have as 'request' a request of your framework's")
    return cookies


def _set(response: Any, cookie: SetCookie) -> None:
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


def _take_back(headers: Any, names: Collection[str]) -> None:
    """Remove cookies that were set before under *names*.

    Django and aiohttp have a jar of them; Werkzeug and Starlette add a field for each.
    """
    if not hasattr(headers, "getlist"):
        return
    fields = _fields(headers, "Set-Cookie")
    kept = [each for each in fields if named_by(each) not in names]
    if len(kept) == len(fields):
        return
    del headers["Set-Cookie"]
    add = headers.add if hasattr(headers, "add") else headers.append
    for each in kept:
        add("Set-Cookie", each)


def _fields(headers: Any, name: str) -> list[str]:
    """Give every field of a name; Django's headers have one at the most."""
    if name not in headers:
        return []
    for method in ("getlist", "getall"):
        if hasattr(headers, method):
            return list(getattr(headers, method)(name))
    return [headers[name]]


def _find_state(request: Any) -> ResponseState | None:
    found = None
    if _is_of_aiohttp(request):
        from . import aiohttp_requests

        found = request.get(aiohttp_requests.RESPONSE_STATE)
    else:
        # Starlette's scope, Django's META, Werkzeug's environ.
        for name in (*_PLACES, "__dict__"):
            place = getattr(request, name, None)
            if found is None and isinstance(place, Mapping):
                found = place.get(RESPONSE_STATE)
    return found if isinstance(found, ResponseState) else None


def _keep_from_django_cache(request: Any) -> None:
    """Have Django's cache middleware and ``cache_page`` not keep what a view answers.

    ``cache_page`` is around the view, within all middlewares: it stores the response before
    any of them adds a header, and would serve it to the next visitor.  It stores nothing
    for a request that has this attribute.
    """
    # Django REST Framework wraps the request.
    request = getattr(request, "_request", request)
    if hasattr(request, "META") and hasattr(request, "COOKIES"):
        request._cache_update_cache = False


def _is_of_aiohttp(request: Any) -> bool:
    web = sys.modules.get("aiohttp.web")
    return web is not None and isinstance(request, web.BaseRequest)
