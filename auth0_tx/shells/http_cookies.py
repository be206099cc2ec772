"""The cookies of requests and responses as Django, Flask, Starlette and aiohttp have them.

Nothing of a framework is imported.  All of them have the cookies of a request as a mapping,
and a ``set_cookie`` that takes the same words.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

import attrs

from ..core.session.cookies import SetCookie, named_by, vary_on_cookies
from ..errors import InvalidInputError
from ..secret import secret

WRITTEN = "auth0_tx.cookies"
"""What a request is known to have been answered with: its own later reads must see it."""

COMMITTED = "auth0_tx.commit"
"""Where an ASGI scope has the :class:`Commit` of a middleware."""

# A cache that keeps such a response gives one user's session to all (CVE-2025-48947).
# That of Django 4.2 knows ``private`` and not ``no-store``.
CACHE_CONTROL = "private, no-store"

_PLACES = ("scope", "META", "environ")
"""Where a framework's request has what all that wrap it have in common."""


@attrs.define(eq=False)
class Commit:
    """Cookies that a middleware sets as the response begins.

    Attributes:
        cookies: what was written for the request, by name.
        has_begun: whether the response is under way, so that nothing can be added.
    """

    cookies: dict[str, SetCookie] = attrs.field(factory=dict)
    has_begun: bool = False


class HttpCookies:
    """The cookies of whatever an application hands in as *store_options*."""

    def read(self, store_options: Mapping[str, Any] | None) -> Mapping[str, str]:
        """Give the cookies of the request, as they are after what was written for it.

        Raises:
            InvalidInputError: there is no request, or the response is not fit to be set
                cookies on: told here too, so that it does not depend on the session.
        """
        request = _request(store_options)
        _response(store_options)
        sent = _cookies_of(request)
        # Each by its name: some have several values of one, and give the first of them.
        cookies = {name: secret(sent[name]) for name in sent}
        for name, cookie in _written(request).items():
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
        commit = _commit(request)
        return commit is not None and not commit.has_begun

    def write(
        self, store_options: Mapping[str, Any] | None, cookies: Collection[SetCookie]
    ) -> None:
        """Set *cookies* on the response, which no cache may keep from then on.

        Raises:
            InvalidInputError: there is no response, or it is not fit.
        """
        request, response = _request(store_options), _response(store_options)
        by_name = {each.name: each for each in cookies}
        commit = _commit(request)
        if commit is not None and not commit.has_begun:
            commit.cookies.update(by_name)
            return
        if response is None:
            raise _problem("must have a response to set cookies on")
        put_on(response, by_name)
        _written(request).update(by_name)


def put_on(response: Any, cookies: Mapping[str, SetCookie]) -> None:
    """Set *cookies* on a framework's response, in place of earlier ones of their names."""
    headers = response.headers
    _take_back(headers, cookies)
    for each in cookies.values():
        _set(response, each)
    headers["Cache-Control"] = CACHE_CONTROL
    headers["Vary"] = vary_on_cookies(_fields(headers, "Vary"))


def begin_commit(place: MutableMapping[str, Any]) -> Commit:
    """Have what is written for a request wait for its response.

    Args:
        place: what all that wrap the request have in common: a scope or an environ.
    """
    commit: Commit = place.setdefault(COMMITTED, Commit())
    return commit


def commit_to(response: Any, commit: Commit) -> None:
    """Set on *response* what has been written for its request."""
    commit.has_begun = True
    if commit.cookies:
        put_on(response, commit.cookies)


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
    commit = _commit((store_options or {}).get("request"))
    # aiohttp.web has ``prepared``, and would set a cookie on what is sent without a word.
    if getattr(response, "prepared", False) is True or (commit and commit.has_begun):
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


def _commit(request: Any) -> Commit | None:
    found = None
    if _is_of_aiohttp(request):
        from . import aiohttp_requests

        found = request.get(aiohttp_requests.COMMIT)
    else:
        # Starlette's scope, Django's META, Werkzeug's environ.
        for place in _PLACES:
            each = getattr(request, place, None)
            if found is None and isinstance(each, Mapping):
                found = each.get(COMMITTED)
    return found if isinstance(found, Commit) else None


def _is_of_aiohttp(request: Any) -> bool:
    web = sys.modules.get("aiohttp.web")
    return web is not None and isinstance(request, web.BaseRequest)


def _written(request: Any) -> MutableMapping[str, SetCookie]:
    """Give what was written for a request, kept where all that wrap the request have it."""
    commit = _commit(request)
    if commit is not None:
        return commit.cookies
    if _is_of_aiohttp(request):
        from . import aiohttp_requests

        found: dict[str, SetCookie] = request.setdefault(aiohttp_requests.WRITTEN, {})
        return found
    for each in (*_PLACES, "__dict__"):
        place = getattr(request, each, None)
        if isinstance(place, MutableMapping):
            kept: MutableMapping[str, dict[str, SetCookie]] = place
            return kept.setdefault(WRITTEN, {})
    raise _problem("must have as 'request' a request of your framework's")
