"""Requests of one browser that overlap, and answers that arrive in any order: all of them.

A request is sent with the cookies that the browser has by then, is served, and answered; its
answer's cookies are set when it arrives.  Two requests do this in every order there is.  Of three,
each is served when it is sent, or just before its answer arrives.  Each reads the user, asks for an
access token that is due for a refresh, logs out, or logs in as somebody else.

The tenant rotates refresh tokens, and one process serves them all.  Sessions are in cookies,
in a store, or were left by Auth0's own SDK.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.logout import logout
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.core.session.rotations import Rotations
from auth0_tx.errors import Auth0Error
from tests.core import legacy_cookies as legacy
from tests.core.browser import (
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    JWKS_URI,
    NOW,
    TOKENS,
    Clock,
    build_refusal,
    build_response,
    play,
)

USER = "auth0|user"
OPERATIONS = ("read", "token", "logout", "login")
LATER = 4_000


@cache
def build_login(user: str) -> Any:
    now = int(NOW) + LATER
    return build_token_response({"refresh_token": user}, sub=user, iat=now, exp=now + 9)


KEYS = build_jwks_response("key-1")


@attrs.define(eq=False)
class Tenant:
    """A tenant that rotates refresh tokens, and notes when one is used twice."""

    current: str = "rt-1"
    reused: list[str] = attrs.field(factory=list)
    logins: list[str] = attrs.field(factory=list)

    def answer(self, request: Any) -> Any:
        """Answer a request."""
        if request.url == JWKS_URI:
            return KEYS
        form = parse_qs((request.body or b"").decode())
        if form["grant_type"] != ["refresh_token"]:
            self.logins.append(f"auth0|other-{len(self.logins)}")
            return build_login(self.logins[-1])
        (sent,) = form["refresh_token"]
        if sent in self.logins:
            return build_response({**TOKENS, "refresh_token": sent})
        if sent != self.current:
            self.reused.append(sent)
            return build_refusal(403, "invalid_grant")
        self.current = f"rt-{int(sent[3:]) + 1}"
        return build_response(
            {**TOKENS, "access_token": "at-2", "refresh_token": self.current}
        )


@attrs.define(eq=False)
class Request:
    """A request: its copy of the browser, which gets the answer first."""

    operation: str
    copy: Browser | None = None
    user: str | None = None

    def send(self, browser: Browser) -> None:
        """Send it with the cookies of this moment."""
        self.copy = browser.copy()

    def serve(self, context: Context, tenant: Tenant) -> None:
        """Serve it; a refusal is answered too."""
        assert self.copy is not None
        options = self.copy.request()
        flows: dict[str, Any] = {
            "read": lambda: get_user(context, options),
            "token": lambda: get_access_token(context, options),
            "logout": lambda: logout(context, options),
            "login": lambda: login_with_custom_token_exchange(
                context, build_login_options(), options
            ),
        }
        try:
            play(flows[self.operation](), tenant.answer)
        except Auth0Error:
            assert self.operation == "token"
        if self.operation == "login":
            self.user = tenant.logins[-1]


def list_orders_of_two() -> Iterator[list[tuple[int, str]]]:
    """Yield every order in which two requests are sent, served and answered."""
    steps = ("send", "serve", "answer")
    for places in itertools.combinations(range(6), 3):
        numbers = [int(place in places) for place in range(6)]
        seen = [0, 0]
        order = []
        for number in numbers:
            order.append((number, steps[seen[number]]))
            seen[number] += 1
        yield order


def list_orders_of_three(*, at_once: bool) -> Iterator[list[tuple[int, str]]]:
    """Yield every order in which three requests are sent and answered.

    Args:
        at_once: whether a request is served when it is sent, or just before its answer.
    """
    for numbers in sorted(set(itertools.permutations((0, 0, 1, 1, 2, 2)))):
        firsts = [numbers.index(number) for number in range(3)]
        # What the requests do is tried in every order, so they can be sent in one.
        if firsts != sorted(firsts):
            continue
        order = []
        for place, number in enumerate(numbers):
            is_first = place == firsts[number]
            order.append((number, "send" if is_first else "answer"))
            if is_first == at_once:
                order.insert(len(order) - (not at_once), (number, "serve"))
        yield order


def try_order(
    context: Context,
    start: Browser,
    operations: tuple[str, ...],
    order: list[tuple[int, str]],
) -> None:
    """Let requests happen in an order, and look at the browser after each answer."""
    tenant, browser = Tenant(), start.copy()
    is_stored = isinstance(context.settings.state_store, PaperStore)
    context = attrs.evolve(context, rotations=Rotations())
    requests = [Request(operation) for operation in operations]
    allowed: set[str | None] = {USER}
    for number, step in order:
        request = requests[number]
        if step == "send":
            request.send(browser)
        elif step == "serve":
            request.serve(context, tenant)
            if is_stored and request.operation in ("logout", "login"):
                # The session has ended, whatever the browser has been told by now.
                allowed |= {None}
        else:
            assert request.copy is not None
            browser.take(request.copy)
            if request.operation == "logout":
                allowed = {None}
            elif request.operation == "login":
                # The late answer to an earlier request may take the session away again.
                assert request.user == find_user(context, browser)
                allowed = {request.user, None}
            assert find_user(context, browser) in allowed
    assert [] == tenant.reused
    if set(operations) <= {"read", "token"}:
        session, _ = play(get_session(context, browser.copy().request()))
        assert session is not None
        assert tenant.current == session["refresh_token"]


def find_user(context: Context, browser: Browser) -> str | None:
    """Return who is logged in; the answer is dropped."""
    user, _ = play(get_user(context, browser.copy().request()))
    subject: str | None = None if user is None else user["sub"]
    return subject


def start_with_login(context: Context) -> Browser:
    browser = Browser()
    log_in(context, browser, {"refresh_token": "rt-1", "expires_in": 3_600})
    return browser


def start_with_legacy(context: Context) -> Browser:
    state = {
        **legacy.THEIRS,
        "user": {**legacy.THEIRS["user"], "sub": USER},
        "internal": {**legacy.THEIRS["internal"], "created_at": int(NOW)},
    }
    return Browser(legacy.split_cookies(legacy.seal_state(state)))


@pytest.mark.parametrize("begins", ["ours", "legacy"])
@pytest.mark.parametrize("place", ["cookies", "store"])
@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.exhaustive)])
def test_every_order(clock: Clock, place: str, begins: str, count: int) -> None:
    """Nobody is logged in after a logout, nor the earlier user after another login.

    And without either, the browser ends with the newest refresh token, and none was used twice.
    """
    keywords: dict[str, Any] = {}
    if begins == "legacy":
        keywords["legacy_secret"] = legacy.SECRET
    store = PaperStore(clock)
    if place == "store":
        keywords["state_store"] = store
    context = build_session_client(clock, **keywords)
    begin = start_with_login if begins == "ours" else start_with_legacy
    start = begin(context)
    stored = dict(store.values)
    clock.wait(LATER)
    orders = (
        list(list_orders_of_two())
        if count == 2
        else [
            *list_orders_of_three(at_once=True),
            *list_orders_of_three(at_once=False),
        ]
    )
    tried = 0

    for operations in itertools.product(OPERATIONS, repeat=count):
        for order in orders:
            store.values = dict(stored)
            try_order(context, start, operations, order)
            tried += 1

    assert tried == {2: 20 * 16, 3: 30 * 64}[count]
