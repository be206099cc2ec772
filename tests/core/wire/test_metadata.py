"""A tenant's published documents: which parts are read, and which are refused."""

from __future__ import annotations

import gzip
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.effects import COMMON_HEADERS, Response
from auth0_tx.core.wire.metadata import (
    DOCUMENT_LIMIT,
    LONGEST_AGE,
    discovery_url,
    document_request,
    freshness,
    read_document,
    read_metadata,
)
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    ISSUER,
    METADATA,
    build_response,
)

SHORTEST = 600.0


def find_rule(**changes: Any) -> str:
    """Return the rule that a good document with *changes* breaks."""
    document = {**DOCUMENT, **changes}
    found, broken = read_metadata(
        {name: value for name, value in document.items() if value is not ...}, DOMAIN
    )
    assert found is None
    assert broken is not None
    return broken


def test_request() -> None:
    """A document is fetched from its well-known place, without the client's credentials."""
    request = document_request(discovery_url(DOMAIN))

    assert ("GET", DISCOVERY_URL, None) == (request.method, request.url, request.body)
    assert COMMON_HEADERS == request.headers
    assert "identity" == request.headers["Accept-Encoding"]


def test_loopback_over_http() -> None:
    """A loopback that is written with http:// is fetched over plain HTTP."""
    assert "http://localhost:80/.well-known/openid-configuration" == discovery_url(
        "http://localhost:80"
    )


def test_metadata() -> None:
    """Of a document, the issuer and two endpoints are used."""
    more = {"authorization_endpoint": "http://evil.example.com", "x": [1]}

    assert (METADATA, None) == read_metadata({**DOCUMENT, **more}, DOMAIN)


def test_revocation_endpoint() -> None:
    """A revocation endpoint is used if it is on the domain, and left out otherwise."""
    url = f"{ISSUER}oauth/revoke"
    found, _ = read_metadata({**DOCUMENT, "revocation_endpoint": url}, DOMAIN)
    other, _ = read_metadata(
        {**DOCUMENT, "revocation_endpoint": "https://evil.example.com/"}, DOMAIN
    )

    assert METADATA._replace(revocation_endpoint=url) == found
    assert METADATA == other


@pytest.mark.parametrize(
    "issuer",
    [
        ...,
        None,
        1,
        ["https://tenant.us.auth0.com/"],
        "",
        "https://tenant.us.auth0.com",
        "https://tenant.us.auth0.com//",
        "https://Tenant.us.auth0.com/",
        "https://tenant.us.auth0.com/path/",
        "http://tenant.us.auth0.com/",
        "https://other.us.auth0.com/",
        "https://tenant.us.auth0.com:443/",
        "https://evil.com/https://tenant.us.auth0.com/",
    ],
    ids=repr,
)
def test_other_issuer(issuer: Any) -> None:
    """The issuer is the configured domain's, character by character."""
    assert "the issuer does not match the configured domain" == find_rule(issuer=issuer)


@pytest.mark.parametrize(
    "url",
    [
        ...,
        None,
        5,
        "",
        "http://tenant.us.auth0.com/x",
        "https://other.us.auth0.com/x",
        "https://tenant.us.auth0.com.evil.com/x",
        "https://tenant.us.auth0.com@evil.com/x",
        "https://user@tenant.us.auth0.com/x",
        "https://tenant.us.auth0.com:8443/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://t\u0435nant.us.auth0.com/x",
        "https://tenant.us.auth0.com/../x",
        "https://tenant.us.auth0.com/x#f",
        "https://tenant.us.auth0.com/\r\nx",
        "https://tenant.us.auth0.com/" + "x" * 3_000,
        "file:///etc/passwd",
    ],
    ids=lambda value: repr(value)[:50],
)
@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_endpoint_elsewhere(name: str, url: Any) -> None:
    """An endpoint that is not plainly on the configured domain is refused."""
    broken = find_rule(**{name: url})

    assert broken.startswith(f"{name} ")
    assert "evil" not in broken


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (build_response(b"", 404), "the status is not 200"),
        (build_response(b"", 500), "the status is not 200"),
        (
            build_response(DOCUMENT, 302, location="https://evil.com"),
            "the status is not 200",
        ),
        (build_response(DOCUMENT, 201), "the status is not 200"),
        (
            attrs.evolve(build_response(DOCUMENT), oversized=True),
            "the body is too large",
        ),
        (
            build_response(gzip.compress(b"{}"), content_encoding="gzip"),
            "the body is compressed",
        ),
        (build_response(b"<html>"), "the body is not JSON"),
        (build_response(b""), "the body is not JSON"),
        (build_response(b'{"a":1,"a":2}'), "the body is not JSON"),
        (build_response([DOCUMENT]), "the body is not a JSON object"),
        (build_response(b"null"), "the body is not a JSON object"),
    ],
)
def test_no_document(response: Response, said: str) -> None:
    """A response that is not a JSON object is not a document."""
    members, broken = read_document(response)

    assert {} == members
    assert broken is not None
    assert broken.startswith(said)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_type": "text/plain"},
        {"content_encoding": "identity"},
        {"content_encoding": "utf-8"},
        {"content_encoding": "gzip"},
    ],
)
def test_document(headers: dict[str, Any]) -> None:
    """A JSON object is a document, whatever its media type and encoding are said to be."""
    assert (DOCUMENT, None) == read_document(build_response(DOCUMENT, **headers))


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, SHORTEST),
        ("", SHORTEST),
        ("no-cache", SHORTEST),
        ("max-age=0", SHORTEST),
        ("max-age=15, stale-while-revalidate=15", SHORTEST),
        ("max-age=599", SHORTEST),
        ("public, max-age=900", 900.0),
        ("public,max-age=900", 900.0),
        ('MAX-AGE = "900"', 900.0),
        ("max-age=900;x", 900.0),
        ("max-age=315360000", LONGEST_AGE),
        ("max-age=999999999999", LONGEST_AGE),
        ("max-age=9999999999999", SHORTEST),
        ("max-age=-1", SHORTEST),
        ("max-age=1e3", SHORTEST),
        ("max-age=٩٠٠", SHORTEST),
        ("max-age", SHORTEST),
        ("s-maxage=900", SHORTEST),
        ("x-max-age=900", SHORTEST),
    ],
)
def test_freshness(field: str | None, seconds: float) -> None:
    """A document is used for its max-age, within its lower bound and a day."""
    response = (
        build_response() if field is None else build_response(cache_control=field)
    )

    assert seconds == freshness(response, SHORTEST)


def test_bounds() -> None:
    """A document is at most half a MiB, and fresh for a day at most."""
    assert (524_288, 86_400.0) == (DOCUMENT_LIMIT, LONGEST_AGE)


@given(st.text())
def test_any_cache_control(field: str) -> None:
    """Whatever Cache-Control says, the age stays within its bounds."""
    assert (
        SHORTEST
        <= freshness(build_response(cache_control=field), SHORTEST)
        <= LONGEST_AGE
    )


@given(
    st.dictionaries(
        st.sampled_from(list(DOCUMENT)),
        st.text()
        | st.none()
        | st.integers()
        | st.text().map(lambda path: f"{ISSUER}{path}")
        | st.lists(st.text()),
    )
)
def test_any_document(document: dict[str, Any]) -> None:
    """Whatever a document says, the parts in use are on the configured domain."""
    found, broken = read_metadata({**DOCUMENT, **document}, DOMAIN)

    assert (found is None) is (broken is not None)
    if found is not None:
        assert ISSUER == found.issuer
        assert found.token_endpoint.startswith(ISSUER)
        assert found.jwks_uri.startswith(ISSUER)
