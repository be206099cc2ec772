"""Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0).

The document says where the client's secret and the users' tokens are sent, and which keys
are believed.  It is trusted only as far as the configured domain reaches: issuer and
endpoints must be that domain's own, so a document that was tampered with, or cached under
the wrong name, cannot redirect anything (the mix-up attacks of RFC 9700 section 4.4).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..effects import COMMON_HEADERS, Request, Response
from .domains import check_endpoint_url, issuer_url
from .reading import COMPRESSED, is_compressed, read_header, read_json

DOCUMENT_LIMIT = 524_288
"""Bytes of a published document; Auth0's have fewer than ten thousand."""

LONGEST_AGE = 86_400.0
"""Seconds that a document is used at most, so that a rotated key is noticed in a day."""

# RFC 9111 5.2: directives are case-insensitive, and a recipient ought to take an argument
# with quotes and without.  "s-maxage" is for shared caches and must not match.
_find_max_age = re.compile(
    r'(?:^|[\s,])max-age\s*=\s*"?([0-9]{1,12})"?(?:$|[\s,;])', re.I
).search


class Metadata(NamedTuple):
    """The parts of a tenant's discovery document that the library uses.

    Attributes:
        domain: the domain whose document it is.
        issuer: the tenant's issuer, exactly as it writes it.
        token_endpoint: the URL that grants are sent to.
        jwks_uri: the URL of the signing keys.
        revocation_endpoint: the URL that revokes refresh tokens, or ``None``.
        is_verified: whether it comes from the tenant's document, and not from convention.
    """

    domain: str
    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str | None = None
    is_verified: bool = True


def document_request(url: str) -> Request:
    """Build the request for a discovery document or a key set."""
    return Request("GET", url, COMMON_HEADERS)


def discovery_url(domain: str) -> str:
    """Return the URL of a tenant's metadata (OpenID Connect Discovery 1.0 section 4)."""
    return issuer_url(domain) + ".well-known/openid-configuration"


def make_conventional_metadata(domain: str) -> Metadata:
    """Return the metadata that Auth0 tenants have by convention, before it was verified."""
    issuer = issuer_url(domain)
    return Metadata(
        domain,
        issuer,
        f"{issuer}oauth/token",
        f"{issuer}.well-known/jwks.json",
        f"{issuer}oauth/revoke",
        is_verified=False,
    )


def read_document(response: Response) -> tuple[dict[str, Any], str | None]:
    """Read a JSON document that a tenant publishes.

    Its media type is not looked at: RFC 8414 section 3.2 says ``application/json``, and
    some proxies change it.  That it parses strictly is proof enough.

    Returns:
        The document and ``None``, or an empty one and the rule that the response breaks.
    """
    if response.status != 200:
        return {}, "the status is not 200"
    if response.oversized:
        return {}, "the body is too large"
    value, rule = read_json(response.body)
    if rule is not None:
        reason = f"the body is not JSON: {rule}"
        return {}, COMPRESSED if is_compressed(response) else reason
    if not isinstance(value, dict):
        return {}, "the body is not a JSON object"
    return value, None


def read_metadata(
    document: dict[str, Any], domain: str
) -> tuple[Metadata | None, str | None]:
    """Read a discovery document; return the parts in use, or the rule that it breaks.

    The issuer must be exactly the one that belongs to *domain* (RFC 8414 section 3.3), and
    both endpoints must be on its host: a document that sends the grant elsewhere is an
    attack or a mistake, and either way the client's secret stays here.
    """
    issuer = issuer_url(domain)
    if document.get("issuer") != issuer:
        return None, "the issuer does not match the configured domain"
    for name in ("token_endpoint", "jwks_uri"):
        rule = check_endpoint_url(document.get(name), domain)
        if rule is not None:
            return None, f"{name} {rule}"
    revocation = document.get("revocation_endpoint")
    if check_endpoint_url(revocation, domain) is not None:
        # Optional (RFC 8414 section 2).  Without it a logout leaves the refresh token to
        # expire on its own.  That is not worth refusing every exchange.
        revocation = None
    endpoints = document["token_endpoint"], document["jwks_uri"], revocation
    return Metadata(domain, issuer, *endpoints), None


def freshness(response: Response, shortest: float) -> float:
    """Return how many seconds a document is fresh: its ``max-age``, within bounds.

    Args:
        response: the answer with the document.
        shortest: the lower bound.  Auth0's own ``max-age`` is 15 seconds, which would have a
            quiet service fetch its documents for every call.
    """
    found = _find_max_age(read_header(response, "cache-control") or "")
    seconds = float(found[1]) if found else shortest
    return min(max(seconds, shortest), LONGEST_AGE)
