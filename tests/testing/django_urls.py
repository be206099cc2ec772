"""The URLs of the Django project of these tests."""

from __future__ import annotations

from django.urls import path

from tests.testing.sites import show_django

urlpatterns = [path("user", show_django)]
