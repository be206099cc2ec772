"""An application whose sessions are in a store under test, in either world."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import redis

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logins import Browser, build_login_options, make_settings
from tests.stores.both_worlds import resolve, run_together


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
        """Whether the browser has the whole session, and the server nothing."""
        return isinstance(self.store, CookieStore)

    def make_client(self, **changes: Any) -> Any:
        """Make another client of the same application."""
        kind = AsyncServerClient if self.is_async else ServerClient
        settings = make_settings(self.tenant, state_store=self.store, **changes)
        self.clients.append(kind(**settings))
        return self.clients[-1]

    async def close(self) -> None:
        """Close the clients."""
        for client in self.clients:
            await resolve(client.aclose() if self.is_async else client.close())

    async def call(
        self, browser: Browser, method: str, *arguments: Any, client: Any = None
    ) -> Any:
        """Serve a browser's request with one call of a client, and return its result."""
        client = client or (self.clients[0] if self.clients else self.make_client())
        options = browser.request()
        if method == "logout":
            result = await resolve(client.logout(options))
        else:
            # A login takes its own options first; the other methods take the store options first.
            is_login = method == "login_with_custom_token_exchange"
            given = (*arguments, options) if is_login else (options, *arguments)
            result = await resolve(getattr(client, method)(*given))
        browser.take(options)
        return result

    async def log_in(
        self, browser: Browser, name: str = "alice", client: Any = None
    ) -> Any:
        """Log a user in, and return the new session."""
        options = build_login_options(self.tenant, f"auth0|{name}")
        method = "login_with_custom_token_exchange"
        result = await self.call(browser, method, options, client=client)
        return result.state_data

    async def get_subject(self, browser: Browser, client: Any = None) -> str | None:
        """Return the ``sub`` of the logged-in user, or ``None``."""
        user = await self.call(browser, "get_user", client=client)
        return None if user is None else user["sub"]

    async def get_subjects(self, browsers: list[Browser]) -> list[Any]:
        """Return all browsers' users, asked for at once."""
        client = self.clients[0]
        calls = [partial(client.get_user, browser.request()) for browser in browsers]
        users = await run_together(calls, are_async=self.is_async)
        return [user and user["sub"] for user in users]

    def read_contents(self) -> dict[str, bytes]:
        """Return all values and labels in the store, by key."""
        store = self.store
        if isinstance(store, CookieStore):
            return {}
        if isinstance(store, RedisStore):
            assert self.redis_url is not None
            return _read_redis(self.redis_url, store._prefix)
        if isinstance(store, MemoryStore):
            values, labels = store._values, store._labels
        else:
            inner = getattr(store, "inner", store)
            values, labels = inner.values, inner.labels
        return {key: bytes(value) for key, (value, _) in values.items()} | {
            label: " ".join(sorted(keys)).encode() for label, keys in labels.items()
        }

    def read_sessions(self) -> dict[str, bytes]:
        """Return the stored sessions, by key."""
        return {
            key: value
            for key, value in self.read_contents().items()
            if key.startswith("session:")
        }


def _read_redis(url: str, prefix: str) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with redis.Redis.from_url(url) as admin:
        for key in admin.scan_iter(match=f"{prefix}*", count=1000):
            is_label = admin.type(key) != b"string"
            found: Any = admin.zrange(key, 0, -1) if is_label else [admin.get(key)]
            contents[key.decode().removeprefix(prefix)] = b" ".join(found)
    return contents
