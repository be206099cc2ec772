"""The middleware: ``request.auth0``, and session cookies on whatever response there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from ...shells.http_cookies import begin_commit, commit_to
from .requests import DjangoRequestAuth0
from .session_store import serving


class Auth0Middleware:
    """Give each request an ``auth0``, of which nothing is read that no view asks for.

    Put it after ``SessionMiddleware``.  It serves sync and async views as they are.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self._is_async:
            return self._answered(request)
        commit = _prepared(request)
        with serving(request):
            response: HttpResponseBase = self._get_response(request)
        commit_to(response, commit)
        return response

    async def _answered(self, request: HttpRequest) -> HttpResponseBase:
        commit = _prepared(request)
        with serving(request):
            response: HttpResponseBase = await self._get_response(request)
        commit_to(response, commit)
        return response


def _prepared(request: HttpRequest) -> Any:
    bound = SimpleLazyObject(lambda: DjangoRequestAuth0(request))
    vars(request)["auth0"] = bound
    return begin_commit(request.META)
