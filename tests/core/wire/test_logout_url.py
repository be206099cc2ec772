"""The URL that ends a session at Auth0, and what it may send the browser on to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.redirects import build_logout_url, web_url_rule
from auth0_tx.errors import InvalidInputError

DOMAIN = "tenant.us.auth0.com"


def test_without_return() -> None:
    """The browser is sent to the tenant's own endpoint, for this application."""
    expected = "https://tenant.us.auth0.com/v2/logout?client_id=the-client"

    assert expected == build_logout_url(DOMAIN, "the-client", None)


@pytest.mark.parametrize(
    ("domain", "start"),
    [
        ("localhost:3443", "https://localhost:3443/v2/logout?"),
        ("http://localhost:3080", "http://localhost:3080/v2/logout?"),
        ("[::1]:3443", "https://[::1]:3443/v2/logout?"),
    ],
)
def test_domain(domain: str, start: str) -> None:
    """A tenant on this machine has the same endpoint."""
    assert build_logout_url(domain, "the-client", None).startswith(start)


@pytest.mark.parametrize(
    "return_to",
    [
        "https://app.example.com/",
        "https://app.example.com",
        "http://localhost:8000/bye?a=1&b=%20#top",
        "https://app.example.com:8443/?next=https://other.example.com/@x",
        "https://[2001:db8::1]:8443/",
    ],
)
def test_return(return_to: str) -> None:
    """Where the browser goes afterwards arrives as it was given."""
    url = build_logout_url(DOMAIN, "a client & more", return_to)

    assert [("client_id", "a client & more"), ("returnTo", return_to)] == parse_qsl(
        urlsplit(url).query
    )


OTHER_URLS = [
    "",
    " ",
    "/bye",
    "bye",
    "//app.example.com/",
    "https:",
    "https://",
    "https:///bye",
    "https:app.example.com",
    "ftp://app.example.com/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example.com@evil.example/",
    "https://user:password@app.example.com/",
    "https://@app.example.com/",
    "https://app.example.com\\@evil.example/",
    "https:\\\\app.example.com",
    "https://app.example.com/\\evil",
    "https://app.example.com/ x",
    " https://app.example.com/",
    "https://app.example.com/\r\nSet-Cookie: a=b",
    "https://app.example.com/\t",
    "https://app.example.com:0/",
    "https://app.example.com:99999/",
    "https://app.example.com:x/",
    "https://[::1",
    "https://[::1].evil.example/",
    "https://[::1]x:80/",
    "https://äpp.example.com/",
    "https://app.example.com/" + "x" * 4_096,
]


@pytest.mark.parametrize(
    "return_to", [*OTHER_URLS, 7, b"https://app.example.com/", ["x"]], ids=ascii
)
def test_other_return(return_to: Any) -> None:
    """What is no plain URL of the web is refused, and not repeated."""
    with pytest.raises(InvalidInputError, match=r"^invalid_argument: return_to must"):
        build_logout_url(DOMAIN, "the-client", return_to)


@given(st.text())
def test_any_url(text: str) -> None:
    """Any text is a URL of the web or breaks a rule, and nothing else is raised."""
    rule = web_url_rule(text)

    assert rule is None or rule.startswith("must be an absolute URL")
    assert rule is not None or text.lower().startswith(("http://", "https://"))
