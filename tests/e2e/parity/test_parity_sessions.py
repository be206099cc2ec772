"""Sessions in both worlds: one table of stories, the same requests, the same ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import pytest
from attrs import field, frozen

from auth0_tx import (
    AccessTokenSet,
    AsyncServerClient,
    Auth0Error,
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    ServerClient,
    SessionPolicy,
    SessionTransferToken,
)
from auth0_tx.events import AuditEvent, Event
from auth0_tx.stores import CookieStore, MemoryStore
from auth0_tx.tenant import Tenant, faults
from tests.e2e.parity.playing import (
    Clock,
    normalize_claims,
    normalize_request,
    read_claims,
)
from tests.e2e.parity.scenarios import AUDIENCE, LEGACY_TOKEN, QUICK, TOKEN
from tests.e2e.sessions.logins import SECRET, Browser

# Tokens that the tenant makes anew for each world.
_ISSUED = (b"refresh_token", b"actor_token", b"token")

Step = Callable[[Any, Browser, Tenant], Any]


def log_in(user: str = "auth0|alice", scope: str | None = None, **more: Any) -> Step:
    """Return a step that logs a user in."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        options = LoginWithCustomTokenExchangeOptions(
            subject_token=get_token(tenant, user),
            subject_token_type=LEGACY_TOKEN,
            scope=scope,
            audience=AUDIENCE,
            **{k: v(tenant) if callable(v) else v for k, v in more.items()},
        )
        return client.login_with_custom_token_exchange(options, browser.options)

    return step


def call(name: str, *arguments: Any, **named: Any) -> Step:
    """Return a step that calls a method with the store options first."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        return getattr(client, name)(browser.options, *arguments, **named)

    return step


def wait(seconds: float) -> Step:
    """Return a step that lets time pass, for client and tenant alike."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        browser.clock.now += seconds
        return None

    return step


def inject_faults(*faulty: Any) -> Step:
    """Return a step that makes the tenant fail the next token requests."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        for fault in faulty:
            tenant.inject(fault, path=TOKEN, times=1)
        return None

    return step


def alter_id_tokens(**claims: Any) -> Step:
    """Return a step that changes the claims of later ID tokens."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        tenant.alter_id_token(lambda said: {**said, **claims} if claims else said)
        return None

    return step


def end_sessions_after(seconds: int) -> Step:
    """Return a step that limits the sessions of later ID tokens to *seconds* from now."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        ends = int(browser.clock.now) + seconds
        tenant.alter_id_token(lambda said: {**said, "session_expiry": ends})
        return None

    return step


def request_transfer(**named: Any) -> Step:
    """Return a step that requests a session transfer token."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        return client.request_session_transfer_token(
            get_token(tenant, "auth0|alice"),
            LEGACY_TOKEN,
            store_options=browser.options,
            **named,
        )

    return step


def log_out_at_auth0(user: str, **changes: Any) -> Step:
    """Return a step that delivers a logout token of Auth0 for *user*."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        token = tenant.logout_token(user_id=user, **changes)
        return client.handle_backchannel_logout(token, browser.options)

    return step


def log_out_everywhere(user: str) -> Step:
    """Return a step that ends all sessions of *user*."""

    def step(client: Any, browser: Browser, tenant: Tenant) -> Any:
        return client.end_sessions(sub=user, store_options=browser.options)

    return step


_tokens: WeakKeyDictionary[Tenant, dict[str, str]] = WeakKeyDictionary()


def get_token(tenant: Tenant, user: str) -> str:
    """Return a subject token that is the same in both worlds."""
    made = _tokens.setdefault(tenant, {})
    if user not in made:
        made[user] = tenant.subject_token(user, expires_in=10**8)
    return made[user]


@frozen
class Story:
    """Steps, and how each of them must end: a class, or a value."""

    name: str
    steps: tuple[Step, ...]
    ends: tuple[Any, ...]
    keywords: dict[str, Any] = field(factory=dict)


RESULT, OFFLINE = LoginWithCustomTokenExchangeResult, "openid offline_access read:data"
STORIES = (
    Story(
        "login", (log_in(), call("get_user"), call("get_session")), (RESULT, dict, dict)
    ),
    Story("nobody", (call("get_user"), call("get_session")), (type(None),) * 2),
    Story(
        "an actor",
        (
            log_in(
                actor_token=lambda tenant: get_token(tenant, "auth0|bob"),
                actor_token_type=LEGACY_TOKEN,
            ),
            call("get_user"),
            wait(86_400),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, dict, type(None), "login_required"),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story("bad input", (log_in(scope="a  b"),), ("invalid_argument",)),
    Story(
        "an unknown user", (log_in("auth0|nobody"), call("get_user")), (400, type(None))
    ),
    Story(
        "refresh",
        (
            log_in(scope=OFFLINE),
            call("get_access_token", AUDIENCE),
            wait(86_350),
            call("get_access_token", AUDIENCE),
            call("get_access_token", AUDIENCE, "read:data"),
        ),
        (RESULT, str, type(None), str, str),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a token set",
        (
            log_in(scope=OFFLINE),
            call("get_token_set", AUDIENCE),
            wait(86_350),
            call("get_token_set", AUDIENCE, "read:data"),
        ),
        (RESULT, AccessTokenSet, type(None), AccessTokenSet),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a refresh that is lost",
        (
            log_in(scope=OFFLINE),
            wait(86_400),
            inject_faults(faults.reset()),
            call("get_access_token", AUDIENCE),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, type(None), type(None), "connection_lost", str),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a rate limit in a refresh",
        (
            log_in(scope=OFFLINE),
            wait(86_400),
            inject_faults(faults.status(429, {"error": "too_many_requests"})),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, type(None), type(None), str),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    Story(
        "a refresh token that is refused",
        (
            log_in(scope=OFFLINE),
            wait(86_400),
            inject_faults(faults.status(403, {"error": "invalid_grant"})),
            call("get_access_token", AUDIENCE),
            call("get_access_token", AUDIENCE),
        ),
        (RESULT, type(None), type(None), "invalid_grant", "login_required"),
        {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
    ),
    *(
        # OpenID Connect Core section 12.2.
        Story(
            f"a refresh whose ID token has another {name}",
            (
                log_in(scope=OFFLINE),
                wait(86_400),
                alter_id_tokens(**{name: "auth0|bob"}),
                call("get_access_token", AUDIENCE),
                alter_id_tokens(),
                call("get_access_token", AUDIENCE),
            ),
            (
                RESULT,
                *[type(None)] * 2,
                "invalid_id_token",
                type(None),
                last,
            ),
            {"session_policy": SessionPolicy(idle_seconds=200_000.0)},
        )
        # Nothing that another user was issued is kept, so the refresh token is spent; a
        # rotated one that came beside an invalid ID token is kept.
        for name, last in (("sub", "invalid_grant"), ("iss", str))
    ),
    Story(
        "a session that the identity provider limits",
        (
            end_sessions_after(3_600),
            log_in(),
            call("get_user"),
            wait(3_700),
            call("get_user"),
            alter_id_tokens(),
        ),
        (type(None), RESULT, dict, type(None), type(None), type(None)),
    ),
    Story(
        "logout",
        (
            log_in(scope=OFFLINE),
            call("logout", return_to="https://app.example.com/"),
            call("get_user"),
        ),
        (RESULT, str, type(None)),
    ),
    Story(
        "logout from the other side",
        (
            log_in(),
            log_out_at_auth0("auth0|bob"),
            call("get_user"),
            log_out_at_auth0("auth0|alice"),
            call("get_user"),
            log_out_at_auth0("auth0|alice", iss="https://other.example/"),
        ),
        (RESULT, type(None), dict, type(None), type(None), "invalid_logout_token"),
        {"state_store": MemoryStore},
    ),
    Story(
        "logging out everywhere",
        (
            log_in(),
            log_out_everywhere("auth0|bob"),
            log_out_everywhere("auth0|alice"),
            call("get_user"),
            log_out_everywhere(""),
        ),
        (RESULT, int, int, type(None), "invalid_argument"),
        {"state_store": MemoryStore, "session_policy": SessionPolicy(max_sessions=1)},
    ),
    Story(
        "logging out everywhere, with cookies",
        (log_out_everywhere("auth0|alice"),),
        ("invalid_configuration",),
        {"state_store": CookieStore},
    ),
    Story("no actor to transfer", (request_transfer(),), ("actor_unavailable",)),
)


@frozen
class Recording:
    """The ends of a story in one world, its requests, and what an audit was told."""

    ends: list[Any]
    requests: list[Any]
    events: list[Any]


@pytest.mark.parametrize("keeping", ["cookies", "store"])
@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_both_worlds_tell_the_same_story(
    story: Story, keeping: str, new_tenant: Callable[..., Tenant], clock: Clock
) -> None:
    """Both clients send the same requests and events, and each step ends as the table says."""
    tenant = new_tenant()
    told = [
        _play(story, keeping, tenant, clock, world)
        for world in (play_blocking, play_async)
    ]

    for end, expected in zip(told[0].ends, story.ends, strict=True):
        check_end(end, expected)
    assert [normalize_end(end) for end in told[0].ends] == [
        normalize_end(end) for end in told[1].ends
    ]
    assert told[0].requests == told[1].requests
    assert told[0].events == told[1].events


def _play(
    story: Story,
    keeping: str,
    tenant: Tenant,
    clock: Clock,
    play: Callable[..., list[Any]],
) -> Recording:
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
    events: list[Event] = []
    keywords["on_event"] = events.append
    ends = play(story, {**keywords, "state_store": store and store()}, browser, tenant)
    return Recording(
        ends,
        [normalize_session_request(request) for request in tenant.requests],
        normalize_events(events),
    )


def normalize_events(events: list[Event]) -> list[Any]:
    """Return the events of an audit, each session by its number and no time but that there is one."""
    sessions: dict[str | None, int] = {}
    normal = []
    for event in events:
        if isinstance(event, AuditEvent):
            number = sessions.setdefault(event.session, len(sessions))
            members = attrs.asdict(event) | {"session": event.session and number}
            if "seconds" in members:
                members["seconds"] = members["seconds"] >= 0
            normal.append((type(event), members))
    return normal


def play_blocking(
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


def play_async(
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


def check_end(end: Any, expected: Any) -> None:
    if isinstance(expected, type):
        assert isinstance(end, expected)
    elif isinstance(expected, int):
        assert expected == end.status
    else:
        assert expected == end.code


def normalize_end(end: Any) -> Any:
    """Return how a step ended, without the parts that differ in each token."""
    if isinstance(end, Auth0Error):
        return type(end), end.args
    if isinstance(end, LoginWithCustomTokenExchangeResult):
        return normalize_end(end.state_data)
    if isinstance(end, AccessTokenSet):
        return end.scope, end.audience, end.token_type, end.expires_at is not None
    if isinstance(end, SessionTransferToken):
        return end.token_type, end.expires_in, end.issued_token_type
    if isinstance(end, dict):
        return {
            name: normalize_end(value) for name, value in normalize_members(end).items()
        }
    if isinstance(end, list):
        return [normalize_end(item) for item in end]
    if isinstance(end, str) and end.count(".") == 2 and end.startswith("eyJ"):
        return normalize_end(read_claims(end))
    return end


def normalize_members(members: dict[str, Any]) -> dict[str, Any]:
    """Return members without the parts that differ in each session."""
    if "iat" in members:
        members = normalize_claims(members)
    new = (
        *("refresh_token", "id", "sid", "at_hash"),
        *("created_at", "used_at", "issued_at", "expires_at", "session_expiry"),
    )
    return {k: v is not None if k in new else v for k, v in members.items()}


def normalize_session_request(request: Any) -> Any:
    *start, body = normalize_request(request)
    if isinstance(body, bytes):
        pairs = [pair.partition(b"=") for pair in body.split(b"&")]
        body = [
            (name, len(value) > 20 if name in _ISSUED else value)
            for name, _, value in pairs
        ]
    return *start, body
