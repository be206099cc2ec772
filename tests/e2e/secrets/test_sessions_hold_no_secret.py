"""Sessions print no token and no cookie, whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import logging
import pprint
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    BackchannelLogoutError,
    ConfigurationError,
    IdTokenError,
    InvalidInputError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
    StoreError,
)
from auth0_tx.events import (
    AuditEvent,
    Event,
    LoginFinished,
    LogoutFinished,
    SessionRotated,
)
from auth0_tx.integrations.log_events import log_event
from auth0_tx.stores import CookieStore, MemoryStore
from auth0_tx.tenant import Tenant, faults
from tests.e2e.secrets.exposure_walk import everything_in
from tests.e2e.secrets.two_worlds import WORLDS, World, settings_of
from tests.e2e.sessions.logins import Browser
from tests.secret_needles import Needles

SECRET = "session-secret-9x7Kq2-of-some-length"
OFFLINE = "openid offline_access"


class FailingStore(MemoryStore):
    """A store whose errors quote all that they were given."""

    failing = ""

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        if self.failing == "set" and key.startswith("session:"):
            raise ConnectionError(f"cannot set {key} to {value!r}, was {expected!r}")
        return super().set(key, value, ttl=ttl, expected=expected)

    def get(self, key: str) -> bytes | None:
        if self.failing == "get":
            raise ConnectionError(f"cannot get {key}, which is {super().get(key)!r}")
        return super().get(key)


def options_of(tenant: Tenant) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
        scope=OFFLINE,
    )


def ask(
    world: World, settings: dict[str, Any], steps: list[Callable[[Any], Any]]
) -> list[Any]:
    """Take steps with one client; give what each gave, or its error."""
    if world == "blocking":
        with ServerClient(**settings) as client:
            return [_find_end(lambda step=step: step(client)) for step in steps]

    async def in_tasks() -> list[Any]:
        async with AsyncServerClient(**settings) as client:
            ends: list[Any] = []
            for step in steps:
                try:
                    ends.append(await step(client))
                except Auth0Error as error:
                    ends.append(error)
            return ends

    return asyncio.run(in_tasks())


def _find_end(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Auth0Error as error:
        return error


def sessions_of(tenant: Tenant, store: Any) -> dict[str, Any]:
    """Return the keywords of a client that keeps sessions."""
    return settings_of(tenant, secret=SECRET, state_store=store)


class Followed(Browser):
    """A browser whose cookies must not show either."""

    def __init__(self, needles: Needles) -> None:
        super().__init__()
        self._needles = needles

    def log_in(self, client: Any, tenant: Tenant) -> Any:
        """Log in, and take the cookies."""
        options = self.request()
        end = client.login_with_custom_token_exchange(options_of(tenant), options)
        if asyncio.iscoroutine(end):
            return self._take_later(end, options)
        self._take(options)
        return end

    async def _take_later(self, end: Any, options: Any) -> Any:
        result = await end
        self._take(options)
        return result

    def _take(self, options: Any) -> None:
        self.take(options)
        self._needles.add(*self.cookies.values(), name="a session cookie")


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("kind", [CookieStore, MemoryStore])
def test_values(
    auth0_tenant: Tenant, needles: Needles, world: World, kind: type[Any]
) -> None:
    """However a session is printed, no token, cookie or secret is."""
    needles.add(SECRET)
    store, browser = kind(), Followed(needles)
    result, session, user, token = ask(
        world,
        sessions_of(auth0_tenant, store),
        [
            lambda client: browser.log_in(client, auth0_tenant),
            lambda client: client.get_session(browser.request()),
            lambda client: client.get_user(browser.request()),
            lambda client: client.get_access_token(browser.request()),
        ],
    )
    shown = [
        f"{value!r} {value} {pprint.pformat(value)}"
        for value in (result, result.state_data, session, user, [token], store)
    ]

    assert [] == [text for text in shown if needles.find(text)]
    assert needles.find(str(token)) is not None
    assert str(session["refresh_token"]) in json.dumps(session)
    with pytest.raises(TypeError, match="pass the one field you need"):
        __import__("pickle").dumps(result)


@pytest.mark.parametrize("world", WORLDS)
def test_errors(
    auth0_tenant: Tenant,
    needles: Needles,
    caplog: pytest.LogCaptureFixture,
    world: World,
) -> None:
    """No error about a session holds what is in it, or what keeps it."""
    needles.add(SECRET)
    store, browser = FailingStore(), Followed(needles)
    bad_token = auth0_tenant.subject_token("auth0|alice")
    needles.add(bad_token, name="a token in the wrong place")

    def failing(word: str, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def play(client: Any) -> Any:
            store.failing = word
            return step(client)

        return play

    with caplog.at_level(logging.DEBUG):
        ends = ask(
            world,
            sessions_of(auth0_tenant, store),
            [
                failing("set", lambda client: browser.log_in(client, auth0_tenant)),
                failing("", lambda client: browser.log_in(client, auth0_tenant)),
                failing("get", lambda client: client.get_user(browser.request())),
                failing(
                    "get", lambda client: client.get_access_token(browser.request())
                ),
                failing(
                    "", lambda client: client.get_access_token(Browser().request())
                ),
                lambda client: client.get_access_token(
                    browser.request(), "an audience\n"
                ),
                lambda client: client.handle_backchannel_logout(bad_token),
                lambda client: client.logout(browser.request(), return_to="nowhere"),
                lambda client: client.get_user({"request": "no request"}),
                lambda client: client.request_session_transfer_token(
                    f" {bad_token}", "urn:acme:case"
                ),
            ],
        )
    errors = [end for end in ends if isinstance(end, Auth0Error)]

    assert [
        StoreError,
        StoreError,
        StoreError,
        LoginRequiredError,
        InvalidInputError,
        BackchannelLogoutError,
        InvalidInputError,
        InvalidInputError,
        InvalidInputError,
    ] == [type(error) for error in errors]
    for error in errors:
        # The tokens of a login that could not be kept are there on purpose, by one name.
        assert [] == [
            place
            for place, text in everything_in(error)
            if needles.find(text) and "response" not in place
        ]
        assert (None, None) == (error.__cause__, error.__context__)
    assert needles.find(caplog.text) is None


@pytest.mark.parametrize("identifiers", ["hashed", "clear"])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("kind", [CookieStore, MemoryStore])
def test_events(
    auth0_tenant: Tenant,
    needles: Needles,
    caplog: pytest.LogCaptureFixture,
    world: World,
    kind: type[Any],
    identifiers: str,
) -> None:
    """No event of an audit has a token or a cookie, or a user's name unless it may."""
    needles.add(SECRET)
    events: list[Event] = []
    browser, junk = Followed(needles), Browser()
    junk.cookies = {"__Host-auth0_tx": "made-up-by-a-visitor-0123456789-abcdefghij"}
    needles.add(*junk.cookies.values())
    logout_token = auth0_tenant.logout_token("auth0|alice")
    bad_token = auth0_tenant.subject_token("auth0|alice")
    needles.add(logout_token, bad_token, name="a logout token")

    def note(event: Event) -> None:
        events.append(event)
        log_event(event)

    def fail_to_log_in(client: Any) -> Any:
        auth0_tenant.inject(faults.status(403, {"error": bad_token}), times=1)
        return browser.log_in(client, auth0_tenant)

    with caplog.at_level(logging.DEBUG):
        ask(
            world,
            {
                **sessions_of(auth0_tenant, kind()),
                "on_event": note,
                "audit_identifiers": identifiers,
            },
            [
                fail_to_log_in,
                lambda client: browser.log_in(client, auth0_tenant),
                lambda client: client.get_access_token(
                    browser.request(), "https://api.example.com/another"
                ),
                lambda client: client.get_user(junk.request()),
                lambda client: client.logout(browser.request()),
                lambda client: client.logout(junk.request()),
                lambda client: client.handle_backchannel_logout(logout_token),
                lambda client: client.handle_backchannel_logout(logout_token),
                lambda client: client.handle_backchannel_logout(bad_token),
            ],
        )
    audited = [event for event in events if isinstance(event, AuditEvent)]
    texts = [str(value) for event in audited for value in attrs.asdict(event).values()]

    assert {LoginFinished, SessionRotated, LogoutFinished} <= {
        type(event) for event in audited
    }
    assert [] == [text for text in texts if needles.find(text)]
    assert needles.find(caplog.text) is None
    assert (identifiers == "clear") is ("auth0|alice" in texts)


@pytest.mark.parametrize("world", WORLDS)
def test_login_without_a_session(
    auth0_tenant: Tenant, needles: Needles, world: World
) -> None:
    """An ID token that does not hold shows neither itself nor what came with it."""
    auth0_tenant.alter_id_token(lambda claims: {**claims, "aud": "other"})
    browser = Followed(needles)
    steps = [lambda client: browser.log_in(client, auth0_tenant)]
    (refused,) = ask(world, sessions_of(auth0_tenant, MemoryStore()), steps)
    (unkept,) = ask(world, settings_of(auth0_tenant), steps)

    assert [IdTokenError, ConfigurationError] == [type(refused), type(unkept)]
    for error in (refused, unkept):
        assert [] == [
            place for place, text in everything_in(error) if needles.find(text)
        ]
