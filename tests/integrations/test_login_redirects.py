"""A login leads back to the page that needed it, and never to another site."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.integrations.login_redirects import build_login_redirect, read_next


@pytest.mark.parametrize(
    "page", ["/", "/orders", "/orders?page=2&q=a%20b#top", "/a//b", "/é", "/@host"]
)
def test_pages_of_this_site(page: str) -> None:
    """A path is followed, with its query."""
    assert page == read_next(page, "/home")


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
