"""A login leads back to the page that needed it, and never to another site."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx import Auth0Error, LoginRequiredError, StoreError
from auth0_tx.integrations.error_answers import answer_for
from auth0_tx.integrations.login_redirects import (
    build_login_redirect,
    choose_login_redirect,
    format_page,
    read_next,
)
from auth0_tx.secret import SecretStr


@pytest.mark.parametrize(
    "page", ["/", "/orders", "/orders?page=2&q=a%20b#top", "/a//b", "/é", "/@host"]
)
def test_pages_of_this_site(page: str) -> None:
    """A path is followed, with its query."""
    assert page == read_next(page, "/home")


def test_page_is_plain_text() -> None:
    """A page that was posted in a wrapped field is text that a WSGI server takes for a header."""
    assert str is type(read_next(SecretStr("/a"), "/"))


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, b"/orders", "", "orders", "?a=b", " /orders", "/orders "),
        *("https://evil.example", "https:/evil.example", "javascript:alert(1)"),
        *("//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example"),
        *("/\t/evil.example", "/\n/evil.example", "\t//evil.example", "/a\r\nb: c"),
        *("/a\\b", "/a\x00b", "/a\x7fb", "/a\x85b", "/a\u2028b", "/" + "a" * 2_000),
    ],
)
def test_other_sites(url: Any) -> None:
    """Whatever a browser could take for another site is not followed."""
    assert "/home" == read_next(url, "/home")


@pytest.mark.parametrize(
    ("login_url", "page", "expected"),
    [
        ("/login", "/orders", "/login?next=/orders"),
        ("/login", "/orders?a=b&c=d", "/login?next=/orders%3Fa%3Db%26c%3Dd"),
        ("/login?lang=en#form", "/orders", "/login?lang=en&next=/orders#form"),
        ("https://login.example.com", "/a", "https://login.example.com?next=/a"),
        ("/login", "//evil.example", "/login"),
    ],
)
def test_login_url(login_url: str, page: str, expected: str) -> None:
    """The login URL keeps its own query, and names the page only if that is local."""
    assert expected == build_login_redirect(login_url, page)


def redirect(
    *,
    error: Auth0Error | None = None,
    login_url: str | None = "/login",
    page: str = "/orders",
    accept: str = "text/html",
) -> str | None:
    """Return where a request that failed is redirected."""
    return choose_login_redirect(
        answer_for(error or LoginRequiredError("nobody is logged in")),
        lambda: login_url,
        page,
        method="GET",
        accept=accept,
        fetch_mode="navigate",
    )


def test_who_is_redirected() -> None:
    """Only a page that needs a login is redirected, and only to a login page."""
    found = [
        redirect(),
        redirect(accept="application/json"),
        redirect(error=StoreError("the store is down", retry_safe=True)),
        redirect(login_url=None),
    ]

    assert ["/login?next=/orders", None, None, None] == found


@pytest.mark.parametrize(
    ("login_url", "page", "is_answered"),
    [
        ("/login", "/login", True),
        ("/login?lang=en#form", "/login?next=/orders", True),
        ("/caf%C3%A9", "/caf%c3%a9", True),
        ("/login", "/login/reset", False),
        ("https://login.example.com/login", "/login", False),
    ],
)
def test_login_page_that_needs_a_login(
    login_url: str, page: str, is_answered: bool
) -> None:
    """A login page is not redirected to itself, which would go on for ever."""
    assert is_answered is (redirect(login_url=login_url, page=page) is None)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/orders", b"", "/orders"),
        ("/orders", b"a=b&c=%2F", "/orders?a=b&c=%2F"),
        ("/caf\u00e9 noir?", b"", "/caf%C3%A9%20noir%3F"),
        ("/@me/a:b", b"\xe9", "/@me/a:b?\u00e9"),
    ],
)
def test_format_page(path: str, query: bytes, expected: str) -> None:
    """A path is encoded, and a query stays as it came."""
    assert expected == format_page(path, query)
