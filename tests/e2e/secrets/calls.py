"""Every kind of call of a client, for the searches of what its frames hold."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

from joserfc.jwk import RSAKey

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache
from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from auth0_tx.tenant import Api, Application, Tenant
from tests.e2e.secrets.two_worlds import World, options_of, settings_of
from tests.e2e.sessions.logins import AUDIENCE, Browser

SESSION_SECRET = "session-secret-9x7Kq2-of-some-length"
OTHER_API = "https://other.example.com"
KEY = RSAKey.generate_key(2048, private=True)
METHODS = ("client_secret_post", "client_secret_basic", "private_key_jwt")

Settings = dict[str, Any]
Step = Callable[[Any], Any]


def prepare_tenant(tenant: Tenant) -> None:
    """Let the tenant take all methods and all calls."""
    tenant.applications.add(
        Application(
            "signing",
            token_endpoint_auth_method="private_key_jwt",
            credentials=[KEY.as_pem(private=False)],
        )
    )
    tenant.apis.add(Api(OTHER_API, scopes=("read:data",), allow_offline_access=True))
    tenant.applications.change(
        tenant.client_id,
        can_create_session_transfer_token=True,
        resource_server_identifier=AUDIENCE,
        refresh_token_policies={OTHER_API: ("read:data",)},
    )


class Calls:
    """One client's calls of each kind, in either world.

    Args:
        world: blocking or async.
        tenant: whom the client asks.
        redis: the URL of a Redis and a prefix, for stores and caches there.
    """

    def __init__(self, world: World, tenant: Tenant, redis: tuple[str, str]) -> None:
        self._world = world
        self._tenant = tenant
        self._redis = redis

    def run(self, settings: Settings, steps: Sequence[Step]) -> None:
        """Make a client, and take the steps one after another."""
        if self._world == "blocking":
            with ServerClient(**settings_of(self._tenant, **settings)) as client:
                for step in steps:
                    step(client)
            return
        asyncio.run(self.run_async(settings, steps))

    async def run_async(self, settings: Settings, steps: Sequence[Step]) -> None:
        """Do the same in a task."""
        async with AsyncServerClient(**settings_of(self._tenant, **settings)) as client:
            for step in steps:
                result = step(client)
                if inspect.isawaitable(result):
                    await result

    def connect(self) -> Any:
        """Return a client of the Redis."""
        import redis.asyncio

        url = self._redis[0]
        if self._world == "blocking":
            return redis.Redis.from_url(url)
        return redis.asyncio.Redis.from_url(url)

    def authenticate(self, method: str) -> Settings:
        """Return the keywords of a client that authenticates by a method."""
        if method != "private_key_jwt":
            return {"client_auth": method}
        return {
            "client_id": "signing",
            "client_secret": None,
            "client_assertion_signing_key": KEY.as_pem(private=True),
        }

    def keep_sessions(self, kind: str) -> Settings:
        """Return the keywords of a client that keeps sessions."""
        stores: dict[str, Callable[[], Any]] = {
            "cookies": CookieStore,
            "memory": MemoryStore,
            "redis": lambda: RedisStore(
                # Traced code takes its time.
                self.connect(),
                prefix=self._redis[1],
                timeout=10.0,
            ),
        }
        return {"secret": SESSION_SECRET, "state_store": stores[kind]()}

    def cache_tokens(self, kind: str) -> Settings:
        """Return the keywords of a client with a cache."""
        caches: dict[str, Callable[[], Any]] = {
            "memory": MemoryTokenCache,
            "redis": lambda: RedisTokenCache(
                self.connect(), prefix=self._redis[1], timeout=10.0
            ),
        }
        return {"secret": SESSION_SECRET, "token_cache": caches[kind]()}

    def exchange(self) -> list[Step]:
        """Return an exchange."""
        return [lambda client: client.custom_token_exchange(options_of(self._tenant))]

    def exchange_with_aging_documents(self) -> tuple[Settings, list[Step]]:
        """Return a client and exchanges after which it refreshes its keys and its metadata."""
        ages = iter((570.0, 3_700.0))
        age = 0.0

        def grow_older(client: Any) -> None:
            nonlocal age
            age = next(ages)

        exchange, *_ = self.exchange()
        steps = [exchange, grow_older, exchange, grow_older, exchange]
        return {"clock": lambda: time.time() + age}, steps

    def exchange_on_behalf(self) -> list[Step]:
        """Return an exchange on behalf of a user, twice for the same token."""
        token = self._tenant.access_token("auth0|alice", AUDIENCE)
        return [lambda client: client.get_token_on_behalf_of(token, OTHER_API)] * 2

    def transfer_session(self) -> list[Step]:
        """Return a request for a session transfer token."""
        tenant = self._tenant
        return [
            lambda client: client.request_session_transfer_token(
                tenant.subject_token("auth0|alice"),
                "urn:acme:legacy-token",
                actor_token=tenant.id_token("auth0|support_agent"),
                actor_token_type="urn:ietf:params:oauth:token-type:id_token",
            )
        ]

    def use_session(self) -> list[Step]:
        """Return a login, reads, a refresh for another API, and a logout."""
        browser = Browser()
        given: list[dict[str, Any]] = []

        def ask(call: Callable[[Any, Any], Any]) -> Step:
            def step(client: Any) -> Any:
                if given:
                    browser.take(given.pop())
                given.append(browser.request())
                return call(client, given[-1])

            return step

        login = LoginWithCustomTokenExchangeOptions(
            subject_token=self._tenant.subject_token("auth0|alice"),
            subject_token_type="urn:acme:legacy-token",
            audience=AUDIENCE,
            scope="openid offline_access",
        )
        return [
            ask(lambda c, o: c.login_with_custom_token_exchange(login, o)),
            ask(lambda c, o: c.get_session(o)),
            ask(lambda c, o: c.get_access_token(o)),
            ask(lambda c, o: c.get_access_token(o, OTHER_API)),
            ask(lambda c, o: c.logout(o, revoke=True)),
        ]

    def log_out_everywhere(self) -> list[Step]:
        """Return a login and a back-channel logout of its user."""
        token = self._tenant.logout_token("auth0|alice")
        return [
            self.use_session()[0],
            lambda client: client.handle_backchannel_logout(token),
        ]

    def refresh(self) -> list[Step]:
        """Return a refresh of a token without a session, and its revocation."""
        with ServerClient(**settings_of(self._tenant)) as client:
            # With an actor there is none.
            options = options_of(
                self._tenant, audience=AUDIENCE, actor_token=None, actor_token_type=None
            )
            plain = str(client.custom_token_exchange(options).refresh_token)
        return [
            lambda client: client.refresh(plain),
            lambda client: client.revoke_refresh_token(plain),
        ]
