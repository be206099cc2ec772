"""An answer that depended on the session tells caches so, in every host and every way.

Without ``Vary: Cookie`` a cache in front of the application would give one user's page, or a
stranger's redirect to the login, to the next visitor (RFC 9111 section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.cache_sites import PAGES, SITES, Answer, CacheSite

PAGE = {"Accept": "text/html"}
ACCEPTS = pytest.mark.parametrize("headers", [PAGE, {}], ids=["page", "api"])

STATUSES = {
    # What a stranger gets as a page, and otherwise; and what Alice gets.
    "required": (302, 401, 200),
    "raised": (302, 401, 200),
    "scoped": (302, 401, 403),
    "token": (302, 401, 200),
    "error": (500, 500, 500),
}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[CacheSite]:
    """A site that nobody is logged in to."""
    with SITES[request.param]() as site:
        yield site


@pytest.fixture(scope="module", params=SITES)
def user_site(request: pytest.FixtureRequest) -> Iterator[CacheSite]:
    """A site as Alice sees it."""
    with SITES[request.param]() as site:
        site.log_in()
        yield site


def is_kept_from_caches(answer: Answer) -> bool:
    """Return whether a shared cache will not give an answer to another visitor."""
    varies = answer.headers.get("vary", "").lower().replace(" ", "").split(",")
    control = answer.headers.get("cache-control", "")
    return "cookie" in varies and ("no-store" in control or "private" in control)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@ACCEPTS
def test_answer_to_a_stranger(
    site: CacheSite, page: str, method: str, headers: dict[str, str]
) -> None:
    """An answer that says that nobody is logged in is for strangers only."""
    answer = site.ask(method, f"/{page}", headers)

    opened, called, _ = STATUSES.get(page, (200, 200, 200))
    assert (opened if headers else called) == answer.status
    assert is_kept_from_caches(answer), answer


@pytest.mark.parametrize("page", PAGES)
@ACCEPTS
def test_answer_to_a_user(
    user_site: CacheSite, page: str, headers: dict[str, str]
) -> None:
    """An answer that shows something of a user is for that user only."""
    answer = user_site.ask("GET", f"/{page}", headers)

    assert STATUSES.get(page, (200, 200, 200))[2] == answer.status
    assert is_kept_from_caches(answer), answer


def test_header_of_the_view_is_kept(site: CacheSite) -> None:
    """A view's own ``Cache-Control`` stays: a browser's cache may be meant."""
    answer = site.ask("GET", "/own", PAGE)

    assert "private, max-age=60" == answer.headers["cache-control"]


def test_untouched_page(user_site: CacheSite) -> None:
    """An answer that has nothing to do with the session is left alone."""
    answer = user_site.ask("GET", "/untouched", PAGE)

    assert 200 == answer.status
    assert not {"vary", "cache-control"} & {*answer.headers}


@pytest.mark.parametrize("route", ["login", "logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "application/json"},
    ],
    ids=["form", "other site", "script"],
)
def test_routes(site: CacheSite, route: str, headers: dict[str, str]) -> None:
    """The answers of the routes for login and logout are for no cache at all."""
    answer = site.ask("POST", f"/auth/{route}", headers)

    assert answer.status in (200, 204, 302, 303, 400, 403)
    assert "no-store" in answer.headers.get("cache-control", ""), answer
