"""What a traceback shows: the caller's line, one of the library's, and the error."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import TypeAlias

import pytest

from auth0_tx import AsyncServerClient, RefusedError, ServerClient
from auth0_tx.core.effects import Request, Response, Send
from auth0_tx.errors import Auth0Error, ConfigurationError, InvalidInputError
from tests.shells.exchange_on_paper import METADATA, OPTIONS, SETTINGS

Exchange: TypeAlias = Callable[..., None]


def answer(request: Request) -> Response:
    """Publish the metadata, and refuse everything else."""
    status, body = (
        (200, METADATA)
        if request.method == "GET"
        else (403, {"error": "access_denied", "error_description": "not today"})
    )
    return Response(
        status, [("Content-Type", "application/json")], json.dumps(body).encode()
    )


class OddCache:
    """A cache that has nothing, and whose last command is of the wrong kind."""

    def get(self, key: str) -> None:
        """Find nothing."""

    def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Take nothing."""

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock."""
        return True

    def unlock(self, key: str, owner: bytes) -> None:
        """Refuse, as a client does with a cache for the other world."""
        raise ConfigurationError("of the wrong kind")


class OddAsyncCache:
    """The same to await."""

    async def get(self, key: str) -> None:
        """Find nothing."""

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Take nothing."""

    async def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock."""
        return True

    async def unlock(self, key: str, owner: bytes) -> None:
        """Refuse, as a client does with a cache for the other world."""
        raise ConfigurationError("of the wrong kind")


def exchange_blocking(*, has_odd_cache: bool = False) -> None:
    """Exchange a token with the blocking client; the server refuses it."""
    cache = OddCache() if has_odd_cache else None
    with ServerClient(**SETTINGS, token_cache=cache) as client:
        client._world.send = lambda send: answer(send.prepare())
        client.custom_token_exchange(OPTIONS)


def exchange_async(*, has_odd_cache: bool = False) -> None:
    """Exchange a token with the asyncio client; the server refuses it."""

    async def send(send: Send) -> Response:
        return answer(send.prepare())

    async def exchange() -> None:
        cache = OddAsyncCache() if has_odd_cache else None
        async with AsyncServerClient(**SETTINGS, token_cache=cache) as client:
            client._world.send = send
            await client.custom_token_exchange(OPTIONS)

    asyncio.run(exchange())


def catch(exchange: Exchange, *, has_odd_cache: bool = False) -> Auth0Error:
    """Return the error of an exchange."""
    try:
        exchange(has_odd_cache=has_odd_cache)
    except Auth0Error as error:
        return error
    raise AssertionError("the exchange succeeded")


def list_own_frames(error: BaseException) -> list[str]:
    """Return the functions of the library that a traceback shows."""
    return [
        frame.f_code.co_name
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if "/auth0_tx/" in frame.f_code.co_filename
    ]


both_worlds = pytest.mark.parametrize("exchange", [exchange_blocking, exchange_async])


@both_worlds
def test_refusal(exchange: Exchange) -> None:
    """A refusal shows one frame of the library's, and comes after no other error."""
    error = catch(exchange)

    assert isinstance(error, RefusedError)
    assert ["custom_token_exchange"] == list_own_frames(error)
    assert None is error.__context__ is error.__cause__


def test_length() -> None:
    """A refusal's traceback is short enough to be read."""
    client = ServerClient(**SETTINGS)
    client._world.send = lambda send: answer(send.prepare())
    try:
        client.custom_token_exchange(OPTIONS)
    except RefusedError as error:
        lines = "".join(traceback.format_exception(error)).splitlines()

    assert len(lines) <= 12


@both_worlds
def test_error_in_place_of_another(exchange: Exchange) -> None:
    """An error that replaces another of the same call hides it, and its frames."""
    error = catch(exchange, has_odd_cache=True)

    assert isinstance(error, ConfigurationError)
    assert None is error.__context__


@both_worlds
@pytest.mark.parametrize("own", [KeyError("own"), InvalidInputError("an earlier call")])
@pytest.mark.parametrize("has_odd_cache", [False, True])
def test_error_of_the_caller(
    exchange: Exchange, own: Exception, has_odd_cache: bool
) -> None:
    """The error that the caller was handling stays behind the error of the call."""
    try:
        raise own
    except (KeyError, InvalidInputError):
        error = catch(exchange, has_odd_cache=has_odd_cache)

    assert own is error.__context__
