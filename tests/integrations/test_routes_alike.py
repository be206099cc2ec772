"""The included routes for login and logout answer alike in every host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.cache_sites import SITES, CacheSite

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[CacheSite]:
    """A site that Alice is logged in to."""
    with SITES[request.param]() as site:
        site.log_in()
        yield site


@pytest.mark.parametrize(
    ("headers", "is_script"),
    [
        ({}, False),
        ({"Sec-Fetch-Mode": "navigate", "Accept": "text/html,*/*;q=0.8"}, False),
        ({"Accept": "*/*"}, False),
        ({"Sec-Fetch-Mode": "cors"}, True),
        ({"Content-Type": "application/json"}, True),
        ({"Accept": "application/json"}, True),
    ],
    ids=["plain", "browser", "program", "fetch", "JSON", "JSON wanted"],
)
def test_logout(site: CacheSite, headers: dict[str, str], is_script: bool) -> None:
    """A form is led to Auth0's own logout, and a script is told where that is."""
    answer = site.ask("POST", "/auth/logout", {**FORM, **headers})
    target = answer.headers.get("location", "")

    assert is_script is (answer.status == 200)
    assert is_script or answer.status in (302, 303)
    assert is_script is not target.startswith("https://tenant.us.auth0.com/v2/logout?")
    assert 401 == site.ask("GET", "/required", {}).status


@pytest.mark.parametrize(
    "headers",
    [
        FORM,
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data; boundary=none"},
    ],
)
def test_login_without_a_token(site: CacheSite, headers: dict[str, str]) -> None:
    """A login that posts no token is a bad request, and whoever is logged in stays so."""
    answer = site.ask("POST", "/auth/login", headers)

    assert 400 == answer.status
    assert "no-store" in answer.headers["cache-control"]
    assert 200 == site.ask("GET", "/required", {}).status


@pytest.mark.parametrize("route", ["login", "logout"])
def test_links(site: CacheSite, route: str) -> None:
    """A link to a route does nothing."""
    assert 405 == site.ask("GET", f"/auth/{route}", {"Accept": "text/html"}).status
    assert 200 == site.ask("GET", "/required", {}).status


@pytest.mark.parametrize("name", [name for name in SITES if name != "django"])
def test_form_that_is_none(name: str) -> None:
    """A form that cannot be read has no token in it; Django has a page of its own for it."""
    with SITES[name]() as site:
        answer = site.ask(
            "POST", "/auth/login", {"Content-Type": "multipart/form-data"}
        )

    assert 400 == answer.status
    assert answer.headers["content-type"].startswith("application/json")
    assert "no-store" in answer.headers["cache-control"]
