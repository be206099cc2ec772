"""Calling an API with an access token: who may get the token, how, and what a 401 means.

A bearer token is good for whoever has it (RFC 6750 section 5.2), so an object that attaches
one by itself must know where to.  It is made for one API, by the API's base URL, and the token
goes below that URL and nowhere else: not to another origin, not over plain http, not to
another path of the same host, whether the application asked for that URL or a redirect did.

The URL that is checked is the one that the HTTP library is about to send, and several parsers
will read it: the library's own, a proxy's, the server's.  So the rule does not parse.  Up to
the end of the base URL's path, the text must be the base URL's, but for the case of the host
and a default port that is written out.  Behind that, a path that any of them could take for a
way back up, such as ``/v1/%2e%2e/admin``, is not below the base URL.  A text that breaks the
rule gets no token; whether it is sent without one is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import attrs

from ...secret import SecretStr
from .problems import Problem, check_text
from .redirects import check_web_url

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

_DEFAULT_PORTS = {"https": 443, "http": 80}

# Non-empty segments that are neither "." nor "..", in characters that no parser rewrites.
_is_plain_path = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*/?").fullmatch

# Visible ASCII without a backslash, which a browser and some servers read as a slash.
_is_plain_url = re.compile(r"[!-\[\]-~]+").fullmatch

_MOST_DECODINGS = 3
"""Times that a path is decoded to see if it leads up: a proxy and a server may each do so."""

_BLANKS = "".join(map(chr, (*range(0x21), 0x7F)))


@attrs.define(eq=False, repr=False)
class ApiUrl:
    """The base URL of the API that a token is for.

    Attributes:
        text: the URL in its one spelling, without a slash at the end.
    """

    text: str
    _begins: re.Pattern[str] = attrs.field(repr=False, eq=False)
    _has_path: bool = attrs.field(repr=False, eq=False)

    def covers(self, url: object) -> bool:
        """Return whether a request for *url* may carry the token.

        Args:
            url: the URL as it is going to be sent, a query and a fragment included.
        """
        if not isinstance(url, str) or not _is_plain_url(url):
            return False
        begin = self._begins.match(url)
        if begin is None:
            return False
        if not self._has_path:
            return True
        path = re.split("[?#]", url[begin.end() :], maxsplit=1)[0]
        return not _leads_up(path)


def parse_base_url(base_url: object) -> ApiUrl:
    """Return the API at *base_url*.

    Raises:
        InvalidInputError: it is not the plain https URL of an API.
    """
    rule = check_text(base_url) or _check_base_url(str(base_url))
    if rule is not None:
        # Whatever was pasted here in its place may be a secret.
        del base_url
        raise Problem("base_url", rule).error()
    parts = urlsplit(str(base_url))
    host = parts.netloc.lower()
    port = _DEFAULT_PORTS[parts.scheme]
    host = host.removesuffix(f":{port}")
    path = parts.path.rstrip("/")
    port_of_its_own = re.search(r":\d+\Z", host) is not None
    return ApiUrl(
        f"{parts.scheme}://{host}{path}",
        re.compile(
            rf"(?i:{parts.scheme}://{re.escape(host)})"
            + ("" if port_of_its_own else f"(?::{port})?")
            + rf"{re.escape(path)}(?=[/?#]|\Z)",
            # Or the Kelvin sign would be a "k"; another rule refuses it too.
            re.ASCII,
        ),
        bool(path),
    )


def _check_base_url(url: str) -> str | None:
    rule = check_web_url(url)
    if rule is not None:
        return rule
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK_HOSTS:
        return "must be https; http is allowed on this machine only"
    port = "" if parts.port is None else f":{parts.port}"
    # One host and port have one spelling: no dot or colon at the end, no port with zeros.
    if not parts.netloc.endswith(port) or parts.netloc.endswith(":"):
        return "must have a plain port, or none"
    if parts.netloc.removesuffix(port).endswith("."):
        return "must not have a dot behind the host"
    if "?" in url or "#" in url:
        return "must not have a query or a fragment"
    if not _is_plain_path(parts.path):
        return (
            "must have a plain path: letters, digits and -._~ between single slashes, "
            "without '.' and '..'"
        )
    return None


def _leads_up(path: str) -> bool:
    """Return whether somebody could read a *path* as one that leads out of its folder."""
    # Nearly no path has any of these.
    if "%" not in path and "/." not in path:
        return False
    decoded = path
    for _ in range(_MOST_DECODINGS):
        path, decoded = decoded, unquote(decoded)
        if path == decoded:
            break
    else:
        # Encoded more often than anybody has a reason to.
        return True
    # Java's servers cut a segment at its semicolon, and others strip its blanks.
    segments = decoded.replace("\\", "/").split("/")
    return any(
        segment.partition(";")[0].strip(_BLANKS) in (".", "..") for segment in segments
    )


def make_authorization(
    access_token: str, token_type: str, method: str, url: str
) -> dict[str, SecretStr]:
    """Return the headers that carry a token in one request.

    Args:
        access_token: the token.
        token_type: ``Bearer``; there are no others yet.
        method: the method of the request, which a proof of possession names.
        url: its URL, which a proof of possession names too.
    """
    # RFC 6750 section 2.1.
    return {"Authorization": SecretStr(f"Bearer {access_token}")}


# A scheme, or a parameter with its value (RFC 9110 section 11.6.1).
_iterate_parts = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+)))?"
).finditer

_LONGEST_CHALLENGE = 8_192


def is_token_refused(challenges: Iterable[str]) -> bool:
    """Return whether a 401 with these challenges may be over the token that was sent.

    RFC 6750 section 3 has an API answer with a challenge of the scheme ``Bearer``, and with
    ``invalid_token`` if another token could help.  Many answer with no challenge at all.  A
    challenge that is clearly about something else, a proxy's own password or a missing scope,
    is not met by another token.

    Args:
        challenges: the values of the response's ``WWW-Authenticate`` fields.
    """
    text = ", ".join(challenges)[:_LONGEST_CHALLENGE]
    schemes, errors, scheme = set[str](), set[str](), ""
    for part in _iterate_parts(text):
        name, quoted, plain = part.groups()
        if quoted is None and plain is None:
            scheme = name.lower()
            schemes.add(scheme)
        elif scheme == "bearer" and name.lower() == "error":
            errors.add(plain or quoted or "")
    if not schemes:
        return True
    return "bearer" in schemes and (not errors or "invalid_token" in errors)
