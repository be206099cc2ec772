"""Django's admin, beside the views of ``login_site``."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from tests.integrations.django import login_site

urlpatterns = [*login_site.urlpatterns, path("admin/", admin.site.urls)]
