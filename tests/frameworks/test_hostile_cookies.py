"""Visitors with hostile cookies: they simply have no session, and no site ever breaks."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException

import attrs
import pytest

from tests.frameworks.browser import Browser
from tests.frameworks.clients import SERVER_SIDE, World
from tests.frameworks.conftest import Site

COOKIE = "__Host-auth0_tx"


@pytest.fixture
def chunked(running: tuple[str, int], world: World) -> Site:
    """A site whose sessions take several cookies."""
    return Site(*running, "chunks", world)


def check_no_session(site: Site, cookies: dict[str, str]) -> None:
    """Send cookies that must not be a session: reads write nothing, and a login works."""
    browser = Browser(site.port, site.store, dict(cookies))

    answer = browser.get("me")

    assert (200, None) == (answer.status, answer.json), answer
    assert [] == answer.cookies_set
    assert 401 == browser.copy().get("token").status


VALUES: dict[str, Callable[[str], str]] = {
    "empty": lambda value: "",
    "cut by one": lambda value: value[:-1],
    "cut in half": lambda value: value[: len(value) // 2],
    "a single character": lambda value: value[:1],
    "twice": lambda value: value + value,
    "reversed": lambda value: value[::-1],
    "in quotes": lambda value: f'"{value[:-1]}\\"',
    "percent-encoded": lambda value: value.replace(value[3], f"%{ord(value[3]):x}"),
    "not ASCII": lambda value: f"{value}\xe9\xff",
    "only not ASCII": lambda value: "\xff" * 43,
    "dots": lambda value: "....",
    "JSON": lambda value: '{"user":{"sub":"auth0|alice"}}',
    "its own name": lambda value: COOKIE,
    "a number": lambda value: "0",
    "long": lambda value: "A" * 4_000,
}


def test_changed_value(site: Site) -> None:
    """A changed cookie is not a session, and a read leaves it where it is."""
    cookies = site.log_in_new_browser().session
    changed = list(cookies)[-1]

    for change in VALUES.values():
        check_no_session(site, {**cookies, changed: change(cookies[changed])})


def test_any_bit_flipped(site: Site) -> None:
    """A cookie with any bit flipped is not a session."""
    cookies = site.log_in_new_browser().session
    name, value = list(cookies.items())[-1]
    places = sorted({*range(0, len(value), max(len(value) // 8, 1)), len(value) - 1})

    for place in places:
        for bit in (0, 1, 4, 6):
            flipped = chr(ord(value[place]) ^ 1 << bit)
            if not flipped.isprintable():
                continue
            sent = {**cookies, name: value[:place] + flipped + value[place + 1 :]}
            answer = Browser(site.port, site.store, sent).get("me")
            assert (200, None) == (answer.status, answer.json), (place, bit)


def reorder(cookies: dict[str, str], *order: int) -> dict[str, str]:
    values = list(cookies.values())
    names = [f"{COOKIE}.{number}" for number in range(len(order))]
    return dict(zip(names, (values[number] for number in order), strict=True))


CHUNKS: dict[str, Callable[[dict[str, str], dict[str, str]], dict[str, str]]] = {
    "two swapped": lambda mine, other: reorder(mine, 1, 0, *range(2, len(mine))),
    "the first missing": lambda mine, other: dict(list(mine.items())[1:]),
    "one between missing": lambda mine, other: {
        name: value for name, value in mine.items() if not name.endswith(".1")
    },
    "the last missing": lambda mine, other: dict(list(mine.items())[:-1]),
    "one twice": lambda mine, other: reorder(mine, *range(len(mine)), 0),
    "another user's first": lambda mine, other: {
        **mine,
        f"{COOKIE}.0": other[f"{COOKIE}.0"],
    },
    "another user's all but the first": lambda mine, other: {
        **other,
        f"{COOKIE}.0": mine[f"{COOKIE}.0"],
    },
    "an old one left over": lambda mine, other: {
        **mine,
        f"{COOKIE}.{len(mine)}": list(other.values())[-1],
    },
    "an old whole one left over": lambda mine, other: {
        COOKIE: next(iter(other.values())),
        **mine,
    },
    "one empty": lambda mine, other: {**mine, f"{COOKIE}.1": ""},
    "too many": lambda mine, other: {f"{COOKIE}.{n}": "A" * 50 for n in range(60)},
    "alone": lambda mine, other: {f"{COOKIE}.7": mine[f"{COOKIE}.0"]},
}


def test_chunks_not_as_they_were(chunked: Site) -> None:
    """Chunks that do not belong together are not a session; the next login deletes them."""
    mine, other = (
        chunked.log_in_new_browser("alice").session,
        chunked.log_in_new_browser("bob").session,
    )
    assert 4 <= len(mine)

    for change in CHUNKS.values():
        sent = change(mine, other)
        check_no_session(chunked, sent)
        browser = Browser(chunked.port, chunked.store, dict(sent))
        chunked.log_in(browser)
        assert "auth0|alice" == browser.get("me").json["sub"]
        numbers = [int(name.rpartition(".")[2]) for name in browser.session]
        # Beyond the maximum of chunks they are nobody's.
        assert len(mine) == len([number for number in numbers if number < 20])


def test_session_that_shrinks(chunked: Site) -> None:
    """A smaller session deletes the chunks that it does not need, and still holds."""
    browser = chunked.log_in_new_browser("alice")
    before = set(browser.session)

    answer = chunked.log_in(browser, "bob", scope="openid")

    assert before > set(browser.session)
    assert before - set(browser.session) <= answer.deleted
    assert "auth0|bob" == browser.get("me").json["sub"]


def test_cookie_of_another_store(site: Site) -> None:
    """A session is none where another name, or another way of keeping it, is in use."""
    cookies = site.log_in_new_browser().session
    others = SERVER_SIDE if site.store not in SERVER_SIDE else ("cookie", "chunks")

    for store in others:
        check_no_session(attrs.evolve(site, store=store), cookies)
    renamed = {name.replace("__Host-", "__Secure-"): v for name, v in cookies.items()}
    check_no_session(site, renamed)


def test_megabyte(site: Site) -> None:
    """A megabyte of cookie is refused by the server or is not a session; others go on."""
    sent = {COOKIE: "A" * 1_000_000}
    browser = Browser(site.port, site.store, sent)

    try:
        status = browser.get("me").status
    except (HTTPException, OSError):
        status = 0  # It hung up on what is longer than it reads.

    assert status in (0, 200, 400, 413, 431)
    assert "auth0|alice" == site.log_in_new_browser().get("me").json["sub"]


def test_hundred_cookies_of_others(site: Site) -> None:
    """Other cookies do not matter, however many there are."""
    browser = site.log_in_new_browser()
    browser.cookies |= {f"c{number}": "v" * 20 for number in range(100)}

    assert "auth0|alice" == browser.get("me").json["sub"]


def test_login_with_hostile_cookies(site: Site) -> None:
    """A browser with hostile cookies can log in, and logs out cleanly."""
    hostile = {COOKIE: "\xff;=", f"{COOKIE}.0": "A", f"{COOKIE}.7": "", "\xe9": "\xe9"}
    browser = Browser(site.port, site.store, hostile)

    site.log_in(browser)

    assert "auth0|alice" == browser.get("me").json["sub"]
    browser.post("logout")
    assert set() == {name for name in browser.session if name.startswith(COOKIE)}
