"""What a traceback shows: the caller's line, one of the library's, and the error."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from exchange_on_paper import METADATA, OPTIONS, SETTINGS

from auth0_tx import AsyncServerClient, RefusedError, ServerClient
from auth0_tx.core.effects import Request, Response, Send
from auth0_tx.errors import Auth0Error, ClientClosedError, InvalidInputError

Prepare = Callable[[Any], None]


def _answer(request: Request) -> Response:
    status, body = (
        (200, METADATA)
        if request.method == "GET"
        else (403, {"error": "access_denied", "error_description": "not today"})
    )
    return Response(
        status, [("Content-Type", "application/json")], json.dumps(body).encode()
    )


def exchange_blocking(prepare: Prepare = lambda client: None) -> None:
    """Exchange a token with the blocking client; the server refuses it."""
    client = ServerClient(**SETTINGS, on_event=lambda event: None)

    def send(send: Send) -> Response:
        response = _answer(send.prepare())
        if response.status != 200:
            prepare(client)
        return response

    client._world.send = send
    with client:
        client.custom_token_exchange(OPTIONS)


def exchange_async(prepare: Prepare = lambda client: None) -> None:
    """Exchange a token with the asyncio client; the server refuses it."""

    async def exchange() -> None:
        client = AsyncServerClient(**SETTINGS, on_event=lambda event: None)

        async def send(send: Send) -> Response:
            response = _answer(send.prepare())
            if response.status != 200:
                prepare(client)
            return response

        client._world.send = send
        async with client:
            await client.custom_token_exchange(OPTIONS)

    asyncio.run(exchange())


def close_world(client: Any) -> None:
    """Close a client as another thread does, while a call is under way."""
    client._world.is_closed = True


def catch(exchange: Callable[..., None], *arguments: Any) -> Auth0Error:
    """Return the error of an exchange."""
    try:
        exchange(*arguments)
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
def test_refusal(exchange: Callable[..., None]) -> None:
    """A refusal shows one frame of the library's, and comes after no other error."""
    error = catch(exchange)

    assert isinstance(error, RefusedError)
    assert ["custom_token_exchange"] == list_own_frames(error)
    assert None is error.__context__ is error.__cause__


def test_length() -> None:
    """A refusal's traceback is short enough to be read."""
    client = ServerClient(**SETTINGS)
    client._world.send = lambda send: _answer(send.prepare())
    try:
        client.custom_token_exchange(OPTIONS)
    except RefusedError as error:
        lines = "".join(traceback.format_exception(error)).splitlines()

    assert len(lines) <= 12


@both_worlds
def test_error_in_place_of_another(exchange: Callable[..., None]) -> None:
    """An error that replaces another of the same call hides it, and its frames."""
    error = catch(exchange, close_world)

    assert isinstance(error, ClientClosedError)
    assert None is error.__context__


@both_worlds
@pytest.mark.parametrize("own", [KeyError("own"), InvalidInputError("an earlier call")])
def test_error_of_the_caller(exchange: Callable[..., None], own: Exception) -> None:
    """The error that the caller was handling stays behind the error of the call."""
    for prepare in (lambda client: None, close_world):
        try:
            raise own
        except (KeyError, InvalidInputError):
            error = catch(exchange, prepare)

        assert own is error.__context__
