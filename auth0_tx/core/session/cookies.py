"""A session's cookies: what they are called, and how one too long becomes several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Protocol

import attrs

from ...secret import secret

SameSite = Literal["lax", "strict", "none"]


@attrs.frozen(kw_only=True)
class SetCookie:
    """A cookie to set on a response (RFC 6265bis).

    Attributes:
        name: with its prefix.
        value: empty to delete.
        max_age: seconds to keep it; 0 deletes it.
        path: the paths it is sent to.
        domain: the domain whose hosts it is sent to; ``None`` for this host alone.
        secure: whether it is sent over https alone.
        same_site: whether other sites' requests carry it.
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
        """Give the cookies of the request, as they are after what was written for it."""
        ...

    def can_write(self, store_options: Mapping[str, object] | None) -> bool:
        """Tell whether there is a response to set cookies on."""
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
        longest_chunk: the most characters of one cookie; browsers take 4,096 with its name.
        most_chunks: the most cookies of one session.  Servers bound their sum: nginx,
            gunicorn and aiohttp.web take about 8,000 characters unless told otherwise,
            which is 2 of these; uvicorn takes 8.
    """

    longest_chunk: int = 3_500
    most_chunks: int = 8


def split(name: str, text: str, store: CookieStore) -> dict[str, str] | None:
    """Give the cookies that hold *text*, by name; ``None`` where they would be too many."""
    size = store.longest_chunk
    if len(text) <= size:
        return {name: text}
    starts = range(0, len(text), size)
    chunks = [secret(text[start : start + size]) for start in starts]
    if len(chunks) > store.most_chunks:
        return None
    return {f"{name}.{number}": chunk for number, chunk in enumerate(chunks)}


def join(name: str, cookies: Mapping[str, str], store: CookieStore) -> str | None:
    """Put together what :func:`split` took apart; ``None`` where there is nothing."""
    whole = cookies.get(name)
    if whole is not None:
        return whole
    chunks: list[str] = []
    while (chunk := cookies.get(f"{name}.{len(chunks)}")) is not None:
        chunks.append(chunk)
        if len(chunks) > store.most_chunks:
            return None
    return secret("".join(chunks)) or None


def list_session_cookies(
    name: str, cookies: Iterable[str], mark: str = "."
) -> list[str]:
    """Give the names of a session's cookies that are there, in whatever state.

    Args:
        name: the session's.
        cookies: the names of all that the browser sent.
        mark: what is between the name and the number of a chunk.
    """
    return [
        each
        for each in cookies
        if each == name
        or (each.startswith(name + mark) and _is_number(each[len(name + mark) :]))
    ]


def _is_number(suffix: str) -> bool:
    return suffix.isascii() and suffix.isdigit() and len(suffix) <= 2


def set_cookie_field(cookie: SetCookie) -> str:
    """Write a cookie as the value of a ``Set-Cookie`` field (RFC 6265bis section 4.1)."""
    parts = [
        f"{cookie.name}={cookie.value}",
        f"Max-Age={cookie.max_age}",
        f"Path={cookie.path}",
        f"SameSite={cookie.same_site.capitalize()}",
        "HttpOnly",
    ]
    if cookie.domain is not None:
        parts.append(f"Domain={cookie.domain}")
    if cookie.secure:
        parts.append("Secure")
    return "; ".join(parts)


def named_by(field: str) -> str:
    """Give the name of the cookie that a ``Set-Cookie`` field sets."""
    return field.partition(";")[0].partition("=")[0].strip()


def vary_on_cookies(fields: Iterable[str]) -> str:
    """Give a ``Vary`` field that names the cookies, besides what *fields* name already.

    A response depends on the cookies of its request (RFC 9110 section 12.5.5).
    """
    named = ", ".join(each for each in fields if each.strip())
    listed = {each.strip().lower() for each in named.split(",")}
    if listed & {"cookie", "*"}:
        return named
    return f"{named}, Cookie" if named else "Cookie"


def cookie_name(name: str, *, secure: bool, domain: str | None, path: str) -> str:
    """Give a cookie's name with the prefix that makes browsers hold it to its attributes.

    RFC 6265bis section 4.1.3: a ``__Host-`` cookie is set by this very host and no other.
    """
    if not secure:
        return name
    return f"__Host-{name}" if domain is None and path == "/" else f"__Secure-{name}"
