"""The cookies of a session: their names, their attributes, and a long one in several.

A browser keeps 4,096 bytes of a cookie, name and attributes included (RFC 6265 section 6.1),
and a sealed session with a few tokens is longer.  So ``split`` cuts it into numbered
chunks, ``name.0``, ``name.1`` and so on, and ``join`` puts them together.  A session that
fits has one cookie, ``name``.  A session that changes its form leaves cookies of the other
form behind, which ``list_session_cookies`` finds so that the answer that changes it deletes
them.  Should some remain (a browser drops cookies one by one), the seal does not open, and there
is no session.

Servers refuse requests whose fields are too long, and a user with such cookies cannot even
reach the logout.  So the number of chunks is bounded when they are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Protocol

import attrs

from ...secret import SecretStr, secret

SameSite = Literal["lax", "strict", "none"]


@attrs.frozen(kw_only=True)
class SetCookie:
    """A cookie to set on a response (RFC 6265bis).

    Attributes:
        name: the name, with its prefix.
        value: the value; empty to delete the cookie.
        max_age: seconds to keep it; 0 deletes it.
        path: the paths that it is sent to.
        domain: the domain whose hosts it is sent to; ``None`` for this host only.
        secure: whether it is sent over https only.
        same_site: whether requests from other sites carry it.
    """

    name: str
    value: str = attrs.field(repr=False)
    max_age: int
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    same_site: SameSite = "lax"


class Cookies(Protocol):
    """The cookies of the requests and responses that an application hands in."""

    def read(self, store_options: Mapping[str, object] | None) -> Mapping[str, str]:
        """Return the cookies of the request, and with those written for it since."""
        ...

    def can_write(self, store_options: Mapping[str, object] | None) -> bool:
        """Return whether there is a response to set cookies on."""
        ...

    def write(
        self,
        store_options: Mapping[str, object] | None,
        cookies: Collection[SetCookie],
    ) -> None:
        """Set *cookies* on the response."""
        ...


@attrs.frozen(kw_only=True)
class CookieStore:
    """Keep sessions in the browser: sealed, in as many cookies as it takes.

    Nothing is kept on the server, so a session cannot be ended from there: back-channel
    logout needs another store, and a copied cookie is good until it expires.

    Attributes:
        longest_chunk: the maximum characters of one cookie; browsers keep 4,096 with its
            name and attributes.
        most_chunks: the maximum number of cookies for one session.  Servers limit their sum:
            nginx, gunicorn and aiohttp.web accept about 8,000 characters by default, which
            is 2 of these.  From a session that is longer, access tokens are left out, then
            the ID token.
    """

    longest_chunk: int = 3_500
    most_chunks: int = 2


_PREFIXES = ("__Host-", "__Secure-")

_MOST_CHUNKS_EVER = 8
"""The default of *most_chunks* in earlier releases, whose chunks a browser may still have."""


_EMPTY_VALUES = ("", '""')
"""The values of cookies that were deleted.  No browser sends those, but Django's test client
does; Python's ``http.cookies`` writes an empty value in quotes."""


def parse_cookies(field: str) -> dict[str, str]:
    """Return the cookies of a ``Cookie`` field by name, as browsers write it.

    RFC 6265bis section 5.8.3: pairs are joined with a semicolon and a space.  Frameworks read
    more than that: they take quotes off, split at commas, or strip every kind of white space.
    Another host of the same domain can set a cookie whose name begins with U+2000, or put a
    comma into a value.  Such a reader then finds a prefix that the browser never checked.

    A name with a prefix that comes twice is left out: a browser has one cookie of that name for
    a host, so one of the two isn't what it claims to be.  Of others the first counts, which
    has the longest path.
    """
    cookies: dict[str, str] = {}
    repeated: set[str] = set()
    for pair in field.split(";"):
        name, equals, value = pair.partition("=")
        # Not ``strip()``: for Python U+0085 and U+00A0 are white space, too.
        name = str(name).strip(" \t")
        # A cookie without a name can have any value, such as "__Host-name=x".
        if not (name and equals):
            continue
        if name not in cookies:
            cookies[name] = SecretStr(value.strip(" \t"))
        elif name.startswith(_PREFIXES):
            repeated.add(name)
    for name in repeated:
        del cookies[name]
    return cookies


def split(name: str, text: str, store: CookieStore) -> dict[str, str] | None:
    """Return the cookies that hold *text*, by name, or ``None`` if they are too many."""
    size = store.longest_chunk
    if len(text) <= size:
        return {name: text}
    starts = range(0, len(text), size)
    chunks = [secret(text[start : start + size]) for start in starts]
    if len(chunks) > store.most_chunks:
        return None
    return {f"{name}.{number}": chunk for number, chunk in enumerate(chunks)}


def join(name: str, cookies: Mapping[str, str], store: CookieStore) -> str | None:
    """Return the text that :func:`split` split, or ``None`` if there is none."""
    # The whole form first: the browser may still send chunks of an earlier, longer session.
    whole = cookies.get(name, "")
    if whole not in _EMPTY_VALUES:
        return whole
    chunks: list[str] = []
    while (chunk := cookies.get(f"{name}.{len(chunks)}", "")) not in _EMPTY_VALUES:
        chunks.append(chunk)
        # Nothing that we wrote.  Made-up chunks must not cost a long decryption.
        if len(chunks) > store.most_chunks:
            return None
    return secret("".join(chunks)) or None


def list_session_cookies(
    name: str, cookies: Collection[str], *, mark: str = ".", most: int = 0
) -> list[str]:
    """Return the names of a session's cookies that the browser sent, valid or not.

    Each is deleted by a field of the answer, and a visitor who makes up a hundred chunks must
    not make the answer grow.  So only names that this library may have set are looked for.

    Args:
        name: the session cookie's name.
        cookies: the names of all cookies that the browser sent.
        mark: what separates the name from the number of a chunk.
        most: the maximum number of chunks.
    """
    # Of most browsers there is nothing to find.
    if not any(sent.startswith(name) for sent in cookies):
        return []
    numbers = range(max(most, _MOST_CHUNKS_EVER))
    names = [name, *(f"{name}{mark}{number}" for number in numbers)]
    return [sent for sent in names if sent in cookies]


def format_set_cookie(cookie: SetCookie) -> str:
    """Return the value of the ``Set-Cookie`` field of a cookie (RFC 6265bis section 4.1)."""
    parts = [
        f"{cookie.name}={cookie.value}",
        f"Max-Age={cookie.max_age}",
        f"Path={cookie.path}",
        f"SameSite={cookie.same_site.capitalize()}",
        # Always: no script has a use for a sealed session, and an injected one would.
        "HttpOnly",
    ]
    if cookie.domain is not None:
        parts.append(f"Domain={cookie.domain}")
    if cookie.secure:
        parts.append("Secure")
    return "; ".join(parts)


def parse_cookie_name(field: str) -> str:
    """Return the name of the cookie that a ``Set-Cookie`` field sets."""
    return field.partition(";")[0].partition("=")[0].strip()


def vary_on_cookies(fields: Iterable[str]) -> str:
    """Return the ``Vary`` field of a response that depends on cookies.

    Without ``Cookie`` in it, a cache may give one user's page to the next (RFC 9110 section
    12.5.5).

    Args:
        fields: the ``Vary`` fields that the response has; what they name stays.
    """
    named = ", ".join(field for field in fields if field.strip())
    listed = {name.strip().lower() for name in named.split(",")}
    # "*" says that the response depends on everything, and must stand alone.
    if listed & {"cookie", "*"}:
        return named
    return f"{named}, Cookie" if named else "Cookie"


def cookie_name(name: str, *, secure: bool, domain: str | None, path: str) -> str:
    """Return a cookie's name with the prefix that makes browsers enforce its attributes.

    A ``__Host-`` cookie cannot be set by another host of the same domain, which could
    otherwise plant a session of its own (RFC 6265bis section 4.1.3).
    """
    if not secure:
        # Browsers refuse a prefixed cookie that isn't ``Secure``.
        return name
    return f"__Host-{name}" if domain is None and path == "/" else f"__Secure-{name}"
