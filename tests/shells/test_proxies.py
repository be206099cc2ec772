"""Which proxy a request goes through, and what the proxy is told."""

from __future__ import annotations

from base64 import b64encode

import pytest

from auth0_tx import ConfigurationError
from auth0_tx.shells.proxies import environment_proxy, split_credentials

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names none."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://a.example/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "https://a.example:8443/x", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.example/", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:1/", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://a.example/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example/", None),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example,.example"},
            "https://a.example/",
            None,
        ),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example"},
            "https://a.example/",
            "http://p:1",
        ),
        ({"HTTPS_PROXY": "http://p:1"}, "no URL", None),
        ({"HTTPS_PROXY": "p:1"}, "https://a.example/", "http://p:1"),
        ({"ALL_PROXY": "a:b@p:1"}, "https://a.example/", "http://a:b@p:1"),
        ({"https_proxy": "HTTP://p:1"}, "https://a.example/", "http://p:1"),
    ],
)
def test_proxy(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    url: str,
    proxy: str | None,
) -> None:
    """The scheme's proxy is used, or the one for all, but not for what is excepted."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy == environment_proxy(url)


@pytest.mark.parametrize(
    "value",
    ["socks5://a:hunter2@p:1", "hunter2 @p", "a:hunter2@p:port", "http://hunter2:p:1"],
)
@pytest.mark.parametrize(
    "name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
)
def test_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Anything but an HTTP proxy is refused by the name of its variable, without its value."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"{name} must") as caught:
        environment_proxy("https://a.example/")

    assert "hunter2" not in str(caught.value)
    assert "proxy" == caught.value.parameter


@pytest.mark.parametrize(
    ("proxy", "url", "credentials"),
    [
        ("http://p:1", "http://p:1", None),
        ("http://p:1/", "http://p:1/", None),
        ("http://a:b@p:1", "http://p:1", "a:b"),
        ("http://a@p:1", "http://p:1", "a:"),
        ("https://a%40c:b%2f%3a%40@p.example", "https://p.example", "a@c:b/:@"),
        ("http://a:\u00e9@p:1", "http://p:1", "a:\u00e9"),
        ("http://:b@p:1", "http://:b@p:1", None),
    ],
)
def test_credentials_leave_the_url(
    proxy: str, url: str, credentials: str | None
) -> None:
    """User and password of a proxy's URL become a header that does not print."""
    found, headers = split_credentials(proxy)

    assert url == found
    if credentials is None:
        assert {} == headers
        return
    pair = b64encode(credentials.encode("latin-1")).decode()
    assert {"Proxy-Authorization": f"Basic {pair}"} == headers
    assert "{'Proxy-Authorization': <redacted>}" == repr(headers)
