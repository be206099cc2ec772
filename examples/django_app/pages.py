"""The views and the URLs of the example."""

from datetime import datetime

import requests
from attrs import evolve
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.shortcuts import render
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.http import require_GET

from auth0_tx import RefusedError
from auth0_tx.integrations.django.decorators import scopes_required
from auth0_tx.integrations.django.views import LoginView

API = settings.AUTH0_TX["LOGIN"]["audience"]


@require_GET
def home(request):
    # It asks for no user, so it is the same for everybody, and caches may keep it.
    return render(request, "home.html", {"now": timezone.now()})


class Login(LoginView):
    """The login page, and the login with the token that it posts.

    ``LoginView`` checks the CSRF token, keeps caches from both, and goes on to ``next``.
    """

    http_method_names = ("get", "post")

    def get(self, request):
        return self.show_form()

    def post(self, request):
        try:
            return super().post(request)
        except RefusedError as error:
            return self.show_form(error=error, status=400)

    def get_options(self, subject_token):
        options = super().get_options(subject_token)
        actor_token = self.request.POST.get("actor_token")
        if not actor_token:
            return options
        return evolve(
            options,
            actor_token=actor_token,
            actor_token_type=options.subject_token_type,
        )

    def show_form(self, error=None, status=200):
        values = {"error": error, "samples": make_samples()}
        return render(self.request, "login.html", values, status=status)


@login_required
def profile(request):
    session = request.auth0.session
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    values = {"ends": ends, "is_renewed": bool(session["refresh_token"])}
    return render(request, "profile.html", values)


@scopes_required("read:data", audience=API)
def api_call(request):
    # A token that is about to expire is renewed, once for all concurrent requests.
    token = request.auth0.get_access_token(API)
    issuer = request.auth0.user["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{issuer}userinfo", headers=headers, timeout=10)
    return render(request, "answer.html", {"answer": answer})


def make_samples():
    """Return tokens to paste, if the tenant is a local one."""
    tenant = settings.LOCAL_TENANT
    names = ("alice", "bob", "support_agent") if tenant else ()
    return {name: tenant.subject_token(f"auth0|{name}") for name in names}


urlpatterns = [
    path("", home),
    path("login", Login.as_view()),
    path("profile", profile),
    path("api-call", api_call),
    # Django's own logout ends our session as well, and leaves Auth0's.
    path("leave", LogoutView.as_view(next_page="/"), name="leave"),
    # POST /auth0/logout/ ends all three, and /auth0/backchannel-logout/ is for Auth0.
    path("auth0/", include("auth0_tx.integrations.django.urls")),
]
