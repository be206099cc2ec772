"""Bytes that no request asked for, on a connection at rest: never the next call's answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress

import pytest
from aiohttp import client_proto
from aiohttp.http_parser import HttpResponseParserPy

from tests.e2e.faults.callers import SUBJECT, AsyncCaller, Caller
from tests.e2e.faults.fault_cases import ANOTHER
from tests.e2e.faults.wire_behaviours import GRANT, answers, grant_of, grants, metadata
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_http import answer, head, json_answer
from tests.e2e.faults.wire_server import (
    Behaviour,
    Script,
    Wire,
    WireRequest,
    WireServer,
)
from tests.e2e.faults.worlds import OBSERVED, AsyncWorld, BlockingWorld, World
from tests.observed_requests import observe_requests

FORGED = json_answer(200, {"access_token": "for-nobody", **GRANT})
TIMED_OUT = answer(408, b"<html>idle</html>", (("Connection", "close"),))

STRAY = {
    "a whole answer": (FORGED, b""),
    "half an answer": (FORGED[:-20], FORGED[-20:]),
    "a head without its body": (FORGED.partition(b"{")[0], b""),
    "a byte, and then a whole answer": (b"H", FORGED),
    "half a head, and then a whole answer": (head(200)[:-4], b"\r\n\r\n" + FORGED),
    "an error page before a close": (TIMED_OUT, b""),
    "early hints": (head(103, (("Link", "</style.css>"),)), FORGED),
    "another protocol": (head(101, (("Upgrade", "x"), ("Connection", "upgrade"))), b""),
    "no HTTP at all": (b"\x00\x01\x02", FORGED),
}
"""What arrives while the connection rests, and what follows at the next request."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop
}
# There is no uvloop for a Python that is new, nor for Windows.
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
ALL_WORLDS: dict[str, World] = {
    "blocking": BlockingWorld(),
    **{f"async on {name}": AsyncWorld(new_loop) for name, new_loop in LOOPS.items()},
    **OBSERVED,
}


@pytest.fixture(params=[True, False], ids=["tls", "plain"])
def server(
    request: pytest.FixtureRequest, new_server: Callable[..., WireServer]
) -> WireServer:
    """A server over TLS, and one without."""
    return new_server(tls=request.param)


@pytest.fixture(params=[False, True], ids=["ours", "own session"])
def own_session(request: pytest.FixtureRequest) -> bool:
    """Whether the client is on a session of the application's."""
    own: bool = request.param
    return own


@pytest.fixture(params=ALL_WORLDS)
def caller(
    request: pytest.FixtureRequest,
    server: WireServer,
    certificates: Certificates,
    own_session: bool,
) -> Iterator[Caller]:
    """A client of `server`, in each world."""
    world = ALL_WORLDS[request.param]
    with observe_requests() if request.param in OBSERVED else nullcontext():
        caller = world.caller(
            server.domain, certificates.ca_file, own_session=own_session
        )
        yield caller
        caller.close()


class Stray:
    """What a server sends on a connection at rest, and whether it has.

    Args:
        stray: What it sends.
        count: How often.
    """

    def __init__(self, stray: bytes, count: int = 1) -> None:
        self._stray = stray
        self._sent = threading.Semaphore(0)
        self._count = count

    def grants(self, wire: Wire, request: WireRequest) -> None:
        """Grant, and send more when the answer has been read."""
        grants(wire, request)
        wire.pause(0.02)
        if self._stray:
            wire.send(self._stray)
        self._sent.release()

    def wait(self) -> None:
        """Wait until all was sent."""
        for _ in range(self._count):
            assert self._sent.acquire(timeout=10)


def grants_after(rest: bytes, connection: int) -> Behaviour:
    """Grant; on *connection*, after what completes the stray bytes."""

    def play(wire: Wire, request: WireRequest) -> None:
        if wire.number == connection:
            wire.send(rest)
        grants(wire, request)

    return play


def check_stray(name: str, server: WireServer, caller: Caller, *, runs: bool) -> None:
    """Assert that stray bytes close their connection, and are no call's answer."""
    first_bytes, rest = STRAY[name]
    stray = Stray(first_bytes)
    server.token = Script(stray.grants)
    first = caller.exchange()
    connection = server.posts[-1].connection
    server.token = Script(grants_after(rest, connection))
    stray.wait()
    # An event loop that runs has read the bytes by the next call; else the system has them.
    if runs:
        caller.rest(0.02)
    second = caller.exchange(subject_token=ANOTHER)
    third = caller.exchange()

    assert (name, f"for-{SUBJECT}") == (name, first.access_token)
    assert (name, f"for-{ANOTHER}") == (name, second.access_token)
    assert (name, f"for-{SUBJECT}") == (name, third.access_token)
    used = [post.connection for post in server.posts[-3:]]
    assert (name, [connection, connection + 1, connection + 1]) == (name, used)


@pytest.mark.parametrize("runs", [True, False], ids=["loop runs", "loop stands"])
def test_stray_bytes_are_nobodys_answer(
    runs: bool, server: WireServer, caller: Caller
) -> None:
    """Whatever arrives at rest, the next call gets its own answer on a new connection."""
    for name in STRAY:
        check_stray(name, server, caller, runs=runs)


def test_stray_bytes_with_the_parser_in_python(
    new_server: Callable[..., WireServer],
    certificates: Certificates,
    own_session: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same where aiohttp parses in Python, as on PyPy."""
    monkeypatch.setattr(client_proto, "HttpResponseParser", HttpResponseParserPy)
    server = new_server()
    caller = AsyncWorld().caller(
        server.domain, certificates.ca_file, own_session=own_session
    )
    for name in STRAY:
        check_stray(name, server, caller, runs=True)
    caller.close()


def test_surplus_in_one_piece_is_nobodys_answer(
    server: WireServer, caller: Caller
) -> None:
    """What TLS or a buffer still holds of the bytes behind an answer is thrown away too."""

    def play(wire: Wire, request: WireRequest) -> None:
        own = json_answer(200, grant_of(request))
        padded = head(200, (("Content-Length", "0"), ("X-Padding", "")))
        padding = b"x" * (8_192 - len(own) - len(padded))
        # A reader that takes 8 KiB at a time stops at the forged answer.
        wire.send(own + padded[:-4] + padding + padded[-4:] + FORGED)

    server.token = Script(play, grants)
    first = caller.exchange()
    caller.rest(0.05)
    second = caller.exchange(subject_token=ANOTHER)

    assert f"for-{SUBJECT}" == first.access_token
    assert f"for-{ANOTHER}" == second.access_token
    assert [1, 2] == [post.connection for post in server.posts]


def test_surplus_behind_an_answer_closes_the_connection(
    server: WireServer, caller: Caller
) -> None:
    """What comes in one piece with an answer closes its connection, however it goes on."""
    for name, (surplus, rest) in STRAY.items():

        def play(wire: Wire, request: WireRequest, surplus: bytes = surplus) -> None:
            wire.send(json_answer(200, grant_of(request)) + surplus)

        server.token = Script(play)
        first = caller.exchange()
        connection = server.posts[-1].connection
        server.token = Script(grants_after(rest, connection))
        second = caller.exchange(subject_token=ANOTHER)

        # aiohttp drops an answer that something comes with which is not HTTP.
        is_dropped = name == "no HTTP at all" and isinstance(caller, AsyncCaller)
        token = None if is_dropped else f"for-{SUBJECT}"
        assert (name, token) == (name, first.access_token)
        assert (name, f"for-{ANOTHER}") == (name, second.access_token)
        assert (name, connection + 1) == (name, server.posts[-1].connection)


def test_quiet_connections_are_used_again(server: WireServer, caller: Caller) -> None:
    """Calls one after another share a connection, also after a large answer."""
    members = {**metadata(server.issuer), "padding": "x" * 400_000}
    server.discovery = Script(answers(200, members))
    for _ in range(3):
        assert caller.exchange().error is None
        caller.rest(0.02)
        assert caller.exchange_at_once(1)[0].error is None

    assert 1 == len(server.wires)
    assert 6 == len(server.posts)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_next_quiet_connection_is_taken(
    new_server: Callable[..., WireServer],
    certificates: Certificates,
    own_session: bool,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Of several connections at rest, those with stray bytes are closed, and no other."""
    server = new_server()
    world = AsyncWorld(new_loop)
    caller = world.caller(server.domain, certificates.ca_file, own_session=own_session)
    assert isinstance(caller, AsyncCaller)
    stray = Stray(FORGED, 2)
    quiet = Stray(b"")
    server.token = Script(
        _slowly(stray.grants), _slowly(stray.grants), _slowly(quiet.grants), grants
    )
    first = caller.exchange_at_once(3)
    stray.wait()
    quiet.wait()
    caller.rest(0.02)
    second = caller.exchange_at_once(1, subject_token=ANOTHER)
    third = caller.exchange(subject_token=ANOTHER)
    connections = [post.connection for post in server.posts]
    caller.close()

    assert [f"for-{SUBJECT}"] * 3 == [outcome.access_token for outcome in first]
    assert [f"for-{ANOTHER}"] == [outcome.access_token for outcome in second]
    assert f"for-{ANOTHER}" == third.access_token
    assert [connections[2]] * 2 == connections[3:]


def _slowly(behaviour: Behaviour) -> Behaviour:
    """Do it when all three calls have come."""

    def play(wire: Wire, request: WireRequest) -> None:
        while len(wire.server.posts) < 3:
            wire.pause(0.01)
        behaviour(wire, request)

    return play
