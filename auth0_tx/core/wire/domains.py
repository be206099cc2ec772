"""Which names may be an Auth0 domain, and which URLs belong to one.

Client secrets and users' tokens go wherever the domain says.  So there is one rule, for
every place a domain comes in, and it takes only names that all parsers read alike: a
public DNS name in lower case, such as ``tenant.us.auth0.com`` or the custom domain
``login.example.com``.  Four habits of configuration files are forgiven and normalised
away: ``https://`` in front, a slash at the end, a dot at the end, and upper case.
Everything else is refused, in particular:

* every IP address, in any notation: a name ends in a label of letters only;
* every name that the public DNS does not have (RFC 6761, RFC 6762 and its appendix G,
  RFC 7686, RFC 8375, RFC 9476, ``.internal``): a request that carries a secret must not
  reach whoever answers to it on the local network.  ``.test`` and ``.example`` are among
  them, while names below ``example.com`` are ordinary ones;
* internationalised names, also in their ``xn--`` form, whose look-alikes nobody who reads
  a configuration file can tell apart.

The one exception is a loopback with a port, for a tenant on the developer's own machine:
``localhost:3443``, ``127.0.0.1:3443`` and ``[::1]:3443`` over https, or over http if
``http://`` is written out.  An application's resolver must not return one, because a
request can influence what it returns (CWE-918).

The rule is about names.  That a public name resolves to a private address is for the
network to prevent.

An endpoint from a discovery document must be on the domain that was configured: the
document comes over TLS, but a tampered one must not be able to send secrets elsewhere.
"""

from __future__ import annotations

import re

from ...errors import InvalidInputError

MAX_DOMAIN_LENGTH = 253
"""Characters of a name (RFC 1035 section 2.3.4: 255 octets with length and root)."""

MAX_URL_LENGTH = 2_048
"""Characters of an endpoint's URL; Auth0's have fewer than a hundred."""

MAX_LABEL_LENGTH = 63
"""Characters of one label of a name (RFC 1035 section 2.3.4)."""

_LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_PRIVATE = frozenset(
    {
        # RFC 6761 6.2-6.5: reserved for tests, loopback and documentation.
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
        # Found beside localhost in many /etc/hosts files.
        "localdomain",
    }
)

# After the authority: non-empty segments that are not "." or "..", and a query.  No
# percent sign, and no character that RFC 3986, WHATWG, requests or yarl would rewrite:
# otherwise the URL that was checked is not the one that is fetched.
_is_plain_path = re.compile(
    r"(?:/(?!\.{1,2}(?:[/?]|\Z))[A-Za-z0-9._~-]+)*/?(?:\?[A-Za-z0-9._~=&-]+)?"
).fullmatch


def normalise_domain(text: str) -> str:
    """Return the one spelling of the domain *text*.

    Args:
        text: a public DNS name, or a loopback with a port.

    Returns:
        The bare host in lower case; for a loopback ``host:port``, with ``http://`` in
        front if *text* has it.

    Raises:
        InvalidInputError: *text* is not a domain (``parameter`` is ``"domain"``).
    """
    domain, problem = _parse_domain(text)
    if problem is not None:
        # Secrets get pasted into the wrong field.  The value is not quoted, nor left
        # among the locals, which error trackers show.
        del text, domain
        raise InvalidInputError(f"domain {problem}", parameter="domain")
    return domain


def normalise_resolved_domain(text: str) -> str:
    """Return the one spelling of a domain that the application's resolver returned.

    The rule is that of :func:`normalise_domain` without the loopback: a value that a
    request can influence must not reach the machine itself (CWE-918).

    Args:
        text: a public DNS name.

    Raises:
        InvalidInputError: *text* is not a public name (``parameter`` is ``"domain"``).
    """
    domain, problem = _parse_domain(text)
    if problem is None and is_loopback(domain):
        problem = "must not be a loopback when it comes from a resolver"
    if problem is not None:
        # As above: a resolver may return anything, a secret too.
        del text, domain
        raise InvalidInputError(f"domain {problem}", parameter="domain")
    return domain


def is_loopback(domain: str) -> bool:
    """Return whether *domain*, as normalised, is a tenant on this machine."""
    return _is_loopback_authority(domain.removeprefix("http://"))


def issuer_url(domain: str) -> str:
    """Return the issuer of the tenant at *domain*, as normalised, with its slash.

    Auth0's issuer is the domain's URL with a trailing slash; it is compared as text
    (OpenID Connect Discovery 1.0 section 4.3).
    """
    return f"{domain}/" if domain.startswith("http://") else f"https://{domain}/"


def check_endpoint_url(url: object, domain: str) -> str | None:
    """Return the rule that an endpoint of a discovery document breaks, or ``None``.

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
    if not _is_plain_path(url[len(issuer) - 1 :]):
        return "has a path or query with characters that parsers treat differently"
    return None


def _parse_domain(text: object) -> tuple[str, str | None]:
    if not isinstance(text, str):
        return "", "must be a string"
    # A subclass of str may override any method; only its characters count.
    domain = str.__str__(text)
    # Before lower(), which turns the Kelvin sign (U+212A) into a plain k.
    if not domain.isascii():
        return "", "must be ASCII; internationalised names are not supported"
    if not domain.isprintable() or " " in domain:
        return "", "must not contain whitespace or control characters"
    domain = domain.lower().removesuffix("/")
    if domain.startswith("http://"):
        if is_loopback(domain):
            return domain, None
        return "", "must use https; http is allowed for a loopback with a port only"
    host = domain.removeprefix("https://")
    if _is_loopback_authority(host):
        return host, None
    # A dot at the end says that the name is fully qualified, which it is anyway.
    name = host.removesuffix(".")
    return name, _check_name(name)


def _is_loopback_authority(text: str) -> bool:
    host, _, port = text.rpartition(":")
    # Only the three spellings that every resolver and parser knows, and a port without
    # leading zeros: one domain has one spelling, which is also its key in the caches.
    return (
        host in _LOOPBACK_HOSTS
        and len(port) <= 5
        and port.isascii()
        and port.isdigit()
        and not port.startswith("0")
        and int(port) <= 65_535
    )


def _check_name(name: str) -> str | None:
    if not name:
        return "must not be empty"
    if len(name) > MAX_DOMAIN_LENGTH:
        return f"is longer than {MAX_DOMAIN_LENGTH} characters"
    labels = name.split(".")
    # The commonest mistake of a developer with a local tenant gets an answer of its own.
    if name.partition(":")[0] in {"localhost", "127.0.0.1"}:
        return "needs a port from 1 to 65535 for a loopback, such as localhost:3443"
    if not all(map(_is_label, labels)):
        return (
            "must be a host name without scheme, user, port, path or query; its labels "
            "have 1 to 63 letters, digits or inner hyphens"
        )
    if len(labels) == 1:
        return "must be a full name, such as tenant.us.auth0.com"
    # RFC 5890 2.3.2.1: "xn--" marks an internationalised label in its ASCII form.
    if any(label.startswith("xn--") for label in labels):
        return "must not have an internationalised (xn--) label"
    # RFC 1123 2.1: a top-level name is alphabetic, so that no address can be a name.  A
    # WHATWG parser takes a host for an IPv4 address if its last label begins with a digit.
    if not labels[-1].isalpha() or len(labels[-1]) < 2:
        return "must be a name that ends in letters; IP addresses are not accepted"
    if labels[-1] in _PRIVATE:
        return "must be a public DNS name; this one is private or reserved"
    return None


def _is_label(text: str) -> bool:
    # RFC 1123 2.1: letters, digits and inner hyphens; RFC 1035 2.3.4: 63 octets.
    return (
        0 < len(text) <= MAX_LABEL_LENGTH
        and _LABEL_CHARACTERS.issuperset(text)
        and not text.startswith("-")
        and not text.endswith("-")
    )
