"""Sessions in a store under test, through the client of either world."""

from __future__ import annotations

from typing import Any

import attrs
import redis
from both_worlds import at_once, done

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logged_in import Browser, login_options, settings_of


@attrs.define
class Site:
    """A web application, which may have several clients over one store."""

    tenant: Tenant
    store: Any
    is_async: bool
    redis_url: str | None = None
    clients: list[Any] = attrs.field(factory=list)

    @property
    def is_in_cookies(self) -> bool:
        """Whether the browser has the session, and the server nothing."""
        return isinstance(self.store, CookieStore)

    def client(self, **changes: Any) -> Any:
        """Make another client of the same application."""
        kind = AsyncServerClient if self.is_async else ServerClient
        settings = settings_of(self.tenant, state_store=self.store, **changes)
        self.clients.append(kind(**settings))
        return self.clients[-1]

    async def close(self) -> None:
        """Close the clients."""
        for client in self.clients:
            await done(client.aclose() if self.is_async else client.close())

    async def call(
        self, browser: Browser, method: str, *arguments: Any, client: Any = None
    ) -> Any:
        """Serve a request of a browser with one call of a client."""
        client = client or (self.clients[0] if self.clients else self.client())
        options = browser.request()
        if method == "logout":
            result = await done(client.logout(options))
        else:
            # What is the method's own comes first, but for an audience.
            is_own = method == "login_with_custom_token_exchange"
            given = (*arguments, options) if is_own else (options, *arguments)
            result = await done(getattr(client, method)(*given))
        browser.take(options)
        return result

    async def log_in(
        self, browser: Browser, name: str = "alice", client: Any = None
    ) -> Any:
        """Log a user in."""
        options = login_options(self.tenant, f"auth0|{name}")
        method = "login_with_custom_token_exchange"
        result = await self.call(browser, method, options, client=client)
        return result.state_data

    async def user(self, browser: Browser, client: Any = None) -> str | None:
        """Give the ``sub`` of who is logged in."""
        user = await self.call(browser, "get_user", client=client)
        return None if user is None else user["sub"]

    async def users_at_once(self, browsers: list[Browser]) -> list[Any]:
        """Ask for all browsers' users at once."""
        client = self.clients[0]
        calls = [lambda b=each: client.get_user(b.request()) for each in browsers]
        users = await at_once(calls, are_async=self.is_async)
        return [user and user["sub"] for user in users]

    def contents(self) -> dict[str, bytes]:
        """Give all that the store has, by what it is under."""
        store = self.store
        if isinstance(store, CookieStore):
            return {}
        if isinstance(store, RedisStore):
            assert self.redis_url is not None
            return _in_redis(self.redis_url, store._prefix)
        if isinstance(store, MemoryStore):
            values, labels = store._values, store._labels
        else:
            kept = getattr(store, "kept", store)
            values, labels = kept.values, kept.labels
        return {key: bytes(value) for key, (value, _) in values.items()} | {
            label: " ".join(sorted(keys)).encode() for label, keys in labels.items()
        }

    def sessions(self) -> dict[str, bytes]:
        """Give the sessions that the store has."""
        return {
            key: value
            for key, value in self.contents().items()
            if key.startswith("session:")
        }


def _in_redis(url: str, prefix: str) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with redis.Redis.from_url(url) as admin:
        for key in admin.scan_iter(match=f"{prefix}*", count=1000):
            is_label = admin.type(key) != b"string"
            found: Any = admin.zrange(key, 0, -1) if is_label else [admin.get(key)]
            contents[key.decode().removeprefix(prefix)] = b" ".join(found)
    return contents
