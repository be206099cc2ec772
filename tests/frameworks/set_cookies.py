"""``Set-Cookie`` fields, read as a browser reads them."""

from __future__ import annotations

from typing import NamedTuple


class SentCookie(NamedTuple):
    """A ``Set-Cookie`` field: the name, the value and the attributes."""

    name: str
    value: str
    attributes: dict[str, str]

    @property
    def is_deletion(self) -> bool:
        """Whether the cookie is gone after it."""
        return int(self.attributes.get("max-age", "1")) <= 0


def parse_set_cookie(field: str) -> SentCookie:
    """Read a ``Set-Cookie`` field (RFC 6265 section 5.2).

    The moment of ``Expires``, which some add to the same ``Max-Age``, is left out.
    """
    pair, *rest = field.split(";")
    name, _, value = pair.partition("=")
    attributes = {}
    for part in rest:
        attribute, _, text = part.partition("=")
        attributes[attribute.strip().lower()] = text.strip()
    attributes.pop("expires", None)
    return SentCookie(name.strip(), value.strip().strip('"'), attributes)
