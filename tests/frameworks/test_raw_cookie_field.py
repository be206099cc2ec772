"""The ``Cookie`` field as browsers really send it, over a socket, to each framework.

A browser checks the prefix of a cookie's name, so another host of the same domain cannot plant a
``__Host-`` cookie.  It can plant names and values in which a framework's parser finds one: with a
white space of Unicode before it, after a comma, inside of quotes.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.frameworks import django_app
from tests.frameworks.clients import World
from tests.frameworks.conftest import SITES, Site

COOKIE = b"__Host-auth0_tx"
ALL_SITES = {**SITES, "django-asgi": django_app.serve_asgi}


@pytest.fixture(scope="module", params=ALL_SITES)
def site(request: pytest.FixtureRequest, world: World) -> Iterator[Site]:
    """A site of each framework that keeps sessions in cookies."""
    with ALL_SITES[request.param](world) as port:
        yield Site(request.param, port, "cookie", world)


@pytest.fixture(scope="module")
def sealed(site: Site) -> bytes:
    """The value of the session cookie of a user who is logged in."""
    return site.log_in_new_browser().cookies[COOKIE.decode()].encode()


def ask(site: Site, *fields: bytes) -> tuple[int, str | None]:
    """Ask who is logged in, with these fields; return the status and the user."""
    lines = [
        b"GET /cookie/me HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
        *(b"Cookie: " + field for field in fields),
    ]
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(None, 2)[1])
    if status != 200:
        return status, None
    begin, end = body.find(b"{"), body.rfind(b"}")
    if begin < 0:
        return status, None
    return status, json.loads(body[begin : end + 1])["sub"]


# What comes before the name, and what a lenient parser would strip, split or undo.
PLANTED = {
    "U+2000": b"\xe2\x80\x80%s=%s",
    "U+3000": b"\xe3\x80\x80%s=%s",
    # Not at the beginning: there wsgiref strips them itself.
    "U+0085 in Latin-1": b"a=b;\x85%s=%s",
    "U+00A0 in Latin-1": b"a=b; \xa0%s=%s",
    "U+00A0": b"\xc2\xa0%s=%s",
    "U+2000 after another": b"theme=dark; \xe2\x80\x80%s=%s",
    "vertical tab": b"a=b;\x0b%s=%s",
    "form feed": b"a=b;\x0c%s=%s",
    "unit separator": b"a=b;\x1f%s=%s",
    "comma": b"theme=dark,%s=%s",
    "comma and space": b"theme=dark, %s=%s",
    "comma at the beginning": b",%s=%s",
    "in quotes": b'theme="dark, %s=%s"',
    "quoted name": b'"%s"=%s',
    "quoted value": b'%s="%s"',
    "no name": b"=%s=%s",
    "no equals sign": b"%s%s",
    "colon": b"%s:%s",
    "NUL": b"\x00%s=%s",
    "NUL in the value": b"%s=\x00%s",
}


def test_the_cookie_itself(site: Site, sealed: bytes) -> None:
    """The field of a browser is read, with others in it or in several fields."""
    plain = COOKIE + b"=" + sealed

    assert (200, "auth0|alice") == ask(site, plain)
    assert (200, "auth0|alice") == ask(site, b"theme=dark; " + plain + b"; lang=en")
    assert (200, "auth0|alice") == ask(site, b'q="a; ' + plain + b'; b="')
    assert (200, "auth0|alice") == ask(site, b"\xff=\xfe; x; =; ;" + plain)
    assert (200, None) == ask(site)


@pytest.mark.parametrize("how", PLANTED)
def test_planted(site: Site, sealed: bytes, how: str) -> None:
    """A name that only a lenient parser finds is not the session's."""
    status, user = ask(site, PLANTED[how] % (COOKIE, sealed))

    # Some servers refuse a field with a control character in it.
    assert None is user
    assert status == 200 or (status == 400 and not how.startswith(("U", "comma")))


@pytest.mark.parametrize(
    "name", [COOKIE.lower(), COOKIE.upper(), b"__HOST-auth0_tx", b"auth0_tx"]
)
def test_another_case(site: Site, sealed: bytes, name: bytes) -> None:
    """A name in another case is another name."""
    assert (200, None) == ask(site, name + b"=" + sealed)


@pytest.mark.parametrize("other", [b"planted", b"", None], ids=repr)
def test_twice(site: Site, sealed: bytes, other: bytes | None) -> None:
    """A name with a prefix that comes twice is not the session's, whichever is first."""
    plain, second = COOKIE + b"=" + sealed, COOKIE + b"=" + (other or sealed)

    assert (200, None) == ask(site, plain + b"; " + second)
    assert (200, None) == ask(site, second + b"; theme=dark; " + plain)


def test_two_fields(site: Site, sealed: bytes) -> None:
    """Several fields are one in pieces; what a server of WSGI joins with a comma is not."""
    status, user = ask(site, b"theme=dark", COOKIE + b"=" + sealed)

    is_wsgi = site.name in ("django", "flask")
    assert (200, None if is_wsgi else "auth0|alice") == (status, user)
    assert (200, None) == ask(site, COOKIE + b"=" + sealed, COOKIE + b"=" + sealed)
