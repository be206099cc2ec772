"""Cookies that hold no session are deleted."""

from __future__ import annotations

from auth0_tx.core.flows.session import get_user
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    COOKIE,
    SECRET,
    Browser,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.world import Clock, build_client, play


def test_deletes_the_numbered_cookies_of_auth0s_sdk(clock: Clock) -> None:
    """Only cookies that Auth0's SDK numbers are deleted: others may have no name to set."""
    names = ["_a0_session_0", "_a0_session_theme", "_a0_session_\xe9", "_a0_sessions"]
    browser = Browser(dict.fromkeys(names, "x"))
    context = build_client(clock, secret=SECRET, legacy_secret="of the SDK")

    user, _ = play(get_user(context, browser.request()))

    assert user is None
    assert [("_a0_session_0", 0, True)] == [
        (cookie.name, cookie.max_age, cookie.secure) for cookie in browser.told
    ]


def test_deletes_cookies_of_auth0s_sdk_over_plain_http(clock: Clock) -> None:
    """Over plain http a browser takes no secure cookie, not even to delete one."""
    browser = Browser({"_a0_session_0": "x"})
    context = build_client(
        clock,
        secret=SECRET,
        legacy_secret="of the SDK",
        session_policy=SessionPolicy(cookie_secure=False),
    )

    play(get_user(context, browser.request()))

    assert [False] == [cookie.secure for cookie in browser.told]


def test_every_bit_counts(clock: Clock) -> None:
    """A cookie with any single bit flipped is not a session, and is deleted."""
    context, browser = build_session_client(clock), Browser()
    log_in(context, browser)
    sealed = browser.cookies[COOKIE]
    flips = [(place, bit) for place in range(len(sealed)) for bit in range(8)]

    opened = []
    for place, bit in flips:
        changed = chr(ord(sealed[place]) ^ 1 << bit)
        visitor = Browser({COOKIE: sealed[:place] + changed + sealed[place + 1 :]})
        if read_session(context, visitor) is not None or visitor.cookies:
            opened.append((place, bit))

    assert len(flips) > 8_000
    assert [] == opened
