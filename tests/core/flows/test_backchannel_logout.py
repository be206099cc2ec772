"""Logging out from Auth0's side: the sessions that a logout token names, and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.logout import handle_backchannel_logout
from auth0_tx.core.jose.logout_token import LOGOUT_EVENT
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.errors import (
    BackchannelLogoutError,
    ConfigurationError,
    SigningKeyError,
    StoreError,
)
from auth0_tx.secret import secret
from tests.core.browser import (
    SECRET,
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.faulty_store import FaultyStore, When
from tests.core.id_tokens import SIGNING_KEYS, build_jwks_response
from tests.core.vectors_tokens import OTHER_RSA, build_key_set, sign, to_public_jwk
from tests.core.world import (
    ISSUER,
    NOW,
    SECRETS,
    Clock,
    build_client,
    build_response,
    fail,
    play,
)


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture
def context(clock: Clock, store: PaperStore) -> Context:
    """A client that keeps sessions in a store."""
    return build_session_client(clock, state_store=store)


def sign_logout_token(key: Any = SIGNING_KEYS["key-1"], **claims: Any) -> str:
    """Sign a logout token with *claims*; those that are ``...`` are left out."""
    said = {
        "iss": ISSUER,
        "aud": "the-client",
        "iat": int(NOW),
        "exp": int(NOW) + 120,
        "jti": "jti-1",
        "sub": "auth0|user",
        "events": {LOGOUT_EVENT: {}},
        **claims,
    }
    payload = {name: value for name, value in said.items() if value is not ...}
    header = {"alg": "RS256", "typ": "logout+jwt", "kid": "key-1"}
    token = sign(header, json.dumps(payload).encode(), key)
    # As the client does, whose own frames must not show it.
    return secret(token)


def create_browser(context: Context, **claims: Any) -> Browser:
    """Return a browser that is logged in."""
    browser = Browser()
    log_in(context, browser, **claims)
    return browser


def log_out(context: Context, *replies: Any, **claims: Any) -> None:
    """Deliver a logout token of Auth0 with *claims*."""
    play(handle_backchannel_logout(context, sign_logout_token(**claims)), *replies)


def test_user(context: Context, store: PaperStore) -> None:
    """A token that names a user ends all of that user's sessions, and nobody else's."""
    theirs = [create_browser(context), create_browser(context, sid="s-1")]
    others = [create_browser(context, sub="auth0|other")]
    log_out(context)

    assert [None, None] == [read_session(context, browser) for browser in theirs]
    assert all(read_session(context, browser) for browser in others)
    assert 1 == len(store.list_sessions())


def test_session(context: Context) -> None:
    """A token that names a session ends that one, and leaves the user's others."""
    ended, other = (
        create_browser(context, sid="s-1"),
        create_browser(context, sid="s-2"),
    )
    log_out(context, sid="s-1", sub=...)

    assert read_session(context, ended) is None
    assert read_session(context, other) is not None


def test_session_of_a_user(context: Context) -> None:
    """With both, sessions that an exchange began end too: Auth0 gave them no sid."""
    ended, other = (
        create_browser(context, sid="s-1"),
        create_browser(context, sid="s-2"),
    )
    exchanged, somebody = (
        create_browser(context),
        create_browser(context, sub="auth0|other"),
    )
    log_out(context, sid="s-1")

    assert [None, None] == [
        read_session(context, browser) for browser in (ended, exchanged)
    ]
    assert all(read_session(context, browser) for browser in (other, somebody))


def test_nobody(context: Context) -> None:
    """A token that names nobody here ends nothing, and is in order."""
    create_browser(context, sub="auth0|other")
    log_out(context)


def test_twice(context: Context, clock: Clock) -> None:
    """A token is good for one use, for as long as it is good."""
    create_browser(context)
    log_out(context)
    browser = create_browser(context)
    clock.wait(179)
    error, _ = fail(
        handle_backchannel_logout(context, sign_logout_token()),
    )

    assert isinstance(error, BackchannelLogoutError)
    assert "used before" in error.message
    assert read_session(context, browser) is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example/"},
        {"aud": "other"},
        {"events": {}},
        {"nonce": "n"},
        {"sub": ...},
        {"jti": ...},
        {"exp": int(NOW) - 61},
    ],
    ids=str,
)
def test_token_that_does_not_hold(context: Context, claims: dict[str, Any]) -> None:
    """A token that does not hold ends nothing, and is told to be answered with 400."""
    browser = create_browser(context)
    error, _ = fail(handle_backchannel_logout(context, sign_logout_token(**claims)))

    assert isinstance(error, BackchannelLogoutError)
    assert ("invalid_logout_token", "verify") == (error.code, error.phase)
    assert read_session(context, browser) is not None
    assert (None, None) == (error.__cause__, error.__context__)


def test_replaced_key(context: Context, clock: Clock) -> None:
    """A token signed by a key that was replaced under its name ends its sessions."""
    browser = create_browser(context)
    clock.wait(30)
    token = sign_logout_token(key=OTHER_RSA)
    document = build_key_set(to_public_jwk(OTHER_RSA, kid="key-1"))
    _, asked = play(handle_backchannel_logout(context, token), build_response(document))

    assert 1 == len(asked.requests)
    assert read_session(context, browser) is None


def test_forged_tokens(context: Context, clock: Clock) -> None:
    """Forged tokens that name a good key cost one fetch in half a minute."""
    browser, token = create_browser(context), sign_logout_token(key=OTHER_RSA)
    fetched = 0
    for _ in range(610):
        error, asked = fail(
            handle_backchannel_logout(context, token),
            lambda request: build_jwks_response("key-1"),
        )
        assert isinstance(error, BackchannelLogoutError)
        fetched += len(asked.requests)
        clock.wait(0.1)

    assert 2 == fetched
    assert read_session(context, browser) is not None


@pytest.mark.parametrize("token", ["", "a.b.c", 5, None])
def test_no_token(context: Context, token: Any) -> None:
    """Text that isn't a token is refused."""
    create_browser(context)
    error, _ = fail(handle_backchannel_logout(context, token))

    assert isinstance(error, BackchannelLogoutError)


def test_no_keys(context: Context) -> None:
    """Without the tenant's keys nobody can tell, and Auth0 may try again."""
    error, _ = fail(
        handle_backchannel_logout(context, sign_logout_token()),
        build_response(b"down", 404),
    )

    assert isinstance(error, SigningKeyError)


@pytest.mark.parametrize(
    "configured", [{}, {"secret": SECRET}, {"state_store": CookieStore()}], ids=str
)
def test_sessions_that_are_not_kept(clock: Clock, configured: dict[str, Any]) -> None:
    """Sessions in cookies cannot be ended by anybody else, and that is said."""
    context = build_client(clock, **configured)
    error, asked = fail(handle_backchannel_logout(context, sign_logout_token()))

    assert isinstance(error, ConfigurationError)
    assert ("state_store", []) == (error.parameter, asked.requests)


@pytest.mark.parametrize("seconds", [0, 1], ids=["at once", "slowly"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("claims", [{}, {"sid": "s-1"}, {"sid": "s-1", "sub": ...}])
def test_any_command_that_fails(
    clock: Clock, claims: dict[str, Any], when: When, seconds: int
) -> None:
    """Whichever command fails, the same token starts over, and the sessions end."""
    failures = []
    # The first time nothing fails, which tells how many commands there are.
    commands, number = 1, -1
    while number < commands:
        store = FaultyStore(clock)
        context = build_session_client(clock, state_store=store)
        ended = [create_browser(context, sid="s-1") for _ in range(2)]
        other = create_browser(context, sub="auth0|other", sid="s-2")
        flow = handle_backchannel_logout(context, sign_logout_token(**claims))
        store.plan(number, when=when, delay=lambda: clock.wait(seconds))
        try:
            play(flow)
        except StoreError as error:
            failures.append(error)
            store.plan()
            log_out(context, **claims)
        if number < 0:
            commands = len(store.log)
        store.plan()

        assert [None, None] == [read_session(context, browser) for browser in ended]
        assert read_session(context, other) is not None
        with pytest.raises(BackchannelLogoutError):
            log_out(context, **claims)
        number += 1

    # A mark that fails at once is set again.
    assert commands - (0 if seconds else 1) == len(failures)
    assert all(error.retry_safe for error in failures)
    assert not any(error.__cause__ or error.__context__ for error in failures)


def test_store_that_stays_down(clock: Clock) -> None:
    """If the mark can be neither set nor withdrawn, the first failure is reported."""
    store = FaultyStore(clock)
    context = build_session_client(clock, state_store=store)
    browser = create_browser(context)
    store.plan(*range(5, 99))
    error, _ = fail(handle_backchannel_logout(context, sign_logout_token()))

    assert ["get", "read_index", "delete", *["remove_from_index"] * 2] == store.log[:5]
    assert ["set", "set", "delete"] == store.log[5:]
    assert isinstance(error, StoreError)
    store.plan()
    assert read_session(context, browser) is None
    log_out(context)


def test_two_copies_at_once(context: Context, store: PaperStore) -> None:
    """Of two copies of a token, one is obeyed and the other refused."""
    browser = create_browser(context)
    store.before["read_index"] = lambda: log_out(context)
    error, _ = fail(handle_backchannel_logout(context, sign_logout_token()))

    assert isinstance(error, BackchannelLogoutError)
    assert read_session(context, browser) is None


def test_login_meanwhile(context: Context, store: PaperStore) -> None:
    """A session that begins while others are ended stays, and stays in the index."""
    browser, new = create_browser(context), Browser()
    store.before["delete"] = lambda: log_in(context, new)
    log_out(context)

    assert read_session(context, browser) is None
    assert read_session(context, new) is not None

    log_out(context, jti="jti-2")

    assert read_session(context, new) is None


def test_what_is_left(context: Context, store: PaperStore) -> None:
    """What has ended is in the index no more, under no label that the token names."""
    create_browser(context)
    log_out(context)

    assert [] == [key for keys in store.index.values() for key in keys]

    create_browser(context, sid="s-1")
    log_out(context, sid="s-1", jti="jti-2")

    assert [] == [key for keys in store.index.values() for key in keys]


def test_labels_tell_nothing(context: Context, store: PaperStore) -> None:
    """The keys of the index reveal neither user nor session."""
    create_browser(context, sid="s-secret", sub="auth0|secret")

    assert "secret" not in f"{dict(store.index)}"
    assert SECRETS["access_token"] not in f"{store.values}"
