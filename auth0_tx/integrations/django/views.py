"""Views for ``urls.py``."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ...errors import BackchannelLogoutError
from ..error_answers import answer_for
from .clients import get_client


# Auth0 sends this request, without Django's CSRF token; its signature protects it.
@csrf_exempt
@require_POST
def backchannel_logout(request: HttpRequest) -> HttpResponse:
    """End the sessions that a logout token names (OpenID Connect Back-Channel Logout 1.0)."""
    status = 200
    try:
        get_client().handle_backchannel_logout(
            str(request.POST.get("logout_token", "")), {"request": request}
        )
    except BackchannelLogoutError as error:
        status = answer_for(error).status
    return HttpResponse(status=status, headers={"Cache-Control": "no-store"})
