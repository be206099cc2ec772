"""Who may get an API's token, the header that carries it, and what a 401 means."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auth0_tx.core.wire.api_calls import (
    is_token_refused,
    make_authorization,
    parse_base_url,
)
from auth0_tx.errors import InvalidInputError

API = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("HTTPS://API.Example.COM:443/v1/", "https://api.example.com/v1"),
        ("https://api.example.com:8443/a/b", "https://api.example.com:8443/a/b"),
        ("https://10.0.0.7/v1", "https://10.0.0.7/v1"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://[2001:DB8::7]:8443/v1", "https://[2001:db8::7]:8443/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_base_url(given: str, text: str) -> None:
    """A base URL has one spelling."""
    assert text == parse_base_url(given).text


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        b"https://api.example.com",
        "",
        "api.example.com",
        "http://api.example.com",
        "http://127.0.0.2",
        "ftp://api.example.com",
        "https://",
        "https://user:password@api.example.com",
        "https://api.example.com@evil.example",
        "https://api.example.com:0",
        "https://api.example.com:0443",
        "https://api.example.com:",
        "https://api.example.com:99999",
        "https://api.example.com.",
        "https://api.example.com.:8443",
        "https://api.example.com/v1?a=b",
        "https://api.example.com/v1?",
        "https://api.example.com/v1#a",
        "https://api.example.com/v1/../v2",
        "https://api.example.com/./v1",
        "https://api.example.com//v1",
        "https://api.example.com/%76%31",
        "https://api.example.com\\v1",
        "https://api.example.com/v1 ",
        "https://b\u00fccher.example",
        "https://[::1].evil.example",
        "https://[fe80::1%25eth0]/",
    ],
)
def test_base_url_refused(base_url: object) -> None:
    """Anything else is refused by its parameter, and never quoted."""
    with pytest.raises(InvalidInputError) as refused:
        parse_base_url(base_url)

    assert "base_url" == refused.value.parameter
    assert "example" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        API,
        f"{API}/",
        f"{API}?a=b",
        f"{API}#a",
        f"{API}/orders/1?next=https://evil.example/../..#/../x",
        "HTTPS://API.EXAMPLE.COM/v1/orders",
        "https://api.example.com:443/v1/orders",
        f"{API}/users/auth0%7Calice",
        f"{API}/projects/group%2Fproject",
        f"{API}/.well-known/x",
        f"{API}/a..b/...",
        f"{API}//orders",
    ],
)
def test_covered(url: str) -> None:
    """URLs below the base URL may carry the token."""
    assert parse_base_url(API).covers(url)


@pytest.mark.parametrize(
    "url",
    [
        None,
        b"https://api.example.com/v1",
        "",
        "/v1/orders",
        "//api.example.com/v1",
        "http://api.example.com/v1",
        "http://api.example.com:443/v1",
        "wss://api.example.com/v1",
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/V1/orders",
        "https://api.example.com/v1evil",
        "https://api.example.com/v1;x/orders",
        "https://api.example.com/v1%2Forders",
        "https://api.example.com//v1/orders",
        "https://api.example.com/v2/../v1/orders",
        "https://api.example.com/v1/../admin",
        "https://api.example.com/v1/..",
        "https://api.example.com/v1/./orders",
        "https://api.example.com/v1/%2e%2e/admin",
        "https://api.example.com/v1/%2E./admin",
        "https://api.example.com/v1/x/..%2f..%2fadmin",
        "https://api.example.com/v1/x/..%5c..%5cadmin",
        "https://api.example.com/v1/%252e%252e/admin",
        "https://api.example.com/v1/%25252525252e%25252525252e/admin",
        "https://api.example.com/v1/..;a=b/admin",
        "https://api.example.com/v1/..%20/admin",
        "https://api.example.com/v1/..%00/admin",
        "https://api.example.com/v1/..\\admin",
        "https://api.example.com\\v1",
        "https://api.example.com./v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com:0443/v1",
        "https://api.example.com:/v1",
        "https://api.example.com:443:443/v1",
        "https://api.example.com.evil.example/v1",
        "https://evil.example/https://api.example.com/v1",
        "https://api.example.com@evil.example/v1",
        "https://user@api.example.com/v1",
        "https://user:password@api.example.com/v1",
        "https://api.example.com/v1\n/orders",
        " https://api.example.com/v1",
        "https://api.example.com/v1\t",
        "https://apiXexample.com/v1",
        "https://api.e\u212aample.com/v1",
        "https://api.example.com/v1/\u2024\u2024/admin",
    ],
)
def test_not_covered(url: object) -> None:
    """Every other URL gets none, however much it looks like one that does."""
    assert not parse_base_url(API).covers(url)


def test_kelvin_sign() -> None:
    """A host with a ``k`` is not written with a Kelvin sign."""
    assert not parse_base_url("https://kelvin.example").covers(
        "https://\u212aelvin.example/"
    )


def test_whole_host() -> None:
    """Without a path, every path of the host is the API's."""
    api = parse_base_url("https://api.example.com")

    assert api.covers("https://api.example.com/a/../b")
    assert api.covers("https://api.example.com?a")
    assert not api.covers("https://api.example.com:444/")
    assert not api.covers("https://api.example.community/")


PIECES = st.sampled_from(
    [
        *("https://", "HTTPS://", "http://", "//", "/", "\\", "@", ":", "?", "#", ";"),
        *("api.example.com", "API.example.com", "evil.example", "api.example.com."),
        *(":443", ":8443", ":080", "v1", "V1", "..", ".", "%2e", "%2E%2e", "%2f"),
        *(
            "%5c",
            "%25",
            "%00",
            " ",
            "\t",
            "\n",
            "user",
            "x",
            "admin",
            "\u212a",
            "\u3002",
        ),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_every_parser_agrees(text: str) -> None:
    """A URL that is covered is below the base URL for each parser that may read it."""
    api = parse_base_url(API)
    for url in (text, f"https://api.example.com{text}", f"{API}{text}"):
        if not api.covers(url):
            continue
        parts = urlsplit(url)
        assert ("https", "api.example.com") == (parts.scheme, parts.hostname)
        assert parts.port in (None, 443)
        assert None is parts.username is parts.password
        # As a server would resolve it that decodes twice.
        path = unquote(unquote(parts.path)).replace("\\", "/")
        kept: list[str] = []
        for segment in path.split("/")[1:]:
            name = segment.partition(";")[0].strip()
            if name == "..":
                assume(kept)
                kept.pop()
            elif name != ".":
                kept.append(segment)
            assert "v1" == kept[0]


def test_authorization() -> None:
    """The header is RFC 6750's, and does not print."""
    headers = make_authorization("a.b.c", "Bearer", "GET", API)

    assert {"Authorization": "Bearer a.b.c"} == headers
    assert "a.b.c" not in repr(headers)


@pytest.mark.parametrize(
    ("challenges", "refused"),
    [
        ([], True),
        ([""], True),
        (["Bearer"], True),
        (["bearer"], True),
        (['Bearer realm="api"'], True),
        (['Bearer realm="api", error="invalid_token"'], True),
        (["Bearer error=invalid_token"], True),
        (['Bearer realm="a \\" b, Basic", error="invalid_token"'], True),
        (['Basic realm="x"', "Bearer"], True),
        (['Basic realm="x", Bearer error="invalid_token"'], True),
        (['Bearer error="insufficient_scope", Bearer error="invalid_token"'], True),
        (['Bearer error="insufficient_scope"'], False),
        (['Bearer error="insufficient_user_authentication", max_age=5'], False),
        (['Bearer error=""'], False),
        (['Basic realm="Bearer"'], False),
        (['Basic realm="x", error="invalid_token"'], False),
        (["Negotiate"], False),
        (["Negotiate YIIabc=="], False),
        (['DPoP error="invalid_token"'], False),
    ],
)
def test_challenges(challenges: list[str], refused: bool) -> None:
    """Another token is worth trying unless the answer is clearly about something else."""
    assert refused == is_token_refused(challenges)


@given(st.lists(st.text(alphabet='abBearer="\\, \t=;', max_size=60), max_size=3))
def test_any_challenge(challenges: list[str]) -> None:
    """No challenge raises."""
    is_token_refused(challenges)


def test_long_challenge() -> None:
    """A challenge of megabytes takes no time."""
    is_token_refused(['Bearer a="' * 500_000])
