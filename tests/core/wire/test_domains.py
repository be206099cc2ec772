"""One rule decides which names are domains; whatever parsers read differently is refused."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.domains import (
    MAX_URL_LENGTH,
    check_endpoint_url,
    is_loopback,
    issuer_url,
    normalise_domain,
    normalise_resolved_domain,
)
from auth0_tx.errors import InvalidInputError
from auth0_tx.secret import SecretStr

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["b" * 57, "com"])

NON_ASCII = "must be ASCII; internationalised names are not supported"
BLANK = "must not contain whitespace or control characters"
HTTP = "must use https; http is allowed for a loopback with a port only"
BARE = (
    "must be a host name without scheme, user, port, path or query; its labels "
    "have 1 to 63 letters, digits or inner hyphens"
)
ADDRESS = "must be a name that ends in letters; IP addresses are not accepted"
SINGLE = "must be a full name, such as tenant.us.auth0.com"
PRIVATE = "must be a public DNS name; this one is private or reserved"
PUNYCODE = "must not have an internationalised (xn--) label"
NO_PORT = "needs a port from 1 to 65535 for a loopback, such as localhost:3443"
TOO_LONG = "is longer than 253 characters"
RESOLVED_LOOPBACK = "must not be a loopback when it comes from a resolver"


def test_the_longest_name_is_253_characters() -> None:
    """The longest name of these tests is as long as the DNS allows."""
    assert 253 == len(LONGEST_NAME)


@pytest.mark.parametrize("normalise", [normalise_domain, normalise_resolved_domain])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tenant.us.auth0.com", "tenant.us.auth0.com"),
        ("example.auth0.com", "example.auth0.com"),
        ("login.example.com", "login.example.com"),
        ("example.com", "example.com"),
        ("a-b--c.1st.example.co", "a-b--c.1st.example.co"),
        ("1.2.3.4.example.com", "1.2.3.4.example.com"),
        ("localhost.example.com", "localhost.example.com"),
        ("local.example.com", "local.example.com"),
        ("https://t.auth0.com", "t.auth0.com"),
        ("HTTPS://T.Auth0.COM", "t.auth0.com"),
        ("t.auth0.com/", "t.auth0.com"),
        ("t.auth0.com.", "t.auth0.com"),
        ("https://t.auth0.com./", "t.auth0.com"),
        (SecretStr("https://t.auth0.com"), "t.auth0.com"),
        (LONGEST_NAME, LONGEST_NAME),
        (f"https://{LONGEST_NAME}./", LONGEST_NAME),
    ],
)
def test_a_public_name_has_one_spelling(
    normalise: Callable[[str], str], text: str, expected: str
) -> None:
    """An https scheme, a last slash or dot and upper case are normalised away."""
    actual = normalise(text)

    assert (expected, str) == (actual, type(actual))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:3443", "localhost:3443"),
        ("LocalHost:3443", "localhost:3443"),
        ("https://localhost:3443/", "localhost:3443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("HTTP://localhost:3000/", "http://localhost:3000"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("[::1]:3443", "[::1]:3443"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
    ],
)
def test_a_loopback_with_a_port_is_a_domain(text: str, expected: str) -> None:
    """A tenant on this machine is named with its port, and with http:// for plain HTTP."""
    assert expected == normalise_domain(text)
    assert is_loopback(expected)


@pytest.mark.parametrize(
    "text", ["localhost:3443", "https://127.0.0.1:1/", "http://[::1]:3000"]
)
def test_a_resolver_may_not_return_a_loopback(text: str) -> None:
    """A domain from the application's resolver is never this machine."""
    with pytest.raises(InvalidInputError) as caught:
        normalise_resolved_domain(text)

    assert f"domain {RESOLVED_LOOPBACK}" == caught.value.message


REFUSED = [
    ("", "must not be empty"),
    ("/", "must not be empty"),
    (".", "must not be empty"),
    ("https:///", "must not be empty"),
    ("https://", BARE),
    # Another scheme, or two.
    ("http://t.auth0.com", HTTP),
    ("http://localhost", HTTP),
    ("http://10.0.0.1:3000", HTTP),
    ("ftp://t.auth0.com", BARE),
    ("//t.auth0.com", BARE),
    ("https:/t.auth0.com", BARE),
    ("https:t.auth0.com", BARE),
    ("https:///t.auth0.com", BARE),
    ("https://https://t.auth0.com", BARE),
    ("https://http://localhost:3000", BARE),
    ("javascript:alert(1)", BARE),
    # More than a host.
    ("t.auth0.com//", BARE),
    ("t.auth0.com..", BARE),
    ("t.auth0.com/.", BARE),
    ("t.auth0.com/oauth/token", BARE),
    ("t.auth0.com?a=b", BARE),
    ("t.auth0.com#a", BARE),
    ("evil.com#t.auth0.com", BARE),
    ("evil.com/t.auth0.com", BARE),
    ("t.auth0.com@evil.com", BARE),
    ("t.auth0.com@evil", BARE),
    ("user:password@t.auth0.com", BARE),
    ("t.auth0.com:443", BARE),
    ("t.auth0.com:", BARE),
    ("t.auth0.com,evil.com", BARE),
    ("t.auth0.com;evil.com", BARE),
    # Characters that parsers rewrite.
    ("t.auth0.com\\evil.com", BARE),
    ("\\\\t.auth0.com", BARE),
    ("t%2eauth0.com", BARE),
    ("t.auth0.com%00.evil.com", BARE),
    ("{tenant}.auth0.com", BARE),
    ("$(id).auth0.com", BARE),
    ("t'.auth0.com", BARE),
    (" t.auth0.com", BLANK),
    ("t.auth0.com ", BLANK),
    ("t. auth0.com", BLANK),
    ("t.auth0.com\n", BLANK),
    ("t.auth0.com\r\nHost: evil.com", BLANK),
    ("t\t.auth0.com", BLANK),
    ("t.auth0.com\0", BLANK),
    ("t.auth0.com\x7f", BLANK),
    # Labels.
    (".t.auth0.com", BARE),
    ("t..auth0.com", BARE),
    ("-t.auth0.com", BARE),
    ("t-.auth0.com", BARE),
    ("t.auth0.com-", BARE),
    ("_t.auth0.com", BARE),
    ("t_t.auth0.com", BARE),
    ("*.auth0.com", BARE),
    (f"a{LONGEST_LABEL}.auth0.com", BARE),
    (f"a.{LONGEST_NAME}", TOO_LONG),
    ("a." * 150 + "com", TOO_LONG),
    # Addresses.
    ("1.2.3.4", ADDRESS),
    ("1.2.3.4.", ADDRESS),
    ("https://1.2.3.4/", ADDRESS),
    ("1.2.3", ADDRESS),
    ("127.1", ADDRESS),
    ("0x7f.1", ADDRESS),
    ("127.0.0.0x1", ADDRESS),
    ("0177.0.0.1", ADDRESS),
    ("169.254.169.254", ADDRESS),
    ("t.auth0.0x", ADDRESS),
    ("t.auth0.c0m", ADDRESS),
    ("t.auth0.c", ADDRESS),
    ("2130706433", SINGLE),
    ("0x7f000001", SINGLE),
    ("10.0.0.1:3443", BARE),
    ("::1", BARE),
    ("[::1]", BARE),
    ("[::2]:3443", BARE),
    ("[::ffff:127.0.0.1]:3443", BARE),
    ("::ffff:7f00:1", BARE),
    ("[::ffff:7f00:1]", BARE),
    ("[fe80::1%25eth0]:3443", BARE),
    # Loopbacks in another shape.
    ("localhost", NO_PORT),
    ("127.0.0.1", NO_PORT),
    ("https://localhost/", NO_PORT),
    ("localhost:", NO_PORT),
    ("localhost:0", NO_PORT),
    ("localhost:03443", NO_PORT),
    ("localhost:-1", NO_PORT),
    ("http://localhost:65536", HTTP),
    ("localhost:1e3", NO_PORT),
    ("localhost:3443/path", NO_PORT),
    ("localhost:3443@evil.com", NO_PORT),
    ("localhost:65536", NO_PORT),
    ("127.0.0.1:99999", NO_PORT),
    ("localhost:100000", NO_PORT),
    ("localhost.:3443", BARE),
    ("127.0.0.2:3443", BARE),
    ("127.1:3443", BARE),
    ("user@localhost:3443", BARE),
    # Names the public DNS does not have.
    ("tenant", SINGLE),
    ("com.", SINGLE),
    ("tenant.localhost", PRIVATE),
    ("tenant.local", PRIVATE),
    ("tenant.local.", PRIVATE),
    ("TENANT.LOCAL", PRIVATE),
    ("metadata.google.internal", PRIVATE),
    ("localhost.localdomain", PRIVATE),
    ("tenant.home.arpa", PRIVATE),
    ("1.0.0.127.in-addr.arpa", PRIVATE),
    ("tenant.lan", PRIVATE),
    ("tenant.corp", PRIVATE),
    ("tenant.home", PRIVATE),
    ("tenant.intranet", PRIVATE),
    ("tenant.private", PRIVATE),
    ("tenant.onion", PRIVATE),
    ("tenant.alt", PRIVATE),
    ("tenant.invalid", PRIVATE),
    ("tenant.test", PRIVATE),
    ("tenant.example", PRIVATE),
    # Look-alikes.
    ("t\u00e9nant.auth0.com", NON_ASCII),
    ("t.\u0430uth0.com", NON_ASCII),
    ("\u212aeys.auth0.com", NON_ASCII),
    ("t\uff0eauth0.com", NON_ASCII),
    ("t\u3002auth0.com", NON_ASCII),
    ("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:3443", NON_ASCII),
    ("\u2460.auth0.com", NON_ASCII),
    ("t\u00ad.auth0.com", NON_ASCII),
    ("t\u200b.auth0.com", NON_ASCII),
    ("t.auth0.com\u00a0", NON_ASCII),
    ("t.auth0.com\ud800", NON_ASCII),
    ("localhost:\u0663\u0664\u0664\u0663", NON_ASCII),
    ("xn--tnant-bva.auth0.com", PUNYCODE),
    ("XN--TNANT-BVA.auth0.com", PUNYCODE),
    ("t.xn--uth0-43d.com", PUNYCODE),
    ("tenant.xn--p1ai", PUNYCODE),
    # Not text at all.
    (None, "must be a string"),
    (b"t.auth0.com", "must be a string"),
    (1, "must be a string"),
    (["t.auth0.com"], "must be a string"),
]


@pytest.mark.parametrize("normalise", [normalise_domain, normalise_resolved_domain])
@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_anything_else_is_refused(
    normalise: Callable[[object], str], text: object, problem: str
) -> None:
    """Anything that is not plainly a domain is refused, by the rule that it breaks."""
    with pytest.raises(InvalidInputError) as caught:
        normalise(text)

    assert f"domain {problem}" == caught.value.message
    assert "domain" == caught.value.parameter


@pytest.mark.parametrize("normalise", [normalise_domain, normalise_resolved_domain])
def test_a_secret_in_the_wrong_field_is_not_quoted(
    normalise: Callable[[str], str],
) -> None:
    """The error, its chain and the locals of the raising frame lack the value."""
    with pytest.raises(InvalidInputError) as caught:
        normalise("client_secret_needle")

    error = caught.value
    raised_in = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    assert {"problem": BARE} == raised_in.f_locals
    assert (None, None) == (error.__cause__, error.__context__)
    assert "needle" not in f"{error!r} {error.args}"


def test_a_subclass_of_str_is_taken_by_its_characters() -> None:
    """A subclass of str that overrides its methods is read as it is."""

    class Liar(str):
        def __str__(self) -> str:
            return "t.auth0.com"

        def isascii(self) -> bool:
            return True

        def lower(self) -> str:
            return "t.auth0.com"

    with pytest.raises(InvalidInputError) as caught:
        normalise_domain(Liar("\u0430.com"))

    assert f"domain {NON_ASCII}" == caught.value.message


@pytest.mark.parametrize(
    "domain", ["t.auth0.com", "localhost.example.com", "localhost", "localhost:3443."]
)
def test_other_domains_are_not_loopbacks(domain: str) -> None:
    """Only a loopback with a port counts as one."""
    assert not is_loopback(domain)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("t.auth0.com", "https://t.auth0.com/"),
        ("localhost:3443", "https://localhost:3443/"),
        ("[::1]:3443", "https://[::1]:3443/"),
        ("http://localhost:3000", "http://localhost:3000/"),
    ],
)
def test_the_issuer_has_its_slash(domain: str, expected: str) -> None:
    """The issuer is the domain's URL, with the slash that Auth0 puts at its end."""
    assert expected == issuer_url(domain)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://t.auth0.com/oauth/token", "t.auth0.com"),
        ("https://t.auth0.com/.well-known/jwks.json", "t.auth0.com"),
        ("https://t.auth0.com/v2/logout?a=b&c=~d", "t.auth0.com"),
        ("https://t.auth0.com/a.../..b/...", "t.auth0.com"),
        ("https://t.auth0.com/oidc/", "t.auth0.com"),
        ("https://t.auth0.com/", "t.auth0.com"),
        ("https://localhost:3443/oauth/token", "localhost:3443"),
        ("http://localhost:3000/oauth/token", "http://localhost:3000"),
        ("http://127.0.0.1:3000/oauth/token", "http://127.0.0.1:3000"),
        ("https://[::1]:3443/oauth/token", "[::1]:3443"),
        ("https://t.auth0.com/".ljust(MAX_URL_LENGTH, "a"), "t.auth0.com"),
    ],
)
def test_an_endpoint_on_the_domain_is_accepted(url: str, domain: str) -> None:
    """A plain URL on exactly the configured host, port and scheme breaks no rule."""
    assert None is check_endpoint_url(url, domain)


NO_HTTPS = "does not begin with https://"
NO_HTTP = "does not begin with http://"
ELSEWHERE = "is not on the configured domain"
ODD_PATH = "has a path or query with characters that parsers treat differently"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (None, "is not a string"),
        (b"https://t.auth0.com/oauth/token", "is not a string"),
        (["https://t.auth0.com/oauth/token"], "is not a string"),
        ("https://t.auth0.com/".ljust(2_049, "a"), "is longer than 2,048 characters"),
        ("", NO_HTTPS),
        ("http://t.auth0.com/oauth/token", NO_HTTPS),
        ("HTTPS://t.auth0.com/oauth/token", NO_HTTPS),
        ("//t.auth0.com/oauth/token", NO_HTTPS),
        ("/oauth/token", NO_HTTPS),
        (" https://t.auth0.com/oauth/token", NO_HTTPS),
        ("https:\\\\t.auth0.com/oauth/token", NO_HTTPS),
        ("file:///etc/passwd", NO_HTTPS),
        ("https://t.auth0.com", ELSEWHERE),
        ("https://t.auth0.com?a=b", ELSEWHERE),
        ("https://T.auth0.com/oauth/token", ELSEWHERE),
        ("https://t.auth0.com./oauth/token", ELSEWHERE),
        ("https://evil.com/oauth/token", ELSEWHERE),
        ("https://t.auth0.com.evil.com/oauth/token", ELSEWHERE),
        ("https://t.auth0.com@evil.com/", ELSEWHERE),
        ("https://evil.com@t.auth0.com/", ELSEWHERE),
        ("https://t.auth0.com\\@evil.com/", ELSEWHERE),
        ("https://evil.com\\@t.auth0.com/", ELSEWHERE),
        ("https://t.auth0.com:443/oauth/token", ELSEWHERE),
        ("https://t.auth0.com:8443/oauth/token", ELSEWHERE),
        ("https:///t.auth0.com/oauth/token", ELSEWHERE),
        ("https://t.auth0.com\t/oauth/token", ELSEWHERE),
        ("https://t.\u0430uth0.com/oauth/token", ELSEWHERE),
        ("https://xn--t-7sb.auth0.com/oauth/token", ELSEWHERE),
        ("https://127.0.0.1/oauth/token", ELSEWHERE),
        ("https://2130706433/oauth/token", ELSEWHERE),
        ("https://[::1]/oauth/token", ELSEWHERE),
        ("https://localhost:3443/oauth/token", ELSEWHERE),
        ("https://t.auth0.com/oauth/token#a", ODD_PATH),
        ("https://t.auth0.com/oauth/token#", ODD_PATH),
        ("https://t.auth0.com/oauth/token?", ODD_PATH),
        ("https://t.auth0.com//evil.com/", ODD_PATH),
        ("https://t.auth0.com/oauth//token", ODD_PATH),
        ("https://t.auth0.com/\\evil.com/", ODD_PATH),
        ("https://t.auth0.com/../oauth/token", ODD_PATH),
        ("https://t.auth0.com/oauth/./token", ODD_PATH),
        ("https://t.auth0.com/oauth/..", ODD_PATH),
        ("https://t.auth0.com/oauth/.?a=b", ODD_PATH),
        ("https://t.auth0.com/%2e%2e/oauth/token", ODD_PATH),
        ("https://t.auth0.com/oauth%2ftoken", ODD_PATH),
        ("https://t.auth0.com/oauth/token?a=%0d%0a", ODD_PATH),
        ("https://t.auth0.com/oauth/token ", ODD_PATH),
        ("https://t.auth0.com/oauth/token\n", ODD_PATH),
        ("https://t.auth0.com/oauth/\ttoken", ODD_PATH),
        ("https://t.auth0.com/oauth/token\0", ODD_PATH),
        ("https://t.auth0.com/oauth/t\u00f8ken", ODD_PATH),
        ("https://t.auth0.com/oauth/token;a=b", ODD_PATH),
        ("https://t.auth0.com/a@evil.com", ODD_PATH),
    ],
)
def test_an_endpoint_elsewhere_is_refused(url: object, problem: str) -> None:
    """A URL that any parser could place elsewhere breaks a rule."""
    assert problem == check_endpoint_url(url, "t.auth0.com")


@pytest.mark.parametrize(
    ("url", "domain", "problem"),
    [
        ("http://localhost:3443/oauth/token", "localhost:3443", NO_HTTPS),
        (
            "https://localhost:3000/a",
            "http://localhost:3000",
            "does not begin with http://",
        ),
        ("http://localhost:3001/a", "http://localhost:3000", ELSEWHERE),
        ("http://localhost:30000/a", "http://localhost:3000", ELSEWHERE),
        ("http://127.0.0.1:3000/a", "http://localhost:3000", ELSEWHERE),
        ("https://localhost/oauth/token", "localhost:3443", ELSEWHERE),
    ],
)
def test_a_loopback_endpoint_has_its_scheme_and_port(
    url: str, domain: str, problem: str
) -> None:
    """On a loopback the scheme, the host's spelling and the port are the domain's."""
    assert problem == check_endpoint_url(url, domain)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda label: not label.startswith("xn--")
)
names = st.builds(
    lambda inner, top: ".".join([*inner, top]),
    st.lists(labels, min_size=1, max_size=5),
    st.sampled_from(["com", "app", "uk", "cloud"]),
)
spellings = st.builds(
    lambda scheme, name, dot, slash: f"{scheme}{name}{dot}{slash}",
    st.sampled_from(["", "https://", "HTTPS://"]),
    names | names.map(str.upper),
    st.sampled_from(["", "."]),
    st.sampled_from(["", "/"]),
)


@given(spellings)
def test_every_spelling_of_a_name_is_that_name(text: str) -> None:
    """All spellings of a name give one domain, the host of its issuer."""
    domain = normalise_domain(text)

    assert re.sub(r"^https://|\.?/?$", "", text.lower()) == domain
    assert domain == urlsplit(issuer_url(domain)).netloc


hostile = st.text() | st.text(
    "htps:/.\\@#?%[]-_ \t\n0127xflocalhstauthcm\uff0e\u3002\u00ad\u212a", max_size=40
)


@given(
    hostile
    | st.builds(
        lambda name, at, junk: name[:at] + junk + name[at:],
        spellings,
        st.integers(0, 40),
        hostile,
    )
)
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever the text, it is refused, or its domain normalises to itself."""
    try:
        domain = normalise_domain(text)
    except InvalidInputError:
        return

    assert domain == normalise_domain(domain) == normalise_domain(issuer_url(domain))
    assert None is check_endpoint_url(f"{issuer_url(domain)}oauth/token", domain)


@given(
    st.builds(
        lambda prefix, at, junk: prefix[:at] + junk + prefix[at:],
        st.just("https://t.auth0.com/oauth/token?a=b"),
        st.integers(0, 40),
        hostile,
    )
)
def test_an_accepted_endpoint_is_where_it_says(url: str) -> None:
    """A URL without a problem names the domain and is written as a parser writes it."""
    if check_endpoint_url(url, "t.auth0.com") is not None:
        return

    parsed = urlsplit(url)
    assert ("https", "t.auth0.com", "") == (
        parsed.scheme,
        parsed.netloc,
        parsed.fragment,
    )
    assert url == parsed.geturl()
