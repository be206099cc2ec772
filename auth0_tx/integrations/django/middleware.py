"""The middleware: ``request.auth0``, and session cookies on whatever response there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from ...frameworks.cookies import ResponseState, commit, expect_commit
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
        state = _prepare(request)
        with serving(request):
            response: HttpResponseBase = self._get_response(request)
        commit(response, state)
        return response

    async def _answered(self, request: HttpRequest) -> HttpResponseBase:
        state = _prepare(request)
        with serving(request):
            response: HttpResponseBase = await self._get_response(request)
        commit(response, state)
        return response


def _prepare(request: HttpRequest) -> ResponseState:
    bound = SimpleLazyObject(lambda: DjangoRequestAuth0(request))
    vars(request)["auth0"] = bound
    return expect_commit(request)
