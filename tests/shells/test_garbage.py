"""What a failed call leaves behind: no frames in a circle that keeps its tokens in memory.

An error keeps the frames that it passed, by its traceback.  A frame that keeps the error, too,
keeps everything in these frames until the garbage collector comes, which can be minutes.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace
from typing import Any, TypeAlias

import pytest

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    RetryPolicy,
    ServerClient,
)
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.configuration import _STORE_METHODS
from auth0_tx.core.effects import Response, Send
from auth0_tx.errors import AmbiguousError
from tests.core.browser import (
    PaperStore,
    build_login_options,
    build_token_response,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DOCUMENT,
    DOMAIN,
    NOW,
    SECRETS,
    build_options,
    build_refusal,
    build_response,
)
from tests.secret_scanner import Scanner

ListFrames: TypeAlias = Callable[[], list[str]]

REFUSAL = build_refusal(403, "invalid_grant")
LOST = AmbiguousError("lost")
TOKENS = {"refresh_token": SECRETS["refresh_token"], "expires_in": 3_600}
API = "https://another.example.com"


class AwaitedStore(PaperStore):
    """A store of dictionaries whose methods are awaited."""

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in _STORE_METHODS:
            return method

        async def call(*arguments: Any, **keywords: Any) -> Any:
            return method(*arguments, **keywords)

        return call


class Script:
    """Answers to requests, in order; documents are answered beside them."""

    def __init__(self, *replies: Response | Exception | Callable[[], Response]) -> None:
        self._replies = list(replies)

    def send(self, send: Send) -> Response:
        """Answer."""
        url = send.prepare().url
        if url.endswith("configuration"):
            return build_response(DOCUMENT)
        if url.endswith("jwks.json"):
            return build_jwks_response("key-1")
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Response) else reply()

    async def send_async(self, send: Send) -> Response:
        """Answer."""
        return self.send(send)


@pytest.fixture
def list_frames_left(secret_scanner: Scanner) -> Iterator[Callable[[], list[str]]]:
    """Return the library's frames that only the collector can free, by their functions."""

    def list_frames() -> list[str]:
        # The suite holds every error until it has searched it for secrets.
        assert [] == secret_scanner.search()
        gc.collect()
        return [
            found.f_code.co_name
            for found in gc.garbage
            if isinstance(found, FrameType) and "/auth0_tx/" in found.f_code.co_filename
        ]

    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield list_frames
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def build_keywords(**keywords: Any) -> dict[str, Any]:
    """Return a client's keywords; its clock stands still."""
    return {
        "domain": DOMAIN,
        "client_id": "the-client",
        "client_secret": SECRETS["client_secret"],
        "retry": RetryPolicy(attempts=1),
        "clock": lambda: NOW,
        "on_event": lambda event: None,
        **keywords,
    }


def build_client(script: Script, **keywords: Any) -> ServerClient:
    """Return a blocking client that is answered by a script."""
    client = ServerClient(**build_keywords(**keywords))
    client._world.send = script.send
    return client


@pytest.fixture
def cookies() -> dict[str, Any]:
    """The store options of a browser's requests."""
    kept: dict[str, str] = {}

    def set_cookie(name: str, value: str, **attributes: Any) -> None:
        kept[name] = value

    return {
        "request": SimpleNamespace(cookies=kept, scope={}),
        "response": SimpleNamespace(set_cookie=set_cookie, headers={}),
    }


@pytest.fixture
def store() -> PaperStore:
    """A session store."""
    return PaperStore(lambda: NOW)


@pytest.mark.parametrize("cache", [None, MemoryTokenCache()], ids=["plain", "cached"])
@pytest.mark.parametrize("reply", [REFUSAL, LOST], ids=["refused", "lost"])
def test_exchange(
    list_frames_left: ListFrames,
    cache: MemoryTokenCache | None,
    reply: Response | Exception,
) -> None:
    """An exchange that fails leaves nothing, with a cache and without."""
    client = build_client(Script(reply), token_cache=cache)

    with pytest.raises(Auth0Error):
        client.custom_token_exchange(build_options())

    assert [] == list_frames_left()


@pytest.mark.parametrize("command", ["set", "add_to_index"])
def test_login(
    list_frames_left: ListFrames,
    store: PaperStore,
    cookies: dict[str, Any],
    command: str,
) -> None:
    """Nor does a login whose session cannot be stored."""
    client = build_client(Script(build_token_response(TOKENS)), state_store=store)
    # Twice, as a write that fails at once is tried again.
    store.failing = [command, command]

    with pytest.raises(Auth0Error):
        client.login_with_custom_token_exchange(build_login_options(), cookies)

    assert [] == list_frames_left()


@pytest.mark.parametrize("command", ["none", "set"])
@pytest.mark.parametrize("reply", [REFUSAL, LOST], ids=["refused", "lost"])
def test_refresh(
    list_frames_left: ListFrames,
    store: PaperStore,
    cookies: dict[str, Any],
    command: str,
    reply: Any,
) -> None:
    """Nor does a refresh, even if what became of it cannot be stored."""

    def answer() -> Response:
        store.failing = [command, command]
        if isinstance(reply, Exception):
            raise reply
        return reply

    script = Script(build_token_response(TOKENS), answer)
    client = build_client(script, state_store=store)
    client.login_with_custom_token_exchange(build_login_options(), cookies)

    with pytest.raises(Auth0Error):
        client.get_access_token(cookies, API)

    assert [] == list_frames_left()


@pytest.mark.parametrize("reply", [REFUSAL, LOST], ids=["refused", "lost"])
def test_refresh_in_tasks(
    list_frames_left: ListFrames, cookies: dict[str, Any], reply: Response | Exception
) -> None:
    """Nor does a refresh in a task of its own, whose error each caller gets a copy of."""
    script = Script(build_token_response(TOKENS), reply)

    async def refresh() -> None:
        keywords = build_keywords(state_store=AwaitedStore(lambda: NOW))
        async with AsyncServerClient(**keywords) as client:
            client._world.send = script.send_async
            options = build_login_options()
            await client.login_with_custom_token_exchange(options, cookies)
            with pytest.raises(Auth0Error):
                await client.get_access_token(cookies, API)

    asyncio.run(refresh())

    assert [] == list_frames_left()
