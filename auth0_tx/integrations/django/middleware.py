"""The middleware: ``request.auth0``, and session cookies on any response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from ...frameworks.cookies import ResponseState, commit, expect_commit
from .error_responses import respond_to_view_error
from .request_client import DjangoRequestAuth0


class Auth0Middleware:
    """Add ``auth0`` to each request; it reads nothing until a view asks.

    Put it after ``SessionMiddleware``.  It serves sync and async views without an adapter.
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
            return self._answer_async(request)
        state = _bind(request)
        response: HttpResponseBase = self._get_response(request)
        commit(response, state)
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        """Answer an error that a view did not catch; Django calls this for both kinds."""
        return respond_to_view_error(request, exception)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        state = _bind(request)
        response: HttpResponseBase = await self._get_response(request)
        commit(response, state)
        return response


def _bind(request: HttpRequest) -> ResponseState:
    vars(request)["auth0"] = SimpleLazyObject(lambda: DjangoRequestAuth0(request))
    return expect_commit(request)
