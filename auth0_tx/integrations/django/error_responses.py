"""The response to a request that failed with an error of this library.

``Auth0Middleware`` asks for it when a view, sync or async, does not catch the error, and the
decorators do when a user or a scope is missing.  A browser that opens a page is redirected to
the login page; everything else gets the status and the JSON of the table that all hosts share.
``AUTH0_TX["ANSWER_ERRORS"] = False`` leaves errors of views to Django.
"""

from __future__ import annotations

from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url

from ...errors import Auth0Error, ConfigurationError
from ..error_answers import NO_STORE, answer_for, wants_page
from ..login_redirects import choose_login_redirect
from .clients import ANSWER_ERRORS, read_site_setting


def respond_to_view_error(
    request: HttpRequest, error: Exception
) -> HttpResponse | None:
    """Return the response to an error that a view did not catch, or ``None`` to leave it to Django.

    Errors of the service itself, such as a wrong setting, stay Django's for people: the page of
    ``DEBUG``, or ``handler500``.
    """
    if not isinstance(error, Auth0Error) or not _is_answering():
        return None
    response = make_error_response(request, error)
    if response.status_code != 500:
        return response
    if settings.DEBUG or is_page(request):
        return None
    # Error trackers and Django's test client listen to it, as for any error of a view.
    got_request_exception.send(sender=None, request=request)
    return response


def make_error_response(
    request: HttpRequest, error: Auth0Error, login_url: str | None = None
) -> HttpResponse:
    """Return the response to a request that failed, and log the details.

    Args:
        request: the request.
        error: its error.
        login_url: the login page, or the name of its URL pattern; ``LOGIN_URL`` by default.
    """
    answer = answer_for(error)
    target = choose_login_redirect(
        answer,
        lambda: _find_login_page(login_url),
        request.get_full_path(),
        method=request.method or "",
        accept=request.META.get("HTTP_ACCEPT"),
        fetch_mode=request.META.get("HTTP_SEC_FETCH_MODE"),
    )
    if target is not None:
        return HttpResponseRedirect(target, headers=NO_STORE)
    return JsonResponse(answer.body, status=answer.status, headers=answer.headers)


def is_page(request: HttpRequest) -> bool:
    """Return whether a browser opens a page with this request."""
    return wants_page(
        request.method or "",
        request.META.get("HTTP_ACCEPT"),
        request.META.get("HTTP_SEC_FETCH_MODE"),
    )


def _find_login_page(login_url: str | None) -> str | None:
    login_url = login_url or settings.LOGIN_URL
    return resolve_url(login_url) if login_url else None


def _is_answering() -> bool:
    try:
        return read_site_setting(ANSWER_ERRORS, True) is not False
    except ConfigurationError:
        # It may be the very error to answer.
        return True
