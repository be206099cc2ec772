"""The rule for URLs of proxies."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.wire.proxies import check_proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.example.com:3128",
        "http://proxy",
        "http://proxy/",
        "https://proxy_1.example.com",
        "http://10.0.0.1:8080",
        "http://[::1]:8080",
        "http://user@proxy:1",
        "http://user:p%40ss%C3%A9@proxy:65535",
    ],
)
def test_proxy(proxy: str) -> None:
    """A URL of a proxy has a scheme and a host, and perhaps a port and credentials."""
    assert check_proxy(proxy) is None


@pytest.mark.parametrize(
    ("proxy", "rule"),
    [
        (None, "must be a string"),
        (b"http://proxy", "must be a string"),
        ("", "must not be empty"),
        (" http://proxy", "must not begin or end"),
        ("http://proxy\n", "must contain only printable"),
        ("http://prox\u00fd", "must contain only printable"),
        ("proxy:3128", "must be the URL of an HTTP proxy"),
        ("HTTP://proxy", "must be the URL of an HTTP proxy"),
        ("socks5://proxy:1080", "must be the URL of an HTTP proxy"),
        ("http://", "must be the URL of an HTTP proxy"),
        ("http://:3128", "must be the URL of an HTTP proxy"),
        ("http://user:password@", "must be the URL of an HTTP proxy"),
        ("http://proxy:port", "must be the URL of an HTTP proxy"),
        ("http://proxy:0", "must be the URL of an HTTP proxy"),
        ("http://proxy:65536", "must be the URL of an HTTP proxy"),
        ("http://[::1", "must be the URL of an HTTP proxy"),
        ("http://proxy/proxy.pac", "must be the URL of an HTTP proxy"),
        ("http://proxy?a", "must be the URL of an HTTP proxy"),
        ("http://proxy#a", "must be the URL of an HTTP proxy"),
        ("http://pro xy", "must be the URL of an HTTP proxy"),
        ("http://proxy\\evil", "must be the URL of an HTTP proxy"),
        ("http://proxy,other", "must be the URL of an HTTP proxy"),
        ("http://%E9:b@proxy", "must have a user and a password in ISO-8859-1"),
        ("http://a:%E2%82%AC@proxy", "must have a user and a password in ISO-8859-1"),
    ],
)
def test_no_proxy(proxy: Any, rule: str) -> None:
    """Anything else breaks a rule, which does not quote it."""
    broken = check_proxy(proxy)

    assert broken is not None
    assert broken.startswith(rule)
    assert "password@" not in broken
