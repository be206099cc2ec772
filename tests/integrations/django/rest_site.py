"""Views of Django REST Framework, which wraps requests."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import auth
from django.urls import path
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from auth0_tx.integrations.django import login, logout
from tests.integrations.django.site import API, options


class LogIn(APIView):
    """Log in to both."""

    def post(self, request: Any) -> Response:
        user = login(request, options(request))
        return Response([user == request.user, request.user.is_authenticated])


class Me(APIView):
    """Show a page to users who are logged in."""

    permission_classes: ClassVar[list[Any]] = [IsAuthenticated]

    def get(self, request: Any) -> Response:
        request.auth0.get_access_token(API)
        return Response(request.auth0.user["sub"])


class LogOut(APIView):
    """Log out of both, or of Django by its own function."""

    def post(self, request: Any, function: str) -> Response:
        if function == "ours":
            logout(request)
        else:
            auth.logout(request)
        return Response([request.user.is_authenticated, request.auth0.user])


urlpatterns = [
    path("login", LogIn.as_view()),
    path("me", Me.as_view()),
    path("logout/<function>", LogOut.as_view()),
]
