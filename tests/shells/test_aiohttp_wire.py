"""The wire of the asyncio client: who wants to see a request, and what becomes of a connection."""

from __future__ import annotations

import asyncio
import functools
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import ClientRequest, ClientResponse, ClientSession
from aiohttp.client_proto import ResponseHandler
from aioresponses import aioresponses

from auth0_tx.core.effects import Request, Response
from auth0_tx.shells.aiohttp_wire import (
    Attempt,
    is_observed,
    make_target,
    send_directly,
)
from auth0_tx.shells.failures import TooLateError

URL = "https://tenant.eu.auth0.com/oauth/token"
GRANTED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PARAMS: dict[str, Any] = {"limit": 100, "timeout": aiohttp.ClientTimeout()}


@contextmanager
def replace_by_wrapper(owner: type[Any], name: str) -> Iterator[None]:
    """Put a function of another module in the place of a method, as tracers do."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, wrapper)
        yield


@contextmanager
def replace_by_object(owner: type[Any], name: str) -> Iterator[None]:
    """Put an object that has a method's attributes, and equals it, in its place, as wrapt does."""
    original = getattr(owner, name)

    class Proxy:
        def __getattr__(self, attribute: str) -> Any:
            return getattr(original, attribute)

        def __eq__(self, other: object) -> bool:
            return bool(original == other)

        def __hash__(self) -> int:
            return hash(original)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, Proxy())
        yield


METHODS: list[tuple[type[Any], str]] = [
    (ClientSession, "_request"),
    (ClientSession, "request"),
    (ClientRequest, "send"),
    (ClientResponse, "start"),
]


@pytest.mark.parametrize("replace", [replace_by_wrapper, replace_by_object])
@pytest.mark.parametrize(("owner", "name"), METHODS)
async def test_a_method_in_the_place_of_aiohttps(
    owner: type[Any],
    name: str,
    replace: Callable[[type[Any], str], AbstractContextManager[None]],
) -> None:
    """Whoever replaces a method of aiohttp wants to see requests, as long as it is there."""
    async with ClientSession() as session:
        before = is_observed(session)
        with replace(owner, name):
            during = is_observed(session)
        after = is_observed(session)

    assert (False, True, False) == (before, during, after)


async def test_mocks() -> None:
    """Requests are for aioresponses to see as long as it is active."""
    async with ClientSession() as session:
        with aioresponses():
            during = is_observed(session)
        after = is_observed(session)

    assert (True, False) == (during, after)


def test_mocks_that_are_there_first() -> None:
    """A mock that is active while this library is imported is taken for a mock."""
    program = (
        "import asyncio, aiohttp\n"
        "from aioresponses import aioresponses\n"
        "async def main():\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        with aioresponses():\n"
        "            from auth0_tx.shells.aiohttp_wire import is_observed\n"
        "            print(is_observed(session))\n"
        "        print(is_observed(session))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ["True", "False"] == done.stdout.split()


async def test_traces_and_middlewares() -> None:
    """Trace configurations and middlewares of a session see requests, and so does a class."""

    async def pass_on(request: Any, handler: Any) -> Any:
        return await handler(request)

    with pytest.warns(DeprecationWarning, match="Inheritance"):

        class Session(ClientSession):
            """A session of somebody else's."""

    found = []
    for session in (
        ClientSession(trace_configs=[aiohttp.TraceConfig()]),
        ClientSession(middlewares=[pass_on]),
        Session(),
        ClientSession(),
    ):
        found.append(is_observed(session))
        await session.close()

    assert [True, True, True, False] == found


class Transport(asyncio.Transport):
    """A transport that answers what is written to it.

    Args:
        answers: what it answers, one after another.
        unsent: how many bytes of what was written have not left.
        tls: the TLS object, if there is one.
    """

    def __init__(self, *answers: bytes, unsent: int = 0, tls: object = None) -> None:
        super().__init__({"ssl_object": tls})
        self._answers = list(answers)
        self._unsent = unsent
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        """Take a whole request."""
        self.written.append(bytes(data))
        for answer in self._answers:
            self.protocol._loop.call_soon(self.protocol.data_received, answer)

    def get_write_buffer_size(self) -> int:
        """Return what has not left."""
        return self._unsent

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close the connection."""
        if not self.closed and self.protocol is not None:
            self.protocol._loop.call_soon(self.protocol.connection_lost, None)
        self.closed = True

    abort = close


class Connector(aiohttp.BaseConnector):
    """A connector whose connections are over a transport.

    Args:
        transport: the transport.
    """

    def __init__(self, transport: Transport, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._transport = transport

    async def _create_connection(self, *args: Any) -> ResponseHandler:
        protocol = ResponseHandler(self._loop)
        protocol.transport = self._transport
        self._transport.protocol = protocol
        return protocol

    @property
    def resting(self) -> int:
        """Return how many connections are in the pool."""
        return sum(map(len, self._conns.values()))


def grant(body: bytes | None = b"a=b", **changes: Any) -> Request:
    """Return a grant."""
    method = "GET" if body is None else "POST"
    return Request(method, URL, {"X-Name": "value"}, body, **changes)


async def send(
    request: Request,
    *answers: bytes,
    unsent: int = 0,
    tls: object = None,
    **keywords: Any,
) -> tuple[Transport, int, Attempt, Response | BaseException]:
    """Send *request*; return the transport, the pool's size, how far it came, how it ended."""
    transport, attempt = Transport(*answers, unsent=unsent, tls=tls), Attempt()
    connector = Connector(transport, **keywords)
    end: Response | BaseException
    async with ClientSession(connector=connector) as session:
        target = make_target(session, request)
        try:
            end = await send_directly(
                session, target, request, attempt=attempt, **PARAMS
            )
        except Exception as error:
            end = error
        return transport, connector.resting, attempt, end


async def test_bytes_on_the_wire() -> None:
    """A request is its head and its body in one write."""
    posted, resting, _, response = await send(grant(), GRANTED)
    got, _, _, _ = await send(grant(None), GRANTED)
    once, _, _, _ = await send(grant(), GRANTED, force_close=True)
    head = b" /oauth/token HTTP/1.1\r\nHost: tenant.eu.auth0.com\r\nX-Name: value\r\n"
    length = b"Content-Length: 3\r\n\r\na=b"

    assert [b"POST" + head + length] == posted.written
    assert [b"GET" + head + b"\r\n"] == got.written
    assert [b"POST" + head + b"Connection: close\r\n" + length] == once.written
    assert isinstance(response, Response)
    assert (200, b"{}", False) == (response.status, response.body, response.oversized)
    assert 1 == resting


async def test_a_request_that_has_not_left() -> None:
    """A connection on which a part of the request is still to leave is not used again."""
    transport, resting, _, response = await send(grant(), GRANTED, unsent=1)

    assert isinstance(response, Response)
    assert (0, True) == (resting, transport.closed)


async def test_a_request_that_may_not_have_left() -> None:
    """TLS does not show what is still to leave, so a long request ends its connection."""
    pooled = []
    for size in (10_000, 20_000):
        for tls in (None, object()):
            _, resting, _, _ = await send(grant(bytes(size)), GRANTED, tls=tls)
            pooled.append(resting)

    assert [1, 1, 1, 0] == pooled


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="broken"),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", id="another protocol"),
    ],
)
async def test_a_response_that_is_none(answer: bytes) -> None:
    """A connection that fails is closed, and its request has left."""
    transport, resting, attempt, error = await send(grant(), answer)

    assert isinstance(error, Exception)
    assert (0, True) == (resting, transport.closed)
    assert attempt.left_at > 0.0


async def test_too_late() -> None:
    """What is too late by the time there is a connection does not leave."""
    late = grant(latest=time.monotonic() - 1)
    transport, resting, attempt, error = await send(late, GRANTED)

    assert isinstance(error, TooLateError)
    assert ([], 0, 0.0) == (transport.written, resting, attempt.left_at)


async def test_a_connection_that_closed_at_once() -> None:
    """A connection that is lost before the request leaves has sent nothing."""
    transport, attempt = Transport(GRANTED), Attempt()
    transport.close()
    async with ClientSession(connector=Connector(transport)) as session:
        target = make_target(session, grant())
        with pytest.raises(ConnectionError):
            await send_directly(session, target, grant(), attempt=attempt, **PARAMS)

    assert ([], 0.0) == (transport.written, attempt.left_at)


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
async def test_line_breaks_in_a_header(value: str) -> None:
    """A header field with a line break in it is refused."""
    async with ClientSession() as session:
        with pytest.raises(ValueError, match="line break"):
            make_target(session, Request("GET", URL, {"X-Name": value}))


async def test_targets_are_kept() -> None:
    """A request with the same headers has the same target, and others have their own."""
    headers = {"X-Name": "value"}
    first, other = Request("GET", URL, headers), Request("GET", URL, {**headers})
    async with ClientSession() as session:
        target = make_target(session, first)

    assert target.serves(Request("GET", URL, headers, None, math.inf), True)
    assert not target.serves(other, True)
    assert not target.serves(first, object())
    assert "value" not in repr(target)


@pytest.mark.parametrize("proxy", [None, "http://proxy.example:8080"])
async def test_a_connection_is_found_as_aiohttp_finds_it(proxy: str | None) -> None:
    """The application's own requests and ours share the connections of its session."""
    async with ClientSession() as session:
        lookup = make_target(session, Request("GET", URL, {}), proxy=proxy).lookup
        own = ClientRequest(
            "GET",
            lookup.url,
            loop=session._loop,
            ssl=True,
            proxy=None if proxy is None else yarl.URL(proxy),
        )
        assert own.connection_key == lookup.connection_key
        assert lookup.connection_key is lookup.connection_key
