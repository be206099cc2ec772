"""``Set-Cookie`` fields, read as a browser reads them."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    """What a server told a browser of one cookie."""

    name: str
    value: str
    attributes: dict[str, str]

    @property
    def deletes(self) -> bool:
        """Whether the cookie is gone after it."""
        return int(self.attributes.get("max-age", "1")) <= 0


def told(field: str) -> Told:
    """Read a ``Set-Cookie`` field (RFC 6265 section 5.2).

    The moment of ``Expires``, which some add to the same ``Max-Age``, is left out.
    """
    pair, *rest = field.split(";")
    name, _, value = pair.partition("=")
    attributes = {}
    for each in rest:
        attribute, _, text = each.partition("=")
        attributes[attribute.strip().lower()] = text.strip()
    attributes.pop("expires", None)
    return Told(name.strip(), value.strip().strip('"'), attributes)
