"""Sessions in cookies: what each request may write, and what fits."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Warn
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.logout import logout
from auth0_tx.core.flows.session import get_user, open_keeper
from auth0_tx.core.flows.session_keeper import find_sealer, get_application
from auth0_tx.core.session.cookies import CookieStore, format_set_cookie
from auth0_tx.core.session.seal import sealer
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.errors import LoginRequiredError, StoreError
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    COOKIE,
    CURRENT,
    OLD_SECRET,
    SECRET,
    USED,
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import TOKENS, Clock, build_response, fail, play

DAY = 86_400.0
DOMAIN = "tenant.us.auth0.com"
RENEWED = {**TOKENS, "access_token": "at-2", "refresh_token": "rt-2"}


@pytest.fixture
def context(clock: Clock) -> Context:
    """A client that keeps sessions in cookies."""
    return build_session_client(clock)


@pytest.fixture
def browser(context: Context) -> Browser:
    """A browser in which a user has just logged in, with a token for an hour."""
    browser = Browser()
    log_in(context, browser, {"refresh_token": "rt-1", "expires_in": 3_600})
    browser.told.clear()
    return browser


def log_in_again(context: Context, browser: Browser, **claims: Any) -> None:
    """Log in later, when the tenant's keys are fetched anew."""
    context.key_sets.clear()
    # A connection is there, so the keys come after the grant.
    context.answer_times[DOMAIN].note(0.0, context.monotonic())
    now = int(context.clock())
    log_in(context, browser, iat=now, exp=now + 36_000, **claims)


def list_told(browser: Browser) -> list[str]:
    """Return the names of the cookies that answers set, and deleted with a minus."""
    return [f"{'' if cookie.max_age else '-'}{cookie.name}" for cookie in browser.told]


# Reads.


def test_every_bit_counts(context: Context, browser: Browser) -> None:
    """A cookie with any single bit flipped is not a session, and a read leaves it there."""
    sealed = browser.cookies[COOKIE]
    flips = [(place, bit) for place in range(len(sealed)) for bit in range(8)]

    opened = []
    for place, bit in flips:
        changed = chr(ord(sealed[place]) ^ 1 << bit)
        visitor = Browser({COOKIE: sealed[:place] + changed + sealed[place + 1 :]})
        if read_session(context, visitor) is not None or visitor.told:
            opened.append((place, bit))

    assert len(flips) > 8_000
    assert [] == opened


@pytest.mark.parametrize(
    "cookies",
    [
        {COOKIE: "broken"},
        {f"{COOKIE}.{number}": "A" * 40 for number in range(100)},
        {USED: "broken", CURRENT: "broken"},
        {"_a0_session_0": "broken"},
        {},
    ],
    ids=["broken", "chunks", "notes", "SDK", "none"],
)
def test_reads_of_nobody(clock: Clock, cookies: dict[str, str]) -> None:
    """A read without a session writes nothing, whatever the browser has."""
    context = build_session_client(clock, legacy_secret="of the SDK")
    browser = Browser(dict(cookies))

    assert read_session(context, browser) is None
    fail(get_access_token(context, browser.request()))
    assert ([], cookies) == (browser.told, browser.cookies)


def test_reads_of_an_expired_session(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A session that has ended is left where it is: its ``Max-Age`` ends it."""
    clock.wait(4 * DAY)

    assert read_session(context, browser) is None
    assert [] == browser.told


def test_old_worker_in_a_rolling_deploy(clock: Clock) -> None:
    """A worker that has the old secret alone reads nothing, and deletes nothing."""
    old = build_session_client(clock, secret=OLD_SECRET)
    new = build_session_client(clock, secret=[SECRET, OLD_SECRET])
    browser = Browser()
    log_in(new, browser)

    assert read_session(old, browser) is None
    assert read_session(new, browser) is not None


def test_session_of_a_short_secret(clock: Clock, browser: Browser) -> None:
    """What an old secret sealed opens, though it is too short to seal anything new."""
    context = build_session_client(clock, secret=[SECRET, "short"])
    opened = find_sealer(context, DOMAIN).open(browser.cookies[COOKIE])
    assert opened is not None
    application = get_application(context, DOMAIN)
    old = sealer(["short"], f"session {COOKIE}", application)
    visitor = Browser({COOKIE: old.seal(opened.payload)})

    assert "auth0|user" == (read_session(context, visitor) or {})["user"]["sub"]


def test_reads_leave_stale_chunks(context: Context, browser: Browser) -> None:
    """Chunks of another form of the session stay until the next refresh."""
    browser.cookies |= {f"{COOKIE}.0": "old", f"{COOKIE}.1": "old"}

    assert read_session(context, browser) is not None
    assert [] == browser.told


# The last use.


def test_use_of_a_fresh_session(
    context: Context, clock: Clock, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was used a moment ago opens no second cookie, and sets none."""
    browser.cookies[USED] = "broken"
    opened: list[str] = []
    monkeypatch.setattr(
        "auth0_tx.core.session.seal.Sealer.open",
        lambda self, text, salt=b"", real=type(find_sealer(context, DOMAIN)).open: (
            opened.append(text) or real(self, text, salt)
        ),
    )
    clock.wait(DAY / 10 - 1)

    assert read_session(context, browser) is not None
    assert [browser.cookies[COOKIE]] == opened
    assert [] == browser.told


def test_use_is_a_cookie_of_its_own(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A read notes the use in a small cookie, and leaves the session's as it is."""
    sealed = browser.cookies[COOKIE]
    clock.wait(DAY / 10)
    assert read_session(context, browser) is not None
    (cookie,) = browser.told

    assert (USED, 259_200 - 8_640) == (cookie.name, cookie.max_age)
    assert len(format_set_cookie(cookie)) < 350
    assert cookie.value not in repr(cookie.value)
    assert sealed == browser.cookies[COOKIE]
    # Noted from then on, until it is old again.
    read_session(context, browser)
    assert 1 == len(browser.told)
    clock.wait(DAY / 10)
    read_session(context, browser)
    assert [USED, USED] == list_told(browser)


def test_use_keeps_a_session_alive(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A session that is only read lasts until its absolute end, with its tokens."""
    unnoted = browser.copy()
    for _ in range(3):
        clock.wait(DAY * 0.9)
        session = read_session(context, browser)
        assert session is not None
        assert "rt-1" == session["refresh_token"]
    assert {USED} == set(list_told(browser))
    assert read_session(context, unnoted) is None
    clock.wait(DAY * 0.3)
    assert read_session(context, browser) is None


def test_use_in_a_refresh(context: Context, clock: Clock, browser: Browser) -> None:
    """A refresh notes the use in the session itself, and may be the first after long."""
    clock.wait(DAY * 0.9)
    read_session(context, browser)
    clock.wait(DAY * 0.9)
    play(get_access_token(context, browser.request()), build_response(RENEWED))
    del browser.cookies[USED]
    clock.wait(DAY * 0.9)

    assert "rt-2" == (read_session(context, browser) or {})["refresh_token"]


def seal_use(context: Context, content: bytes) -> str:
    return find_sealer(context, DOMAIN, "used").seal(content)


@pytest.mark.parametrize(
    "content",
    [
        b'["id-2", %d]',
        b'["", %d]',
        b'["id-1", %d, 1]',
        b'["id-1", "%d"]',
        b'["id-1", NaN]',
        b'["id-1", 1]',
        b'["id-1", 1e9999]',
        b'[["id-1"], %d]',
        b'{"id-1": %d}',
        b"%d",
        b"null",
        b"\xff",
        b"",
        b"[" * 10_000,
    ],
)
def test_use_of_something_else(
    context: Context, clock: Clock, browser: Browser, content: bytes
) -> None:
    """A note of another session, or in another form, changes nothing."""
    clock.wait(DAY)
    moment = int(clock.now - 10)
    if b"%d" in content:
        content %= moment

    browser.cookies[USED] = seal_use(context, content)
    assert read_session(context, browser) is None
    browser.cookies[USED] = seal_use(context, b'["id-1", %d]' % moment)
    assert read_session(context, browser) is not None


def test_use_in_another_seal(context: Context, clock: Clock, browser: Browser) -> None:
    """A note that is sealed for another purpose, or not at all, changes nothing."""
    clock.wait(DAY)
    content = b'["id-1", %d]' % int(clock.now)
    other = build_session_client(clock, client_id="another-client")

    for value in (
        "",
        content.decode(),
        find_sealer(context, DOMAIN).seal(content),
        seal_use(other, content),
        browser.cookies[COOKIE],
    ):
        browser.cookies[USED] = value
        assert read_session(context, browser) is None


@pytest.mark.parametrize(("ahead", "counts"), [(60, True), (61, False), (-DAY, False)])
def test_use_in_the_future(
    context: Context, clock: Clock, browser: Browser, ahead: float, counts: bool
) -> None:
    """Clocks of two machines may be a minute apart; a note only ever extends a session."""
    clock.wait(DAY)
    browser.cookies[USED] = seal_use(context, b'["id-1", %d]' % int(clock.now + ahead))

    assert counts is (read_session(context, browser) is not None)


def test_use_of_an_earlier_session(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A login deletes the note of the session before it, and a late one does not count."""
    clock.wait(DAY / 2)
    late = browser.copy()
    read_session(context, late)
    browser.take(late)
    log_in_again(context, browser)
    assert USED not in browser.cookies
    browser.take(late)
    clock.wait(DAY)

    assert read_session(context, browser) is None


# The session that counts.


def test_login_and_logout_say_what_counts(context: Context, clock: Clock) -> None:
    """A login names its session, and a logout none; both for as long as one may last."""
    browser = Browser()
    log_in(context, browser)
    (named,) = [cookie for cookie in browser.told if cookie.name == CURRENT]
    play(logout(context, browser.request()))
    (none,) = [cookie for cookie in browser.told[2:] if cookie.name == CURRENT]

    assert [259_200, 259_200] == [named.max_age, none.max_age]
    assert ("none", 20) == (none.value, len(named.value))
    assert "id-1" not in named.value
    assert {CURRENT: "none"} == browser.cookies


def test_late_answer_of_a_refresh(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A refresh that is answered after a logout, or another login, brings nobody back."""
    clock.wait(4_000)
    late = browser.copy()
    play(get_access_token(context, late.request()), build_response(RENEWED))
    other = browser.copy()
    log_in_again(context, other, sub="auth0|other")
    play(logout(context, browser.request()))
    browser.take(late)
    other.take(late)

    assert {COOKIE, CURRENT} == set(browser.cookies) == set(other.cookies)
    assert read_session(context, browser) is None
    assert read_session(context, other) is None
    error, _ = fail(get_access_token(context, browser.request()))
    assert isinstance(error, LoginRequiredError)
    # Without the note, which a browser may lose, any session counts.
    del other.cookies[CURRENT]
    assert read_session(context, other) is not None


def test_refresh_says_nothing_of_what_counts(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A refresh sets the session's cookie alone."""
    clock.wait(4_000)
    play(get_access_token(context, browser.request()), build_response(RENEWED))

    assert [COOKIE] == list_told(browser)


def test_logout_and_login_in_one_request(context: Context, browser: Browser) -> None:
    """Whoever logs in last in a request is logged in."""
    play(logout(context, browser.request(), revoke=False))
    log_in(context, browser, sub="auth0|other")

    assert "auth0|other" == (read_session(context, browser) or {})["user"]["sub"]


# Bounds.


def test_made_up_cookies_and_an_answer(context: Context) -> None:
    """A hundred made-up chunks do not make the answers long."""
    names = [COOKIE, *(f"{COOKIE}.{number}" for number in range(100))]
    names += [f"_a0_session_{number}" for number in range(100)]
    for flow in (get_user, logout):
        browser = Browser(dict.fromkeys(names, "A" * 40))
        play(flow(context, browser.request()))
        assert sum(len(format_set_cookie(cookie)) for cookie in browser.told) < 1_200


def test_refresh_cleans_up(context: Context, clock: Clock, browser: Browser) -> None:
    """A refresh deletes the chunks that are not the session's."""
    browser.cookies |= {f"{COOKIE}.0": "old", f"{COOKIE}.7": "old"}
    clock.wait(4_000)
    play(get_access_token(context, browser.request()), build_response(RENEWED))

    assert [COOKIE, f"-{COOKIE}.0", f"-{COOKIE}.7"] == list_told(browser)
    assert {COOKIE, CURRENT} == set(browser.cookies)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_answers_of_any_length(clock: Clock, order: tuple[int, ...]) -> None:
    """Of answers with one, two and three chunks, the last that arrives counts, and opens."""
    context = build_session_client(clock, state_store=CookieStore(most_chunks=4))
    browser = Browser()
    log_in(context, browser, {"refresh_token": "rt-1", "expires_in": 3_600})
    clock.wait(4_000)
    copies = {number: browser.copy() for number in order}
    for number, copy in copies.items():
        token = f"{number}" + "a" * (2_400 * number - 2_300)
        play(
            get_access_token(context, copy.request(), f"https://{number}"),
            build_response({**TOKENS, "access_token": token}),
        )
    for number in order:
        browser.take(copies[number])

    session = read_session(context, browser)
    assert [f"https://{order[-1]}"] == list_audiences(session)


def test_deletions_of_the_sdks_cookies(clock: Clock) -> None:
    """Only cookies that Auth0's SDK numbers are deleted: others may have no name to set."""
    names = ["_a0_session_0", "_a0_session_theme", "_a0_session_\xe9", "_a0_sessions"]
    for secure in (True, False):
        browser = Browser(dict.fromkeys(names, "x"))
        policy = SessionPolicy(cookie_secure=secure)
        context = build_session_client(
            clock, legacy_secret="of the SDK", session_policy=policy
        )

        play(logout(context, browser.request()))

        # Over plain http a browser takes no secure cookie, not even to delete one.
        assert [("_a0_session_0", 0, secure)] == [
            (cookie.name, cookie.max_age, cookie.secure)
            for cookie in browser.told
            if "a0_session" in cookie.name
        ]


# What fits.


def ask(context: Context, browser: Browser, number: int, size: int = 2_400) -> Any:
    """Ask for an API's token, which is *size* characters long; return flow and effects."""
    reply = build_response(
        {
            **TOKENS,
            "access_token": f"{number}" + "a" * size,
            "refresh_token": f"rt-{number}",
            "expires_in": 3_600,
        }
    )
    return play(
        get_access_token(context, browser.request(), f"https://{number}"), reply
    )


def list_audiences(session: dict[str, Any] | None) -> list[str]:
    return [token_set["audience"] for token_set in (session or {})["token_sets"]]


def test_access_tokens_go_first(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A session that outgrows its cookies loses access tokens, from the oldest on."""
    for number in range(2, 5):
        clock.wait(1)
        token, _ = ask(context, browser, number)
        assert f"{number}" + "a" * 2_400 == token
    session = read_session(context, browser) or {}

    assert ["https://4"] == list_audiences(session)
    assert "rt-4" == session["refresh_token"]
    assert session["id_token"] is not None
    assert {COOKIE} | {CURRENT} >= {
        name.removesuffix(".0").removesuffix(".1") for name in browser.cookies
    }


def test_the_newest_token_may_not_fit(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A token that has no room is returned, and what was rotated is kept; a log says so once."""
    tokens, warnings = [], []
    for number in range(2, 5):
        clock.wait(4_000)
        token, asked = ask(context, browser, number, 6_000)
        tokens.append(token[:2])
        warnings += [effect.message for effect in asked if isinstance(effect, Warn)]
    session = read_session(context, browser) or {}

    assert ["2a", "3a", "4a"] == tokens
    assert ([], "rt-4") == (session["token_sets"], session["refresh_token"])
    (warning,) = warnings
    assert "access tokens are left out" in warning
    assert "aaaa" not in warning


def test_id_token_goes_last(clock: Clock) -> None:
    """The ID token goes after all access tokens; the user and the refresh token stay."""
    store = CookieStore(longest_chunk=900, most_chunks=1)
    context, browser = build_session_client(clock, state_store=store), Browser()
    made = log_in(context, browser, {"refresh_token": "rt-1"})
    session = read_session(context, browser) or {}

    # The caller of the login has all of it.
    assert made["token_sets"]
    assert made["id_token"]
    assert ([], None, "rt-1") == (
        session["token_sets"],
        session["id_token"],
        session["refresh_token"],
    )
    assert "auth0|user" == session["user"]["sub"]


@pytest.mark.parametrize(
    ("longest", "name"), [(500, 500), (200_000, 45_000)], ids=["cookies", "seal"]
)
def test_session_that_does_not_fit(clock: Clock, longest: int, name: int) -> None:
    """A user who does not fit is an error at the login; its response has the tokens."""
    store = CookieStore(longest_chunk=longest, most_chunks=1)
    context, browser = build_session_client(clock, state_store=store), Browser()
    reply = build_token_response({"refresh_token": "r" * 60_000}, name="n" * name)

    error, _ = fail(
        login_with_custom_token_exchange(
            context, build_login_options(), browser.request()
        ),
        reply,
        build_jwks_response("key-1"),
    )

    assert isinstance(error, StoreError)
    assert "session_too_large" == error.code
    assert error.response is not None
    assert TOKENS["access_token"] == error.response.access_token
    assert [] == browser.told


def test_user_who_outgrows_the_cookies(clock: Clock) -> None:
    """A refresh whose newer claims do not fit keeps the earlier ones, and what it rotated."""
    store = CookieStore(longest_chunk=1_200, most_chunks=1)
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser, {"refresh_token": "rt-1", "expires_in": 3_600})
    keeper = open_keeper(context.begin_call(browser.request()))
    session, _ = play(keeper.load(browser.cookies, clock.now))
    assert session is not None

    def grow(state: dict[str, Any], name: str, token: str) -> dict[str, Any]:
        user = {**state["user"], "name": name}
        return {**state, "user": user, "refresh_token": token}

    saved, _ = play(
        keeper.save_change(session, lambda state: grow(state, "n" * 2_000, "rt-2"))
    )
    kept = read_session(context, browser) or {}

    assert "n" * 2_000 == saved.state["user"]["name"]
    assert ("rt-2", None) == (kept["refresh_token"], kept["user"].get("name"))
    # Where not even that fits, the error says that tokens were issued.
    error, _ = fail(
        keeper.save_change(session, lambda state: grow(state, "n", "r" * 2_000))
    )
    assert ("session_too_large", True) == (error.code, error.tokens_issued)


class SmallStore(PaperStore):
    """A store that bounds the size of a value."""

    room = 10_000

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        if len(value) > self.room:
            raise StoreError("it does not fit", Code.SESSION_TOO_LARGE)
        return super().set(key, value, ttl=ttl, expected=expected)


@pytest.mark.parametrize(("room", "kept"), [(10_000, 2), (2_000, 0)])
def test_store_without_room(clock: Clock, room: int, kept: int) -> None:
    """A store that takes no more keeps the refresh token, and the caller gets the other."""
    store = SmallStore(clock)
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser, {"refresh_token": "rt-1", "expires_in": 30_000})
    store.room = room
    token, _ = ask(context, browser, 2)
    session = read_session(context, browser) or {}

    assert "2" + "a" * 2_400 == token
    assert (kept, "rt-2") == (len(session["token_sets"]), session["refresh_token"])

    def fill(request: Any) -> Any:
        store.room = 100
        return build_response({**TOKENS, "refresh_token": "rt-3"})

    error, _ = fail(get_access_token(context, browser.request(), "https://3"), fill)
    assert ("session_too_large", True) == (error.code, error.tokens_issued)
