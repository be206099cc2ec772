"""``auth0`` in templates: lazy, and without a way to a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.site import log_in
from tests.integrations.django.test_django_integration import get, new_browser, post

Project = Callable[..., Any]

TEMPLATES = {
    "user": "{% if auth0.is_logged_in %}{{ auth0.user.sub }}{% else %}nobody{% endif %}",
    "nothing": "a page",
    "debug": "{{ auth0.user.sub }}{% debug %}",
    "tokens": "[{{ request.auth0.get_access_token }}{{ request.auth0.get_token_set }}"
    "{{ request.auth0.logout }}{{ auth0.get_access_token }}{{ auth0.logout }}]",
    "itself": "{{ auth0 }}{{ request.auth0.session }}",
}


def page(request: HttpRequest, name: str) -> HttpResponse:
    """Render a template."""
    session = request.auth0.session if name == "debug" else None  # type: ignore[attr-defined]
    return render(request, name, {"session": session})


async def page_async(request: HttpRequest, name: str) -> HttpResponse:
    """Render a template in an async view, as it must be."""
    return await sync_to_async(render)(request, name)


async def page_in_loop(request: HttpRequest, name: str) -> HttpResponse:
    """Render a template in the event loop."""
    return render(request, name)


urlpatterns = [
    path("login", log_in),
    path("page/<name>", page),
    path("page-async/<name>", page_async),
    path("page-in-loop/<name>", page_in_loop),
]


@pytest.fixture
def visitor(project: Project, auth0_tenant: Tenant) -> Any:
    """A browser with a user, in a project with templates."""
    processors = [
        "auth0_tx.integrations.django.context_processors.auth0",
        "django.template.context_processors.debug",
        "django.template.context_processors.request",
    ]
    project(
        DEBUG=True,
        INTERNAL_IPS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": processors,
                    "debug": True,
                    "loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)],
                },
            }
        ],
    )
    visitor = new_browser()
    post(visitor, "/login", auth0_tenant.subject_token("auth0|alice"))
    return visitor


@pytest.mark.parametrize("kind", ["page", "page-async"])
def test_user(visitor: Any, kind: str) -> None:
    """A template shows who is logged in, and caches are told."""
    for browser, expected in ((visitor, b"auth0|alice"), (new_browser(), b"nobody")):
        answer = get(browser, f"/{kind}/user")

        assert expected == answer.content
        assert "Cookie" in answer["Vary"]
        assert "private, no-store" == answer["Cache-Control"]


def test_lazy(visitor: Any) -> None:
    """A template that does not ask reads nothing."""
    answer = get(visitor, "/page/nothing")

    assert b"a page" == answer.content
    assert "Vary" not in answer


def read_tokens(visitor: Any) -> list[str]:
    """Return the tokens of a browser's session."""
    from django.test import RequestFactory

    from auth0_tx.integrations.django import get_client

    cookies = visitor.cookies.output(attrs=[], header="", sep=";")
    request = RequestFactory().get("/", HTTP_COOKIE=cookies)
    session = get_client().get_session({"request": request})
    assert session is not None
    tokens = [session["refresh_token"], session["token_sets"][0]["access_token"]]
    return [str(token) for token in tokens]


@pytest.mark.parametrize("name", ["debug", "itself"])
def test_no_token_shows(visitor: Any, name: str) -> None:
    """What prints everything that a template has prints no token."""
    text = get(visitor, f"/page/{name}").content.decode()

    assert "TemplateAuth0" in text
    assert "redacted" in text
    assert [] == [token for token in read_tokens(visitor) if token in text]


def test_no_token_is_reachable(visitor: Any) -> None:
    """A template can neither get a token nor log anybody out."""
    assert b"[]" == get(visitor, "/page/tokens").content
    assert b"auth0|alice" == get(visitor, "/page/user").content


def test_event_loop(visitor: Any) -> None:
    """A template that would block the loop of an async view is refused, with what to do."""
    with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
        get(visitor, "/page-in-loop/user")
    assert b"a page" == get(visitor, "/page-in-loop/nothing").content
