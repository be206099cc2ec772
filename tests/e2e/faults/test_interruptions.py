"""An exception out of a signal handler, at each wait of a call: no frame shows a secret.

Celery's soft time limit is one.  An error tracker reports the locals of every frame that the
exception passed, those of requests, urllib3, http.client and aiohttp included.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from auth0_tx import RetryPolicy
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults import wire_proxy as act
from tests.e2e.faults.callers import AsyncCaller, BlockingCaller, Caller
from tests.e2e.faults.wire_behaviours import (
    GRANT,
    answers,
    falls_silent,
    last_document,
    silence,
)
from tests.e2e.faults.wire_greetings import FullQueue
from tests.e2e.faults.wire_http import JSON, WireRequest, chunk, head, json_answer
from tests.e2e.faults.wire_proxy import Proxy
from tests.e2e.faults.wire_server import Script, Wire, WireServer
from tests.e2e.faults.worlds import World
from tests.secret_needles import Needles
from tests.secret_scanner import Interrupt, Interrupted, Scanner, TimeLimit

TOKEN = "access-token-Xq8!vB2n~Lw0"
PASSWORD = "proxy-password-Jt5*uC9m"
_SETTLE = 0.15
"""Seconds in which a task comes to its wait."""


def chunks_of_a_grant(wire: Wire, request: WireRequest) -> None:
    """Send most of a grant in chunks, and then nothing."""
    body = json_answer(200, {"access_token": TOKEN, **GRANT}).partition(b"\r\n\r\n")[2]
    wire.send(head(200, (JSON, ("Transfer-Encoding", "chunked"))))
    for start in range(0, len(body) - 10, 30):
        wire.send(chunk(body[start : start + 30]))
    wire.hold()


def half_a_grant(wire: Wire, request: WireRequest) -> None:
    """Send most of a grant with its length, a piece at a time, and then nothing."""
    answer = json_answer(200, {"access_token": TOKEN, **GRANT})
    wire.send(answer[:-60])
    wire.pause(0.02)
    wire.send(answer[-60:-5])
    wire.hold()


BEHAVIOURS = {
    "the response": silence,
    "the body": falls_silent(0.05),
    "the rest of the body": half_a_grant,
    "the next chunk": chunks_of_a_grant,
}


@pytest.fixture
def full_queue() -> Iterator[FullQueue]:
    """A port whose queue is full."""
    queue = FullQueue()
    yield queue
    queue.close()


@pytest.fixture(params=[False, True], ids=["ours", "own session"])
def own_session(request: pytest.FixtureRequest) -> bool:
    """Whether the client is on a session of the application's."""
    own: bool = request.param
    return own


@pytest.fixture(params=["client_secret_post", "client_secret_basic"])
def client_auth(request: pytest.FixtureRequest) -> str:
    """Where the client secret is: in the body, or in a header."""
    method: str = request.param
    return method


def stop(
    caller: Caller,
    server: WireServer,
    interrupt: Interrupt,
    scanner: Scanner,
    count: Callable[[], int],
    **options: Any,
) -> None:
    """Interrupt an exchange by a signal, and cancel one where it is a task.

    Args:
        caller: Whose exchange it is.
        server: Where it goes.
        interrupt: The fixture.
        scanner: What searches the frames.
        count: Goes up when the exchange is about to wait.
        **options: Of the exchange.
    """
    before = count()
    error = Interrupted if isinstance(caller, AsyncCaller) else TimeLimit
    interrupt(lambda: caller.exchange(**options), lambda: count() > before, error)
    if isinstance(caller, AsyncCaller):
        with pytest.raises(asyncio.CancelledError) as caught:
            caller.run(_cancel_exchange(caller, count, options))
        scanner.note_interruption(caught.value)
    # Lets go of what the session's own connector still waits for.
    server.drop_connections()
    caller.rest(0.05)


async def _cancel_exchange(
    caller: AsyncCaller, count: Callable[[], int], options: dict[str, Any]
) -> None:
    before, late = count(), time.monotonic() + 3 * _SETTLE
    task = asyncio.create_task(caller.exchange_here(**options))
    # What counts may not come again, such as a document that is known by now.
    while count() == before and time.monotonic() < late:
        await asyncio.sleep(0.01)
    await asyncio.sleep(_SETTLE)
    task.cancel()
    await task


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_waiting_for(
    name: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    own_session: bool,
    client_auth: str,
    interrupt: Interrupt,
    secret_scanner: Scanner,
    needles: Needles,
) -> None:
    """Neither what was sent nor what came so far shows while the rest is awaited."""
    needles.add(TOKEN)
    server.token = Script(BEHAVIOURS[name])
    caller = new_caller(own_session=own_session, client_auth=client_auth)
    stop(caller, server, interrupt, secret_scanner, lambda: len(server.posts))

    assert [] == secret_scanner.search()
    assert server.posts


@pytest.mark.parametrize(
    ("tls", "own_session"),
    # On loopback without TLS, the parts of http.client that connect are the application's.
    [(True, False), (True, True), (False, False)],
    ids=["tls", "tls, own session", "plain"],
)
def test_waiting_for_a_connection(
    tls: bool,
    own_session: bool,
    new_server: Callable[..., WireServer],
    new_caller: Callable[..., Caller],
    client_auth: str,
    full_queue: FullQueue,
    interrupt: Interrupt,
    secret_scanner: Scanner,
) -> None:
    """The request, which is ready, does not show while a connection is made for it."""
    server = new_server(tls=tls)
    server.discovery = Script(full_queue.then())
    caller = new_caller(
        domain=server.domain, own_session=own_session, client_auth=client_auth
    )
    stop(caller, server, interrupt, secret_scanner, lambda: len(server.requests))

    assert [] == secret_scanner.search()


def test_waiting_for_the_handshake(
    server: WireServer,
    new_caller: Callable[..., Caller],
    own_session: bool,
    client_auth: str,
    interrupt: Interrupt,
    secret_scanner: Scanner,
) -> None:
    """Nor does it while the server leaves the handshake without an answer."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.hangs)
    caller = new_caller(own_session=own_session, client_auth=client_auth)
    stop(caller, server, interrupt, secret_scanner, lambda: len(server.wires[1:]))

    assert [] == secret_scanner.search()


def test_waiting_for_a_proxy(
    server: WireServer,
    new_caller: Callable[..., Caller],
    client_auth: str,
    interrupt: Interrupt,
    secret_scanner: Scanner,
    needles: Needles,
) -> None:
    """Nor do the proxy's credentials, while its tunnel is awaited."""
    needles.add(PASSWORD)
    proxy = Proxy(act.tunnels, act.hangs)
    server.discovery = Script(last_document)
    caller = new_caller(
        proxy=proxy.url.replace("//", f"//user:{PASSWORD}@"), client_auth=client_auth
    )
    stop(caller, server, interrupt, secret_scanner, lambda: len(proxy.connects[1:]))
    caller.close_client()
    proxy.stop()

    assert [] == secret_scanner.search()
    assert 2 <= len(proxy.connects)


def test_waiting_between_two_attempts(
    server: WireServer,
    new_caller: Callable[..., Caller],
    own_session: bool,
    client_auth: str,
    interrupt: Interrupt,
    secret_scanner: Scanner,
) -> None:
    """Nor does it while the call waits before it sends a request again."""
    server.token = Script(answers(503, {}, ("Retry-After", "3")))
    caller = new_caller(
        own_session=own_session,
        client_auth=client_auth,
        retry=RetryPolicy(transient_delay=3.0),
    )
    stop(
        caller,
        server,
        interrupt,
        secret_scanner,
        lambda: len(server.posts),
        subject_token_reusable=True,
    )

    assert [] == secret_scanner.search()
    assert server.posts


def test_waiting_for_a_free_connection(
    world: World,
    server: WireServer,
    new_caller: Callable[..., Caller],
    interrupt: Interrupt,
    secret_scanner: Scanner,
) -> None:
    """Nor does it while others use all connections there may be."""
    server.token = Script(silence)
    caller = new_caller(max_connections=1)
    if isinstance(caller, BlockingCaller):
        holder = threading.Thread(target=caller.exchange)
        holder.start()
        while not server.posts:
            pass
        interrupt(caller.exchange, lambda: True)
        server.drop_connections()
        holder.join()
    else:
        exchange_two = partial(caller.exchange_at_once, 2)
        interrupt(exchange_two, lambda: server.posts, Interrupted)

    assert [] == secret_scanner.search()
