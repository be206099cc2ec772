"""Which URLs may name a proxy: one rule for ``proxy=``, the environment and sessions.

A proxy is asked for a tunnel, and gets its own credentials.  Both HTTP libraries read a URL
that breaks the rule differently: what is a port to one of them is a scheme to the other.  So
it is refused before a socket is opened.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from .problems import check_text

_RULE = "must be the URL of an HTTP proxy, such as http://proxy.example.com:3128"


def check_proxy(proxy: object) -> str | None:
    """Return the rule that *proxy* breaks as the URL of a proxy, or ``None``.

    It has the scheme http or https, a host, perhaps a port, and perhaps credentials, which
    RFC 7617 section 2 sends as ISO-8859-1.
    """
    rule = check_text(proxy)
    if rule is not None:
        return rule
    text = str(proxy)
    if not text.startswith(("http://", "https://")) or " " in text:
        return _RULE
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # A bracket that is not closed, or a port that is not a number or too large.
        return _RULE
    host = parts.hostname
    is_plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if not host or port == 0 or not is_plain or not _has_plain_host(host):
        return _RULE
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    try:
        pair.encode("latin-1")
    except UnicodeEncodeError:
        return "must have a user and a password in ISO-8859-1"
    return None


def _has_plain_host(host: str) -> bool:
    """Return whether all parsers read *host* alike: a name, or an address."""
    return all(character.isalnum() or character in "-._:" for character in host)
