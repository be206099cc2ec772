"""The middleware: ``request.auth0``, session cookies on any response, and Django's login.

It puts a check in front of ``request.user`` and ``request.auser`` (see ``login_check``), which is
why ``AuthenticationMiddleware``, which sets both, comes before it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
)
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from ...errors import Auth0Error
from ...frameworks.cookies import ResponseState, commit, expect_commit, get_state
from .error_responses import respond_to_view_error
from .login_check import LoginCheck, get_login_check, is_logging_out, use_request
from .request_client import DjangoRequestAuth0

_LOGOUT_VIEWS = ("django.contrib.auth.views", f"{__package__}.views")


class Auth0Middleware:
    """Add ``auth0`` to each request; it reads nothing until a view asks.

    Put it after ``SessionMiddleware`` and ``AuthenticationMiddleware``.  It serves sync and
    async views without an adapter.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        # Django would run a hook of the other kind in a thread, at each request.
        self.process_view: Callable[..., Any] = (
            self._prepare_for_async_view if self._is_async else self._prepare_for_view
        )
        self.process_template_response: Callable[..., Any] = (
            self._check_async_response if self._is_async else self._check_response
        )
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self._is_async:
            return self._answer_async(request)
        state = _bind(request)
        with use_request(request):
            response: HttpResponseBase = self._get_response(request)
        return _finish(request, response, state)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        """Answer an error that a view did not catch; Django calls this for both kinds."""
        return respond_to_view_error(request, exception)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        state = _bind(request)
        with use_request(request):
            response: HttpResponseBase = await self._get_response(request)
        return _finish(request, response, state)

    def _prepare_for_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> None:
        """Let a store that fails keep nobody from logging out of Django.

        Django's ``logout`` asks for the user before it flushes the session.
        """
        if _is_logout_view(view) or _is_logout_of_admin(request):
            get_login_check(request).is_needed = False

    async def _prepare_for_async_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> None:
        self._prepare_for_view(request, view, args, kwargs)

    def _check_response(self, request: HttpRequest, response: Any) -> Any:
        """Keep ``cache_page`` from storing a response of Django REST Framework.

        Its views get a request object around Django's request, and have asked for the user before
        ``cache_page`` on one of their methods begins.  That looks at the outer request, which
        is found in the response here, before it is rendered and stored.
        """
        context = getattr(response, "renderer_context", None)
        if isinstance(context, Mapping) and get_state(request).was_read:
            outer = context.get("request")
            if outer is not None:
                outer._cache_update_cache = False
        return response

    async def _check_async_response(self, request: HttpRequest, response: Any) -> Any:
        return self._check_response(request, response)


def _is_logout_view(view: object) -> bool:
    """Return whether a view is Django's ``LogoutView`` or ours."""
    view_class = getattr(view, "view_class", None)
    # Where nobody has imported the views, no view is one of them.
    modules: list[Any] = [sys.modules.get(name) for name in _LOGOUT_VIEWS]
    return isinstance(view_class, type) and any(
        module is not None and issubclass(view_class, module.LogoutView)
        for module in modules
    )


def _is_logout_of_admin(request: HttpRequest) -> bool:
    """Return whether a request is for the admin's logout, which is a method and not a view."""
    match = request.resolver_match
    return match is not None and (match.app_name, match.url_name) == ("admin", "logout")


def _bind(request: HttpRequest) -> ResponseState:
    values = vars(request)
    values["auth0"] = SimpleLazyObject(lambda: DjangoRequestAuth0(request))
    check = get_login_check(request)
    # Set by AuthenticationMiddleware.  Without it there is no login of Django's to check.
    if "user" in values:
        values["user"] = _guard_user(check, values["user"])
    if "auser" in values:
        values["auser"] = _guard_async_user(check, values["auser"])
    return expect_commit(request)


class _GuardedUser(SimpleLazyObject):  # type: ignore[type-arg, unused-ignore]
    """The request's user, which tells the check each time that it is used.

    Args:
        get_user: returns the user.
        note_use: is called when an attribute is read.
    """

    def __init__(
        self, get_user: Callable[[], Any], note_use: Callable[[], None]
    ) -> None:
        # As Django's own class does it: everything else is an attribute of the user.
        self.__dict__["_note_use"] = note_use
        super().__init__(get_user)

    @property
    def _wrapped(self) -> Any:
        values = self.__dict__
        values["_note_use"]()
        return values["_wrapped"]


def _guard_user(check: LoginCheck, user: Any) -> Any:
    """Return the request's user as a lazy object that checks first."""

    def get_user() -> Any:
        if not check.is_valid():
            return _make_anonymous_user()
        if not isinstance(user, LazyObject):
            return user
        # The user itself, and not a lazy object within another.
        if user._wrapped is empty:
            user._setup()
        return user._wrapped

    return _GuardedUser(get_user, check.note_use)


def _guard_async_user(
    check: LoginCheck, get_user: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[Any]]:
    """Return ``request.auser`` with the check before it."""

    async def get_user_if_valid() -> Any:
        # In Django's thread for what blocks: one store serves both kinds of views.
        try:
            is_valid = await sync_to_async(check.is_valid, thread_sensitive=True)()
        except Auth0Error:
            # That thread does not see who awaits this, nor does the one of the backend.
            if not is_logging_out():
                raise
            check.is_needed = False
            is_valid = True
        return await get_user() if is_valid else _make_anonymous_user()

    return get_user_if_valid


def _make_anonymous_user() -> Any:
    from django.contrib.auth.models import AnonymousUser

    return AnonymousUser()


def _finish(
    request: HttpRequest, response: HttpResponseBase, state: ResponseState
) -> HttpResponseBase:
    failure = get_login_check(request).failure
    if failure is not None and response.status_code == 500 and failure.retry_safe:
        # A middleware asked for the user.  Django has made a page of the store's failure, and
        # asks ``process_exception`` only about errors of views.
        response = respond_to_view_error(request, failure) or response
    # A generator reads the session after the header fields were sent, when it is too late to
    # keep caches from the stream.  Nobody knows whether it will: ``request.auth0`` is lazy.
    if response.streaming and not isinstance(response, FileResponse):
        state.was_read = True
    commit(response, state)
    return response
