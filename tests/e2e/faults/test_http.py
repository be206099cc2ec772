"""Answers that bend HTTP: read as RFC 9110 and 9112 say, or refused; never a hang."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx import AmbiguousError
from auth0_tx import CustomTokenExchangeErrorCode as Code
from tests.e2e.faults.callers import SUBJECT, Caller
from tests.e2e.faults.fault_cases import (
    ANOTHER,
    Case,
    check,
    check_unpoisoned,
    ids,
    play,
)
from tests.e2e.faults.wire_behaviours import (
    GRANT,
    after,
    grants,
    grants_with_surplus,
    late,
    says,
    two_lengths,
)
from tests.e2e.faults.wire_http import JSON, WireRequest, chunk, head
from tests.e2e.faults.wire_server import Behaviour, Script, Wire, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]

NOT_HTTP: dict[str, Any] = {"error": AmbiguousError, "code": Code.CONNECTION_LOST}

CONTINUE, HINTS = head(100), head(103, (("Link", "</style.css>; rel=preload"),))
GARBAGE = b"\x16\x03\x01 this is no answer\r\n\r\n"

LENGTH = ("Content-Length", str(len(json.dumps(GRANT))))
CHUNKED = ("Transfer-Encoding", "chunked")


def answers_framed(
    *headers: tuple[str, str],
    junk: bytes = b"",
    body: bytes = json.dumps(GRANT).encode(),
) -> Behaviour:
    """Send a body with these headers, and close."""
    start = head(200, (JSON,))[:-2] + junk + head(200, headers).partition(b"\r\n")[2]

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(start + body)
        wire.close()

    return play


BENT = [
    Case(name="100 before the answer", plays=(after(CONTINUE),)),
    Case(name="102 before the answer", plays=(after(head(102)),)),
    Case(name="103 before the answer", plays=(after(HINTS),)),
    Case(name="103 long before the answer", plays=(after(HINTS, 0.2),)),
    Case(name="several interim answers", plays=(after(CONTINUE + HINTS + HINTS, 0.1),)),
    Case(name="bad status line", plays=(says(b"HTTP/1.1 abc\r\n\r\n"),), **NOT_HTTP),
    Case(name="no HTTP at all", plays=(says(GARBAGE),), **NOT_HTTP),
    Case(name="HTTP 0.9", plays=(says(b'{"access_token": "x"}\r\n'),), **NOT_HTTP),
    Case(name="two lengths", plays=(two_lengths,), **NOT_HTTP),
    Case(name="one length twice", plays=(answers_framed(LENGTH, LENGTH),), **NOT_HTTP),
    Case(
        name="chunks and a length",
        plays=(answers_framed(CHUNKED, LENGTH, body=chunk(b"{}") + chunk(b"")),),
        **NOT_HTTP,
    ),
    Case(
        name="below zero", plays=(answers_framed(("Content-Length", "-1")),), **NOT_HTTP
    ),
    Case(name="signed", plays=(answers_framed(("Content-Length", "+44")),), **NOT_HTTP),
    Case(
        name="underscore",
        plays=(answers_framed(("Content-Length", "4_4")),),
        **NOT_HTTP,
    ),
    Case(
        name="no number",
        plays=(answers_framed(("Content-Length", "many")),),
        **NOT_HTTP,
    ),
    Case(
        name="space in a name",
        plays=(answers_framed(("X-Odd ", "1"), LENGTH),),
        **NOT_HTTP,
    ),
    Case(
        name="no colon", plays=(answers_framed(LENGTH, junk=b"junk\r\n"),), **NOT_HTTP
    ),
]


@pytest.mark.parametrize("case", BENT, ids=ids(BENT))
def test_bent_answer_is_read_as_http_says(
    case: Case, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Interim answers are passed over; what is not HTTP/1.1 is no answer."""
    caller, outcome = play(case, server, new_caller)

    check(case, server, outcome)
    check_unpoisoned(server, caller)


def test_answer_behind_an_interim_one_is_never_the_next_calls(
    server: WireServer, caller: Caller
) -> None:
    """The grant that follows a 103 belongs to the call that asked for it, to no other."""
    server.token = Script(after(HINTS, 0.2), late(0.3))
    first = caller.exchange()
    second = caller.exchange(subject_token=ANOTHER)

    assert f"for-{SUBJECT}" == first.access_token
    assert f"for-{ANOTHER}" == second.access_token


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_surplus_answer_is_never_the_next_calls(
    tls: bool,
    new_server: Callable[..., WireServer],
    new_caller: Callable[..., Caller],
) -> None:
    """A second answer that nobody asked for is thrown away with its connection."""
    server = new_server(tls=tls)
    caller = new_caller(domain=server.domain)
    server.token = Script(grants_with_surplus, grants)
    first = caller.exchange()
    caller.rest(0.05)
    second = caller.exchange(subject_token=ANOTHER)

    assert f"for-{SUBJECT}" == first.access_token
    assert f"for-{ANOTHER}" == second.access_token


def test_switch_of_protocols_is_no_answer(server: WireServer, caller: Caller) -> None:
    """A 101 that nobody asked for is no answer, and its connection is not used again."""
    switched = head(101, (("Upgrade", "x"), ("Connection", "upgrade")))
    server.token = Script(says(switched))
    outcome = caller.exchange()

    assert (AmbiguousError, "connection_lost", None, False) == outcome.summary
    assert 1 == len(server.posts)
    check_unpoisoned(server, caller)
    assert server.posts[0].connection != server.posts[-1].connection
