"""The contract of sessions, for every kind of store and both clients."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import BackchannelLogoutError, ConfigurationError, SessionPolicy
from auth0_tx.core.session.store import Application as SessionOwner
from auth0_tx.core.session.store import session_key
from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from auth0_tx.tenant import Application, Tenant
from tests.e2e.sessions.logins import (
    AUDIENCE,
    SECRET,
    Browser,
    build_login_options,
    count_refreshes,
    shorten_tokens,
)
from tests.stores.both_worlds import close_client, resolve, run_together
from tests.stores.own_stores import OwnAsyncStore, OwnStore
from tests.stores.session_site import Site

COOKIE = "__Host-auth0_tx"
CURRENT = f"{COOKIE}.current"
KINDS = [
    *((False, kind) for kind in ("memory", "redis", "cookies", "own")),
    *((True, kind) for kind in ("memory", "redis", "cookies", "own", "own async")),
]


def _name_kind(kind: tuple[bool, str]) -> str:
    return f"{'async' if kind[0] else 'blocking'} {kind[1]}"


def sites(*left_out: str) -> Any:
    """Return the mark that runs a test with every kind of store but some."""
    kinds = [kind for kind in KINDS if kind[1] not in left_out]
    return pytest.mark.parametrize("site", kinds, indirect=True, ids=_name_kind)


ON_THE_SERVER = sites("cookies")
IN_COOKIES = sites("memory", "redis", "own", "own async")
IN_REDIS = sites("memory", "cookies", "own", "own async")


@pytest.fixture(params=KINDS, ids=_name_kind)
async def site(
    request: pytest.FixtureRequest, auth0_tenant: Tenant
) -> AsyncIterator[Site]:
    """Return an application with each kind of store, in each world that may have it."""
    is_async, kind = request.param
    url: str | None = None
    client: Any = None
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        prefix = request.getfixturevalue("redis_prefix")
        client = (redis.asyncio if is_async else redis).Redis.from_url(url)
        store: Any = RedisStore(client, prefix=prefix, timeout=20)
    else:
        makes = {
            "memory": MemoryStore,
            "cookies": CookieStore,
            "own": OwnStore,
            "own async": OwnAsyncStore,
        }
        store = makes[kind]()
    site = Site(auth0_tenant, store, is_async, url)
    yield site
    await site.close()
    if client is not None:
        await close_client(client)


def find_key(site: Site, session_id: str) -> str:
    """Return the key under which a session is stored."""
    application = SessionOwner(site.tenant.issuer, site.tenant.client_id)
    return session_key(application, session_id)


async def test_login(site: Site) -> None:
    """The next request after a login knows the user and the tokens."""
    browser = Browser()
    assert await site.get_subject(browser) is None

    state = await site.log_in(browser)
    user = await site.call(browser, "get_user")
    session = await site.call(browser, "get_session")

    assert "auth0|alice" == user["sub"]
    assert user == state["user"] == session["user"]
    assert state["refresh_token"] == session["refresh_token"]
    assert state["token_sets"] == session["token_sets"]
    assert (
        await site.call(browser, "get_access_token", AUDIENCE)
        == (session["token_sets"][0]["access_token"])
    )


async def test_side_by_side(site: Site) -> None:
    """Two users of one application never see each other's session."""
    alice, bob, nobody = Browser(), Browser(), Browser()
    await site.log_in(alice, "alice")
    await site.log_in(bob, "bob")
    for _ in range(3):
        assert "auth0|alice" == await site.get_subject(alice)
        assert "auth0|bob" == await site.get_subject(bob)
        assert await site.get_subject(nobody) is None

    crowd = [alice, bob, nobody] * 8

    assert ["auth0|alice", "auth0|bob", None] * 8 == await site.get_subjects(crowd)
    assert alice.cookies[COOKIE] != bob.cookies[COOKIE]


async def test_login_over_another(site: Site) -> None:
    """A login over another user's session leaves nothing of that user."""
    browser = Browser()
    before = await site.log_in(browser, "alice")
    of_alice = Browser(dict(browser.cookies))
    await site.log_in(browser, "bob")
    session = await site.call(browser, "get_session")

    assert "auth0|bob" == await site.get_subject(browser)
    assert "alice" not in json.dumps(session)
    assert before["refresh_token"] not in json.dumps(session)
    assert of_alice.cookies[COOKIE] != browser.cookies[COOKIE]
    if not site.is_in_cookies:
        assert 1 == len(site.read_sessions())
        assert await site.get_subject(of_alice) is None


async def test_login_again(site: Site) -> None:
    """Each login creates a new session, also for the same user (session fixation)."""
    browser = Browser()
    await site.log_in(browser)
    first = Browser(dict(browser.cookies))
    await site.log_in(browser)

    assert first.cookies[COOKIE] != browser.cookies[COOKIE]
    assert "auth0|alice" == await site.get_subject(browser)
    if not site.is_in_cookies:
        assert await site.get_subject(first) is None


async def test_logout(site: Site) -> None:
    """After a logout nobody is logged in, and the browser's old cookies open nothing."""
    browser, other = Browser(), Browser()
    await site.log_in(browser)
    await site.log_in(other)
    before = Browser(dict(browser.cookies))
    url = await site.call(browser, "logout")

    assert url.startswith(f"https://{site.tenant.domain}/v2/logout?")
    assert ({CURRENT: "none"} if site.is_in_cookies else {}) == browser.cookies
    assert await site.get_subject(browser) is None
    assert "auth0|alice" == await site.get_subject(other)
    if not site.is_in_cookies:
        assert 1 == len(site.read_sessions())
        assert await site.get_subject(before) is None


async def test_unknown_ids(site: Site) -> None:
    """An id that the server did not make names no session, and never becomes one."""
    planted = "A" * 43
    browser = Browser({COOKIE: planted})

    assert await site.get_subject(browser) is None
    assert {} == site.read_contents()

    await site.log_in(browser)

    assert planted != browser.cookies[COOKIE]
    assert "auth0|alice" == await site.get_subject(browser)
    assert await site.get_subject(Browser({COOKIE: planted})) is None
    assert find_key(site, planted) not in site.read_contents()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "../" * 9,
        "session:*",
        "a.b.c.d.e",
        "{}",
        "é" * 43,
        "*" * 43,
        "A" * 9_000,
    ],
)
async def test_hostile_cookies(site: Site, value: str) -> None:
    """A meaningless cookie means no session, and isn't an error."""
    await site.log_in(Browser())
    visitor = Browser({COOKIE: value, f"{COOKIE}.0": value, f"{COOKIE}.99": value})

    assert await site.get_subject(visitor) is None


async def test_rotated_secrets(site: Site) -> None:
    """A session sealed with an older secret opens, and the next write seals it anew."""
    old, new = f"old {SECRET}", f"new {SECRET}"
    browser, idle = Browser(), Browser()
    before = site.make_client(secret=old)
    with shorten_tokens(site.tenant):
        await site.log_in(browser, client=before)
    await site.log_in(idle, client=before)
    between = site.make_client(secret=[new, old])
    after = site.make_client(secret=new)

    assert "auth0|alice" == await site.get_subject(browser, between)
    if site.is_in_cookies:
        # A read writes no cookie that holds tokens.
        assert await site.get_subject(browser, after) is None
        await asyncio.sleep(1)
        await site.call(browser, "get_access_token", client=between)
    assert "auth0|alice" == await site.get_subject(browser, after)
    assert await site.get_subject(idle, after) is None
    assert (
        await site.get_subject(browser, site.make_client(secret=f"another {SECRET}"))
        is None
    )


async def test_nothing_is_readable(site: Site) -> None:
    """No token, user or secret can be read in the store or the cookies, nor decoded."""
    browser = Browser()
    state = await site.log_in(browser)
    for _ in range(2):
        await site.get_subject(browser)
    contents = {**site.read_contents(), **_cookies(browser)}
    searched = b"\n".join(
        [*(key.encode() for key in contents), *map(_list_decodings, contents.values())]
    )
    secrets = [
        *(state["id_token"], state["refresh_token"]),
        *(token_set["access_token"] for token_set in state["token_sets"]),
        *(site.tenant.client_id, site.tenant.client_secret, SECRET),
        *("auth0|alice", "alice", "Adams", "example.com", state["user"]["iss"]),
    ]
    if not site.is_in_cookies:
        # Without what the browser has, what the store has does not open.
        at_rest = b"\n".join(
            [*map(str.encode, site.read_contents()), *site.read_contents().values()]
        )
        assert browser.cookies[COOKIE].encode() not in at_rest
    assert b"A256GCM" in searched
    assert [] == [
        secret
        for secret in secrets
        for text in (secret, *secret.split("."))
        # Shorter texts occur by chance: four characters are found in ten thousand random
        # ones of base64 about once in 2,000 runs.
        if (len(text) > 4 and text.encode() in searched)
        or (len(text) > 5 and _encode_base64(text) in searched)
    ]


def _cookies(browser: Browser) -> dict[str, bytes]:
    return {name: value.encode() for name, value in browser.cookies.items()}


def _list_decodings(value: bytes) -> bytes:
    """Return a value, and everything that can be decoded from it."""
    words = re.findall(rb"[A-Za-z0-9_-]{8,}", value)
    decodable = [word for word in words if len(word) % 4 != 1]
    return b"\n".join(
        [value, *(base64.urlsafe_b64decode(word + b"==") for word in decodable)]
    )


def _encode_base64(text: str) -> bytes:
    # Whole groups of three: the last character then depends on nothing that follows.
    length = len(text) - len(text) % 3
    return base64.urlsafe_b64encode(text[:length].encode())


async def test_everything_is_sealed(site: Site) -> None:
    """A value is a JWE and nothing else; keys and labels are hashes."""
    browser = Browser()
    await site.log_in(browser)
    sealed = (
        [text for name, text in browser.cookies.items() if name != CURRENT]
        if site.is_in_cookies
        else site.read_sessions().values()
    )

    for value in sealed:
        text = value if isinstance(value, str) else value.decode("ascii")
        header, key, *rest = text.split(".")
        members = json.loads(base64.urlsafe_b64decode(header + "=="))
        assert ("dir", "A256GCM") == (members["alg"], members["enc"])
        assert ("", 3) == (key, len(rest))
    for key in site.read_contents():
        assert re.fullmatch(r"(?:session|index:[a-z-]+):[A-Za-z0-9_-]{43}", key)


@IN_REDIS
async def test_nothing_stays_for_ever(site: Site) -> None:
    """Everything stored in Redis expires."""
    await site.log_in(Browser())
    assert site.redis_url is not None
    prefix = site.store._prefix
    with redis.Redis.from_url(site.redis_url) as admin:
        times = {
            key.decode().removeprefix(prefix).partition(":")[0]: admin.ttl(key)
            for key in admin.scan_iter(match=f"{prefix}*", count=1000)
        }

    assert {"session", "index"} == times.keys()
    assert 0 < times["session"] <= 86_400
    assert 86_400 < times["index"] <= 259_200


def corrupt(value: bytes, how: str) -> bytes:
    """Return a value other than the one that was written."""
    middle = len(value) // 2
    flipped = bytes([value[middle] ^ 1])
    return {
        "cut": value[:middle],
        "flipped": value[:middle] + flipped + value[middle + 1 :],
        "emptied": b"",
        "no text": b"\xff\xfe" + value,
    }[how]


@ON_THE_SERVER
@pytest.mark.parametrize("how", ["cut", "flipped", "emptied", "no text", "another's"])
async def test_values_that_were_changed(site: Site, how: str) -> None:
    """A corrupted value means no session, and never another user's."""
    alice, bob = Browser(), Browser()
    await site.log_in(alice, "alice")
    await site.log_in(bob, "bob")
    key, other = (find_key(site, browser.cookies[COOKIE]) for browser in (alice, bob))
    value, another = site.read_sessions()[key], site.read_sessions()[other]
    written = another if how == "another's" else corrupt(value, how)
    assert await resolve(site.store.set(key, written, ttl=60, expected=value))

    assert await site.get_subject(alice) is None
    assert "auth0|bob" == await site.get_subject(bob)


@IN_COOKIES
@pytest.mark.parametrize("how", ["cut", "flipped", "emptied"])
async def test_cookies_that_were_changed(site: Site, how: str) -> None:
    """A corrupted cookie means no session."""
    alice = Browser()
    await site.log_in(alice)
    alice.cookies[COOKIE] = corrupt(alice.cookies[COOKIE].encode(), how).decode()

    assert await site.get_subject(alice) is None


class Harmful:
    """An object that leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._trace),)


@ON_THE_SERVER
async def test_pickles_are_not_read(site: Site, tmp_path: Path) -> None:
    """A pickle planted in the store means no session, and isn't unpickled."""
    browser = Browser()
    await site.log_in(browser)
    key = find_key(site, browser.cookies[COOKIE])
    pickled = pickle.dumps(Harmful(tmp_path / "trace"))
    value = site.read_sessions()[key]
    assert await resolve(site.store.set(key, pickled, ttl=60, expected=value))

    assert await site.get_subject(browser) is None
    assert not (tmp_path / "trace").exists()


@ON_THE_SERVER
async def test_evicted_sessions(site: Site) -> None:
    """A session that the store has lost is gone, and a new login creates another."""
    browser = Browser()
    await site.log_in(browser)
    await resolve(site.store.delete(find_key(site, browser.cookies[COOKIE])))

    assert await site.get_subject(browser) is None

    await site.log_in(browser)

    assert "auth0|alice" == await site.get_subject(browser)


async def test_refresh(site: Site) -> None:
    """An expired token is renewed once, and the new tokens are kept."""
    browser = Browser()
    site.tenant.apis.change(AUDIENCE, token_lifetime=1)
    before = await site.log_in(browser)
    await asyncio.sleep(1)
    site.tenant.apis.change(AUDIENCE, token_lifetime=86_400)
    token = await site.call(browser, "get_access_token", AUDIENCE)
    again = await site.call(browser, "get_access_token", AUDIENCE)
    session = await site.call(browser, "get_session")

    assert 1 == count_refreshes(site.tenant)
    assert token == again == session["token_sets"][-1]["access_token"]
    assert before["token_sets"][0]["access_token"] != token
    # The claims are the newer ID token's.
    assert before["user"]["sub"] == session["user"]["sub"]
    assert before["user"]["iat"] < session["user"]["iat"]
    assert [] == [key for key in site.read_contents() if key.startswith("lock:")]


def logout_token(tenant: Tenant, token_id: str, **claims: Any) -> str:
    """Return a logout token as Auth0 sends one."""
    now = int(time.time())
    return tenant.sign(
        {
            "iss": tenant.issuer,
            "aud": tenant.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": token_id,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **claims,
        },
        typ="logout+jwt",
    )


async def test_backchannel_logout(site: Site) -> None:
    """A logout token ends all sessions of its user and no others, and works once."""
    browsers = [Browser() for _ in range(3)]
    for browser, name in zip(browsers, ("alice", "alice", "bob"), strict=True):
        await site.log_in(browser, name)
    client = site.clients[0]
    token = logout_token(site.tenant, "1", sub="auth0|alice")
    if site.is_in_cookies:
        with pytest.raises(ConfigurationError):
            await resolve(client.handle_backchannel_logout(token))
        return
    await resolve(client.handle_backchannel_logout(token))

    assert [None, None, "auth0|bob"] == [
        await site.get_subject(browser) for browser in browsers
    ]
    assert 1 == len(site.read_sessions())
    with pytest.raises(BackchannelLogoutError):
        await resolve(client.handle_backchannel_logout(token))

    await site.log_in(browsers[0])

    assert "auth0|alice" == await site.get_subject(browsers[0])


@ON_THE_SERVER
async def test_logging_out_everywhere(site: Site) -> None:
    """All sessions of one user end, and a bound ends the oldest."""
    site.make_client(session_policy=SessionPolicy(max_sessions=2))
    browsers = [Browser() for _ in range(4)]
    for browser, name in zip(browsers, ("alice", "bob", "alice", "alice"), strict=True):
        await site.log_in(browser, name)

    assert [None, "auth0|bob", "auth0|alice", "auth0|alice"] == [
        await site.get_subject(browser) for browser in browsers
    ]
    assert 2 == await resolve(site.clients[0].end_sessions(sub="auth0|alice"))
    assert [None, "auth0|bob", None, None] == [
        await site.get_subject(browser) for browser in browsers
    ]
    assert 0 == await resolve(site.clients[0].end_sessions(sub="auth0|alice"))


@ON_THE_SERVER
async def test_many_logins_at_once(site: Site) -> None:
    """Logins of one user at once end with the bound, and one of them stays."""
    client = site.make_client(session_policy=SessionPolicy(max_sessions=3))
    browsers = [Browser() for _ in range(12)]
    made = [browser.request() for browser in browsers]
    options = [build_login_options(site.tenant, "auth0|alice") for _ in browsers]
    await run_together(
        [
            partial(client.login_with_custom_token_exchange, login, store_options)
            for login, store_options in zip(options, made, strict=True)
        ],
        are_async=site.is_async,
    )
    for browser, store_options in zip(browsers, made, strict=True):
        browser.take(store_options)
    living = [await site.get_subject(browser) for browser in browsers]

    assert 1 <= sum(subject is not None for subject in living) <= 3


async def test_two_applications(site: Site) -> None:
    """Two applications that share secret and store do not touch each other's sessions."""
    site.tenant.applications.add(
        Application("admin-app", "of the admin app: 0123456789")
    )
    shop = site.make_client()
    admin = site.make_client(
        client_id="admin-app", client_secret="of the admin app: 0123456789"
    )
    customer, agent = Browser(), Browser()
    await site.log_in(customer, client=shop)
    await site.log_in(agent, client=admin)
    copies = [Browser(dict(browser.cookies)) for browser in (customer, agent)]
    for browser, client in zip(copies, (admin, shop), strict=True):
        assert await site.get_subject(browser, client) is None
        await site.call(browser, "logout", client=client)
        await site.log_in(browser, client=client)

    assert "auth0|alice" == await site.get_subject(customer, shop)
    assert "auth0|alice" == await site.get_subject(agent, admin)
    assert 0 == site.tenant.count("/oauth/revoke")
    if site.is_in_cookies:
        return
    await resolve(
        shop.handle_backchannel_logout(
            logout_token(site.tenant, "1", sub="auth0|alice")
        )
    )
    assert await site.get_subject(customer, shop) is None
    assert "auth0|alice" == await site.get_subject(agent, admin)

    # The same ``jti``, for the other application.
    token = logout_token(site.tenant, "1", sub="auth0|alice", aud="admin-app")
    with pytest.raises(BackchannelLogoutError):
        await resolve(shop.handle_backchannel_logout(token))
    await resolve(admin.handle_backchannel_logout(token))
    assert await site.get_subject(agent, admin) is None
