"""What the environment says of proxies."""

from __future__ import annotations

import pytest

from auth0_tx.shells.environment import environment_proxy

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
