"""Sessions in both worlds: one table of stories, the same requests, the same ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from attrs import field, frozen

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    ServerClient,
    SessionPolicy,
    SessionTransferToken,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant, faults
from tests.e2e.sessions.logins import SECRET, Browser

from .playing import Clock, _lasting, claims_of, request_form
from .scenarios import AUDIENCE, LEGACY_TOKEN, QUICK, TOKEN

# Tokens that the tenant makes anew for each world.
_ISSUED = (b"refresh_token", b"actor_token", b"token")

Step = Callable[[Any, Browser, Tenant], Any]


def login(user: str = "auth0|alice", scope: str | None = None, **more: Any) -> Step:
    """Log a user in."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        options = LoginWithCustomTokenExchangeOptions(
            subject_token=_token(tenant, user),
            subject_token_type=LEGACY_TOKEN,
            scope=scope,
            audience=AUDIENCE,
            **{k: v(tenant) if callable(v) else v for k, v in more.items()},
        )
        return client.login_with_custom_token_exchange(options, browser.options)

    return step


def call(name: str, *arguments: Any, **named: Any) -> Step:
    """Call a method that takes the store options first."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        return getattr(client, name)(browser.options, *arguments, **named)

    return step


def wait(seconds: float) -> Step:
    """Let time pass, for client and tenant alike."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        browser.clock.now += seconds
        return None

    return step


def broken(*faulty: Any) -> Step:
    """Have the tenant fail the next token requests."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        for fault in faulty:
            tenant.inject(fault, path=TOKEN, times=1)
        return None

    return step


def altered(**claims: Any) -> Step:
    """Have the ID tokens that follow say something else."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        tenant.alter_id_token(lambda said: {**said, **claims} if claims else said)
        return None

    return step


def limited(seconds: int) -> Step:
    """Have the ID tokens that follow end their session so many seconds from now."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        ends = int(browser.clock.now) + seconds
        tenant.alter_id_token(lambda said: {**said, "session_expiry": ends})
        return None

    return step


def transfer(**named: Any) -> Step:
    """Ask for a session transfer token."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        return client.request_session_transfer_token(
            _token(tenant, "auth0|alice"),
            LEGACY_TOKEN,
            store_options=browser.options,
            **named,
        )

    return step


def backchannel(user: str, **changes: Any) -> Step:
    """Have Auth0 say that a user has logged out."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        token = tenant.logout_token(user_id=user, **changes)
        return client.handle_backchannel_logout(token, browser.options)

    return step


_tokens: WeakKeyDictionary[Tenant, dict[str, str]] = WeakKeyDictionary()


def _token(tenant: Tenant, user: str) -> str:
    """Give a subject token that is the same in both worlds."""
    made = _tokens.setdefault(tenant, {})
    if user not in made:
        made[user] = tenant.subject_token(user, expires_in=10**8)
    return made[user]


@frozen
class Story:
    """What happens, step by step, and how each step must end: a class, or a value."""

    name: str
    steps: tuple[Step, ...]
    ends: tuple[Any, ...]
    keywords: dict[str, Any] = field(factory=dict)


RESULT, OFFLINE = LoginWithCustomTokenExchangeResult, "openid offline_access read:data"
STORIES = (
    Story(
        "login", (login(), call("get_user"), call("get_session")), (RESULT, dict, dict)
    ),
    Story("nobody", (call("get_user"), call("get_session")), (type(None),) * 2),
    Story(
        "an actor",
        (
            login(
                actor_token=lambda tenant: _token(tenant, "auth0|bob"),
                actor_token_type=LEGACY_TOKEN,
            ),
            call("get_user"),
            wait(86_400),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, dict, type(None), "login_required"),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story("bad input", (login(scope="a  b"),), ("invalid_argument",)),
    Story(
        "an unknown user", (login("auth0|nobody"), call("get_user")), (400, type(None))
    ),
    Story(
        "refresh",
        (
            login(scope=OFFLINE),
            call("get_access_token", AUDIENCE),
            wait(86_350),
            call("get_access_token", AUDIENCE),
            call("get_access_token", AUDIENCE, "read:data"),
        ),
        (RESULT, str, type(None), str, str),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a refresh that is lost",
        (
            login(scope=OFFLINE),
            wait(86_400),
            broken(faults.reset()),
            call("get_access_token", AUDIENCE),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, type(None), type(None), "connection_lost", "login_required"),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a rate limit in a refresh",
        (
            login(scope=OFFLINE),
            wait(86_400),
            broken(faults.status(429, {"error": "too_many_requests"})),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, type(None), type(None), str),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    *(
        # OpenID Connect Core section 12.2.
        Story(
            f"a refresh whose ID token has another {name}",
            (
                login(scope=OFFLINE),
                wait(86_400),
                altered(**{name: "auth0|bob"}),
                call("get_access_token", AUDIENCE),
                altered(),
                call("get_access_token", AUDIENCE),
            ),
            (
                RESULT,
                *[type(None)] * 2,
                "invalid_id_token",
                type(None),
                "login_required",
            ),
            {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
        )
        for name in ("sub", "iss")
    ),
    Story(
        "a session that the identity provider limits",
        (
            limited(3_600),
            login(),
            call("get_user"),
            wait(3_700),
            call("get_user"),
            altered(),
        ),
        (type(None), RESULT, dict, type(None), type(None), type(None)),
    ),
    Story(
        "logout",
        (
            login(scope=OFFLINE),
            call("logout", return_to="https://app.example.com/"),
            call("get_user"),
        ),
        (RESULT, str, type(None)),
    ),
    Story(
        "logout from the other side",
        (
            login(),
            backchannel("auth0|bob"),
            call("get_user"),
            backchannel("auth0|alice"),
            call("get_user"),
            backchannel("auth0|alice", iss="https://other.example/"),
        ),
        (RESULT, type(None), dict, type(None), type(None), "invalid_logout_token"),
        {"state_store": MemoryStore},
    ),
    Story("no actor to transfer", (transfer(),), ("actor_unavailable",)),
)


@frozen
class _Told:
    """What one world made of a story."""

    ends: list[Any]
    requests: list[Any]


@pytest.mark.parametrize("keeping", ["cookies", "store"])
@pytest.mark.parametrize("story", STORIES, ids=[each.name for each in STORIES])
def test_both_worlds_tell_the_same_story(
    story: Story, keeping: str, new_tenant: Callable[..., Tenant], clock: Clock
) -> None:
    """Both clients send the same requests, and each step ends as the table says."""
    tenant = new_tenant()
    told = [
        _play(story, keeping, tenant, clock, world) for world in (_blocking, _async)
    ]

    for end, expected in zip(told[0].ends, story.ends, strict=True):
        _check(end, expected)
    assert [_form(end) for end in told[0].ends] == [_form(end) for end in told[1].ends]
    assert told[0].requests == told[1].requests


def _play(
    story: Story,
    keeping: str,
    tenant: Tenant,
    clock: Clock,
    play: Callable[..., list[Any]],
) -> _Told:
    clock.now += 1_000_000
    tenant.clear()
    keywords = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "secret": SECRET,
        "retry": QUICK,
        "clock": clock,
        **story.keywords,
    }
    store = keywords.pop("state_store", MemoryStore if keeping == "store" else None)
    browser = Browser()
    browser.clock = clock
    ends = play(story, {**keywords, "state_store": store and store()}, browser, tenant)
    return _Told(ends, [_request(each) for each in tenant.requests])


def _blocking(
    story: Story, keywords: dict[str, Any], browser: Browser, tenant: Tenant
) -> list[Any]:
    ends: list[Any] = []
    with ServerClient(**keywords) as client:
        for step in story.steps:
            browser.options = browser.request()
            try:
                ends.append(step(client, browser, tenant))
            except Auth0Error as error:
                ends.append(error)
            browser.take(browser.options)
    return ends


def _async(
    story: Story, keywords: dict[str, Any], browser: Browser, tenant: Tenant
) -> list[Any]:
    async def play() -> list[Any]:
        ends: list[Any] = []
        async with AsyncServerClient(**keywords) as client:
            for step in story.steps:
                browser.options = browser.request()
                try:
                    end = step(client, browser, tenant)
                    ends.append(await end if asyncio.iscoroutine(end) else end)
                except Auth0Error as error:
                    ends.append(error)
                browser.take(browser.options)
        return ends

    return asyncio.run(play())


def _check(end: Any, expected: Any) -> None:
    if isinstance(expected, type):
        assert isinstance(end, expected)
    elif isinstance(expected, int):
        assert expected == end.status
    else:
        assert expected == end.code


def _form(end: Any) -> Any:
    """Give how a step ended, but for what is new in each token."""
    if isinstance(end, Auth0Error):
        return type(end), end.args
    if isinstance(end, LoginWithCustomTokenExchangeResult):
        return _form(end.state_data)
    if isinstance(end, SessionTransferToken):
        return end.token_type, end.expires_in, end.issued_token_type
    if isinstance(end, dict):
        return {name: _form(value) for name, value in _steady(end).items()}
    if isinstance(end, list):
        return [_form(each) for each in end]
    if isinstance(end, str) and end.count(".") == 2 and end.startswith("eyJ"):
        return _form(claims_of(end))
    return end


def _steady(members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what differs between two sessions that say the same."""
    if "iat" in members:
        members = _lasting(members)
    new = (
        *("refresh_token", "sid", "at_hash"),
        *("created_at", "used_at", "expires_at", "session_expiry"),
    )
    return {k: v is not None if k in new else v for k, v in members.items()}


def _request(request: Any) -> Any:
    *start, body = request_form(request)
    if isinstance(body, bytes):
        pairs = [pair.partition(b"=") for pair in body.split(b"&")]
        body = [
            (name, len(value) > 20 if name in _ISSUED else value)
            for name, _, value in pairs
        ]
    return *start, body
