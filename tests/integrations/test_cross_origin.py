"""A request that another site made a browser send is told from the site's own."""

from __future__ import annotations

import pytest

from auth0_tx.integrations.cross_origin import is_cross_origin

HOST = "app.example.com"


@pytest.mark.parametrize(
    ("origin", "fetch_site", "expected"),
    [
        # Browsers of today, over https: what they say of the site decides.
        ("https://app.example.com", "same-origin", False),
        ("https://evil.example", "cross-site", True),
        ("https://uploads.example.com", "same-site", True),
        ("http://app.example.com", "cross-site", True),
        ("null", "cross-site", True),
        (None, "none", False),
        # A proxy that rewrites Host: the browser knows better.
        ("https://public.example.com", "same-origin", False),
        # What no browser sends is not of this origin.
        ("https://app.example.com", "SAME-ORIGIN", True),
        ("https://app.example.com", "", True),
        # Browsers without it, or over plain http.
        ("https://app.example.com", None, False),
        ("HTTPS://APP.example.com", None, False),
        ("http://app.example.com", None, False),
        ("https://app.example.com:8443", None, True),
        ("https://app.example.com.evil.example", None, True),
        ("https://evil.example", None, True),
        ("null", None, True),
        ("", None, True),
        ("https://[evil", None, True),
        # No browser: a program sends what it wants.
        (None, None, False),
    ],
)
def test_where_a_request_comes_from(
    origin: str | None, fetch_site: str | None, expected: bool
) -> None:
    """``Sec-Fetch-Site`` decides, then ``Origin``; without both it is no browser's request."""
    assert expected is is_cross_origin(host=HOST, origin=origin, fetch_site=fetch_site)


@pytest.mark.parametrize("fetch_site", ["same-site", "cross-site", None])
def test_trusted_origins(fetch_site: str | None) -> None:
    """A page of an origin that the application trusts may send it, and no other."""
    trusted = ("https://login.example.com",)
    found = [
        is_cross_origin(
            host=HOST, origin=origin, fetch_site=fetch_site, trusted_origins=trusted
        )
        for origin in ("https://login.example.com", "http://login.example.com")
    ]

    assert [False, True] == found


def test_without_host() -> None:
    """HTTP/1.0 needs no ``Host``; then no origin is its own."""
    assert is_cross_origin(host=None, origin="https://app.example.com", fetch_site=None)
