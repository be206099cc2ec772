"""Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0).

It is trusted only as far as the configured domain reaches.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from ..effects import COMMON_HEADERS, Request, Response
from .domains import check_endpoint_url, issuer_url
from .reading import read_json

DOCUMENT_LIMIT = 524_288

SHORTEST_AGE = 60.0
LONGEST_AGE = 86_400.0

_MAX_AGE = re.compile(
    r'(?:^|[\s,])max-age\s*=\s*"?([0-9]{1,12})"?(?:$|[\s,;])', re.I
).search


@attrs.frozen
class Metadata:
    """What the library uses of a tenant's discovery document.

    Attributes:
        domain: the domain that was asked.
        issuer: the tenant's name for itself, exactly.
        token_endpoint: where grants go.
        jwks_uri: where the signing keys are.
        revocation_endpoint: where refresh tokens are revoked.
    """

    domain: str
    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str | None = None


def document_request(url: str) -> Request:
    """Build the request for a discovery document or a key set."""
    return Request("GET", url, COMMON_HEADERS)


def discovery_url(domain: str) -> str:
    """Give where a tenant publishes its metadata (OpenID Connect Discovery 1.0 section 4)."""
    return issuer_url(domain) + ".well-known/openid-configuration"


def read_document(response: Response) -> tuple[dict[str, Any], str | None]:
    """Read a JSON document that a tenant publishes; give it and the rule it breaks."""
    encoding = response.header("content-encoding")
    if response.status != 200:
        return {}, "the status is not 200"
    if response.oversized:
        return {}, "the body is too large"
    if encoding is not None and encoding.strip().lower() != "identity":
        return {}, "the body is compressed although no compression was accepted"
    value, rule = read_json(response.body)
    if rule is not None:
        return {}, f"the body is not JSON: {rule}"
    if not isinstance(value, dict):
        return {}, "the body is not a JSON object"
    return value, None


def read_metadata(
    document: dict[str, Any], domain: str
) -> tuple[Metadata | None, str | None]:
    """Read a discovery document; give what is used of it, or the rule it breaks.

    The issuer must be exactly the one that belongs to *domain* (RFC 8414 section 3.3), and
    both endpoints must be on its host: a document that sends the grant elsewhere is an
    attack or a mistake, and either way the client's secret stays here.
    """
    issuer = issuer_url(domain)
    if document.get("issuer") != issuer:
        return None, "the issuer is not the configured domain's"
    for name in ("token_endpoint", "jwks_uri"):
        rule = check_endpoint_url(document.get(name), domain)
        if rule is not None:
            return None, f"{name} {rule}"
    revocation = document.get("revocation_endpoint")
    if check_endpoint_url(revocation, domain) is not None:
        # Nothing depends on it but a courtesy at logout.
        revocation = None
    endpoints = document["token_endpoint"], document["jwks_uri"], revocation
    return Metadata(domain, issuer, *endpoints), None


def freshness(response: Response, default: float) -> float:
    """Give how many seconds a document may be used: its ``max-age``, within bounds."""
    found = _MAX_AGE(response.header("cache-control") or "")
    seconds = float(found[1]) if found else default
    return min(max(seconds, SHORTEST_AGE), LONGEST_AGE)
