"""What an Auth0 domain may be, and which URLs belong to one.

One rule, for every place a domain comes in.  A domain is a public DNS name in lower
case, such as ``tenant.us.auth0.com`` or the custom domain ``login.example.com``.  Four
habits of configuration files are forgiven and normalised away: ``https://`` in front,
one slash behind, one dot behind, and upper case.  All else is refused, and so is:

* every IP address, in whatever notation: a name ends in a label of letters only;
* every name that the public DNS does not have (RFC 6761, RFC 6762 and its appendix G,
  RFC 7686, RFC 8375, RFC 9476, ``.internal``): ``.test`` and ``.example`` are among
  them, while names below ``example.com`` are ordinary ones;
* internationalised names, also in their ``xn--`` form, whose look-alikes no reader of a
  configuration file can tell apart.

The one exception is a loopback with a port, for a tenant on the developer's own
machine: ``localhost:3443``, ``127.0.0.1:3443`` and ``[::1]:3443`` over https, or over
http where ``http://`` is spelt out.  The rule is about names: that a public name
resolves to a private address is for the network to prevent.
"""

from __future__ import annotations

import re

from ...errors import InvalidInputError

MAX_DOMAIN_LENGTH = 253
"""Characters of a name (RFC 1035 section 2.3.4: 255 octets with length and root)."""

MAX_URL_LENGTH = 2_048
"""Characters an endpoint's URL may have; Auth0's have fewer than a hundred."""

MAX_LABEL_LENGTH = 63
"""Characters of one label of a name (RFC 1035 section 2.3.4)."""

_LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_PRIVATE = frozenset(
    {
        # RFC 6761 6.2-6.5.
        "test",
        "localhost",
        "invalid",
        "example",
        # RFC 6762 3, and the names its appendix G has seen on private networks.
        "local",
        "intranet",
        "internal",
        "private",
        "corp",
        "home",
        "lan",
        # RFC 7686; RFC 9476; RFC 8375 (home.arpa: no tenant has a name below .arpa).
        "onion",
        "alt",
        "arpa",
        # What /etc/hosts files have beside localhost.
        "localdomain",
    }
)

# After the authority: non-empty segments that are not "." or "..", and a query.  No
# percent sign, and no character that RFC 3986, WHATWG, requests or yarl would rewrite.
# A pattern's text, compiled by its first use and not by the import.
_PATH = r"(?:/(?!\.{1,2}(?:[/?]|\Z))[A-Za-z0-9._~-]+)*/?(?:\?[A-Za-z0-9._~=&-]+)?"


def normalise_domain(text: str) -> str:
    """Return the one spelling of the domain *text*.

    Args:
        text: a public DNS name, or a loopback with a port.

    Returns:
        The bare host in lower case; for a loopback ``host:port``, with ``http://`` in
        front where *text* has it.

    Raises:
        InvalidInputError: *text* is not a domain (``parameter`` is ``"domain"``).
    """
    domain, problem = _read(text)
    if problem is not None:
        # Secrets get pasted into the wrong field: the value is not said, nor left among
        # the locals that a traceback may show.
        del text, domain
        raise InvalidInputError(f"domain {problem}", parameter="domain")
    return domain


def normalise_resolved_domain(text: str) -> str:
    """Return the one spelling of a domain that the application's resolver gave.

    The rule is that of :func:`normalise_domain` without the loopback: what a request
    can influence must not reach the machine itself.

    Args:
        text: a public DNS name.

    Raises:
        InvalidInputError: *text* is not a public name (``parameter`` is ``"domain"``).
    """
    domain, problem = _read(text)
    if problem is None and is_loopback(domain):
        problem = "must not be a loopback where a resolver gives it"
    if problem is not None:
        del text, domain
        raise InvalidInputError(f"domain {problem}", parameter="domain")
    return domain


def is_loopback(domain: str) -> bool:
    """Say whether *domain*, as normalised, is a tenant on this machine."""
    return _is_loopback_authority(domain.removeprefix("http://"))


def issuer_url(domain: str) -> str:
    """Return the issuer of the tenant at *domain*, as normalised, with its slash.

    Auth0's issuer is the domain's URL with a trailing slash; it is compared as text
    (OpenID Connect Discovery 1.0 section 4.3).
    """
    return f"{domain}/" if domain.startswith("http://") else f"https://{domain}/"


def check_endpoint_url(url: object, domain: str) -> str | None:
    """Return the rule that an endpoint of a discovery document breaks, or None.

    An endpoint is on the configured host and port, over the configured scheme, and is
    written so plainly that no two URL parsers can differ about it.

    Args:
        url: the member of the discovery document, of whatever type it is.
        domain: the configured domain, as normalised.
    """
    if not isinstance(url, str):
        return "is not a string"
    if len(url) > MAX_URL_LENGTH:
        return f"is longer than {MAX_URL_LENGTH:,} characters"
    issuer = issuer_url(domain)
    scheme = issuer[: issuer.index(":") + 3]
    if not url.startswith(scheme):
        return f"does not begin with {scheme}"
    # Up to its slash the URL is the issuer's, character by character: no user, port,
    # address or other spelling of the host is left for a parser to find.
    if not url.startswith(issuer):
        return "is not on the configured domain"
    if not re.fullmatch(_PATH, url[len(issuer) - 1 :]):
        return "has a path or query beyond plain segments and parameters"
    return None


def _read(text: object) -> tuple[str, str | None]:
    if not isinstance(text, str):
        return "", "must be a string"
    # By its characters, whatever a subclass says of itself.
    domain = str.__str__(text)
    # Before lower(), which makes a plain k of the Kelvin sign.
    if not domain.isascii():
        return "", "must be ASCII; an internationalised name is not supported"
    if not domain.isprintable() or " " in domain:
        return "", "must not contain whitespace or control characters"
    domain = domain.lower().removesuffix("/")
    if domain.startswith("http://"):
        if is_loopback(domain):
            return domain, None
        return "", "must be reached over https; only a loopback with a port may be http"
    host = domain.removeprefix("https://")
    if _is_loopback_authority(host):
        return host, None
    name = host.removesuffix(".")
    return name, _problem_of_name(name)


def _is_loopback_authority(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return (
        host in _LOOPBACK_HOSTS
        and len(port) <= 5
        and port.isascii()
        and port.isdigit()
        and not port.startswith("0")
        and int(port) <= 65_535
    )


def _problem_of_name(name: str) -> str | None:
    if not name:
        return "must not be empty"
    if len(name) > MAX_DOMAIN_LENGTH:
        return f"is longer than {MAX_DOMAIN_LENGTH} characters"
    labels = name.split(".")
    if name.partition(":")[0] in {"localhost", "127.0.0.1"}:
        return "may be a loopback only with a port, 1 to 65535: localhost:3443"
    if not all(map(_is_label, labels)):
        return (
            "must be a bare host name: no scheme, user, port, path, query or address, "
            "and labels of 1 to 63 letters, digits and inner hyphens"
        )
    if len(labels) == 1:
        return "must be a full name, such as tenant.us.auth0.com"
    if any(label.startswith("xn--") for label in labels):
        return "must not have an internationalised (xn--) label"
    # RFC 1123 2.1: a top-level name is alphabetic, so that no address can be a name.
    # What a WHATWG parser takes for an IPv4 address has a last label that begins with a
    # digit.
    if not labels[-1].isalpha() or len(labels[-1]) < 2:
        return "must be a name and end in letters; an IP address is not accepted"
    if labels[-1] in _PRIVATE:
        return "must be a name of the public DNS; this one is private or reserved"
    return None


def _is_label(text: str) -> bool:
    # RFC 1123 2.1: letters, digits and inner hyphens; RFC 1035 2.3.4: 63 octets.
    return (
        0 < len(text) <= MAX_LABEL_LENGTH
        and _LABEL_CHARACTERS.issuperset(text)
        and not text.startswith("-")
        and not text.endswith("-")
    )
