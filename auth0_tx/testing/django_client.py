"""Logins for Django's test clients, within a request that passes all middlewares.

The request is the client's own, so its cookies, and the cookies of the response, are handled as
for any other.  A handler of this module stands where the project's views do, behind the
middlewares: they bind ``request.auth0``, open and save Django's session, and set our cookies.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test.client import AsyncClientHandler, ClientHandler

from ..integrations.django import auth0_of
from ..integrations.django import login as log_in_to_django
from ..integrations.django.project import has_backend
from ..session_values import UserClaims
from .planned_login import LoginOutcome, PlannedLogin


class _LoginView:
    """A login in the place of a view, for one request."""

    def __init__(self, planned: PlannedLogin, name: str | None) -> None:
        self._planned = planned
        self._name = name
        self.outcome = LoginOutcome()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Log in; return an empty response."""
        with self.outcome.catch():
            bound = auth0_of(request, self._name)
            self._planned.prepare(bound)
            options = self._planned.make_options()
            if self._name is None and has_backend():
                log_in_to_django(request, options)
            else:
                bound.login(options)
            self.outcome.user = self._planned.fetch_tokens(bound)
        return HttpResponse()


class _Handler(ClientHandler):  # type: ignore[misc, unused-ignore]
    """Calls a login where other handlers look for a view."""

    def __init__(self, view: _LoginView) -> None:
        super().__init__(enforce_csrf_checks=False)
        self._view = view

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        return self._view.answer(request)


class _AsyncHandler(AsyncClientHandler):  # type: ignore[misc, unused-ignore]
    """Calls a login where other handlers look for a view, in Django's thread for those."""

    def __init__(self, view: _LoginView) -> None:
        super().__init__(enforce_csrf_checks=False)
        self._view = view

    async def _get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        run = sync_to_async(self._view.answer, thread_sensitive=True)
        response: HttpResponseBase = await run(request)
        return response


def log_in_with_django(
    client: Any, planned: PlannedLogin, name: str | None
) -> UserClaims:
    """Log in through ``django.test.Client``."""
    view, handler = _LoginView(planned, name), client.handler
    client.handler = _Handler(view)
    try:
        response = client.get("/", secure=True)
    finally:
        client.handler = handler
    return view.outcome.get_user(response)


async def log_in_with_async_django(
    client: Any, planned: PlannedLogin, name: str | None
) -> UserClaims:
    """Log in through ``django.test.AsyncClient``."""
    view, handler = _LoginView(planned, name), client.handler
    client.handler = _AsyncHandler(view)
    try:
        response = await client.get("/", secure=True)
    finally:
        client.handler = handler
    return view.outcome.get_user(response)
