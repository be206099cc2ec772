"""An answer of the token endpoint that breaks off: never a token, never a second send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx import AmbiguousError, InvalidResponseError
from auth0_tx import CustomTokenExchangeErrorCode as Code
from tests.e2e.faults.callers import Caller
from tests.e2e.faults.fault_cases import Case, check, check_unpoisoned, ids, play
from tests.e2e.faults.wire_behaviours import (
    body_until_close,
    breaks_tls,
    chunks_cut,
    closes,
    closes_slowly,
    grants,
    grants_bytewise,
    late,
    resets,
    stops_after,
)
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]

IN_STATUS_LINE, IN_HEADER, IN_BODY = 6, 30, -12

LOST: dict[str, Any] = {"error": AmbiguousError, "code": Code.CONNECTION_LOST}

BROKEN = [
    Case(name="reset before any byte", plays=(resets,), **LOST),
    Case(name="closed before any byte", plays=(closes,), **LOST),
    Case(
        name="reset in the status line",
        plays=(stops_after(IN_STATUS_LINE, reset=True),),
        **LOST,
    ),
    Case(
        name="closed in the status line",
        plays=(stops_after(IN_STATUS_LINE, reset=False),),
        **LOST,
    ),
    Case(name="reset in a header", plays=(stops_after(IN_HEADER, reset=True),), **LOST),
    Case(
        name="closed in a header", plays=(stops_after(IN_HEADER, reset=False),), **LOST
    ),
    Case(name="reset in the body", plays=(stops_after(IN_BODY, reset=True),), **LOST),
    Case(
        name="body shorter than its length",
        plays=(stops_after(IN_BODY, reset=False),),
        **LOST,
    ),
    Case(name="chunks cut before the last", plays=(chunks_cut,), **LOST),
    Case(name="TLS broken off", plays=(breaks_tls,), **LOST),
    Case(
        name="truncated body without a length",
        plays=(body_until_close,),
        error=InvalidResponseError,
        code=Code.INVALID_RESPONSE,
        status=200,
        tokens_issued=True,
    ),
]

SLOW = [
    Case(name="latency", plays=(late(0.3),), lasts=(0.3, 2.0)),
    Case(name="slow close", plays=(closes_slowly,), lasts=(0.0, 2.0)),
    Case(name="a byte at a time", plays=(grants_bytewise(0.0),)),
]


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("case", BROKEN, ids=ids(BROKEN))
def test_broken_answer_is_no_token_and_is_not_asked_for_again(
    case: Case, server: WireServer, new_caller: Callable[..., Caller], reused: bool
) -> None:
    """An answer that breaks off is an error after one send, also on a used connection."""
    caller, outcome = play(case, server, new_caller, reused=reused)

    check(case, server, outcome)
    check_unpoisoned(server, caller)


@pytest.mark.parametrize("case", SLOW, ids=ids(SLOW))
def test_slow_but_whole_answer_is_an_answer(
    case: Case, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """An answer that is whole before the deadline counts, however it came."""
    caller, outcome = play(case, server, new_caller)

    check(case, server, outcome)
    check_unpoisoned(server, caller)


def test_plain_http_breaks_alike(
    new_server: Callable[..., WireServer], new_caller: Callable[..., Caller]
) -> None:
    """Without TLS, on a loopback given explicitly, a broken answer is the same error."""
    server = new_server(tls=False)
    case = BROKEN[6]
    caller, outcome = play(case, server, lambda: new_caller(domain=server.domain))

    check(case, server, outcome)
    check_unpoisoned(server, caller)


def test_connection_that_the_server_closed_at_rest_is_not_used(
    server: WireServer, caller: Caller
) -> None:
    """A connection closed between two calls costs nothing: one send, a new connection."""
    caller.exchange()
    server.drop_connections()
    caller.rest(0.05)
    outcome = caller.exchange()

    assert outcome.error is None
    assert [1, 2] == [request.connection for request in server.posts]
    assert 0 == outcome.retries


def test_connection_that_rested_too_long_is_not_used(
    server: WireServer,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection at rest for longer than servers wait is left, though it is open."""
    for module in ("aiohttp_transport", "deadline_adapter"):
        monkeypatch.setattr(f"auth0_tx.shells.{module}.LONGEST_IDLE", 0.2)
    caller = new_caller()
    caller.exchange()
    caller.exchange()
    caller.rest(0.3)
    caller.exchange()

    assert [1, 1, 2] == [request.connection for request in server.posts]


def test_connection_is_kept_between_calls(server: WireServer, caller: Caller) -> None:
    """Discovery and two exchanges share one connection."""
    caller.exchange()
    caller.exchange()

    assert [1, 1] == [request.connection for request in server.posts]
    assert 1 == len(server.wires)


def test_connection_closed_on_the_second_post_is_ambiguous(
    server: WireServer, caller: Caller
) -> None:
    """The server that closes on a POST it has read is not asked again on its own."""
    server.token = Script(grants, closes, grants)
    first, second, third = (caller.exchange() for _ in range(3))

    assert first.error is None
    assert (AmbiguousError, "connection_lost", None, False) == second.summary
    assert third.error is None
    assert 3 == len(server.posts)
