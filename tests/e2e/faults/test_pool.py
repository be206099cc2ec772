"""No connection is free: a call waits for its turn, and what had none was not sent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from auth0_tx import NotSentError
from auth0_tx.core.effects import Request, Send
from auth0_tx.secret import SecretBytes
from tests.e2e.faults.callers import SUBJECT, AsyncCaller, BlockingCaller, Caller
from tests.e2e.faults.wire_behaviours import late, silence
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import Script, WireServer

SHORT = 0.2


def test_calls_wait_for_their_turn(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Four calls on one connection come one after another, and each gets its answer."""
    server.token = Script(late(0.1))
    outcomes = new_caller(max_connections=1).exchange_at_once(4)

    assert [f"for-{SUBJECT}"] * 4 == [outcome.access_token for outcome in outcomes]
    assert 4 == len(server.posts)
    assert 1 == len(server.wires)


def brief_send(server: WireServer) -> Send:
    """Return a request that has little time, and that must never be prepared."""

    def prepare() -> Request:
        pytest.fail("a request was prepared that no connection was free for")

    return Send(prepare, time.monotonic() + SHORT, 1_000)


def wait_for_post(server: WireServer) -> None:
    """Wait until the server holds a grant."""
    give_up = time.monotonic() + 5.0
    while not server.posts and time.monotonic() < give_up:
        time.sleep(0.01)
    assert server.posts


def test_thread_that_had_no_turn_sent_nothing(
    server: WireServer, certificates: Certificates
) -> None:
    """A blocking call that no connection was free for ends at its deadline, unsent."""
    caller = BlockingCaller(
        server.domain,
        {"verify": certificates.ca_file, "max_connections": 1, "timeout": 1.0},
    )
    server.token = Script(silence)
    holder = threading.Thread(target=caller.exchange)
    holder.start()
    wait_for_post(server)
    with pytest.raises(NotSentError) as caught:
        caller.client._world.send(brief_send(server))
    holder.join()
    caller.close()

    assert "timeout" == caught.value.code
    assert caught.value.retry_safe is True
    assert 1 == len(server.posts)


def test_task_that_had_no_turn_sent_nothing(
    server: WireServer, certificates: Certificates
) -> None:
    """An asyncio call that no connection was free for ends at its deadline, unsent."""
    caller = AsyncCaller(
        server.domain,
        {"verify": certificates.ca_file, "max_connections": 1, "timeout": 1.0},
    )
    server.token = Script(silence)

    async def meet() -> NotSentError:
        holder = asyncio.create_task(caller.exchange_here())
        await asyncio.to_thread(wait_for_post, server)
        with pytest.raises(NotSentError) as caught:
            await caller.client._world.send(brief_send(server))
        await holder
        return caught.value

    error = caller.run(meet())
    caller.close()

    assert "timeout" == error.code
    assert error.retry_safe is True
    assert 1 == len(server.posts)


def test_nobody_in_a_crowd_spends_a_token_for_nothing(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Whoever gets a connection too late for an answer sends nothing, and is told what to do."""
    server.token = Script(late(0.4))
    outcomes = new_caller(max_connections=5, timeout=2.0).exchange_at_once(50)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]

    # A grant that was sent, and whose caller had gone, would be one more at the server.
    assert len(server.posts) == len(outcomes) - len(errors)
    assert {NotSentError} == {type(error) for error in errors}
    assert {("timeout", True)} == {(str(e.code), e.retry_safe) for e in errors}
    assert all("exchange_many" in str(error.hint) for error in errors)


def grant_that_is_late(server: WireServer) -> Send:
    """Return a grant whose time to begin to leave passes while the client connects."""
    url, latest = f"https://{server.domain}/oauth/token", time.monotonic() - 0.001
    request = Request("POST", url, {}, SecretBytes(b"grant_type=late"), latest)
    return Send(lambda: request, time.monotonic() + 5.0, 1_000)


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_thread_that_connected_too_late_sent_nothing(
    server: WireServer, certificates: Certificates, is_warm: bool
) -> None:
    """A grant that must have left by now does not begin to, on a new connection or an old one."""
    caller = BlockingCaller(server.domain, {"verify": certificates.ca_file})
    posts = 0
    if is_warm:
        caller.exchange()
        posts = 1
    with pytest.raises(NotSentError) as caught:
        caller.client._world.send(grant_that_is_late(server))

    assert ("timeout", True) == (caught.value.code, caught.value.retry_safe)
    assert "exchange_many" in str(caught.value.hint)
    assert posts == len(server.posts)
    assert f"for-{SUBJECT}" == caller.exchange().access_token
    assert posts + 1 == len(server.posts)
    caller.close()


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_task_that_connected_too_late_sent_nothing(
    server: WireServer, certificates: Certificates, is_warm: bool
) -> None:
    """The same among tasks."""
    caller = AsyncCaller(server.domain, {"verify": certificates.ca_file})
    posts = 0
    if is_warm:
        caller.exchange()
        posts = 1
    with pytest.raises(NotSentError) as caught:
        caller.run(caller.client._world.send(grant_that_is_late(server)))

    assert ("timeout", True) == (caught.value.code, caught.value.retry_safe)
    assert "exchange_many" in str(caught.value.hint)
    assert posts == len(server.posts)
    assert f"for-{SUBJECT}" == caller.exchange().access_token
    assert posts + 1 == len(server.posts)
    caller.close()


def test_how_long_an_answer_took(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """An answer's time begins when its request leaves, and ends when it is there."""
    server.token = Script(late(0.2))
    caller = new_caller()
    outcome = caller.exchange()
    measure = caller.client._context.answer_times[server.domain]  # type: ignore[attr-defined]

    assert 0.2 <= measure.seconds <= outcome.seconds
