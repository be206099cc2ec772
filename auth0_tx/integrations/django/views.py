"""Views for ``urls.py``: log in with a posted token, log out, and back-channel logout.

Include them all with ``path("auth0/", include("auth0_tx.integrations.django.urls"))``.

A login by a posted token needs no cookie, so ``SameSite`` does not keep other sites from posting
a token of their own user, and the visitor would go on as that user (RFC 6749 section 10.12).  So
``LoginView`` checks Django's CSRF token, also where ``CsrfViewMiddleware`` is missing: a form has
it in ``{% csrf_token %}``, a script sends it in the field ``X-CSRFToken``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from ...errors import Auth0Error, ConfigurationError
from ...session_values import LoginWithCustomTokenExchangeOptions
from ..error_answers import NO_STORE, answer_for
from ..login_redirects import NEXT
from ..posted_logins import (
    INVALID_LOGIN,
    SUBJECT_TOKEN,
    describe_logout,
    is_json,
    is_script,
    parse_fields,
    read_fields,
)
from ..settings import DEFAULT
from .clients import LOGIN_OPTIONS, get_client, read_login_options
from .project import has_backend, is_installed
from .request_client import auth0_of, login, logout

V = TypeVar("V", bound=Callable[..., Any])
C = TypeVar("C", bound=type[View])


def let_anybody_in(view: V) -> V:
    """Mark a view as one that needs no login, for ``LoginRequiredMiddleware``.

    Django 5.1 has ``login_not_required`` for it, which earlier releases do not know.
    """
    view.login_required = False  # type: ignore[attr-defined]
    return view


def _protect_view(view: C) -> C:
    """Return a class of views that anybody may ask, that no cache keeps, and with CSRF checks."""
    protect: Any = method_decorator(
        [let_anybody_in, sensitive_post_parameters(), csrf_protect, never_cache],
        name="dispatch",
    )
    protected: C = protect(view)
    return protected


@_protect_view
class LoginView(View):
    """Log in the user of a posted token, and redirect to the page that needed the login.

    A form posts the fields ``subject_token`` and ``next``; an API's caller may post the same as
    JSON, and gets a 204.  The other options of the exchange are attributes, which are set in
    ``AUTH0_TX["LOGIN"]``, in ``as_view(...)`` or in a subclass.

    With ``Auth0Backend`` the user is logged in to Django, too.

    Attributes:
        client: the name in ``AUTH0_TX`` of the client to log in with.
        subject_token_type: the type of the posted token.
        audience: the API that the access token is for.
        scope: space-separated scopes.
        organization: the id or name of the organization to log in to.
        next_page: where a login without ``next`` goes; ``LOGIN_REDIRECT_URL`` by default.
    """

    http_method_names: Sequence[str] = ("post", "options")

    client: str = DEFAULT
    subject_token_type: str | None = None
    audience: str | None = None
    scope: str | None = None
    organization: str | None = None
    next_page: str | None = None

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log in the user of the token that was posted."""
        posted = _read_posted(request)
        token = posted.get(SUBJECT_TOKEN)
        if not token:
            return JsonResponse(INVALID_LOGIN.body, status=INVALID_LOGIN.status)
        options = self.get_options(token)
        if self.client == DEFAULT and has_backend():
            login(request, options)
        else:
            auth0_of(request, self.client).login(options)
            # As Django's own login does: whoever planted the CSRF token knows it no longer.
            rotate_token(request)
        if _is_script(request):
            return HttpResponse(status=204)
        page = self.next_page or settings.LOGIN_REDIRECT_URL
        return HttpResponseRedirect(_find_next(request, posted) or resolve_url(page))

    def get_options(self, subject_token: str) -> LoginWithCustomTokenExchangeOptions:
        """Return the options of the exchange; override it to add to them.

        Args:
            subject_token: the token that was posted.

        Raises:
            ConfigurationError: ``subject_token_type`` is not set, or ``LOGIN`` is wrong.
        """
        own = {name: getattr(self, name) for name in LOGIN_OPTIONS}
        given = {name: value for name, value in own.items() if value is not None}
        options = {**read_login_options(self.client), **given}
        if "subject_token_type" not in options:
            raise ConfigurationError(
                "LoginView needs a subject_token_type: set it in AUTH0_TX['LOGIN'], or in "
                "as_view()",
                parameter="subject_token_type",
            )
        return LoginWithCustomTokenExchangeOptions(
            subject_token=subject_token, **options
        )


@_protect_view
class LogoutView(View):
    """Log out, and redirect to the URL that ends Auth0's session.

    Auth0 sends the browser back to the posted ``next``, to *return_to*, or to
    ``LOGOUT_REDIRECT_URL``, which must be among the application's Allowed Logout URLs.  An API's
    caller gets ``{"logout_url": ...}`` instead of a redirect.

    Attributes:
        client: the name in ``AUTH0_TX`` of the client to log out from.
        return_to: a URL, a path of this site, or the name of a URL pattern.
    """

    http_method_names: Sequence[str] = ("post", "options")

    client: str = DEFAULT
    return_to: str | None = None

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log out whoever is logged in."""
        page = _find_next(request, _read_posted(request))
        target = self.return_to or settings.LOGOUT_REDIRECT_URL
        if page is None and target:
            page = resolve_url(target)
        return_to = None if page is None else request.build_absolute_uri(page)
        if self.client == DEFAULT and is_installed("django.contrib.auth"):
            url = logout(request, return_to=return_to)
        else:
            url = auth0_of(request, self.client).logout(return_to=return_to)
        if _is_script(request):
            return JsonResponse(describe_logout(url))
        return HttpResponseRedirect(url)


# Auth0 sends this request, without Django's CSRF token; its signature protects it.
@csrf_exempt
@let_anybody_in
@require_POST
def backchannel_logout(request: HttpRequest, client: str = DEFAULT) -> HttpResponse:
    """End the sessions that a logout token names (OpenID Connect Back-Channel Logout 1.0).

    Args:
        request: Auth0's request.
        client: the name in ``AUTH0_TX`` of the client whose sessions may be meant.
    """
    try:
        get_client(client).handle_backchannel_logout(
            str(request.POST.get("logout_token", "")), {"request": request}
        )
    except ConfigurationError:
        # Of this service: error trackers learn of it from Django.
        raise
    except Auth0Error as error:
        # A store that is down is a 503: Auth0 sends the token again.
        answer = answer_for(error)
        return JsonResponse(answer.body, status=answer.status, headers=answer.headers)
    return HttpResponse(headers=NO_STORE)


def _read_posted(request: HttpRequest) -> Mapping[str, str]:
    if is_json(request.META.get("CONTENT_TYPE")):
        return parse_fields(request.body)
    return read_fields(request.POST.dict())


def _is_script(request: HttpRequest) -> bool:
    return is_script(
        content_type=request.META.get("CONTENT_TYPE"),
        accept=request.META.get("HTTP_ACCEPT"),
        fetch_mode=request.META.get("HTTP_SEC_FETCH_MODE"),
    )


def _find_next(request: HttpRequest, posted: Mapping[str, str]) -> str | None:
    """Return the page of this site that a request names as the next one, or ``None``."""
    target = posted.get(NEXT) or request.GET.get(NEXT)
    # Whoever made the link chose it: another site's would be an open redirect (CWE-601).
    if target and url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return target
    return None
