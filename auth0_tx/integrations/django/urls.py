"""URLs to include: ``path("auth0/", include("auth0_tx.integrations.django.urls"))``.

``auth0_tx:login`` and ``auth0_tx:logout`` are for forms and scripts of the site itself;
``auth0_tx:backchannel-logout`` is the Back-Channel Logout URI of your application at Auth0.
"""

from __future__ import annotations

from django.urls import URLPattern, path

from .views import LoginView, LogoutView, backchannel_logout

app_name = "auth0_tx"

urlpatterns: list[URLPattern] = [
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("backchannel-logout/", backchannel_logout, name="backchannel-logout"),
]
